// text_set.c - see text_set.h.
#include "system/text_set.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "system/text.h"

// The slot that holds `text`, or the free one where it belongs; capacity, a power of two, is not zero.
static size_t find(const struct text_set *s, const char *text) {
    uint64_t hash = 14695981039346656037u; // FNV-1a
    for (const unsigned char *c = (const unsigned char *)text; *c; c++)
        hash = (hash ^ *c) * 1099511628211u;
    size_t at = (size_t)hash & (s->capacity - 1);
    while (s->slots[at] && strcmp(s->slots[at], text) != 0)
        at = (at + 1) & (s->capacity - 1);
    return at;
}

bool text_set_has(const struct text_set *s, const char *text) { return s->capacity && s->slots[find(s, text)]; }

static bool grow(struct text_set *s) {
    struct text_set larger = {.capacity = s->capacity ? 2 * s->capacity : 64, .count = s->count};
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < s->capacity; i++)
        if (s->slots[i])
            larger.slots[find(&larger, s->slots[i])] = s->slots[i];
    free(s->slots);
    *s = larger;
    return true;
}

bool text_set_add(struct text_set *s, const char *text) {
    if (2 * (s->count + 1) > s->capacity && !grow(s))
        return false;
    const size_t at = find(s, text);
    if (s->slots[at])
        return true;
    s->slots[at] = copy_text(text);
    s->count += s->slots[at] != NULL;
    return s->slots[at] != NULL;
}

void text_set_clear(struct text_set *s) {
    for (size_t i = 0; i < s->capacity; i++)
        free(s->slots[i]);
    free(s->slots);
    memset(s, 0, sizeof *s);
}
