// output.h - a file that appears whole or not at all, written as a stream.
#ifndef CARDINAL_OUTPUT_H_
#define CARDINAL_OUTPUT_H_

#include <stdbool.h>
#include <stdio.h>

struct output {
    FILE *file; // to be written to; may be sought in
    char *path, *part;
};

// false: a line on stderr said why: what is there is no regular file, or the folder cannot be written to.
bool output_begin(struct output *o, const char *path);
// Puts the file in its place where `keep`; else, and on any failure, which gets its line on stderr, removes it.
bool output_end(struct output *o, bool keep);

void output_csv_field(FILE *file, const char *text); // RFC 4180

#endif // CARDINAL_OUTPUT_H_
