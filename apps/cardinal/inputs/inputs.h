// inputs.h - the command line's inputs as a stream of picture paths, in bounded memory: at most one
// folder's file names and one walk's folder names are held at a time.
//
// Thread-safety: one thread at a time per stream.
#ifndef CARDINAL_INPUTS_H_
#define CARDINAL_INPUTS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct input_stream;

struct input_item {
    char *path;      // malloc'd; the file, or the folder that `error` is about. input_item_free
    int class_index; // of a labelled folder; -1 otherwise
    char error[512]; // not empty: nothing to open; one line that begins with the path
};

// Each argument is a picture file, passed on whether or not it exists; a folder, whose pictures come
// sorted by name, folder by folder in order of path, subfolders included; or "-", paths from `list`,
// one a line. Pictures in a folder are known by extension; hidden files and folders are passed over.
// `args` and its strings, and `list` (usually stdin), must outlive the stream. NULL: no memory.
struct input_stream *inputs_open(const char *const *args, int count, FILE *list);

// A labelled folder as torchvision's ImageFolder reads it: its subfolders, sorted by name in byte order, are
// the classes 0, 1, ...; each one's pictures come in ImageFolder's order, subfolders included,
// hidden ones too. Pictures of a kind that this build does not read are passed over and counted.
// NULL: error[] tells why in one line, no subfolders being one reason.
struct input_stream *inputs_open_labelled(const char *folder, char *error, size_t error_size);

// Known pictures, in order; each item is copied. `items` must outlive the stream. NULL: no memory.
struct input_stream *inputs_open_items(const struct input_item *const *items, size_t count);

// The next item, in order; false at the end. Blocks while `list` has no line ready. The
// caller frees the item. A folder that cannot be read, or holds no picture, is an item with an error.
bool inputs_next(struct input_stream *s, struct input_item *out);
void input_item_free(struct input_item *item);

// Of a labelled folder; 0 and NULL otherwise. The name lives as long as the stream.
int inputs_num_classes(const struct input_stream *s);
const char *inputs_class_name(const struct input_stream *s, int class_index);

// Pictures of unsupported kinds passed over so far.
uint64_t inputs_num_skipped(const struct input_stream *s);

void inputs_close(struct input_stream **s); // a pointer to NULL is fine

#endif // CARDINAL_INPUTS_H_
