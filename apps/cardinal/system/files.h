// files.h - what the C library does not tell of files on every system, and the streams that are terminals.
#ifndef CARDINAL_FILES_H_
#define CARDINAL_FILES_H_

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum file_kind { FILE_REGULAR, FILE_FOLDER, FILE_OTHER }; // FILE_OTHER: to open it could block for ever

struct file_status {
    enum file_kind kind;
    int64_t size, mtime;
    uint64_t device, file; // the same for all names of one file, links included; both 0: not known
};

// false: there is no such file, or it cannot be reached; errno tells. Opens nothing.
bool get_file_status(const char *path, struct file_status *out);

bool file_readable(const char *path);

bool same_file(const char *a, const char *b);       // whether both exist and are one, by whatever names
bool lies_in(const char *path, const char *folder); // at any depth, links to `path` followed; both exist
bool is_link(const char *path);                     // symbolic; whether or not it leads anywhere

// The path of the file itself where `path` is a link, malloc'd; NULL: errno tells why, or 0 where memory ran out.
char *follow_links(const char *path);

// A new file to write to; NULL with EEXIST where there is something of that name, a link included.
FILE *create_file(const char *path);

void copy_permissions(const char *from, const char *to); // as far as that is possible

// What a signal's handler may call: neither allocates nor locks.
void remove_by_signal(const char *path);
void wait_ms_by_signal(void);

void wait_for_end(void); // of this process, which another thread is bringing about; does not return
#ifdef _WIN32
void on_console_end(void (*clean)(void)); // on Ctrl-C, Ctrl-Break and a closed window, before the process ends
#endif

void set_binary(FILE *file); // no translation of line ends; a no-op but on Windows

// Renames a file over another, or to a new name. false: errno tells why.
bool replace_file(const char *from, const char *to);

bool stderr_is_terminal(void);

// What is printed goes into `to` from now on; *before, for restore_stdout, is where it went. false: errno tells why.
bool redirect_stdout(FILE *to, int *before);
void restore_stdout(int before);

#endif // CARDINAL_FILES_H_
