// features.h - `cardinal classify --features FILE`: what the network sees in every picture, as numbers for other
// programs: the average-pooled features before the last layer.
#ifndef CARDINAL_FEATURES_H_
#define CARDINAL_FEATURES_H_

#include "commands/runner.h"

struct features;

// FILE.csv: a line a picture, its name and its numbers. FILE.npy: NumPy's format, float32 [pictures][features], and
// FILE.npy.names beside it, a name a line. They appear when closed. NULL: a line on stderr said why.
struct features *features_open(const char *path, const cdl_session *session);
bool features_name_is_good(const char *path); // false after a line on stderr
char *features_names_path(const char *path);  // FILE.npy.names, malloc'd; NULL: no memory
// false: one line in error[].
bool features_write(struct features *f, const struct outcome *outcome, char *error, size_t error_size);
bool features_close(struct features **f, bool keep); // false: not written, after a line on stderr

#endif // CARDINAL_FEATURES_H_
