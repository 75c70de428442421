#if defined(__linux__)
#define _GNU_SOURCE // O_TMPFILE
#elif !defined(_WIN32)
#define _XOPEN_SOURCE 700 // realpath
#endif

#include "base/file_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#include <io.h>
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static wchar_t *to_wide(const char *text) // malloc'd; NULL: not UTF-8, or no memory
{
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof(*wide)) : NULL;
    if (wide)
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, length);
    return wide;
}

bool cdl_folder_exists(const char *path) {
    wchar_t *wide = to_wide(path);
    const DWORD found = wide ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    free(wide);
    return found != INVALID_FILE_ATTRIBUTES && (found & FILE_ATTRIBUTE_DIRECTORY);
}

static FILE *create_new(const char *path) {
    wchar_t *wide = to_wide(path);
    FILE *file = wide ? _wfopen(wide, L"wbx") : NULL;
    free(wide);
    return file;
}

static bool flush_to_disk(FILE *file) { return fflush(file) == 0 && _commit(_fileno(file)) == 0; }

static bool replace_file(const char *from, const char *to) {
    wchar_t *wide_from = to_wide(from), *wide_to = to_wide(to);
    bool ok =
        wide_from && wide_to && MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH);
    if (!ok)
        errno = EACCES;
    free(wide_from);
    free(wide_to);
    return ok;
}

static void remove_file(const char *path) {
    wchar_t *wide = to_wide(path);
    if (wide)
        _wremove(wide);
    free(wide);
}

// Where the file is to lie. Windows itself refuses to rename over a device or a folder.
static char *find_place(const char *path, unsigned *mode, const char **reason) {
    *mode = 0;
    *reason = NULL;
    return cdl_copy_text(path);
}

static FILE *create_unnamed(const char *path, char *folder) {
    (void)path, (void)folder;
    return NULL;
}

static bool give_name(FILE *file, const char *name) {
    (void)file, (void)name;
    return false;
}

static void set_mode(FILE *file, unsigned mode) { (void)file, (void)mode; }

#else

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

bool cdl_folder_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

// "x": never follow or overwrite what someone else put there.
static FILE *create_new(const char *path) { return fopen(path, "wbx"); }

// Before the rename, or a power cut could leave the new name with no content.
static bool flush_to_disk(FILE *file) { return fflush(file) == 0 && fsync(fileno(file)) == 0; }

static bool replace_file(const char *from, const char *to) { return rename(from, to) == 0; }

static void remove_file(const char *path) { unlink(path); }

// Where the file is to lie, malloc'd: `path`, or what it links to, so that a link stays one. *mode: the permissions of
// the file that stands there, 0 where there is none. NULL: *reason says why nothing can be put there, or is NULL where
// memory ran out.
static char *find_place(const char *path, unsigned *mode, const char **reason) {
    struct stat st;
    *mode = 0;
    *reason = NULL;
    if (lstat(path, &st) != 0)
        return cdl_copy_text(path); // a new file; if its folder is missing, creating it will tell
    char *place = S_ISLNK(st.st_mode) ? malloc(PATH_MAX) : cdl_copy_text(path);
    if (!place)
        return NULL;
    if (S_ISLNK(st.st_mode) && (!realpath(path, place) || stat(place, &st) != 0))
        *reason = "it is a link that leads nowhere; remove it, or name another file";
    else if (S_ISDIR(st.st_mode))
        *reason = "it is a folder; name a file in it";
    else if (!S_ISREG(st.st_mode))
        *reason = "it is a device or a pipe, which a file may not replace; name another file";
    *mode = (unsigned)st.st_mode & 0777u;
    if (!*reason)
        return place;
    free(place);
    return NULL;
}

static void set_mode(FILE *file, unsigned mode) { (void)fchmod(fileno(file), (mode_t)mode); }

#if defined(O_TMPFILE)

