// path_list.c - see path_list.h.
#include "inputs/path_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "picture/picture.h"
#include "system/files.h"
#include "system/text.h"

enum { MAX_PATH_BYTES = 32768 };
#define MAX_PICTURE_BYTES ((size_t)512 << 20)

static int next_byte(struct path_list *l) {
    return l->start_at < l->start_size ? l->start[l->start_at++] : getc(l->file);
}

// Reads until `size` bytes are there or, with to_line, a line or an entry has ended.
static void read_start(struct path_list *l, size_t size, bool to_line) {
    int c = 0;
    while (l->start_size < size && (c = getc(l->file)) != EOF) {
        l->start[l->start_size++] = (uint8_t)c;
        if (to_line && (c == '\n' || c == 0))
            return;
    }
}

// The first bytes of every picture's kind, up to what a list of paths would begin with.
static bool may_be_picture(const uint8_t *start, size_t size) {
    if (size >= 3 && start[0] == 'P' && start[1] >= '1' && start[1] <= '7')
        return strchr(" \t\r\n", start[2]) != NULL;
    // All others have a byte within the first line that no text has; the rest of the header then tells for sure.
    static const char *const magics[] = {"\xff\xd8", "\x89PNG", "GIF8", "BM", "RIFF", "II*", "MM", "\xff\x0a"};
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (size >= strlen(magics[i]) && !memcmp(start, magics[i], strlen(magics[i])))
            return true;
    return size > 0 && start[0] == 0; // HEIF and JPEG 2000 begin with the length of a box
}

void path_list_start(struct path_list *l, FILE *file, enum path_list_form form) {
    *l = (struct path_list){.file = file, .separator = form == PATHS_NULL ? 0 : '\n'};
    set_binary(file);
    if (form == PATHS_NULL)
        return;
    read_start(l, sizeof l->start, true);
    if (form == PATHS_OR_PICTURE && may_be_picture(l->start, l->start_size)) {
        read_start(l, sizeof l->start, false);
        l->picture = picture_looks_like_one(l->start, l->start_size);
        if (l->picture)
            return;
    }
    if (l->start_size >= 2 && (!memcmp(l->start, "\xFF\xFE", 2) || !memcmp(l->start, "\xFE\xFF", 2)))
        snprintf(l->problem, sizeof l->problem, "the list of paths is UTF-16; write it as UTF-8");
    else if (l->start_size >= 3 && !memcmp(l->start, "\xEF\xBB\xBF", 3)) // a byte order mark
        l->start_at = 3;
}

// Puts the bytes up to the separator into a text of its own. *ended_by: what ended it, the separator, NUL or EOF.
static char *read_entry(struct path_list *l, bool *too_long, int *ended_by) {
    size_t used = 0, capacity = 256;
    char *entry = malloc(capacity);
    int c = EOF;
    *too_long = false;
    while (entry && (c = next_byte(l)) != EOF && c != l->separator && c != 0) {
        if (used + 1 == capacity && capacity < MAX_PATH_BYTES) {
            char *larger = realloc(entry, capacity * 2);
            if (!larger)
                free(entry);
            entry = larger;
            capacity *= 2;
        }
        if (entry && used + 1 < capacity)
            entry[used++] = (char)c;
        else
            *too_long = true;
    }
    *ended_by = c;
    if (!entry)
        return NULL;
    if (l->separator == '\n' && c != 0 && used > 0 && entry[used - 1] == '\r')
        --used;
    entry[used] = 0;
    return entry;
}

char *path_list_next(struct path_list *l, char *error, size_t error_size, bool *no_memory) {
    error[0] = 0;
    *no_memory = false;
    while (!l->problem[0]) {
        bool too_long;
        int ended_by;
        errno = 0;
        char *entry = read_entry(l, &too_long, &ended_by);
        if (!entry) {
            *no_memory = true;
            return NULL;
        }
        l->number++;
        if (ended_by == 0 && l->separator == '\n') {
            if (l->number == 1) // `find -print0`, and no line break before it
                l->separator = 0;
            else
                snprintf(l->problem, sizeof l->problem,
                         "line %llu of the list holds a NUL byte; if NUL ends its paths, "
                         "say --null",
                         (unsigned long long)l->number);
        }
        if (ended_by == EOF && ferror(l->file))
            snprintf(l->problem, sizeof l->problem, "the list of paths cannot be read further");
        if (entry[0] && !l->problem[0]) {
            if (too_long)
                snprintf(error, error_size, "the path is too long");
            return entry;
        }
        free(entry);
        if (ended_by == EOF && !l->problem[0])
            return NULL;
    }
    if (!l->told)
        snprintf(error, error_size, "%s", l->problem);
    l->told = true;
    return NULL;
}

uint8_t *path_list_picture(struct path_list *l, size_t *size, char *error, size_t error_size) {
    size_t capacity = 1 << 16, used = l->start_size;
    uint8_t *data = malloc(capacity);
    error[0] = 0;
    if (data)
        memcpy(data, l->start, used);
    for (size_t n = 1; data && n > 0;) {
        if (used == capacity) {
            uint8_t *larger = capacity < MAX_PICTURE_BYTES ? realloc(data, capacity *= 2) : NULL;
            if (!larger) {
                snprintf(error, error_size, "the picture on standard input is larger than %zu MiB, or memory ran out",
                         MAX_PICTURE_BYTES >> 20);
                free(data);
            }
            data = larger;
        }
        n = data ? fread(data + used, 1, capacity - used, l->file) : 0;
        used += n;
    }
    if (data && ferror(l->file)) {
        snprintf(error, error_size, "cannot read: %s", strerror(errno));
        free(data);
        data = NULL;
    }
    if (!data && !error[0])
        snprintf(error, error_size, "not enough memory");
    *size = used;
    return data;
}
