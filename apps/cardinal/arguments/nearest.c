// nearest.c - the name that a mistyped word was to be.
#include <string.h>

#include "arguments/arguments.h"

enum { MAX_WORD = 64 };

static int least(int a, int b) { return a < b ? a : b; }

// Optimal string alignment: how many letters are inserted, dropped, changed, or swapped with their neighbour.
static int distance(const char *a, const char *b) {
    const int m = (int)strlen(a), n = (int)strlen(b);
    int rows[3][MAX_WORD + 1] = {{0}}; // of a's first i - 2, i - 1 and i letters
    if (m > MAX_WORD || n > MAX_WORD)
        return MAX_WORD;
    for (int i = 0; i <= m; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= n; j++) {
            if (i == 0) {
                now[j] = j;
                continue;
            }
            now[j] = least(least(before[j] + 1, now[j - 1] + 1), before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}

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
        const int d = shorter >= 3 && !strncmp(word, candidate, shorter) ? 1 : distance(word, candidate);
        if (d < best) {
            best = d;
            found = candidate;
        }
    }
    return found;
}
