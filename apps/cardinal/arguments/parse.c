// parse.c - options and operands, by the program's tables.
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "arguments/arguments.h"

bool parse_text(const struct option *option, const char *text, void *field) {
    (void)option;
    *(const char **)field = text;
    return true;
}

size_t option_word(const struct option *option, int i, const char **begin) {
    const char *at = option->value;
    for (; i > 0 && *at; i--) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    *begin = at;
    return strcspn(at, "|");
}

bool parse_word(const struct option *option, const char *text, void *field) {
    const char *word;
    for (int i = 0; option_word(option, i, &word) > 0; i++)
        if (option_word(option, i, &word) == strlen(text) && !strncmp(word, text, strlen(text))) {
            memcpy(field, &i, sizeof i); // enumerations of the options have int's size
            return true;
        }
    return false;
}

const struct value_kind value_word = {parse_word, NULL, COMPLETES_NOTHING, NULL};

bool arguments_shown(const struct option *option, const struct command *command) {
    return option->name && option->help && option->commands & command->bit;
}

// What --NAME expects, as in "text, json or csv".
static const char *expectation(const struct option *option, char *buffer, size_t size) {
    if (option->kind->expects)
        return option->kind->expects;
    const char *word;
    size_t used = 0;
    buffer[0] = 0;
    for (int i = 0; option_word(option, i, &word) > 0 && used < size; i++) {
        const size_t length = option_word(option, i, &word);
        const char *before = i == 0 ? "" : word[length] ? ", " : " or ";
        used += (size_t)snprintf(buffer + used, size - used, "%s%.*s", before, (int)length, word);
    }
    return buffer;
}

// ---- what is wrong

struct line { // the arguments being parsed
    const struct program *program;
    const struct command *command;
    int argc;
    char **argv;
    void *out;
};

static const char *separator(const struct line *l) { return l->command->name[0] ? " " : ""; }

// The names of the commands that take an option called `name`, as in "classify and eval". "": none.
static void list_takers(const struct program *p, const char *name, size_t length, bool is_short, char *buffer,
                        size_t size) {
    unsigned bits = 0;
    int left = 0;
    size_t used = 0;
    FOR_EACH_OPTION(o, p) {
        if (!o->name || !o->help)
            continue;
        if (is_short ? o->letter == *name : strlen(o->name) == length && !strncmp(o->name, name, length))
            bits |= o->commands;
    }
    for (int i = 0; i < p->num_commands; i++)
        left += (bits & p->commands[i].bit) != 0;
    buffer[0] = 0;
    for (int i = 0; i < p->num_commands && used < size; i++)
        if (bits & p->commands[i].bit) {
            left--;
            used += (size_t)snprintf(buffer + used, size - used, "%s%s",
                                     used == 0 ? ""
                                     : left    ? ", "
                                               : " and ",
                                     p->commands[i].name);
        }
}

// What other programs call it.
static const struct described synonyms[] = {
    {"weights", "model"},
    {"checkpoint", "model"},
    {"ckpt", "model"},
    {"pretrained", "model"},
    {"network", "model"},
    {"gpu", "device"},
    {"labels", "label-file"},
    {"classes", "label-file"},
    {"class-names", "label-file"},
    {"half", "precision"},
    {"fp16", "precision"},
    {"amp", "precision"},
    {"fp32", "precision"},
    {"precision", "dtype"},
    {"dtype", "precision"},
    {"top", "topk"},
    {"top-k", "topk"},
    {"top5", "topk"},
    {"batch-size", "batch"},
    {"workers", "threads"},
    {"jobs", "threads"},
    {"img-size", "size"},
    {"image-size", "size"},
    {"imgsz", "size"},
    {"input-size", "size"},
    {"json", "format"},
    {"csv", "format"},
    {"output-format", "format"},
    {"out", "output"},
    {"predictions", "output"},
    {"save", "output"},
    {"silent", "quiet"},
    {"debug", "verbose"},
    {"heatmap", "cam"},
    {"gradcam", "cam"},
    {"orientation", "exif"},
    {"time", "duration"},
    {"seconds", "duration"},
    {"duration", "seconds"},
    {"camera", "source"},
    {"webcam", "source"},
    {"resolution", "size"},
    {"headless", "offscreen"},
    {"architecture", "arch"},
};

static const struct option *find_long(const struct line *l, const char *name, size_t length) {
    FOR_EACH_OPTION(o, l->program) {
        if (o->name && o->commands & l->command->bit && strlen(o->name) == length && !strncmp(o->name, name, length))
            return o;
    }
    return NULL;
}

static const char *shown_name(const void *names, int i) {
    const struct line *l = names;
    const struct option *o = &l->program->options[i];
    return arguments_shown(o, l->command) || !strcmp(o->name ? o->name : "", "help") ? o->name : NULL;
}

