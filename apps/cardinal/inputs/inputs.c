// inputs.c - see inputs.h.
#include "inputs/inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/folder.h"
#include "picture/picture.h"
#include "system/text.h"

enum { MAX_LINE = 32768 }; // bytes of one path read from a list

struct input_stream {
    const char *const *args;
    int num_args, next_arg;
    FILE *list;
    bool reading_list;

    const struct input_item *const *items; // of inputs_open_items
    size_t num_items, next_item;

    bool labelled;
    char *root;               // of a labelled folder
    struct name_list classes; // names; empty unless labelled
    size_t next_class;

    // The current walk: its folders, of which next_folder is to be listed next, and the files of the one before that.
    struct name_list folders, files;
    size_t next_folder, next_file;
    const char *walk_root; // for the message when a walk found nothing; NULL: it found something
    int class_index;
    uint64_t skipped;
    bool no_memory;
};

static bool is_wanted(struct input_stream *s, const char *name) {
    static const char *const labelled[] = {".jpg", ".jpeg", ".png",  ".ppm",  ".bmp",
                                           ".pgm", ".tif",  ".tiff", ".webp", NULL}; // torchvision's
    if (!s->labelled && name[0] == '.')
        return false;
    if (picture_unreadable_format(name)) {
        ++s->skipped;
        return false;
    }
    return has_extension(name, s->labelled ? labelled : picture_extensions());
}

static void write_error(char *error, size_t size, const char *path, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(error, size, path, fmt, args);
    va_end(args);
}

// Fills *out and takes ownership of `path`. A NULL path says that memory ran out: that is the last item of the stream.
static bool give(struct input_stream *s, char *path, const char *error, struct input_item *out) {
    if (!path) {
        s->no_memory = true;
        path = copy_text("");
        snprintf(out->error, sizeof(out->error), "not enough memory to list the inputs");
    } else if (error) {
        write_error(out->error, sizeof(out->error), path, "%s", error);
    }
    out->path = path;
    out->class_index = s->labelled ? s->class_index : -1;
    return true;
}

static bool give_copy(struct input_stream *s, const struct input_item *item, struct input_item *out) {
    char *path = copy_text(item->path);
    *out = *item;
    if (!path)
        return give(s, NULL, NULL, out);
    out->path = path;
    return true;
}

static void end_walk(struct input_stream *s) {
    name_list_clear(&s->folders);
    name_list_clear(&s->files);
    s->next_folder = s->next_file = 0;
}

static bool begin_walk(struct input_stream *s, const char *root) {
    end_walk(s);
    s->walk_root = root;
    return folder_walk(root, s->labelled, &s->folders);
}

// The next item of the walk under way; false at its end.
static bool next_of_walk(struct input_stream *s, struct input_item *out) {
    while (s->next_folder > 0 || s->folders.count > 0) {
        while (s->next_file < s->files.count) {
            const char *name = s->files.names[s->next_file++];
            if (!is_wanted(s, name))
                continue;
            s->walk_root = NULL;
            return give(s, folder_join(s->folders.names[s->next_folder - 1], name), NULL, out);
        }
        if (s->next_folder == s->folders.count)
            break;
        name_list_clear(&s->files);
        s->next_file = 0;
        const char *folder = s->folders.names[s->next_folder++];
        int error = folder_list(folder, FOLDER_FILES, &s->files);
        if (error) {
            s->walk_root = NULL;
            return give(s, error == ENOMEM ? NULL : copy_text(folder), strerror(error), out);
        }
    }
    end_walk(s);
    if (s->walk_root && !s->labelled) {
        const char *root = s->walk_root;
        s->walk_root = NULL;
        char text[160];
        snprintf(text, sizeof(text), "no pictures in this folder (%s)", picture_formats());
        return give(s, copy_text(root), text, out);
    }
    return false;
}

