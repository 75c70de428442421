// folder.c - see folder.h.
#if !defined(_WIN32) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE // d_type, which saves a stat per file
#endif
#include "inputs/folder.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>
#endif

#include "system/text.h"

void name_list_clear(struct name_list *l) {
    for (size_t i = 0; i < l->count; ++i)
        free(l->names[i]);
    free(l->names);
    memset(l, 0, sizeof(*l));
}

// Appends `name` and takes ownership of it, also on failure. NULL, the result of a failed allocation, is a failure.
static bool add_owned(struct name_list *l, char *name) {
    if (!name)
        return false;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64;
        char **names = realloc(l->names, capacity * sizeof(*names));
        if (!names) {
            free(name);
            return false;
        }
        l->names = names;
        l->capacity = capacity;
    }
    l->names[l->count++] = name;
    return true;
}

bool name_list_add(struct name_list *l, const char *name) { return add_owned(l, copy_text(name)); }

static int compare_names(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b); // compares as unsigned char
}

static void sort_from(struct name_list *l, size_t first) {
    if (l->count - first > 1)
        qsort(l->names + first, l->count - first, sizeof(*l->names), compare_names);
}

char *folder_join(const char *folder, const char *name) {
    size_t n = strlen(folder), m = strlen(name);
    bool separator = n > 0 && folder[n - 1] != '/';
#if defined(_WIN32)
    separator = separator && folder[n - 1] != '\\' && folder[n - 1] != ':';
#endif
    char *path = malloc(n + m + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, n);
    if (separator)
        path[n++] = '/';
    memcpy(path + n, name, m + 1);
    return path;
}

// Tells folders apart, so that a link back to a folder above is noticed.
struct identity {
    uint64_t device, file;
};

#if defined(_WIN32)

bool folder_exists(const char *path) {
    DWORD attributes = GetFileAttributesA(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

static struct identity identify(const char *path) {
    (void)path; // folders that are links are never listed, see below
    return (struct identity){0, 0};
}

// FindFirstFileA would have 260 bytes for a name, which in UTF-8 may need three times that. malloc'd; NULL: no memory.
static wchar_t *to_wide(const char *text) {
    int length = MultiByteToWideChar(CP_ACP, 0, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof(*wide)) : NULL;
    if (wide)
        MultiByteToWideChar(CP_ACP, 0, text, -1, wide, length);
    return wide;
}

static char *from_wide(const wchar_t *wide) {
    int length = WideCharToMultiByte(CP_ACP, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = length > 0 ? malloc((size_t)length) : NULL;
    if (text)
        WideCharToMultiByte(CP_ACP, 0, wide, -1, text, length, NULL, NULL);
    return text;
}

static int list_entries(const char *path, enum folder_entry which, struct name_list *out) {
    char *pattern = folder_join(path, "*");
    wchar_t *wide = pattern ? to_wide(pattern) : NULL;
    free(pattern);
    if (!wide)
        return ENOMEM;
    WIN32_FIND_DATAW found;
    HANDLE search = FindFirstFileW(wide, &found);
    free(wide);
    if (search == INVALID_HANDLE_VALUE)
        return GetLastError() == ERROR_ACCESS_DENIED ? EACCES : ENOENT;
    int error = 0;
    do {
        bool folder = (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
        if (wcscmp(found.cFileName, L".") == 0 || wcscmp(found.cFileName, L"..") == 0 ||
            folder != (which == FOLDER_FOLDERS))
            continue;
        if (folder && (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0)
            continue;
        if (!add_owned(out, from_wide(found.cFileName)))
            error = ENOMEM;
    } while (!error && FindNextFileW(search, &found));
    FindClose(search);
    return error;
}

#else

bool folder_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static struct identity identify(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return (struct identity){0, 0};
    return (struct identity){(uint64_t)st.st_dev, (uint64_t)st.st_ino};
}

static bool entry_is_folder(const char *path, const struct dirent *entry) {
#ifdef DT_DIR
    if (entry->d_type == DT_DIR || entry->d_type == DT_REG)
        return entry->d_type == DT_DIR;
#endif
    char *full = folder_join(path, entry->d_name);
    bool folder = full && folder_exists(full);
    free(full);
    return folder;
}

static int list_entries(const char *path, enum folder_entry which, struct name_list *out) {
    DIR *dir = opendir(path);
    if (!dir)
        return errno;
    int error = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            error = errno;
            break;
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
            entry_is_folder(path, entry) != (which == FOLDER_FOLDERS))
            continue;
        if (!add_owned(out, copy_text(entry->d_name))) {
            error = ENOMEM;
            break;
        }
    }
    closedir(dir);
    return error;
}

#endif

int folder_list(const char *path, enum folder_entry which, struct name_list *out) {
    size_t first = out->count;
    int error = list_entries(path, which, out);
    sort_from(out, first);
    return error;
}

// For each folder found: the index of its parent in the list, and its identity.
struct found_folder {
    size_t parent;
    struct identity id;
};

struct walk {
    struct name_list *paths;
    size_t first;               // entry of the root in `paths`
    struct found_folder *found; // beside paths from `first` on
    size_t capacity;
};

static bool leads_back(const struct walk *w, size_t parent, struct identity id) {
    if (id.device == 0 && id.file == 0)
        return false;
    for (;;) {
        if (w->found[parent].id.device == id.device && w->found[parent].id.file == id.file)
            return true;
        if (parent == 0)
            return false;
        parent = w->found[parent].parent;
    }
}

// Appends a folder and takes ownership of `path`.
static bool add_folder(struct walk *w, size_t parent, struct identity id, char *path) {
    size_t n = w->paths->count - w->first;
    if (n == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 64;
        struct found_folder *found = realloc(w->found, capacity * sizeof(*found));
        if (!found) {
            free(path);
            return false;
        }
        w->found = found;
        w->capacity = capacity;
    }
    w->found[n] = (struct found_folder){parent, id};
    return add_owned(w->paths, path);
}

static bool add_subfolders(struct walk *w, size_t parent, bool hidden) {
    struct name_list names = {0};
    bool ok = folder_list(w->paths->names[w->first + parent], FOLDER_FOLDERS, &names) != ENOMEM;
    for (size_t i = 0; ok && i < names.count; ++i) {
        if (!hidden && names.names[i][0] == '.')
            continue;
        char *path = folder_join(w->paths->names[w->first + parent], names.names[i]);
        struct identity id = path ? identify(path) : (struct identity){0, 0};
        if (path && leads_back(w, parent, id))
            free(path);
        else
            ok = path && add_folder(w, parent, id, path);
    }
    name_list_clear(&names);
    return ok;
}

bool folder_walk(const char *root, bool hidden, struct name_list *out) {
    struct walk w = {.paths = out, .first = out->count};
    char *path = copy_text(root);
    bool ok = path && add_folder(&w, 0, identify(root), path);
    for (size_t i = 0; ok && w.first + i < out->count; ++i) // the list grows as it is read
        ok = add_subfolders(&w, i, hidden);
    free(w.found);
    sort_from(out, w.first);
    return ok;
}
