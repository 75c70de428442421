// output_file.h - files that a command writes: whole or not at all, never over an input, a device or a link.
//
// A new file is written beside its place under another name, then renamed; that name is removed when the process is
// ended by Ctrl-C, SIGTERM and the like. Where a device or a pipe stands (/dev/null, /dev/stdout) it is written into.
#ifndef CARDINAL_OUTPUT_FILE_H_
#define CARDINAL_OUTPUT_FILE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct output_file {
    FILE *file;
    char *path, *temporary; // malloc'd; `temporary` NULL: written in place, as `path` is a device or a pipe
    int registered;         // of `temporary`, among those that a signal removes
};

// Every true is followed by one output_file_end. false: one line in error[].
bool output_file_begin(struct output_file *o, const char *path, char *error, size_t error_size);
// keep: puts the file in its place; else removes it. false: one line in error[], and nothing was left.
bool output_file_end(struct output_file *o, bool keep, char *error, size_t error_size);

// The same for bytes at hand.
bool output_file_write(const char *path, const void *data, size_t size, char *error, size_t error_size);

// Whether writing `path` loses none of `inputs`, paths of what is read, NULL entries passed over. false: one line in
// error[], as one of them is the same file by whatever name, or a folder in which the file that stands at `path` lies.
bool output_spares(const char *path, const char *const *inputs, size_t count, char *error, size_t error_size);

// Names a file that a signal which ends the process removes first, until it is forgotten. -1: there are too many, or no
// memory, and it is not removed. Any thread.
int temporary_remember(const char *path);
void temporary_forget(int registered); // -1 is fine

// At a program's start: what writes past the limit of a file's size gets an error then, not the end of the process.
void output_files_prepare(void);

#endif // CARDINAL_OUTPUT_FILE_H_
