// lines.c - see lines.h.
#include "eval/lines.h"

#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "system/text_file.h"

enum { MAX_BYTES = 1 << 30 };

bool lines_read(struct lines *out, const char *path, const char *what) {
    size_t size;
    char why[256];
    *out = (struct lines){0};
    if (!(out->text = read_text_file(path, MAX_BYTES, &size, why, sizeof why))) {
        complain("%s %s: %s", what, path, why);
        return false;
    }
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
