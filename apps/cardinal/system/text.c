// text.c - see text.h.
#include "system/text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

bool ends_in(const char *text, const char *end) {
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcmp(text + a - b, end);
}

bool ends_in_any_case(const char *text, const char *end) {
    const size_t a = strlen(text), b = strlen(end);
    for (size_t i = 0; a >= b && i < b; i++)
        if (tolower((unsigned char)text[a - b + i]) != tolower((unsigned char)end[i]))
            return false;
    return a >= b;
}

const char *path_name(const char *path) {
    const char *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    return name;
}

void write_path_error(char *error, size_t size, const char *path, const char *fmt, va_list args) {
    if (size == 0)
        return;
    const size_t length = strlen(path), most = size / 2;
    const bool shorten = length > most;
    const int used = snprintf(error, size, "%s%s: ", shorten ? "..." : "", shorten ? path + (length - most) : path);
    if (used >= 0 && (size_t)used < size)
        vsnprintf(error + used, size - (size_t)used, fmt, args);
    for (char *c = error; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
}

bool has_extension(const char *name, const char *const *extensions) {
    while (*extensions && !ends_in_any_case(name, *extensions))
        ++extensions;
    return *extensions != NULL;
}

bool contains_ignoring_case(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return !part[0];
}
