// The language in which names of tensors are mapped to torchvision's; schemes.c describes it.
#include <stdlib.h>
#include <string.h>

#include "model/schemes.h"

enum { MAX_RULES = 4096, MAX_NUMBER = 9999 };

struct cdl_rule {
    const char *from, *to; // without the ".*" or "*." of their kind
    enum { MODULE, BLOCK, ITEM, DROP, DROP_ALL } kind;
};

static bool cut_end(char *text, const char *end) {
    if (!cdl_ends_with(text, end))
        return false;
    text[strlen(text) - strlen(end)] = 0;
    return true;
}

static bool starts_with(const char *text, const char *start) { return strncmp(text, start, strlen(start)) == 0; }

// {s}, {s+1}, {s-1}; in `from` the first form alone.
static bool is_sound(const char *text, bool from) {
    for (; *text; text++) {
        if (*text == '*' || *text == '}')
            return false;
        if (*text != '{')
            continue;
        if (text[1] < 'a' || text[1] > 'z')
            return false;
        const char *end = text + 2;
        if (!from && (starts_with(end, "+1") || starts_with(end, "-1")))
            end += 2;
        if (*end != '}')
            return false;
        text = end;
    }
    return true;
}

static bool make_rule(struct cdl_rule *rule, char *from, char *to) {
    *rule = (struct cdl_rule){from, to, MODULE};
    if (strcmp(to, "-") == 0) {
        rule->kind = cut_end(from, ".*") ? DROP_ALL : DROP;
    } else if (starts_with(from, "*.") && starts_with(to, "*.")) {
        rule->kind = ITEM;
        rule->from += 2;
        rule->to += 2;
    } else if (cut_end(from, ".*")) {
        rule->kind = BLOCK;
        if (!cut_end(to, ".*"))
            return false;
    }
    return rule->from[0] && is_sound(rule->from, true) && is_sound(rule->to, false);
}

// The next word of a line, cut off in place; NULL: none.
static char *next_word(char **line) {
    char *word = *line + strspn(*line, " \t\r");
    if (!*word || *word == '#')
        return NULL;
    *line = word + strcspn(word, " \t\r");
    if (**line)
        *(*line)++ = 0;
    return word;
}

cdl_result cdl_scheme_read(struct cdl_scheme *out, const char *text, const char *what, const cdl_log *log) {
    size_t capacity = 0;
    *out = (struct cdl_scheme){.text = cdl_copy_text(text)};
    if (!out->text)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", what);
    int number = 1;
    for (char *line = out->text, *next; line; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        char *from = next_word(&line), *to = from ? next_word(&line) : NULL;
        if (!from)
            continue;
        struct cdl_rule *rules = cdl_grow(out->rules, (size_t)out->count, &capacity, sizeof(*rules));
        if (!rules)
            return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", what);
        out->rules = rules;
        if (!to || next_word(&line) || out->count == MAX_RULES || !make_rule(&rules[out->count], from, to))
            return cdl_fail(log, CDL_ERR_INVALID,
                            "%s, line %d: is not FROM TO, as in \"linear fc\" or \"block{s}.{b}.* layer{s}.{b}.*\"",
                            what, number);
        out->count++;
    }
    return CDL_OK;
}

void cdl_scheme_free(struct cdl_scheme *scheme) {
    free(scheme->text);
    free(scheme->rules);
    *scheme = (struct cdl_scheme){0};
}

// How much of `path` the pattern takes, with the numbers in it; -1: it does not fit. number[i]: -1 as long as unknown.
static int match(const char *pattern, const char *path, int number[26]) {
    const char *at = path;
    for (const char *p = pattern; *p; p++) {
        if (*p != '{') {
            if (*at++ != *p)
                return -1;
            continue;
        }
        int *const known = &number[p[1] - 'a'], digits = (int)strspn(at, "0123456789");
        int value = 0;
        if (digits < 1 || digits > 4 || (digits > 1 && *at == '0'))
            return -1;
        for (int i = 0; i < digits; i++)
            value = value * 10 + at[i] - '0';
        if (*known >= 0 && *known != value)
            return -1;
        *known = value;
        at += digits;
        p += 2;
    }
    return (int)(at - path);
}

static bool expand(const char *to, const int number[26], char *out, size_t size) {
    size_t used = 0;
    for (const char *p = to; *p; p++) {
        if (used + 8 > size)
            return false;
        if (*p != '{') {
            out[used++] = *p;
            continue;
        }
        const int step = p[2] == '+' ? 1 : p[2] == '-' ? -1 : 0, value = number[p[1] - 'a'] + step;
        if (number[p[1] - 'a'] < 0 || value < 0 || value > MAX_NUMBER)
            return false;
        cdl_format_text(out + used, size - used, "%d", value);
        used += strlen(out + used);
        p = strchr(p, '}');
    }
    out[used] = 0;
    return true;
}

static void forget(int number[26]) {
    for (int i = 0; i < 26; i++)
        number[i] = -1;
}

static bool map_item(const struct cdl_scheme *scheme, const char *rest, char *out, size_t size) {
    for (int i = 0; i < scheme->count; i++) {
        const struct cdl_rule *rule = &scheme->rules[i];
        int number[26];
        forget(number);
        if (rule->kind == ITEM && match(rule->from, rest, number) == (int)strlen(rest) &&
            expand(rule->to, number, out, size))
            return true;
    }
    return false;
}

enum cdl_place cdl_scheme_map(const struct cdl_scheme *scheme, const char *path, char out[CDL_MAX_NAME]) {
    const int length = strlen(path) < CDL_MAX_NAME ? (int)strlen(path) : -2;
    for (int i = 0; i < scheme->count; i++) {
        const struct cdl_rule *rule = &scheme->rules[i];
        int number[26];
        if (rule->kind == ITEM)
            continue;
        forget(number);
        const int taken = match(rule->from, path, number);
        if (taken < 0 || length < 0)
            continue;
        if (rule->kind == DROP ? taken == length : rule->kind == DROP_ALL && (taken == length || path[taken] == '.'))
            return CDL_PLACE_OUTSIDE;
        if (rule->kind == MODULE && taken == length && expand(rule->to, number, out, CDL_MAX_NAME))
            return CDL_PLACE_FOUND;
        if (rule->kind == BLOCK && path[taken] == '.' && expand(rule->to, number, out, CDL_MAX_NAME / 2)) {
            const size_t used = strlen(out);
            out[used] = '.';
            if (map_item(scheme, path + taken + 1, out + used + 1, CDL_MAX_NAME - used - 1))
                return CDL_PLACE_FOUND;
        }
    }
    return CDL_PLACE_NONE;
}
