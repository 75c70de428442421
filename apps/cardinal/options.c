// options.c - parses the command line, by a table of options.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "parse.h"

static bool parse_precision(const char *text, void *out) { return parse_choice(text, precision_names, 3, out); }
static bool parse_tune(const char *text, void *out) { return parse_choice(text, tune_names, 3, out); }
static bool parse_input(const char *text, void *out) { return parse_choice(text, input_names, 2, out); }

// Parses values separated by commas; `parse` stores each of them in an int.
static bool parse_list(const char *text, bool (*parse)(const char *text, void *out), struct int_list *list) {
    char item[32];
    list->count = 0;
    for (bool more = true; more; text++) {
        const size_t length = strcspn(text, ",");
        if (length >= sizeof item || list->count == MAX_LIST)
            return false;
        memcpy(item, text, length);
        item[length] = 0;
        if (!parse(item, &list->items[list->count++]))
            return false;
        text += length;
        more = *text == ',';
    }
    return true;
}

static bool parse_precisions(const char *text, void *out) {
    struct options *o = out;
    if (!parse_list(text, parse_precision, &o->precisions))
        return false;
    o->precision = (cdl_precision)o->precisions.items[0];
    return true;
}

static bool parse_dtype(const char *text, void *out) {
    static const char *const names[] = {"fp32", "fp16", "bf16"};
    return parse_choice(text, names, 3, out);
}

static bool parse_format(const char *text, void *out) {
    static const char *const names[] = {"text", "json", "csv"};
    return parse_choice(text, names, 3, out);
}

static bool parse_exif(const char *text, void *out) {
    static const char *const names[] = {"default", "on", "off"};
    return parse_choice(text, names, 3, out);
}

static bool parse_count(const char *text, void *out) { return parse_int_in(text, 1, 1 << 20, out); }
static bool parse_batches(const char *text, void *out) {
    struct options *o = out;
    if (!parse_list(text, parse_count, &o->batches))
        return false;
    o->batch = o->batches.items[0];
    return true;
}

static bool parse_seconds(const char *text, void *out) {
    char *end;
    const double seconds = strtod(text, &end);
    if (end == text || *end || !(seconds > 0 && seconds <= 3600))
        return false;
    *(int *)out = seconds < 0.001 ? 1 : (int)(1000 * seconds);
    return true;
}

static bool parse_seed(const char *text, void *out) { return parse_int_in(text, 0, 2147483647, out); }

static bool parse_text(const char *text, void *out) {
    *(const char **)out = text;
    return true;
}

// "224" or "160x224", height first
static bool parse_size(const char *text, void *out) {
    struct options *o = out;
    char first[16];
    const char *x = strchr(text, 'x');
    if (!x) {
        if (!parse_int_in(text, 1, 4096, &o->height))
            return false;
        o->width = o->height;
        return true;
    }
    if ((size_t)(x - text) >= sizeof first)
        return false;
    memcpy(first, text, (size_t)(x - text));
    first[x - text] = 0;
    return parse_int_in(first, 1, 4096, &o->height) && parse_int_in(x + 1, 1, 4096, &o->width);
}

static bool parse_metadata(const char *text, void *out) {
    struct options *o = out;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || o->num_metadata == MAX_METADATA)
        return false;
    const size_t length = (size_t)(equals - text);
    char *key = malloc(length + 1);
    if (!key)
        return false;
    memcpy(key, text, length);
    key[length] = 0;
    o->metadata[o->num_metadata++] = (struct cdl_pair){key, equals + 1};
    return true;
}

