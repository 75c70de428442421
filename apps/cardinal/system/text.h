// text.h - small work on text and on paths as text.
#ifndef CARDINAL_TEXT_H_
#define CARDINAL_TEXT_H_

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

char *copy_text(const char *text); // malloc'd; NULL: no memory

bool ends_in(const char *text, const char *end);
bool ends_in_any_case(const char *text, const char *end); // the letters A to Z are equal to a to z

bool contains_ignoring_case(const char *text, const char *part);

// As names are compared: a for A, and a space for '_' and '-'.
char fold_letter(char c);
// How many letters are inserted, dropped, changed, or swapped with their neighbour where b is typed for a (optimal
// string alignment), letters being equal as fold_letter has them. INT_MAX where one is longer than MAX_EDITED.
enum { MAX_EDITED = 255 };
int edit_distance(const char *a, const char *b);

const char *path_name(const char *path); // without its folders; points into `path`

// Whether the name ends with one of the extensions, in any case. They have their dot; NULL ends the list.
bool has_extension(const char *name, const char *const *extensions);

// Text for a terminal: control characters, U+0080 to U+009F among them, and bytes that are not UTF-8 as \xHH, so that
// no file's name moves the cursor or hides what stands before it. Cut where it does not fit.
void escape_controls(char *out, size_t size, const char *text);
bool is_printable_text(const char *text);         // nothing in it would be escaped
void print_escaped(FILE *file, const char *text); // the same, of any length

// "path: reason" on one line: of a long path the end alone, so that the reason fits, and for each control character,
// which a file's name may hold, a space.
void write_path_error(char *error, size_t size, const char *path, const char *fmt, va_list args);

#endif // CARDINAL_TEXT_H_
