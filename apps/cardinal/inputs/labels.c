// labels.c - see labels.h.
#include "inputs/labels.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "system/text.h"
#include "system/text_file.h"

enum { MAX_LABELS = 1 << 20, MAX_LABEL = 1022, WORDNET_LENGTH = 9 }; // "n01440764"
#define MAX_FILE_BYTES ((size_t)64 << 20)

struct reader {
    const char *path;
    char *error;
    size_t error_size;
    struct label_list *out;
    int capacity;
    bool all_wordnet; // so far
};

static bool fail(const struct reader *r, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(r->error, r->error_size, r->path, fmt, args);
    va_end(args);
    return false;
}

static bool no_memory(const struct reader *r) { return fail(r, "not enough memory to read the labels"); }

static bool is_wordnet(const char *text) {
    for (int i = 1; i < WORDNET_LENGTH; i++)
        if (text[0] != 'n' || text[i] < '0' || text[i] > '9')
            return false;
    return true;
}

// ---- the list

// Makes room for class `index`, and for those before it.
static bool reserve(struct reader *r, int index) {
    if (index < r->capacity)
        return true;
    int capacity = r->capacity ? r->capacity : 64;
    while (capacity <= index)
        capacity *= 2;
    char ***lists[] = {&r->out->names, &r->out->wordnet};
    for (int i = 0; i < 2; i++) {
        char **larger = realloc(*lists[i], (size_t)capacity * sizeof *larger);
        if (!larger)
            return no_memory(r);
        memset(larger + r->capacity, 0, (size_t)(capacity - r->capacity) * sizeof *larger);
        *lists[i] = larger;
    }
    r->capacity = capacity;
    return true;
}

// `place` and `number` say where a label stands: "line", 12.
static bool set_label(struct reader *r, int index, const char *wordnet, const char *name, const char *place,
                      long long number) {
    if (index >= MAX_LABELS)
        return fail(r, "holds more than %d labels", MAX_LABELS);
    if (strlen(name) > MAX_LABEL || !is_printable_text(name))
        return fail(r, "%s %lld is not UTF-8 text of at most %d bytes without control characters", place, number,
                    MAX_LABEL);
    if (!reserve(r, index))
        return false;
    if (r->out->names[index])
        return fail(r, "class %d has two names", index);
    r->out->names[index] = copy_text(name);
    r->out->wordnet[index] = wordnet ? copy_text(wordnet) : NULL;
    if (!r->out->names[index] || (wordnet && !r->out->wordnet[index]))
        return no_memory(r);
    r->all_wordnet = r->all_wordnet && wordnet;
    r->out->count = index >= r->out->count ? index + 1 : r->out->count;
    return true;
}

void labels_free(struct label_list *l) {
    for (int i = 0; i < l->count; i++) {
        free(l->names[i]);
        if (l->wordnet)
            free(l->wordnet[i]);
    }
    free(l->names);
    free(l->wordnet);
    memset(l, 0, sizeof *l);
}

// ---- JSON

// A class's value: "tench", or ["n01440764", "tench"].
static bool set_value(struct reader *r, int index, const json_t *value) {
    const json_t *name = value, *wordnet = NULL;
    if (json_is_array(value) && json_array_size(value) == 2) {
        wordnet = json_array_get(value, 0);
        name = json_array_get(value, 1);
    }
    if (!json_is_string(name) || (wordnet && !json_is_string(wordnet)))
        return fail(r, "class %d is neither a string nor [\"n01440764\", \"name\"]", index);
    if (strlen(json_string_value(name)) != json_string_length(name))
        return fail(r, "the name of class %d holds a NUL character", index);
    if (wordnet && (json_string_length(wordnet) != WORDNET_LENGTH || !is_wordnet(json_string_value(wordnet))))
        return fail(r, "class %d: two strings, but the first is no WordNet number as n01440764 is", index);
    return set_label(r, index, wordnet ? json_string_value(wordnet) : NULL, json_string_value(name),
                     "the name of class", index);
}

// "17", without a sign or leading zeros; else -1.
static int class_number(const char *text) {
    int value = 0;
    const size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 7 || text[length] || (text[0] == '0' && length > 1))
        return -1;
    for (size_t i = 0; i < length; i++)
        value = 10 * value + (text[i] - '0');
    return value;
}

