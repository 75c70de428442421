// lines.h - a text file as lines.
#ifndef CARDINAL_LINES_H_
#define CARDINAL_LINES_H_

#include <stdbool.h>
#include <stddef.h>

struct lines {
    char *text; // the whole file, malloc'd, with a NUL for each line break
    char **at;  // [count]; empty lines are ""
    size_t count;
};

// Reads a regular file or a pipe, at most 1 GiB. A byte order mark, CR before LF and empty lines at the end are passed
// over. false: a line on stderr said why; `what` begins it: "--list".
bool lines_read(struct lines *out, const char *path, const char *what);
void lines_free(struct lines *l);

#endif // CARDINAL_LINES_H_
