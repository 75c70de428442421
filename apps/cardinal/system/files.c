// files.c - see files.h.
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include "system/files.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <io.h>
#include <windows.h>

bool get_file_status(const char *path, struct file_status *out) {
    struct _stat64 st;
    if (_stat64(path, &st) != 0)
        return false;
    const int type = st.st_mode & _S_IFMT;
    *out = (struct file_status){type == _S_IFREG   ? FILE_REGULAR
                                : type == _S_IFDIR ? FILE_FOLDER
                                                   : FILE_OTHER,
                                st.st_size, st.st_mtime};
    return true;
}

bool replace_file(const char *from, const char *to) {
    errno = EACCES; // Windows sets none
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) != 0;
}

bool stderr_is_terminal(void) { return _isatty(_fileno(stderr)) != 0; }
#else
#include <unistd.h>

bool get_file_status(const char *path, struct file_status *out) {
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *out = (struct file_status){S_ISREG(st.st_mode)   ? FILE_REGULAR
                                : S_ISDIR(st.st_mode) ? FILE_FOLDER
                                                      : FILE_OTHER,
                                st.st_size, st.st_mtime};
    return true;
}

bool replace_file(const char *from, const char *to) { return rename(from, to) == 0; }

bool stderr_is_terminal(void) { return isatty(STDERR_FILENO) != 0; }
#endif

bool file_readable(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}
