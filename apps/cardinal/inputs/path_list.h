// path_list.h - paths one after the other from a file or a pipe, or a picture that comes the same way.
//
// Lines end with LF or CR LF, behind an optional UTF-8 byte order mark; or each path ends with a NUL byte, as
// `find -print0` writes them, which is told by the first one if it is not said. Nothing is read ahead of the line that
// is asked for, so that a pipe gives its results as it is written.
#ifndef CARDINAL_PATH_LIST_H_
#define CARDINAL_PATH_LIST_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum path_list_form {
    PATHS_OR_PICTURE, // told by content
    PATHS,            // lines or NUL bytes, told by content
    PATHS_NULL,       // each ends with a NUL byte
};

struct path_list {
    FILE *file;
    char separator;
    uint64_t number; // of the last line or entry
    bool started, picture;
    uint8_t start[64]; // read to tell what it is
    size_t start_size, start_at;
    char problem[96]; // why nothing more of it can be read
    bool told;        // path_list_next has returned it
};

// Sets *list up and reads its beginning; the file stays the caller's.
void path_list_start(struct path_list *list, FILE *file, enum path_list_form form);

// The next path, malloc'd; NULL at the end, where memory ran out, or where error[] says why the rest is no list. Beside
// a path, error[] is "" or the reason why that is none.
char *path_list_next(struct path_list *list, char *error, size_t error_size, bool *no_memory);

// Where list->picture: its bytes, malloc'd. NULL: the reason is in error[].
uint8_t *path_list_picture(struct path_list *list, size_t *size, char *error, size_t error_size);

#endif // CARDINAL_PATH_LIST_H_
