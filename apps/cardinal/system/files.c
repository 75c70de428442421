// files.c - see files.h.
#if !defined(_WIN32)
#define _XOPEN_SOURCE 700 // realpath
#endif
#include "system/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "system/text.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <fcntl.h>
#include <io.h>
#include <windows.h>

static void identify(const char *path, struct file_status *out) {
    BY_HANDLE_FILE_INFORMATION info;
    HANDLE handle = CreateFileA(path, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                                FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (handle == INVALID_HANDLE_VALUE)
        return;
    if (GetFileInformationByHandle(handle, &info)) {
        out->device = info.dwVolumeSerialNumber;
        out->file = (uint64_t)info.nFileIndexHigh << 32 | info.nFileIndexLow;
    }
    CloseHandle(handle);
}

bool get_file_status(const char *path, struct file_status *out) {
    struct _stat64 st;
    char *full = path[0] ? _fullpath(NULL, path, 0) : NULL;
    size_t length = full ? strlen(full) : 0;
    while (length > 3 && full[length - 1] == '\\') // what ends in a slash is not found; of "C:\\" it is a part
        full[--length] = 0;
    const int found = _stat64(full ? full : path, &st);
    free(full);
    if (found != 0)
        return false;
    const int type = st.st_mode & _S_IFMT;
    *out = (struct file_status){type == _S_IFREG   ? FILE_REGULAR
                                : type == _S_IFDIR ? FILE_FOLDER
                                                   : FILE_OTHER,
                                st.st_size, st.st_mtime, 0, 0};
    if (out->kind != FILE_OTHER)
        identify(path, out);
    return true;
}

bool is_link(const char *path) {
    const DWORD attributes = GetFileAttributesA(path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
}

char *follow_links(const char *path) { return copy_text(path); }

static char *real_path(const char *path) { return _fullpath(NULL, path, 0); }

// Not fopen's "x", which older C libraries of Windows do not know.
FILE *create_file(const char *path) {
    const int fd = _open(path, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE);
    return fd >= 0 ? _fdopen(fd, "wb") : NULL;
}

void copy_permissions(const char *from, const char *to) { (void)from, (void)to; }

void remove_by_signal(const char *path) { DeleteFileA(path); }

void wait_ms_by_signal(void) { Sleep(1); }

void wait_for_end(void) { Sleep(INFINITE); }

static void (*clean_up)(void);

static BOOL WINAPI on_console_event(DWORD event) {
    (void)event;
    clean_up();
    return FALSE; // the default ends the process
}

void on_console_end(void (*clean)(void)) {
    clean_up = clean;
    SetConsoleCtrlHandler(on_console_event, TRUE);
}

void set_binary(FILE *file) { _setmode(_fileno(file), _O_BINARY); }

bool replace_file(const char *from, const char *to) {
    errno = EACCES; // Windows sets none
    return MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING) != 0;
}

bool stderr_is_terminal(void) { return _isatty(_fileno(stderr)) != 0; }

bool redirect_stdout(FILE *to, int *before) {
    fflush(stdout);
    *before = _dup(_fileno(stdout));
    return *before >= 0 && _dup2(_fileno(to), _fileno(stdout)) == 0;
}

void restore_stdout(int before) {
    _dup2(before, _fileno(stdout));
    _close(before);
}
#else
#include <poll.h>
#include <unistd.h>

bool get_file_status(const char *path, struct file_status *out) {
    struct stat st;
    if (stat(path, &st) != 0)
        return false;
    *out = (struct file_status){S_ISREG(st.st_mode)   ? FILE_REGULAR
                                : S_ISDIR(st.st_mode) ? FILE_FOLDER
                                                      : FILE_OTHER,
                                st.st_size, st.st_mtime, (uint64_t)st.st_dev, (uint64_t)st.st_ino};
    return true;
}

bool is_link(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static char *real_path(const char *path) { return realpath(path, NULL); }

char *follow_links(const char *path) {
    errno = 0;
    return is_link(path) ? realpath(path, NULL) : copy_text(path);
}

FILE *create_file(const char *path) { return fopen(path, "wbx"); }

void copy_permissions(const char *from, const char *to) {
    struct stat st;
    if (stat(from, &st) == 0)
        (void)chmod(to, st.st_mode & 0777);
}

void remove_by_signal(const char *path) { unlink(path); }

void wait_ms_by_signal(void) { poll(NULL, 0, 1); }

void wait_for_end(void) {
    for (;;)
        pause();
}

void set_binary(FILE *file) { (void)file; }

bool replace_file(const char *from, const char *to) { return rename(from, to) == 0; }

bool stderr_is_terminal(void) { return isatty(STDERR_FILENO) != 0; }

bool redirect_stdout(FILE *to, int *before) {
    fflush(stdout);
    *before = dup(STDOUT_FILENO);
    return *before >= 0 && dup2(fileno(to), STDOUT_FILENO) >= 0;
}

void restore_stdout(int before) {
    dup2(before, STDOUT_FILENO);
    close(before);
}
#endif

bool same_file(const char *a, const char *b) {
    struct file_status one, two;
    return get_file_status(a, &one) && get_file_status(b, &two) && (one.device || one.file) &&
           one.device == two.device && one.file == two.file;
}

bool lies_in(const char *path, const char *folder) {
    struct file_status status;
    if (!get_file_status(folder, &status) || status.kind != FILE_FOLDER)
        return false;
    char *full = real_path(path);
    bool found = false;
    for (size_t length = full ? strlen(full) : 0; !found && length > 1; length--)
        if (full[length - 1] == '/' || full[length - 1] == '\\') {
            full[length - 1 + (length == 1)] = 0;
            found = same_file(full, folder);
        }
    free(full);
    return found;
}

bool file_readable(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}
