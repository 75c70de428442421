// nearest.c - the name that a mistyped word was to be.
#include <string.h>

#include "arguments/arguments.h"
#include "system/text.h"

const char *arguments_nearest(const char *word, const char *(*name)(const void *names, int i), const void *names,
                              int count) {
    const size_t length = strlen(word);
    const int most = length < 3 ? 0 : length < 5 ? 1 : length < 9 ? 2 : 3;
    const char *found = NULL;
    int best = most + 1;
    for (int i = 0; i < count; i++) {
        const char *candidate = name(names, i);
        if (!candidate)
            continue;
        // A beginning of the name, or the name with an ending, is likelier than any slip.
        const size_t shorter = length < strlen(candidate) ? length : strlen(candidate);
        const int d = shorter >= 3 && !strncmp(word, candidate, shorter) ? 1 : edit_distance(word, candidate);
        if (d < best) {
            best = d;
            found = candidate;
        }
    }
    return found;
}
