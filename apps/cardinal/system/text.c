// text.c - see text.h.
#include "system/text.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}

bool ends_in(const char *text, const char *end) {
    const size_t a = strlen(text), b = strlen(end);
    return a >= b && !strcmp(text + a - b, end);
}

bool ends_in_any_case(const char *text, const char *end) {
    const size_t a = strlen(text), b = strlen(end);
    for (size_t i = 0; a >= b && i < b; i++)
        if (tolower((unsigned char)text[a - b + i]) != tolower((unsigned char)end[i]))
            return false;
    return a >= b;
}

const char *path_name(const char *path) {
    const char *name = path;
    for (const char *at = path; *at; at++)
        if (*at == '/' || *at == '\\')
            name = at + 1;
    return name;
}

// Bytes of the character at `text` that a terminal may get; 0: its first byte is a control, or no UTF-8.
static size_t printable(const unsigned char *text) {
    const unsigned char c = text[0];
    if (c < 0x80)
        return c >= ' ' && c != 127;
    const size_t length = c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xc2 && text[1] < 0xa0) ||                                  // U+0080 to U+009F
        (c == 0xe0 && text[1] < 0xa0) || (c == 0xf0 && text[1] < 0x90) || // longer than need be
        (c == 0xed && text[1] >= 0xa0) || (c == 0xf4 && text[1] >= 0x90)) // surrogates, beyond Unicode
        return 0;
    return length;
}

bool is_printable_text(const char *text) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at && printable(at))
        at += printable(at);
    return !*at;
}

void escape_controls(char *out, size_t size, const char *text) {
    size_t used = 0;
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        char piece[8];
        const size_t whole = printable(at);
        if (whole)
            memcpy(piece, at, whole);
        else
            snprintf(piece, sizeof piece, "\\x%02x", *at);
        const size_t length = whole ? whole : 4;
        if (used + length >= size)
            break;
        memcpy(out + used, piece, length);
        used += length;
        at += whole ? whole : 1;
    }
    if (size)
        out[used] = 0;
}

void print_escaped(FILE *file, const char *text) {
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        const size_t whole = printable(at);
        if (whole)
            fwrite(at, 1, whole, file);
        else
            fprintf(file, "\\x%02x", *at);
        at += whole ? whole : 1;
    }
}

void write_path_error(char *error, size_t size, const char *path, const char *fmt, va_list args) {
    if (size == 0)
        return;
    const size_t length = strlen(path), most = size / 2;
    const bool shorten = length > most;
    const int used = snprintf(error, size, "%s%s: ", shorten ? "..." : "", shorten ? path + (length - most) : path);
    if (used >= 0 && (size_t)used < size)
        vsnprintf(error + used, size - (size_t)used, fmt, args);
    for (char *c = error; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
}

bool has_extension(const char *name, const char *const *extensions) {
    while (*extensions && !ends_in_any_case(name, *extensions))
        ++extensions;
    return *extensions != NULL;
}

bool contains_ignoring_case(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return !part[0];
}

char fold_letter(char c) { return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c == '_' || c == '-' ? ' ' : c); }

static int least(int a, int b) { return a < b ? a : b; }

int edit_distance(const char *a, const char *b) {
    const size_t m = strlen(a), n = strlen(b);
    int rows[3][MAX_EDITED + 1]; // of a's first i - 2, i - 1 and i letters
    if (m > MAX_EDITED || n > MAX_EDITED)
        return INT_MAX;
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
        now[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            const char x = fold_letter(a[i - 1]), y = fold_letter(b[j - 1]);
            now[j] = least(least(before[j] + 1, now[j - 1] + 1), before[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == fold_letter(b[j - 2]) && fold_letter(a[i - 2]) == y)
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return rows[m % 3][n];
}