// Reads a line and drops its line break. *too_long: it had more than MAX_LINE bytes, of which the rest was dropped.
// NULL: the file is at its end.
static char *read_line(FILE *file, bool *too_long, bool *no_memory) {
    size_t used = 0, capacity = 256;
    char *line = malloc(capacity);
    int c = EOF;
    *too_long = false;
    while (line && (c = getc(file)) != EOF && c != '\n') {
        if (used + 1 == capacity && capacity < MAX_LINE) {
            char *larger = realloc(line, capacity * 2);
            if (!larger)
                free(line);
            line = larger;
            capacity *= 2;
        }
        if (line && used + 1 < capacity)
            line[used++] = (char)c;
        else
            *too_long = true;
    }
    if (!line) {
        *no_memory = true;
        return NULL;
    }
    if (used == 0 && c == EOF) {
        free(line);
        return NULL;
    }
    if (used > 0 && line[used - 1] == '\r')
        --used;
    line[used] = '\0';
    return line;
}

static bool next_of_list(struct input_stream *s, struct input_item *out) {
    for (;;) {
        bool too_long = false, no_memory = false;
        char *line = read_line(s->list, &too_long, &no_memory);
        if (no_memory)
            return give(s, NULL, NULL, out);
        if (!line) {
            s->reading_list = false;
            return false;
        }
        if (line[0] != '\0')
            return give(s, line, too_long ? "the path is too long" : NULL, out);
        free(line);
    }
}

// Moves on to the next argument or class. false: there is none. *plain is the argument where it is a file, else NULL.
static bool advance(struct input_stream *s, const char **plain) {
    *plain = NULL;
    bool ok = true;
    if (s->labelled) {
        if (s->next_class == s->classes.count)
            return false;
        s->class_index = (int)s->next_class;
        char *folder = folder_join(s->root, s->classes.names[s->next_class++]);
        ok = folder && begin_walk(s, folder);
        s->walk_root = NULL;
        free(folder);
    } else {
        if (s->next_arg == s->num_args)
            return false;
        const char *arg = s->args[s->next_arg++];
        if (strcmp(arg, "-") == 0)
            s->reading_list = s->list != NULL;
        else if (folder_exists(arg))
            ok = begin_walk(s, arg);
        else
            *plain = arg;
    }
    s->no_memory = !ok;
    return true;
}

bool inputs_next(struct input_stream *s, struct input_item *out) {
    memset(out, 0, sizeof(*out));
    if (s->items && !s->no_memory)
        return s->next_item < s->num_items && give_copy(s, s->items[s->next_item++], out);
    while (!s->no_memory) {
        if (s->reading_list) {
            if (next_of_list(s, out))
                return true;
            continue;
        }
        if (next_of_walk(s, out))
            return true;
        const char *plain;
        if (!advance(s, &plain))
            return false;
        if (s->no_memory)
            return give(s, NULL, NULL, out);
        if (plain)
            return give(s, copy_text(plain), NULL, out);
    }
    return false;
}

void input_item_free(struct input_item *item) {
    free(item->path);
    memset(item, 0, sizeof(*item));
}

struct input_stream *inputs_open(const char *const *args, int count, FILE *list) {
    struct input_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->args = args;
    s->num_args = count;
    s->list = list;
    return s;
}

struct input_stream *inputs_open_items(const struct input_item *const *items, size_t count) {
    struct input_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->items = items;
    s->num_items = count;
    return s;
}

struct input_stream *inputs_open_labelled(const char *folder, char *error, size_t error_size) {
    struct input_stream *s = calloc(1, sizeof(*s));
    if (s)
        s->root = copy_text(folder);
    if (!s || !s->root) {
        write_error(error, error_size, folder, "not enough memory");
        inputs_close(&s);
        return NULL;
    }
    s->labelled = true;
    int failure = folder_list(folder, FOLDER_FOLDERS, &s->classes);
    if (failure || s->classes.count == 0) {
        write_error(error, error_size, folder, "%s",
                    failure ? strerror(failure) : "no class folders in it; one subfolder per class is expected");
        inputs_close(&s);
    }
    return s;
}

int inputs_num_classes(const struct input_stream *s) { return (int)s->classes.count; }

const char *inputs_class_name(const struct input_stream *s, int class_index) {
    return class_index >= 0 && (size_t)class_index < s->classes.count ? s->classes.names[class_index] : NULL;
}

uint64_t inputs_num_skipped(const struct input_stream *s) { return s->skipped; }

void inputs_close(struct input_stream **stream) {
    struct input_stream *s = *stream;
    if (!s)
        return;
    end_walk(s);
    name_list_clear(&s->classes);
    free(s->root);
    free(s);
    *stream = NULL;
}
