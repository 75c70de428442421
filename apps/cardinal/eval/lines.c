// lines.c - see lines.h.
#include "eval/lines.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

enum { MAX_BYTES = 1 << 30 };

// The bytes of a file with a NUL behind them; NULL after a line on stderr.
static char *read_all(const char *path, const char *what, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        complain("%s %s: cannot be opened (%s)", what, path, strerror(errno));
        return NULL;
    }
    size_t used = 0, capacity = 1 << 16, got = 1;
    char *text = malloc(capacity);
    errno = 0;
    while (text && got > 0 && used < MAX_BYTES) {
        if (used + 1 == capacity) {
            char *larger = realloc(text, 2 * capacity);
            if (!larger)
                free(text);
            text = larger;
            capacity *= 2;
        }
        if (text)
            used += got = fread(text + used, 1, capacity - used - 1, file);
    }
    const char *reason = !text               ? "out of memory"
                         : ferror(file)      ? (errno ? strerror(errno) : "cannot be read")
                         : used >= MAX_BYTES ? "is larger than 1 GiB"
                                             : NULL;
    fclose(file);
    if (reason) {
        complain("%s %s: %s", what, path, reason);
        free(text);
        return NULL;
    }
    text[used] = 0;
    *size = used;
    return text;
}

bool lines_read(struct lines *out, const char *path, const char *what) {
    size_t size;
    *out = (struct lines){0};
    if (!(out->text = read_all(path, what, &size)))
        return false;
    if (memchr(out->text, 0, size)) {
        complain("%s %s: holds a zero byte, so it is no text", what, path);
        lines_free(out);
        return false;
    }
    char *begin = out->text + (strncmp(out->text, "\xEF\xBB\xBF", 3) ? 0 : 3);
    size_t count = 1;
    for (const char *c = begin; *c; c++)
        count += *c == '\n';
    if (!(out->at = calloc(count, sizeof *out->at))) {
        complain("%s %s: out of memory", what, path);
        lines_free(out);
        return false;
    }
    for (char *line = begin; line;) {
        char *end = strchr(line, '\n'), *next = end ? end + 1 : NULL;
        end = end ? end : line + strlen(line);
        while (end > line && end[-1] == '\r')
            --end;
        *end = 0;
        out->at[out->count++] = line;
        line = next;
    }
    while (out->count > 0 && !out->at[out->count - 1][0])
        --out->count;
    return true;
}

void lines_free(struct lines *l) {
    free(l->text);
    free(l->at);
    *l = (struct lines){0};
}
