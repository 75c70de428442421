// labels.h - class names from a file or a pipe, in the forms in which they are found:
//   a name a line; UTF-8, with or without a byte order mark, lines ended by LF, CR LF or CR
//   "n01440764 tench, Tinca tinca", where every line begins so: the name is what follows the WordNet number
//   ["tench", ...], a JSON array; an entry may be ["n01440764", "tench"], too
//   {"0": "tench", ...}, a JSON object with a key for every class; or ["n01440764", "tench"] as value
//   {"tench": 0, ...}, the other way round
// What begins with [ or { is JSON.
#ifndef CARDINAL_LABELS_H_
#define CARDINAL_LABELS_H_

#include <stdbool.h>
#include <stddef.h>

struct label_list {
    char **names;   // malloc'd strings; class i is called names[i]
    char **wordnet; // "n01440764", where the file has them for every class; else NULL
    int count;      // at least 1
};

// false: *out is all zero, and one line in error[] that begins with the file's name says what is wrong, and where.
bool labels_read(const char *path, struct label_list *out, char *error, size_t error_size);
void labels_free(struct label_list *labels);

// The names as the metadata value "labels", a JSON array; malloc'd. NULL: no memory.
char *labels_to_json(const struct label_list *labels);

#endif // CARDINAL_LABELS_H_
