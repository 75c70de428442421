#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
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

#else

#include <unistd.h>

// "x": never follow or overwrite what someone else put there.
static FILE *create_new(const char *path) { return fopen(path, "wbx"); }

// Before the rename, or a power cut could leave the new name with no content.
static bool flush_to_disk(FILE *file) { return fflush(file) == 0 && fsync(fileno(file)) == 0; }

static bool replace_file(const char *from, const char *to) { return rename(from, to) == 0; }

static void remove_file(const char *path) { unlink(path); }

#endif

static void free_names(struct cdl_file_write *w) {
    free(w->path);
    free(w->temporary);
    memset(w, 0, sizeof(*w));
}

cdl_result cdl_file_write_begin(struct cdl_file_write *w, const char *path, const cdl_log *log) {
    enum { MAX_TRIES = 100 };
    memset(w, 0, sizeof(*w));
    const size_t room = strlen(path) + 16;
    w->path = cdl_copy_text(path);
    w->temporary = malloc(room);
    if (!w->path || !w->temporary) {
        free_names(w);
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", path);
    }
    // A taken name is another writer's, or was left by a crash: try the next.
    for (int i = 0; i < MAX_TRIES && !w->file; i++) {
        cdl_format_text(w->temporary, room, "%s.tmp%d", path, i);
        errno = 0;
        w->file = create_new(w->temporary);
        if (!w->file && errno != EEXIST)
            break;
    }
    if (w->file)
        return CDL_OK;
    cdl_fail(log, CDL_ERR_IO, "%s: cannot be created: %s; check that the folder exists and can be written to",
             w->temporary, strerror(errno));
    free_names(w);
    return CDL_ERR_IO;
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
    if (!keep || r != CDL_OK)
        remove_file(w->temporary);
    free_names(w);
    return r;
}
