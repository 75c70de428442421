// parse.h - text to numbers, whole or not at all.
#ifndef CARDINAL_PARSE_H_
#define CARDINAL_PARSE_H_

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

static inline bool parse_int_in(const char *text, int min, int max, int *out) {
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max)
        return false;
    *out = (int)value;
    return true;
}

#endif // CARDINAL_PARSE_H_