static const char *find_meant(const struct line *l, const char *name, size_t length) {
    char word[64];
    if (length >= sizeof word)
        return NULL;
    memcpy(word, name, length);
    word[length] = 0;
    for (size_t i = 0; i < sizeof synonyms / sizeof *synonyms; i++)
        if (!strcmp(word, synonyms[i].name) && find_long(l, synonyms[i].text, strlen(synonyms[i].text)))
            return synonyms[i].text;
    int count = 0;
    FOR_EACH_OPTION(o, l->program)
    count++;
    return arguments_nearest(word, shown_name, l, count);
}

// The option that `name` names, without its dashes, is none of this command's.
static void complain_unknown(const struct line *l, const char *name, size_t length, const char *dashes) {
    char takers[256];
    const char *program = l->program->name, *command = l->command->name, *space = separator(l);
    list_takers(l->program, name, length, !dashes[1], takers, sizeof takers);
    const char *meant = dashes[1] ? find_meant(l, name, length) : NULL;
    const char *hint = meant ? "; did you mean --" : "", *end = meant ? "?" : "";
    if (takers[0])
        complain("%s%.*s is an option of %s, not of %s%s%s%s see %s%s%s --help", dashes, (int)length, name, takers,
                 command, hint, meant ? meant : "", meant ? end : ";", program, space, command);
    else
        complain("unknown option %s%.*s%s%s%s see %s%s%s --help", dashes, (int)length, name, hint, meant ? meant : "",
                 meant ? end : ";", program, space, command);
}

// ---- parsing

static bool set_value(const struct line *l, const struct option *o, const char *value) {
    char words[256];
    if (value && o->kind->parse(o, value, (char *)l->out + o->field))
        return true;
    complain("--%s expects %s%s%s", o->name, expectation(o, words, sizeof words), value ? ", not " : "",
             value ? value : "");
    return false;
}

// The value of `o` is the next argument: *i moves there. NULL after a line on stderr.
static const char *next_value(const struct line *l, const struct option *o, int *i) {
    const char *next = *i + 1 < l->argc ? l->argv[*i + 1] : NULL;
    if (!next || !strncmp(next, "--", 2)) { // a value that begins so is given as --option=--value
        char words[256];
        complain("--%s expects %s%s%s", o->name, expectation(o, words, sizeof words),
                 next ? ", but is followed by " : "", next ? next : "");
        return NULL;
    }
    ++*i;
    return next;
}

static const struct option *find_short(const struct line *l, char letter) {
    FOR_EACH_OPTION(o, l->program)
    if (o->letter == letter && o->commands & l->command->bit)
        return o;
    return NULL;
}

static bool parse_long(const struct line *l, int *i) {
    const char *name = l->argv[*i] + 2;
    const size_t length = strcspn(name, "=");
    const struct option *o = find_long(l, name, length);
    if (!o) {
        complain_unknown(l, name, length, "--");
        return false;
    }
    if (!o->kind) {
        if (name[length])
            complain("--%s takes no value", o->name);
        *(bool *)(void *)((char *)l->out + o->field) = true;
        return !name[length];
    }
    if (name[length])
        return set_value(l, o, name + length + 1);
    const char *value = next_value(l, o, i);
    return value && set_value(l, o, value);
}

// "-q", "-qv", "-k3", "-k 3", "-k=3"
static bool parse_short(const struct line *l, int *i) {
    const char *name = l->argv[*i] + 1;
    const size_t length = strcspn(name, "=");
    if (length > 1 && find_long(l, name, length)) { // rather than "-m odel"
        complain("-%.*s is not understood; did you mean --%.*s? see %s%s%s --help", (int)length, name, (int)length,
                 name, l->program->name, separator(l), l->command->name);
        return false;
    }
    for (const char *at = l->argv[*i] + 1; *at; at++) {
        const struct option *o = find_short(l, *at);
        if (!o) {
            complain_unknown(l, at, 1, "-");
            return false;
        }
        if (!o->kind) {
            if (at[1] == '=') {
                complain("-%c takes no value", *at);
                return false;
            }
            *(bool *)(void *)((char *)l->out + o->field) = true;
            continue;
        }
        if (at[1])
            return set_value(l, o, at + 1 + (at[1] == '='));
        const char *value = next_value(l, o, i);
        return value && set_value(l, o, value);
    }
    return true;
}

int arguments_parse(const struct program *program, const struct command *command, int argc, char **argv, void *out) {
    const struct line l = {program, command, argc, argv, out};
    int num_operands = 0;
    bool only_operands = false;
    for (int i = 1; i < argc; i++) {
        char *argument = argv[i];
        if (!only_operands && !strcmp(argument, "--")) {
            only_operands = true;
        } else if (!only_operands && argument[0] == '-' && argument[1]) {
            if (!(argument[1] == '-' ? parse_long(&l, &i) : parse_short(&l, &i)))
                return -1;
        } else if (command->operand) {
            if (!command->operand(argument, out))
                return -1;
        } else {
            argv[1 + num_operands++] = argument;
        }
    }
    return num_operands;
}
