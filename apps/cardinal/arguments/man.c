// man.c - the manual page, in the macros of man(7).
#include <ctype.h>
#include <string.h>

#include "arguments/arguments.h"

// Text of which roff takes nothing for its own. A '\n' begins a paragraph, by `macro`.
static void print_text(FILE *file, const char *text, const char *macro) {
    bool begins = true;
    for (int columns = 0; *text; text++) {
        if (begins && (*text == '.' || *text == '\''))
            fputs("\\&", file);
        columns = begins ? 0 : columns + 1;
        begins = false;
        if (*text == '\n') {
            fprintf(file, "\n%s\n", macro);
            begins = true;
        } else if (*text == ' ' && columns + (int)strcspn(text + 1, " \n") > 64) {
            // short lines, which roff fills, as its rules of style ask for
            fputc('\n', file);
            begins = true;
        } else if (*text == '\\') {
            fputs("\\e", file);
        } else if (*text == '-') {
            fputs("\\-", file);
        } else if (*text == '\'') {
            fputs("\\(aq", file);
        } else if (*text == '^') {
            fputs("\\(ha", file);
        } else if (*text == '~') {
            fputs("\\(ti", file);
        } else {
            fputc(*text, file);
        }
    }
    fputc('\n', file);
}

static void print_line(FILE *file, const char *text) { print_text(file, text, ".br"); }

static void print_name(FILE *file, const char *name, size_t length) {
    for (size_t i = 0; i < length; i++)
        fprintf(file, "%s%c", name[i] == '-' ? "\\" : "", name[i]);
}

// Placeholders, which are capitals, are italic; the words that are typed are bold.
static void print_value(FILE *file, const char *value, size_t length) {
    for (size_t i = 0; i < length;) {
        const bool word = isalnum((unsigned char)value[i]) != 0;
        const size_t begin = i;
        while (i < length && (isalnum((unsigned char)value[i]) != 0) == word)
            i++;
        const bool typed = word && (islower((unsigned char)value[begin]) || isdigit((unsigned char)value[begin]));
        fputs(!word ? "\\fR" : typed ? "\\fB" : "\\fI", file);
        print_name(file, value + begin, i - begin);
    }
    fputs("\\fR", file);
}

static void print_synopsis(const struct program *p, const struct command *c, FILE *file) {
    for (const char *line = c->synopsis; *line;) {
        const size_t length = strcspn(line, "\n");
        fputs(line == c->synopsis ? "" : ".br\n", file);
        fputs("\\fB", file);
        print_name(file, p->name, strlen(p->name));
        fprintf(file, "%s%s\\fR ", c->name[0] ? " " : "", c->name);
        print_value(file, line, length);
        fputc('\n', file);
        line += length + (line[length] != 0);
    }
}

static void print_option(FILE *file, char letter, const char *name, const char *value, const char *help) {
    fputs(".TP\n", file);
    if (letter)
        fprintf(file, "\\fB\\-%c\\fR, ", letter);
    fputs("\\fB\\-\\-", file);
    print_name(file, name, strlen(name));
    fputs("\\fR", file);
    if (value) {
        fputc(' ', file);
        print_value(file, value, strlen(value));
    }
    fputc('\n', file);
    print_line(file, help);
}

static void print_options(const struct program *p, FILE *file) {
    const bool several = p->commands[0].name[0] != 0;
    unsigned all = 0;
    for (int i = 0; i < p->num_commands; i++)
        all |= p->commands[i].bit;
    const char *heading = NULL;
    FOR_EACH_OPTION(o, p) {
        if (!o->name) {
            heading = o->help;
            continue;
        }
        if (!o->help)
            continue;
        if (heading)
            fprintf(file, ".SS %s\n", heading);
        heading = NULL;
        print_option(file, o->letter, o->name, o->value, o->help);
        if (!several || o->commands == all)
            continue;
        fputs(".br\nCommands:", file);
        bool first = true;
        for (int j = 0; j < p->num_commands; j++)
            if (o->commands & p->commands[j].bit) {
                fprintf(file, "%s\\fB%s\\fR", first ? "\n" : ",\n", p->commands[j].name);
                first = false;
            }
        fputs(".\n", file);
    }
    print_option(file, 'h', "help", NULL,
                 several ? "print the options of the command, and end" : "print a summary, and end");
    fputs(several ? ".SS In place of a command\n" : "", file);
    print_option(file, 0, "version", NULL, "print the version, and end");
    print_option(file, 0, "completion", "bash|zsh|fish",
                 "print a script that makes the shell complete commands and options");
}

static void print_described(FILE *file, const char *section, const struct described *list) {
    if (!list)
        return;
    fprintf(file, ".SH %s\n", section);
    for (; list->name; list++) {
        fputs(".TP\n.B ", file);
        print_line(file, list->name);
        print_line(file, list->text);
    }
}

void arguments_print_man(const struct program *p, const char *date, FILE *file) {
    const bool several = p->commands[0].name[0] != 0;
    fputs(".\\\" made from the program's own tables\n.TH ", file);
    for (const char *at = p->name; *at; at++)
        fputc(toupper((unsigned char)*at), file);
    fprintf(file, " 1 \"%s\" \"Cardinal %s\" \"User Commands\"\n.nh\n.ad l\n.SH NAME\n%s \\- ", date, p->version,
            p->name);
    print_line(file, p->summary);
    fputs(".SH SYNOPSIS\n", file);
    for (int i = 0; i < p->num_commands; i++) {
        fputs(i ? ".br\n" : "", file);
        print_synopsis(p, &p->commands[i], file);
    }
    fputs(".SH DESCRIPTION\n", file);
    print_text(file, several ? p->description : p->commands[0].description, ".PP");
    fputs(several ? ".SH COMMANDS\n" : "", file);
    for (int i = 0; several && i < p->num_commands; i++) {
        fprintf(file, ".SS %s\n", p->commands[i].name);
        print_text(file, p->commands[i].description, ".PP");
    }
    fputs(".SH OPTIONS\n", file);
    print_options(p, file);
    fputs(".SH \"EXIT STATUS\"\n", file);
    for (int i = 0; i < p->num_commands; i++) {
        if (several)
            fprintf(file, ".TP\n.B %s\n", p->commands[i].name);
        print_line(file, p->commands[i].statuses);
    }
    print_described(file, "ENVIRONMENT", p->environment);
    print_described(file, "FILES", p->files);
    fputs(".SH EXAMPLES\n", file);
    for (int i = 0; i < p->num_commands; i++)
        for (size_t j = 0; j < sizeof p->commands[i].examples / sizeof *p->commands[i].examples; j++) {
            const struct described *example = &p->commands[i].examples[j];
            if (!example->name)
                break;
            fputs(".TP\n.B ", file);
            char line[256];
            snprintf(line, sizeof line, "%s%s%s%s%s", p->name, several ? " " : "", p->commands[i].name,
                     example->name[0] ? " " : "", example->name);
            print_line(file, line);
            print_line(file, example->text);
        }
    if (p->see_also)
        fprintf(file, ".SH \"SEE ALSO\"\n.BR %s (1)\n", p->see_also);
}