// A file without a name, in the folder of `path`: it is gone with the process, however that ends. NULL: this system or
// file system has no such files. `folder` has room for `path`.
static FILE *create_unnamed(const char *path, char *folder) {
    memcpy(folder, path, strlen(path) + 1);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0; // "/" stays
    const int fd =
        access("/proc/self/fd", X_OK) == 0 ? open(slash ? folder : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666) : -1;
    FILE *file = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (!file && fd >= 0)
        close(fd);
    return file;
}

static bool give_name(FILE *file, const char *name) {
    char link[32];
    cdl_format_text(link, sizeof(link), "/proc/self/fd/%d", fileno(file));
    return linkat(AT_FDCWD, link, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

#else

static FILE *create_unnamed(const char *path, char *folder) {
    (void)path, (void)folder;
    return NULL;
}

static bool give_name(FILE *file, const char *name) {
    (void)file, (void)name;
    return false;
}

#endif
#endif

static void free_names(struct cdl_file_write *w) {
    free(w->path);
    free(w->temporary);
    memset(w, 0, sizeof(*w));
}

enum { MAX_NAMES = 100 };

// Tries w->temporary = "PATH.tmp0", ".tmp1", ...: a name that is taken is another writer's, or was left by a crash.
static bool take_name(struct cdl_file_write *w, bool (*take)(struct cdl_file_write *w)) {
    for (int i = 0; i < MAX_NAMES; i++) {
        cdl_format_text(w->temporary, w->temporary_size, "%s.tmp%d", w->path, i);
        errno = 0;
        if (take(w))
            return true;
        if (errno != EEXIST)
            break;
    }
    return false;
}

static bool take_by_creating(struct cdl_file_write *w) {
    w->file = create_new(w->temporary);
    return w->file != NULL;
}

static bool take_by_linking(struct cdl_file_write *w) { return give_name(w->file, w->temporary); }

cdl_result cdl_file_write_begin(struct cdl_file_write *w, const char *path, const cdl_log *log) {
    memset(w, 0, sizeof(*w));
    unsigned mode;
    const char *reason;
    w->path = find_place(path, &mode, &reason);
    if (!w->path && reason)
        return cdl_fail(log, CDL_ERR_IO, "%s: cannot be written: %s", path, reason);
    if (!w->path)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", path);
    w->temporary_size = strlen(w->path) + 16;
    w->temporary = malloc(w->temporary_size);
    if (!w->temporary) {
        free_names(w);
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", path);
    }
    w->file = create_unnamed(w->path, w->temporary);
    w->named = !w->file;
    if (w->named && !take_name(w, take_by_creating)) {
        cdl_fail(log, CDL_ERR_IO, "%s: cannot be created: %s; check that the folder exists and can be written to",
                 w->temporary, strerror(errno));
        free_names(w);
        return CDL_ERR_IO;
    }
    if (mode)
        set_mode(w->file, mode);
    return CDL_OK;
}

void cdl_file_write_bytes(struct cdl_file_write *w, const void *data, size_t size) {
    if (w->failed || size == 0)
        return;
    if (fwrite(data, 1, size, w->file) != size) {
        w->failed = true;
        w->error = errno;
    }
}

cdl_result cdl_file_write_end(struct cdl_file_write *w, bool keep, const cdl_log *log) {
    cdl_result r = CDL_OK;
    if (keep && !w->failed && !flush_to_disk(w->file)) {
        w->failed = true;
        w->error = errno;
    }
    if (keep && !w->failed && !w->named) {
        w->named = take_name(w, take_by_linking);
        w->failed = !w->named;
        w->error = errno;
    }
    if (fclose(w->file) != 0 && keep && !w->failed) {
        w->failed = true;
        w->error = errno;
    }
    if (keep && w->failed)
        r = cdl_fail(log, CDL_ERR_IO, "%s: cannot be written: %s; nothing was left behind", w->path,
                     strerror(w->error));
    else if (keep && !replace_file(w->temporary, w->path))
        r = cdl_fail(log, CDL_ERR_IO, "%s: cannot be put in place: %s; nothing was left behind", w->path,
                     strerror(errno));
    if (w->named && (!keep || r != CDL_OK))
        remove_file(w->temporary);
    free_names(w);
    return r;
}
