// set.c - finds the pictures of an evaluation; see set.h.
#include "eval/set.h"

#include <stdlib.h>
#include <string.h>

#include "eval/lines.h"
#include "system/files.h"
#include "system/text.h"

static enum exit_status no_memory(void) {
    complain("out of memory");
    return status_of(CDL_ERR_NOMEM);
}

// Takes ownership of what *input holds.
static bool add_item(struct eval_set *s, struct input_item *input) {
    if (s->count == s->capacity) {
        const size_t capacity = s->capacity ? 2 * s->capacity : 256;
        struct eval_item *larger = realloc(s->items, capacity * sizeof *larger);
        if (!larger) {
            input_item_free(input);
            return false;
        }
        s->items = larger;
        s->capacity = capacity;
    }
    s->items[s->count++] = (struct eval_item){.input = *input, .truth = -1};
    return true;
}

static bool take_all(struct eval_set *s, struct input_stream *stream) {
    struct input_item item;
    bool ok = true;
    while (ok && inputs_next(stream, &item))
        ok = add_item(s, &item);
    s->skipped = inputs_num_skipped(stream);
    if (s->skipped) {
        char told[512];
        inputs_tell_skipped(stream, told, sizeof told);
        complain("warning: %s", told);
    }
    return ok;
}

static bool count_groups(struct eval_set *s) {
    s->classes = calloc(s->groups.count + 1, sizeof *s->classes);
    s->sizes = calloc(s->groups.count + 1, sizeof *s->sizes);
    for (size_t i = 0; s->sizes && i < s->count; i++)
        if (s->items[i].input.class_index >= 0)
            s->sizes[s->items[i].input.class_index]++;
    return s->classes && s->sizes;
}

static enum exit_status find_in_folder(struct eval_set *s, const struct options *options) {
    char error[512];
    const char *folder = options->inputs[0];
    struct input_stream *stream = inputs_open_labelled(folder, error, sizeof error);
    const bool flat = !stream && options->real_labels && folder_exists(folder);
    if (flat) // ImageNet's validation pictures as they come: in one folder
        stream = inputs_open(options->inputs, 1, NULL);
    if (!stream) {
        complain("%s", flat ? "out of memory" : error);
        return EXIT_SOME_FAILED;
    }
    bool ok = take_all(s, stream);
    for (int i = 0; ok && i < inputs_num_classes(stream); i++)
        ok = name_list_add(&s->groups, inputs_class_name(stream, i));
    inputs_close(&stream);
    return ok && count_groups(s) ? EXIT_ALL_DONE : no_memory();
}

// ---- lists

// The group called `name`, made where there is none yet; -1: no memory.
static int group_of(struct eval_set *s, const char *name, int last) {
    if (last >= 0 && !strcmp(s->groups.names[last], name)) // lists are often sorted
        return last;
    for (size_t i = 0; i < s->groups.count; i++)
        if (!strcmp(s->groups.names[i], name))
            return (int)i;
    return name_list_add(&s->groups, name) ? (int)s->groups.count - 1 : -1;
}

static bool is_absolute(const char *path) { return path[0] == '/' || path[0] == '\\' || (path[0] && path[1] == ':'); }

static char *path_of(const struct options *options, const char *path) {
    return options->num_inputs == 1 && !is_absolute(path) ? folder_join(options->inputs[0], path) : copy_text(path);
}

// Cuts a line in two: at its last tab, else at the space before which there is a file's name, the last one first;
// else at the last space. NULL: it has neither, or nothing before or behind it.
static char *split(const struct options *options, char *line) {
    char *cut = strrchr(line, '\t'), *last = strrchr(line, ' ');
    if (!cut && last) {
        for (char *space = last; space > line && !cut; space--) {
            struct file_status status;
            if (*space != ' ')
                continue;
            *space = 0;
            char *path = path_of(options, line);
            if (path && get_file_status(path, &status) && status.kind == FILE_REGULAR)
                cut = space;
            *space = ' ';
            free(path);
        }
        cut = cut ? cut : last;
    }
    if (!cut || cut == line || !cut[1])
        return NULL;
    *cut = 0;
    return cut + 1;
}

static enum exit_status find_in_list(struct eval_set *s, const struct options *options) {
    struct lines lines;
    enum exit_status status = EXIT_ALL_DONE;
    int group = -1;
    s->listed = true;
    if (!lines_read(&lines, options->list, "--list"))
        return EXIT_USAGE;
    for (size_t i = 0; status == EXIT_ALL_DONE && i < lines.count; i++) {
        if (!lines.at[i][0])
            continue;
        char *class_name = split(options, lines.at[i]);
        if (!class_name) {
            complain("--list %s: line %zu is not a path, a tab or space, and a class", options->list, i + 1);
            status = EXIT_USAGE;
            break;
        }
        group = group_of(s, class_name, group);
        struct input_item item = {.path = path_of(options, lines.at[i]), .class_index = group};
        if (group < 0 || !item.path || !add_item(s, &item)) {
            if (group < 0 || !item.path)
                input_item_free(&item);
            status = no_memory();
        }
    }
    lines_free(&lines);
    return status == EXIT_ALL_DONE && !count_groups(s) ? no_memory() : status;
}

enum exit_status eval_set_find(struct eval_set *s, const struct options *options) {
    *s = (struct eval_set){0};
    const enum exit_status status = options->list ? find_in_list(s, options) : find_in_folder(s, options);
    if (status != EXIT_ALL_DONE || s->count > 0)
        return status;
    if (options->list)
        complain("--list %s: names no picture", options->list);
    else
        complain("%s: no pictures in its class folders; eval takes what torchvision's ImageFolder does and "
                 "Cardinal reads: .jpg, .jpeg, .png, .bmp, .ppm and .pgm, but no GIF",
                 options->inputs[0]);
    return EXIT_SOME_FAILED;
}

void eval_set_free(struct eval_set *s) {
    for (size_t i = 0; i < s->count; i++)
        input_item_free(&s->items[i].input);
    for (size_t i = 0; i < s->num_mapped; i++)
        free(s->map_keys[i]);
    free(s->items);
    free(s->classes);
    free(s->sizes);
    free(s->real);
    free(s->valid);
    free(s->map_keys);
    free(s->map_classes);
    name_list_clear(&s->groups);
    *s = (struct eval_set){0};
}
