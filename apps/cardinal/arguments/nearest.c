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
        // Of two as near, the one that begins alike: the first letter is seldom the wrong one.
        const bool likelier = found && d == best && word[0] == candidate[0] && word[0] != found[0];
        if (d < best || likelier) {
            best = d;
            found = candidate;
        }
    }
    return found;
}
