// paths.h - the text of paths, and whether a file is there.
#ifndef CARDINAL_PATHS_H_
#define CARDINAL_PATHS_H_

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

// A path without its folders; both separators end a folder on every system.
static inline const char *file_name(const char *path) {
    const char *name = path;
    for (; *path; path++)
        if (*path == '/' || *path == '\\')
            name = path + 1;
    return name;
}

// Whether the name ends with one of the extensions, in any case. They are lower case, with their dot; NULL ends them.
static inline bool has_extension(const char *name, const char *const *extensions) {
    const size_t length = strlen(name);
    for (; *extensions; ++extensions) {
        const size_t n = strlen(*extensions);
        size_t i = 0;
        if (length < n)
            continue;
        while (i < n && tolower((unsigned char)name[length - n + i]) == (*extensions)[i])
            ++i;
        if (i == n)
            return true;
    }
    return false;
}

static inline bool file_readable(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

#endif // CARDINAL_PATHS_H_
