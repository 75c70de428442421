// output.h - output files of commands: system/output_file.h, for files that may be sought in, with errors on stderr.
#ifndef CARDINAL_OUTPUT_H_
#define CARDINAL_OUTPUT_H_

#include <stdbool.h>
#include <stdio.h>

#include "system/output_file.h"

// false: a line on stderr said why, and o->file is NULL: what is there is no regular file, or the folder cannot be
// written to.
bool output_begin(struct output_file *o, const char *path);
// Puts the file in its place where `keep`; else, and on any failure, which gets its line on stderr, removes it.
bool output_end(struct output_file *o, bool keep);

void output_csv_field(FILE *file, const char *text); // RFC 4180

#endif // CARDINAL_OUTPUT_H_
