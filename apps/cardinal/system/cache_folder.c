#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif
#include "system/cache_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#ifdef _WIN32
#include <direct.h>
#endif

static bool absolute(const char *path) // relative ones are to be ignored, say the XDG rules
{
#ifdef _WIN32
    return path && path[0];
#else
    return path && path[0] == '/';
#endif
}

bool cache_folder(const char *part, char *folder, size_t folder_size, char *error, size_t error_size) {
    const char *own = getenv("CARDINAL_CACHE"), *slash = part[0] ? "/" : "";
#ifdef _WIN32
    const char *base = getenv("LOCALAPPDATA"), *home = NULL;
#else
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
#endif
    int n = -1;
    if (own && own[0])
        n = snprintf(folder, folder_size, "%s%s%s", own, slash, part);
    else if (absolute(base))
        n = snprintf(folder, folder_size, "%s/cardinal%s%s", base, slash, part);
    else if (absolute(home))
        n = snprintf(folder, folder_size, "%s/.cache/cardinal%s%s", home, slash, part);

    if (n >= 0 && (size_t)n < folder_size)
        return true;
    snprintf(error, error_size,
             n < 0 ? "no cache folder: set CARDINAL_CACHE or HOME" : "the cache folder's path is too long");
    return false;
}

static bool make_folder(const char *path, unsigned mode) {
#ifdef _WIN32
    (void)mode;
    return _mkdir(path) == 0 || errno == EEXIST;
#else
    return mkdir(path, (mode_t)mode) == 0 || errno == EEXIST;
#endif
}

static bool make_all(const char *path, unsigned mode) {
    char part[4096];
    if ((size_t)snprintf(part, sizeof(part), "%s", path) >= sizeof(part)) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *c = part + 1; *c; c++) {
        if (*c != '/' && *c != '\\')
            continue;
        const char separator = *c;
        *c = '\0';
        (void)make_folder(part,
                          mode); // fails for "/" or "C:", which exist; the last folder tells whether all went well
        *c = separator;
    }
    return make_folder(part, mode);
}

bool make_folders(const char *path) { return make_all(path, 0700); } // as the XDG rules ask

bool make_output_folders(const char *path) { return make_all(path, 0777); }