static bool read_object(struct reader *r, json_t *object) {
    const char *key;
    json_t *value;
    json_object_foreach (object, key, value) {
        const bool reversed = json_is_integer(value);
        const json_int_t number = reversed ? json_integer_value(value) : class_number(key);
        if (number < 0 || number >= (json_int_t)json_object_size(object))
            return fail(r, "\"%s\": classes are expected as {\"0\": \"name\", ...}, numbered from 0 to %zu", key,
                        json_object_size(object) - 1);
        if (reversed ? !set_label(r, (int)number, NULL, key, "the name of class", (long long)number)
                     : !set_value(r, (int)number, value))
            return false;
    }
    return true; // as many keys as classes, each within them and none twice: none is missing
}

static bool read_json(struct reader *r, const char *text, size_t size) {
    json_error_t where;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return fail(r, "line %d: the JSON is broken: %s", where.line, where.text);
    bool ok = true;
    if (json_is_object(root))
        ok = read_object(r, root);
    for (size_t i = 0; ok && json_is_array(root) && i < json_array_size(root); i++)
        ok = i < MAX_LABELS ? set_value(r, (int)i, json_array_get(root, i))
                            : fail(r, "holds more than %d labels", MAX_LABELS);
    json_decref(root);
    return ok;
}

// ---- lines

// Ends the line at `text` and returns the next one; NULL where there is none.
static char *end_line(char *text) {
    char *end = text + strcspn(text, "\r\n");
    if (!*end)
        return NULL;
    char *next = end + (end[0] == '\r' && end[1] == '\n' ? 2 : 1);
    *end = 0;
    return next;
}

// Whether every line is "n01440764 name".
static bool every_line_has_wordnet(const char *text) {
    int lines = 0;
    for (; *text; text += strspn(text, "\r\n"), lines++) {
        if (!is_wordnet(text) || (text[WORDNET_LENGTH] != ' ' && text[WORDNET_LENGTH] != '\t') ||
            strchr(" \t\r\n", text[WORDNET_LENGTH + 1]))
            return false;
        text += strcspn(text, "\r\n");
    }
    return lines > 0;
}

static bool read_lines(struct reader *r, char *text) {
    // Empty lines at the end are none; one before them is a class without a name.
    size_t length = strlen(text);
    while (length && strchr("\r\n", text[length - 1]))
        length--;
    text[length] = 0;
    const bool synsets = every_line_has_wordnet(text);
    char *next = length ? text : NULL;
    for (int i = 0; next; i++) {
        char *line = next, *name = line;
        next = end_line(line);
        if (synsets) {
            line[WORDNET_LENGTH] = 0;
            name = line + WORDNET_LENGTH + 1;
        }
        if (!set_label(r, i, synsets ? line : NULL, name, "line", i + 1))
            return false;
    }
    return true;
}

// ---- the file

static bool read_text(struct reader *r, char *text, size_t size) {
    if (size >= 2 && (!memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2)))
        return fail(r, "is UTF-16; save it as UTF-8");
    if (size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3)) { // a byte order mark
        text += 3;
        size -= 3;
    }
    if (strlen(text) != size) {
        long long line = 1;
        for (const char *at = text; *at; at++)
            line += *at == '\n';
        return fail(r, "line %lld holds a NUL byte: it is no file of labels", line);
    }
    const char first = text[strspn(text, " \t\r\n")];
    if (first == '[' || first == '{' ? !read_json(r, text, size) : !read_lines(r, text))
        return false;
    return r->out->count > 0 || fail(r, "holds no label");
}

bool labels_read(const char *path, struct label_list *out, char *error, size_t error_size) {
    struct reader r = {.path = path, .error = error, .error_size = error_size, .out = out, .all_wordnet = true};
    memset(out, 0, sizeof *out);
    size_t size = 0;
    char why[256];
    char *text = read_text_file(path, MAX_FILE_BYTES, &size, why, sizeof why);
    if (!text)
        fail(&r, "the label file %s", why);
    const bool ok = text && read_text(&r, text, size);
    free(text);
    if (!ok) {
        out->count = r.capacity; // classes may have been named in any order
        labels_free(out);
    } else if (!r.all_wordnet) {
        for (int i = 0; i < out->count; i++)
            free(out->wordnet[i]);
        free(out->wordnet);
        out->wordnet = NULL;
    }
    return ok;
}

char *labels_to_json(const struct label_list *l) {
    json_t *array = json_array();
    bool ok = array != NULL;
    for (int i = 0; ok && i < l->count; i++)
        ok = json_array_append_new(array, json_string(l->names[i])) == 0;
    char *text = ok ? json_dumps(array, JSON_COMPACT) : NULL;
    json_decref(array);
    return text;
}