static const struct {
    const char *name;
    size_t offset;                              // of the bool, or of the field that parse sets
    bool (*parse)(const char *text, void *out); // NULL: a flag
    const char *expects;
} table[] = {
    {"--model", offsetof(struct options, model), parse_text, "a file or a name"},
    {"--arch", offsetof(struct options, arch), parse_text, "a name"},
    {"--device", offsetof(struct options, device), parse_text, "an index, UUID or part of a name"},
    {"--label-file", offsetof(struct options, label_file), parse_text, "a file"},
    {"--predictions", offsetof(struct options, predictions), parse_text, "a file"},
    {"--cam", offsetof(struct options, cam_folder), parse_text, "a folder"},
    {"--list", offsetof(struct options, list), parse_text, "a file, or - for standard input"},
    {"--precision", 0, parse_precisions, "auto, fp32 or fp16"},
    {"--dtype", offsetof(struct options, dtype), parse_dtype, "fp32, fp16 or bf16"},
    {"--format", offsetof(struct options, format), parse_format, "text, json or csv"},
    {"--exif", offsetof(struct options, exif), parse_exif, "on or off"},
    {"--tune", offsetof(struct options, tune), parse_tune, "off, quick or full"},
    {"--topk", offsetof(struct options, topk), parse_count, "a number from 1"},
    {"--batch", 0, parse_batches, "a number from 1"},
    {"--duration", offsetof(struct options, duration_ms), parse_seconds, "seconds, up to 3600"},
    {"--input", offsetof(struct options, bench_input), parse_input, "pixels or tensor"},
    {"--threads", offsetof(struct options, threads), parse_count, "a number from 1"},
    {"--seed", offsetof(struct options, seed), parse_seed, "a number"},
    {"--size", 0, parse_size, "PIXELS or HEIGHTxWIDTH, up to 4096"},
    {"--metadata", 0, parse_metadata, "KEY=VALUE, at most 32 times"},
    {"--null", offsetof(struct options, null_separated), NULL, NULL},
    {"-0", offsetof(struct options, null_separated), NULL, NULL},
    {"--no-fold", offsetof(struct options, no_fold), NULL, NULL},
    {"--quiet", offsetof(struct options, quiet), NULL, NULL},
    {"--verbose", offsetof(struct options, verbose), NULL, NULL},
    {"--validate", offsetof(struct options, validate), NULL, NULL},
    {"--layers", offsetof(struct options, layers), NULL, NULL},
    {"--start-child", offsetof(struct options, start_child), NULL, NULL}, // bench's own child process
    {"--start", offsetof(struct options, start), NULL, NULL},
    {"--help", offsetof(struct options, help), NULL, NULL},
};

// Applies the option at argv[*i]. Where its value is the next argument, *i moves there.
static bool parse_option(struct options *out, int argc, char **argv, int *i) {
    const char *argument = argv[*i];
    const size_t length = strcspn(argument, "=");
    for (size_t j = 0; j < sizeof table / sizeof *table; j++) {
        if (strlen(table[j].name) != length || memcmp(table[j].name, argument, length))
            continue;
        void *field = (char *)out + table[j].offset;
        if (!table[j].parse) {
            if (argument[length]) {
                complain("%s takes no value", table[j].name);
                return false;
            }
            *(bool *)field = true;
            return true;
        }
        const char *value = argument[length] ? argument + length + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (value && table[j].parse(value, field))
            return true;
        complain("%s expects %s%s%s", table[j].name, table[j].expects, value ? ", not " : "", value ? value : "");
        return false;
    }
    complain("unknown option %s; see cardinal %s --help", argument, argv[0]);
    return false;
}

bool options_parse(struct options *out, int argc, char **argv) {
    *out = (struct options){0};
    // Inputs are moved to the front of argv, right after the subcommand.
    int num_inputs = 0;
    bool only_inputs = false;
    for (int i = 1; i < argc; i++) {
        if (!only_inputs && !strcmp(argv[i], "--")) {
            only_inputs = true;
        } else if (!only_inputs && argv[i][0] == '-' && argv[i][1]) {
            if (!strcmp(argv[i], "-h"))
                out->help = true;
            else if (!parse_option(out, argc, argv, &i))
                return false;
        } else {
            argv[1 + num_inputs++] = argv[i];
        }
    }
    if (out->model && out->arch) {
        complain("--model and --arch exclude each other");
        return false;
    }
    if (strcmp(argv[0], "bench") != 0 && (out->batches.count > 1 || out->precisions.count > 1)) {
        complain("%s takes one value, not a list; see cardinal %s --help",
                 out->batches.count > 1 ? "--batch" : "--precision", argv[0]);
        return false;
    }
    out->inputs = (const char *const *)(argv + 1);
    out->num_inputs = num_inputs;
    return true;
}

void options_free(struct options *options) {
    for (int i = 0; i < options->num_metadata; i++)
        free((char *)(uintptr_t)options->metadata[i].key);
    options->num_metadata = 0;
}
