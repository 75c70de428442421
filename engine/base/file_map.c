#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "base/file_map.h"

#ifdef _WIN32

#include <stdlib.h>

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static HANDLE open_for_reading(const char *path, bool *folder) {
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    wchar_t *wide = length > 0 ? malloc((size_t)length * sizeof(*wide)) : NULL;
    HANDLE file = INVALID_HANDLE_VALUE;
    if (wide && MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, length) == length) {
        file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                           FILE_ATTRIBUTE_NORMAL, NULL);
        const DWORD error = GetLastError(), attributes = file == INVALID_HANDLE_VALUE ? GetFileAttributesW(wide) : 0;
        *folder = attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
        SetLastError(error);
    }
    free(wide);
    return file;
}

cdl_result cdl_file_map(const void **data, size_t *size, const char *path, const cdl_log *log) {
    *data = NULL;
    *size = 0;
    bool folder = false;
    HANDLE file = open_for_reading(path, &folder);
    if (folder)
        return cdl_fail(log, CDL_ERR_IO, "%s: is a folder; name a model file", path);
    if (file == INVALID_HANDLE_VALUE)
        return cdl_fail(log, CDL_ERR_IO, "%s: cannot be opened (Windows error %lu); check the path", path,
                        GetLastError());
    LARGE_INTEGER length = {0};
    cdl_result r = CDL_OK;
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &length)) {
        r = cdl_fail(log, CDL_ERR_IO, "%s: is no regular file; name a model file", path);
    } else if (length.QuadPart > 0) {
        if ((uint64_t)length.QuadPart > SIZE_MAX) {
            r = cdl_fail(log, CDL_ERR_IO, "%s: is too large for this system's address space", path);
        } else {
            // The view keeps the mapping and the file alive, so both handles may be closed.
            HANDLE mapping = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
            *data = mapping ? MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0) : NULL;
            if (*data)
                *size = (size_t)length.QuadPart;
            else
                r = cdl_fail(log, CDL_ERR_IO, "%s: cannot be mapped (Windows error %lu)", path, GetLastError());
            if (mapping)
                CloseHandle(mapping);
        }
    }
    CloseHandle(file);
    return r;
}

void cdl_file_unmap(const void *data, size_t size) {
    (void)size;
    if (data)
        UnmapViewOfFile(data);
}

#else

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

cdl_result cdl_file_map(const void **data, size_t *size, const char *path, const cdl_log *log) {
    *data = NULL;
    *size = 0;
    // O_NONBLOCK: opening a FIFO by mistake must fail below, not wait for a writer.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return cdl_fail(log, CDL_ERR_IO, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat st;
    cdl_result r = CDL_OK;
    if (fstat(fd, &st) != 0) {
        r = cdl_fail(log, CDL_ERR_IO, "%s: cannot be examined: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        r = cdl_fail(log, CDL_ERR_IO, "%s: is %s; name a model file", path,
                     S_ISDIR(st.st_mode) ? "a folder" : "no regular file");
    } else if (st.st_size > 0) {
        if ((uint64_t)st.st_size > SIZE_MAX) {
            r = cdl_fail(log, CDL_ERR_IO, "%s: is too large for this system's address space", path);
        } else {
            void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
            if (bytes == MAP_FAILED) {
                r = cdl_fail(log, errno == ENOMEM ? CDL_ERR_NOMEM : CDL_ERR_IO, "%s: cannot be mapped: %s", path,
                             strerror(errno));
            } else {
                *data = bytes;
                *size = (size_t)st.st_size;
            }
        }
    }
    close(fd);
    return r;
}

void cdl_file_unmap(const void *data, size_t size) {
    if (data)
        munmap((void *)data, size); // munmap only lacks the const
}

#endif
