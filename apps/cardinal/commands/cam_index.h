// cam_index.h - DIR/index.jsonl, which says of which picture each heat map in a folder is.
#ifndef CARDINAL_CAM_INDEX_H_
#define CARDINAL_CAM_INDEX_H_

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "system/text_set.h"

struct cam_index {
    char *path;
    FILE *file;              // lines are appended as pictures are written, so that an interrupted run has its index
    struct text_set earlier; // the heat maps that it held when it was opened: their names
    struct text_set sizes;   // and "SIZE/NAME", in bytes
    bool has_repeats;        // a heat map of an earlier run was made again
    bool failed;
};

// false: one line in error[]; *out is closed.
bool cam_index_open(struct cam_index *out, const char *folder, char *error, size_t error_size);
// Whether an earlier run wrote a heat map of that name and size in bytes.
bool cam_index_has(const struct cam_index *index, const char *name, int64_t size);
// Frees `line`. false: one line in error[].
bool cam_index_add(struct cam_index *index, const char *name, json_t *line, char *error, size_t error_size);
// Leaves one line for every heat map. false: one line in error[]. An all-zero index is fine.
bool cam_index_close(struct cam_index *index, char *error, size_t error_size);

#endif // CARDINAL_CAM_INDEX_H_
