// parse.h - text to numbers and choices, whole or not at all; a part of a name.
#ifndef CARDINAL_PARSE_H_
#define CARDINAL_PARSE_H_

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static inline bool parse_int_in(const char *text, int min, int max, int *out) {
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end || errno || value < min || value > max)
        return false;
    *out = (int)value;
    return true;
}

// *(int *)out = index of text in names. Enumerations of the options have int's size.
static inline bool parse_choice(const char *text, const char *const *names, int count, void *out) {
    for (int i = 0; i < count; i++)
        if (!strcmp(text, names[i])) {
            memcpy(out, &i, sizeof i);
            return true;
        }
    return false;
}

#endif // CARDINAL_PARSE_H_
