// cam_index.c - see cam_index.h.
#include "commands/cam_index.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "commands/report.h"
#include "inputs/folder.h"
#include "system/files.h"
#include "system/output_file.h"
#include "system/text.h"

enum { MAX_LINE = 1 << 18 }; // bytes; escaped paths are long

static bool fail(char *error, size_t size, const char *path, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(error, size, path, fmt, args);
    va_end(args);
    return false;
}

// The name of the heat map of a line; *line is the object, to be freed. NULL: it is no line of an index.
static const char *name_of(const char *text, json_t **line) {
    *line = json_loads(text, 0, NULL);
    const json_t *image = json_object_get(*line, "image"), *cam = json_object_get(*line, "cam");
    return json_is_string(image) && json_is_string(cam) ? json_string_value(cam) : NULL;
}

// Gives each whole line to `take`. false: one line in error[]. A last line without its end is what an interrupted run
// left, and is passed over.
static bool read_lines(const char *path, FILE *file,
                       bool (*take)(void *ctx, const char *name, const json_t *line, const char *text), void *ctx,
                       char *error, size_t error_size) {
    char *text = malloc(MAX_LINE);
    bool ok = text || fail(error, error_size, path, "out of memory");
    for (long number = 1; ok && fgets(text, MAX_LINE, file) && strchr(text, '\n'); number++) {
        json_t *line;
        const char *name = name_of(text, &line);
        if (!name)
            ok = fail(error, error_size, path,
                      "line %ld is not of an index of heat maps, which this file would have to be; name another folder",
                      number);
        else if (!take(ctx, name, line, text))
            ok = fail(error, error_size, path, "out of memory, or the disk is full");
        json_decref(line);
    }
    if (ok && ferror(file))
        ok = fail(error, error_size, path, "cannot be read");
    free(text);
    return ok;
}

struct key {
    char text[1200];
};
static struct key size_key(const char *name, int64_t size) {
    struct key out;
    snprintf(out.text, sizeof out.text, "%lld/%s", (long long)size, name);
    return out;
}

static bool take_earlier(void *ctx, const char *name, const json_t *line, const char *text) {
    struct cam_index *index = ctx;
    (void)text;
    index->has_repeats = index->has_repeats || text_set_has(&index->earlier, name);
    return text_set_add(&index->earlier, name) &&
           text_set_add(&index->sizes, size_key(name, json_integer_value(json_object_get(line, "bytes"))).text);
}

// Whether the file ends within a line.
static bool ends_within_line(FILE *file) { return fseek(file, -1, SEEK_END) == 0 && getc(file) != '\n'; }

bool cam_index_open(struct cam_index *out, const char *folder, char *error, size_t error_size) {
    struct file_status status;
    *out = (struct cam_index){.path = folder_join(folder, "index.jsonl")};
    bool ok = out->path || fail(error, error_size, folder, "out of memory");
    bool torn = false;
    if (ok && (is_link(out->path) || (get_file_status(out->path, &status) && status.kind != FILE_REGULAR)))
        ok = fail(error, error_size, out->path, "is a link or no regular file; the index of heat maps is to lie there");
    FILE *file = ok ? fopen(out->path, "rb") : NULL;
    if (file) {
        ok = read_lines(out->path, file, take_earlier, out, error, error_size);
        torn = ends_within_line(file);
        fclose(file);
    }
    if (ok && !(out->file = fopen(out->path, "ab")))
        ok = fail(error, error_size, out->path, "could not be written (%s)", strerror(errno));
    if (ok && torn)
        fputc('\n', out->file);
    if (!ok) {
        char ignored[8];
        out->failed = true;
        cam_index_close(out, ignored, sizeof ignored);
    }
    return ok;
}

bool cam_index_has(const struct cam_index *index, const char *name, int64_t size) {
    return text_set_has(&index->sizes, size_key(name, size).text);
}

bool cam_index_add(struct cam_index *index, const char *name, json_t *line, char *error, size_t error_size) {
    index->has_repeats = index->has_repeats || text_set_has(&index->earlier, name);
    json_line(index->file, line);
    errno = 0;
    if (fflush(index->file) == 0 && !ferror(index->file))
        return true;
    index->failed = true;
    return fail(error, error_size, index->path, "could not be written (%s)", errno ? strerror(errno) : "disk full?");
}

// ---- one line for every heat map

struct copy {
    struct output_file to;
    struct text_set later; // names of which a later line was seen
    char **lines;
    size_t count, capacity;
};

static bool keep_line(void *ctx, const char *name, const json_t *line, const char *text) {
    struct copy *c = ctx;
    (void)name, (void)line;
    if (c->count == c->capacity) {
        const size_t capacity = c->capacity ? 2 * c->capacity : 256;
        char **larger = realloc(c->lines, capacity * sizeof *larger);
        if (!larger)
            return false;
        c->lines = larger;
        c->capacity = capacity;
    }
    c->lines[c->count] = copy_text(text);
    return c->lines[c->count++] != NULL;
}

// Drops all but the last line of each heat map, and writes the others in their order.
static bool write_last_lines(struct copy *c) {
    bool ok = true;
    for (size_t i = c->count; ok && i-- > 0;) {
        json_t *line;
        const char *name = name_of(c->lines[i], &line);
        if (name && text_set_has(&c->later, name))
            c->lines[i][0] = 0;
        else
            ok = name && text_set_add(&c->later, name);
        json_decref(line);
    }
    for (size_t i = 0; ok && i < c->count; i++)
        ok = fputs(c->lines[i], c->to.file) >= 0;
    return ok;
}

static bool compact(const char *path, char *error, size_t error_size) {
    struct copy c = {.count = 0};
    FILE *file = fopen(path, "rb");
    if (!file)
        return fail(error, error_size, path, "cannot be read (%s)", strerror(errno));
    bool ok = read_lines(path, file, keep_line, &c, error, error_size);
    fclose(file);
    if (ok && (ok = output_file_begin(&c.to, path, error, error_size))) {
        const bool whole = write_last_lines(&c);
        ok = output_file_end(&c.to, whole, error, error_size);
        ok = ok && (whole || fail(error, error_size, path, "out of memory, or the disk is full"));
    }
    for (size_t i = 0; i < c.count; i++)
        free(c.lines[i]);
    free(c.lines);
    text_set_clear(&c.later);
    return ok;
}

bool cam_index_close(struct cam_index *index, char *error, size_t error_size) {
    bool ok = true;
    if (index->file && fclose(index->file) != 0)
        ok = fail(error, error_size, index->path, "could not be written (%s)", strerror(errno));
    if (ok && !index->failed && index->has_repeats)
        ok = compact(index->path, error, error_size);
    text_set_clear(&index->earlier);
    text_set_clear(&index->sizes);
    free(index->path);
    memset(index, 0, sizeof *index);
    return ok;
}
