// text_set.h - a set of texts.
#ifndef CARDINAL_TEXT_SET_H_
#define CARDINAL_TEXT_SET_H_

#include <stdbool.h>
#include <stddef.h>

struct text_set { // all zero: empty
    char **slots; // [capacity], by hash and then the next free one; NULL: free
    size_t capacity, count;
};

bool text_set_add(struct text_set *s, const char *text); // copies; false: no memory
bool text_set_has(const struct text_set *s, const char *text);
void text_set_clear(struct text_set *s);

#endif // CARDINAL_TEXT_SET_H_
