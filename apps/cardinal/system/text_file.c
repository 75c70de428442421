// text_file.c - see text_file.h.
#include "system/text_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_to_end(FILE *file, size_t max_bytes, size_t *size) {
    size_t capacity = 1 << 16, used = 0;
    char *text = malloc(capacity);
    for (size_t got = 1; text && got > 0 && used <= max_bytes;) {
        used += got = fread(text + used, 1, capacity - used - 1, file);
        if (used == capacity - 1) {
            char *larger = realloc(text, capacity *= 2);
            if (!larger)
                free(text);
            text = larger;
        }
    }
    *size = used;
    return text;
}

char *read_text_file(const char *path, size_t max_bytes, size_t *size, char *why, size_t why_size) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(why, why_size, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    size_t used;
    errno = 0;
    char *text = read_to_end(file, max_bytes, &used);
    const bool failed = ferror(file) != 0;
    const int reason = errno;
    fclose(file);
    if (!text)
        snprintf(why, why_size, "cannot be read: out of memory");
    else if (failed)
        snprintf(why, why_size, "cannot be read: %s", strerror(reason));
    else if (used > max_bytes)
        snprintf(why, why_size, "is larger than %zu MiB", max_bytes >> 20);
    if (!text || failed || used > max_bytes) {
        free(text);
        return NULL;
    }
    text[used] = 0;
    if (size)
        *size = used;
    return text;
}
