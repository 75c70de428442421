// inputs.c - see inputs.h.
#include "inputs/inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/folder.h"
#include "inputs/path_list.h"
#include "picture/picture.h"
#include "system/files.h"
#include "system/text.h"

struct input_stream {
    struct input_sources sources;
    int next_arg; // sources.count: `sources.list` is next
    struct path_list list;
    const char *list_name; // of `list`
    bool reading_list, list_was_empty;

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
    char skipped_example[256];
    bool no_memory;

    const char *own_folder; // see inputs_pass_over
    bool (*is_own)(const void *ctx, const char *name, bool found);
    const void *own_ctx;
    bool walking_own; // the folder under work is it
};

bool is_address(const char *path) {
    static const char *const schemes[] = {"http://", "https://"};
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        while (schemes[i][n] && (path[n] | 0x20) == (schemes[i][n] | 0x20))
            n++;
        if (!schemes[i][n])
            return true;
    }
    return false;
}

// Whether a walk takes a file. What looks like a picture but is not taken is counted.
static bool is_wanted(struct input_stream *s, const char *name) {
    static const char *const labelled[] = {".jpg", ".jpeg", ".png",  ".ppm",  ".bmp",
                                           ".pgm", ".tif",  ".tiff", ".webp", NULL}; // torchvision's
    if (!s->labelled && name[0] == '.')
        return false;
    if (s->walking_own && s->is_own(s->own_ctx, name, true))
        return false;
    const bool unreadable = picture_unreadable_format(name) != NULL;
    if (!unreadable && has_extension(name, s->labelled ? labelled : picture_extensions()))
        return true;
    if ((unreadable || has_extension(name, picture_extensions())) && s->skipped++ == 0)
        snprintf(s->skipped_example, sizeof s->skipped_example, "%s", name);
    return false;
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
        s->walking_own = s->own_folder && same_file(folder, s->own_folder);
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

static void begin_list(struct input_stream *s, FILE *file, const char *name, enum path_list_form form) {
    s->reading_list = s->list_was_empty = true;
    s->list_name = name;
    path_list_start(&s->list, file, s->sources.null_separated ? PATHS_NULL : form);
}

// Whether a listed path is of a file that this command has just written.
static bool is_own_path(const struct input_stream *s, const char *path) {
    const char *name = path_name(path);
    char *folder = s->own_folder ? copy_text(name > path ? path : ".") : NULL;
    if (folder && name > path)
        folder[name - path] = 0; // with its slash: "/" is a folder, too
    const bool own = folder && same_file(folder, s->own_folder) && s->is_own(s->own_ctx, name, false);
    free(folder);
    return own;
}

static bool next_of_list(struct input_stream *s, struct input_item *out) {
    char error[256] = "";
    bool no_memory = false;
    if (s->list.picture) {
        s->reading_list = false;
        out->data = path_list_picture(&s->list, &out->size, error, sizeof error);
        return give(s, copy_text(s->list_name), error[0] ? error : NULL, out);
    }
    char *path = path_list_next(&s->list, error, sizeof error, &no_memory);
    if (no_memory)
        return give(s, NULL, NULL, out);
    if (!path) {
        s->reading_list = false;
        if (error[0])
            return give(s, copy_text(s->list_name), error, out);
        return s->list_was_empty && give(s, copy_text(s->list_name), "no path in this list, and no picture", out);
    }
    s->list_was_empty = false;
    if (is_own_path(s, path)) {
        free(path);
        return false;
    }
    return give(s, path, error[0] ? error : NULL, out);
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
        if (s->next_arg > s->sources.count)
            return false;
        const int i = s->next_arg++;
        const char *arg = i < s->sources.count ? s->sources.args[i] : NULL;
        if (!arg && !s->sources.list)
            return false;
        if (!arg)
            begin_list(s, s->sources.list, s->sources.list_name, PATHS);
        else if (strcmp(arg, "-") == 0 && s->sources.standard_input)
            begin_list(s, s->sources.standard_input, "-", PATHS_OR_PICTURE);
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
    free(item->data);
    memset(item, 0, sizeof(*item));
}

struct input_stream *inputs_open(const char *const *args, int count, FILE *standard_input) {
    return inputs_open_from(&(struct input_sources){.args = args, .count = count, .standard_input = standard_input});
}

struct input_stream *inputs_open_from(const struct input_sources *sources) {
    struct input_stream *s = calloc(1, sizeof(*s));
    if (s)
        s->sources = *sources;
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

void inputs_pass_over(struct input_stream *s, const char *folder,
                      bool (*own)(const void *ctx, const char *name, bool found), const void *ctx) {
    s->own_folder = folder;
    s->is_own = own;
    s->own_ctx = ctx;
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

void inputs_tell_skipped(const struct input_stream *s, char *out, size_t size) {
    snprintf(out, size,
             "%llu file%s of a kind that is not read here %s passed over, such as %s; convert to PNG or JPEG",
             (unsigned long long)s->skipped, s->skipped == 1 ? "" : "s", s->skipped == 1 ? "was" : "were",
             s->skipped_example);
}

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
