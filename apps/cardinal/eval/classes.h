// classes.h - the model's classes by what people call them: name, WordNet id, number.
#ifndef CARDINAL_CLASSES_H_
#define CARDINAL_CLASSES_H_

#include "app.h"

struct class_names {
    const struct loaded_model *model;
    int count;   // of classes
    bool named;  // they have labels
    bool wnids;  // they are ImageNet-1K's, so that their WordNet ids are known
    char **keys; // [count]; labels as they are compared, without a WordNet id before them
    char **ids;  // [count]; a WordNet id that begins the label, or NULL
};

enum { CLASS_NONE = -1, CLASS_AMBIGUOUS = -2 };

// false: no memory, after a line on stderr.
bool class_names_open(struct class_names *out, const struct loaded_model *model);
void class_names_close(struct class_names *n);

// The class of a label, of one of its synonyms (between commas), or of a WordNet id. The letters A to Z are equal to a
// to z; spaces, underscores and hyphens to each other. CLASS_NONE; CLASS_AMBIGUOUS: several classes are called so.
int class_find(const struct class_names *n, const char *name);
// The same, and where no class is called so, the class of a number from 0.
int class_find_or_number(const struct class_names *n, const char *name);
// " (nearest class: CLASS)", or "" where nothing is much like it.
void class_advice(const struct class_names *n, const char *name, char *out, size_t size);
// " The classes are A, B ...", where they are few; else "".
void class_list(const struct class_names *n, char *out, size_t size);

bool equal_names(const char *a, const char *b); // in the sense of class_find

#endif // CARDINAL_CLASSES_H_
