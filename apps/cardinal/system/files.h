// files.h - what the C library does not tell of files on every system, and the streams that are terminals.
#ifndef CARDINAL_FILES_H_
#define CARDINAL_FILES_H_

#include <stdbool.h>
#include <stdint.h>

enum file_kind { FILE_REGULAR, FILE_FOLDER, FILE_OTHER }; // FILE_OTHER: to open it could block for ever

struct file_status {
    enum file_kind kind;
    int64_t size, mtime;
};

// false: there is no such file, or it cannot be reached; errno tells. Opens nothing.
bool get_file_status(const char *path, struct file_status *out);

bool file_readable(const char *path);

// Renames a file over another, or to a new name. false: errno tells why.
bool replace_file(const char *from, const char *to);

bool stderr_is_terminal(void);

#endif // CARDINAL_FILES_H_
