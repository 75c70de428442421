#include "system/program_folder.h"

#include <stdio.h>
#include <string.h>

#include "system/files.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
bool program_path(char *out, size_t size) {
    const DWORD length = GetModuleFileNameA(NULL, out, (DWORD)size);
    return length > 0 && length < size;
}
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
bool program_path(char *out, size_t size) {
    uint32_t length = (uint32_t)size;
    return _NSGetExecutablePath(out, &length) == 0;
}
#else
#include <unistd.h>
bool program_path(char *out, size_t size) {
    const ssize_t length = readlink("/proc/self/exe", out, size - 1);
    if (length <= 0)
        return false;
    out[length] = 0;
    return true;
}
#endif

bool find_data_file(const char *name, char *path, size_t size) {
    char folder[2048] = ".";
    if (program_path(folder, sizeof folder)) {
        char *end = strrchr(folder, '/');
#ifdef _WIN32
        end = strrchr(folder, '\\');
#endif
        if (end)
            *end = 0;
    }
    snprintf(path, size, "%s/%s", folder, name); // a build folder, or everything in one folder
    if (file_readable(path))
        return true;
    snprintf(path, size, "%s/" CARDINAL_DATA "/%s", folder, name);
    return file_readable(path);
}
