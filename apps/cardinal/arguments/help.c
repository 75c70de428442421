// help.c - what --help prints: 80 columns.
#include <string.h>

#include "app.h"
#include "arguments/arguments.h"

enum { WIDTH = 80, TEXT_COLUMN = 26 };

static int columns_of(const char *text, size_t length) { // of UTF-8
    int columns = 0;
    for (size_t i = 0; i < length; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

// Words from column `at` on; further lines begin at column `indent`. A '\n' in the text begins a line.
static void print_wrapped(FILE *file, const char *text, int at, int indent) {
    bool begins = true;
    while (*text) {
        const size_t length = strcspn(text, " \n");
        const int columns = columns_of(text, length);
        if (!begins && at + 1 + columns > WIDTH) {
            fprintf(file, "\n%*s", indent, "");
            at = indent;
            begins = true;
        }
        fprintf(file, "%s%.*s", begins ? "" : " ", (int)length, text);
        at += columns + !begins;
        begins = false;
        text += length;
        if (*text == '\n') {
            fprintf(file, "\n%*s", indent, "");
            at = indent;
            begins = true;
        }
        text += *text != 0;
    }
    fputc('\n', file);
}

static void print_option(FILE *file, char letter, const char *name, const char *value, const char *help) {
    char left[128];
    const char comma[] = {letter, ',', 0};
    const int used = snprintf(left, sizeof left, "  %s%s --%s%s%s", letter ? "-" : "", letter ? comma : "   ", name,
                              value ? " " : "", value ? value : "");
    if (used + 2 > TEXT_COLUMN)
        fprintf(file, "%s\n%*s", left, TEXT_COLUMN, "");
    else
        fprintf(file, "%-*s", TEXT_COLUMN, left);
    print_wrapped(file, help, TEXT_COLUMN, TEXT_COLUMN);
}

static void print_options(const struct program *p, const struct command *c, FILE *file) {
    const char *heading = "Options";
    FOR_EACH_OPTION(o, p) {
        if (!o->name) {
            heading = o->help;
        } else if (arguments_shown(o, c)) {
            if (heading)
                fprintf(file, "\n%s:\n", heading);
            heading = NULL;
            print_option(file, o->letter, o->name, o->value, o->help);
        }
    }
}

void arguments_print_help(const struct program *p, const struct command *c, FILE *file) {
    const char *space = c->name[0] ? " " : "";
    for (const char *line = c->synopsis; *line;) {
        const size_t length = strcspn(line, "\n");
        fprintf(file, "%s %s%s%s %.*s\n", line == c->synopsis ? "Usage:" : "      ", p->name, space, c->name,
                (int)length, line);
        line += length + (line[length] != 0);
    }
    fputc('\n', file);
    print_wrapped(file, c->description, 0, 0);
    print_options(p, c, file);
    print_option(file, 'h', "help", NULL, "print this, and end");
    if (!c->name[0]) {
        print_option(file, 0, "version", NULL, "print the version, and end");
        print_option(file, 0, "completion", "bash|zsh|fish",
                     "print a script that makes the shell complete these options");
    }
    if (c->examples[0].name)
        fputs("\nExamples:\n", file);
    for (size_t i = 0; i < sizeof c->examples / sizeof *c->examples && c->examples[i].name; i++) {
        const char *typed = c->examples[i].name;
        fprintf(file, "  %s%s%s%s%s\n      ", p->name, space, c->name, typed[0] ? " " : "", typed);
        print_wrapped(file, c->examples[i].text, 6, 6);
    }
    fputs("\nExit status: ", file);
    print_wrapped(file, c->statuses, 13, 2);
}

void arguments_print_usage(const struct program *p, FILE *file) {
    if (!p->commands[0].name[0]) {
        arguments_print_help(p, &p->commands[0], file);
        return;
    }
    fprintf(file, "%s %s: %s\n\nUsage: %s COMMAND [OPTION]... [INPUT]...\n\n", p->name, p->version, p->summary,
            p->name);
    for (int i = 0; i < p->num_commands; i++)
        fprintf(file, "  %-9s %s\n", p->commands[i].name, p->commands[i].summary);
    fprintf(file,
            "\n%s COMMAND --help describes a command.\n\n"
            "  -h, --help               print this, and end\n"
            "      --version            print the version, and end\n"
            "      --completion bash|zsh|fish\n"
            "                           print a script that makes the shell complete\n"
            "                           commands and options\n",
            p->name);
}

int arguments_run_builtin(const struct program *p, int argc, char **argv) {
    if (argc < 2)
        return -1;
    const char *first = argv[1];
    if (!strcmp(first, "--version") && argc == 2) {
        printf("%s %s\n", p->name, p->version);
        return EXIT_ALL_DONE;
    }
    if (!strcmp(first, "--man") && argc <= 3) { // for the build
        arguments_print_man(p, argc == 3 ? argv[2] : "", stdout);
        return EXIT_ALL_DONE;
    }
    const char *shell = NULL;
    if (!strncmp(first, "--completion=", 13) && argc == 2)
        shell = first + 13;
    else if (!strcmp(first, "--completion"))
        shell = argc == 3 ? argv[2] : "";
    if (!shell)
        return -1;
    if (arguments_print_completion(p, shell, stdout))
        return EXIT_ALL_DONE;
    complain("--completion expects bash, zsh or fish");
    return EXIT_USAGE;
}
