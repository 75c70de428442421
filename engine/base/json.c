// json.c - see json.h.
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

// The text is read twice: first to check it and to count what has to be stored, then, into one block that holds all of
// it, to store. The second reading takes the same way, and so cannot fail.
struct reader {
    const char *text;
    size_t length, at;
    struct cdl_json_error *error;
    // The first time these are NULL, and the numbers below count.
    struct cdl_json *values;
    char *strings;
    size_t num_values, string_bytes, max_members;
    // Where in the text the string is that is stored here. Asked for when something is wrong with it.
    size_t sought, found;
};

static bool fail(const struct reader *r, const char *problem, size_t at) {
    *r->error = (struct cdl_json_error){problem, at};
    return false;
}

static int peek(const struct reader *r) { return r->at < r->length ? (unsigned char)r->text[r->at] : -1; }

static void skip_spaces(struct reader *r) {
    while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\n' || peek(r) == '\r')
        r->at++;
}

static bool take(struct reader *r, char c) {
    const bool there = peek(r) == (unsigned char)c;
    r->at += there;
    return there;
}

// ---- text

// Bytes of the UTF-8 sequence at p, of which `left` can be read; 0: it is malformed. The Unicode Standard, table 3-7,
// "Well-Formed UTF-8 Byte Sequences": no overlong forms, no surrogates, nothing above U+10FFFF.
static size_t utf8_sequence(const char *p, size_t left) {
    const unsigned char *c = (const unsigned char *)p;
    if (c[0] < 0x80)
        return 1;
    const size_t n = c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : c[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > left)
        return 0;
    const unsigned char low = c[0] == 0xe0 ? 0xa0 : c[0] == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = c[0] == 0xed ? 0x9f : c[0] == 0xf4 ? 0x8f : 0xbf;
    if (c[1] < low || c[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

bool cdl_is_utf8(const char *text) {
    const size_t length = strlen(text);
    for (size_t i = 0, n; i < length; i += n) {
        n = utf8_sequence(text + i, length - i);
        if (n == 0)
            return false;
    }
    return true;
}

static void store(struct reader *r, char c) {
    if (r->strings)
        r->strings[r->string_bytes] = c;
    r->string_bytes++;
}

static void store_code_point(struct reader *r, uint32_t c) {
    if (c < 0x80) {
        store(r, (char)c);
        return;
    }
    const int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3; // continuation bytes
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    store(r, (char)(lead[more] | c >> 6 * more));
    for (int i = more - 1; i >= 0; i--)
        store(r, (char)(0x80 | (c >> 6 * i & 0x3f)));
}

// Four hexadecimal digits, or -1.
static int32_t read_hex4(struct reader *r) {
    int32_t value = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        const int c = peek(r);
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool read_unicode_escape(struct reader *r, size_t start) { // behind \u
    int32_t c = read_hex4(r);
    if (c < 0)
        return fail(r, "\\u is not followed by four hexadecimal digits", start);
    if (c >= 0xd800 && c < 0xdc00) { // the first half of a pair
        const int32_t second = take(r, '\\') && take(r, 'u') ? read_hex4(r) : -1;
        if (second < 0xdc00 || second > 0xdfff)
            return fail(r, "half a surrogate pair", start);
        c = 0x10000 + ((c - 0xd800) << 10 | (second - 0xdc00));
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return fail(r, "half a surrogate pair", start);
    }
    if (c == 0)
        return fail(r, "a string holds a zero byte", start);
    store_code_point(r, (uint32_t)c);
    return true;
}

static bool read_escape(struct reader *r) { // at the backslash
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const size_t start = r->at++;
    const int c = peek(r);
    if (take(r, 'u'))
        return read_unicode_escape(r, start);
    const char *name = c > 0 ? strchr(names, c) : NULL;
    if (!name)
        return fail(r, "an unknown escape", start);
    r->at++;
    store(r, meanings[name - names]);
    return true;
}

// At the opening quote. *out: the stored text, in the second reading.
static bool read_string(struct reader *r, const char **out) {
    const size_t start = r->at++, first = r->string_bytes;
    if (first == r->sought)
        r->found = start;
    while (peek(r) != '"') {
        if (peek(r) < 0)
            return fail(r, "a string does not end", start);
        if (peek(r) < 0x20)
            return fail(r, "a control character in a string", r->at);
        if (peek(r) == '\\') {
            if (!read_escape(r))
                return false;
            continue;
        }
        const size_t n = utf8_sequence(r->text + r->at, r->length - r->at);
        if (n == 0)
            return fail(r, "text that is not UTF-8", r->at);
        for (size_t i = 0; i < n; i++)
            store(r, r->text[r->at++]);
    }
    r->at++;
    store(r, 0);
    *out = r->strings ? r->strings + first : NULL;
    return true;
}

// ---- numbers

static bool read_digits(struct reader *r) {
    const size_t start = r->at;
    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    return r->at > start;
}

static bool read_number(struct reader *r, struct cdl_json *out) {
    const size_t start = r->at;
    const bool negative = take(r, '-');
    const size_t digits = r->at;
    if (!read_digits(r))
        return fail(r, "no value", start);
    if (r->text[digits] == '0' && r->at > digits + 1)
        return fail(r, "a number that begins with 0", start);
    const size_t end = r->at;
    bool real = take(r, '.');
    if (real && !read_digits(r))
        return fail(r, "a number without digits after its point", start);
    if (take(r, 'e') || take(r, 'E')) {
        real = true;
        if (!take(r, '+'))
            take(r, '-');
        if (!read_digits(r))
            return fail(r, "a number without digits in its exponent", start);
    }
    out->type = real ? CDL_JSON_REAL : CDL_JSON_INTEGER;
    if (real)
        return true;
    int64_t value = 0; // kept negative: int64_t has one more of these
    for (size_t i = digits; i < end; i++) {
        const int digit = r->text[i] - '0';
        if (value < (INT64_MIN + digit) / 10)
            return fail(r, "a number beyond 64 bits", start);
        value = value * 10 - digit;
    }
    if (!negative && value == INT64_MIN)
        return fail(r, "a number beyond 64 bits", start);
    out->value.integer = negative ? value : -value;
    return true;
}

// ---- values

static bool read_word(struct reader *r, const char *word, enum cdl_json_type type, struct cdl_json *out) {
    const size_t n = strlen(word);
    if (r->length - r->at < n || memcmp(r->text + r->at, word, n) != 0)
        return fail(r, "no value", r->at);
    r->at += n;
    out->type = type;
    return true;
}

static bool read_value(struct reader *r, const char *key, int depth);

// An array's elements or an object's members, behind the bracket that opens it, to the one that closes it.
static bool read_elements(struct reader *r, struct cdl_json *out, bool object, int depth) {
    if (depth >= CDL_JSON_MAX_DEPTH)
        return fail(r, "it is nested too deep", r->at - 1);
    const char end = object ? '}' : ']';
    size_t count = 0;
    out->type = object ? CDL_JSON_OBJECT : CDL_JSON_ARRAY;
    skip_spaces(r);
    if (take(r, end))
        return true;
    do {
        const char *key = NULL;
        skip_spaces(r);
        if (object) {
            if (peek(r) != '"')
                return fail(r, "a member has no name", r->at);
            if (!read_string(r, &key))
                return false;
            skip_spaces(r);
            if (!take(r, ':'))
                return fail(r, "a colon is missing", r->at);
        }
        if (!read_value(r, key, depth + 1))
            return false;
        count++;
        skip_spaces(r);
    } while (take(r, ','));
    if (!take(r, end))
        return fail(r, object ? "a comma or } is missing" : "a comma or ] is missing", r->at);
    if (object && count > r->max_members)
        r->max_members = count;
    out->count = (uint32_t)count;
    return true;
}

static bool read_value(struct reader *r, const char *key, int depth) {
    const size_t index = r->num_values++;
    struct cdl_json value = {.key = key};
    skip_spaces(r);
    const size_t start = r->at;
    bool ok;
    switch (peek(r)) {
    case '{':
    case '[':
        r->at++;
        ok = read_elements(r, &value, r->text[start] == '{', depth);
        break;
    case '"':
        value.type = CDL_JSON_STRING;
        ok = read_string(r, &value.value.text);
        break;
    case 't': ok = read_word(r, "true", CDL_JSON_TRUE, &value); break;
    case 'f': ok = read_word(r, "false", CDL_JSON_FALSE, &value); break;
    case 'n': ok = read_word(r, "null", CDL_JSON_NULL, &value); break;
    default: ok = read_number(r, &value); break;
    }
    if (r->values) {
        value.extent = (uint32_t)(r->num_values - index);
        r->values[index] = value;
    }
    return ok;
}

static bool read_all(struct reader *r) {
    r->at = r->num_values = r->string_bytes = r->max_members = 0;
    if (!read_value(r, NULL, 0))
        return false;
    skip_spaces(r);
    return r->at == r->length || fail(r, "something follows the end", r->at);
}

// ---- keys

static int compare_keys(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    const int order = strcmp(*x, *y);
    return order ? order : (*x > *y) - (*x < *y); // equal ones in the order of the text
}

// A key that its object has before already, or NULL. keys: room for those of the largest object
static const char *find_duplicate(const struct cdl_json *values, size_t count, const char **keys) {
    for (size_t i = 0; i < count; i++) {
        const struct cdl_json *member = &values[i] + 1;
        if (values[i].type != CDL_JSON_OBJECT)
            continue;
        for (uint32_t k = 0; k < values[i].count; k++, member += member->extent)
            keys[k] = member->key;
        qsort(keys, values[i].count, sizeof(*keys), compare_keys);
        for (uint32_t k = 1; k < values[i].count; k++) {
            if (strcmp(keys[k - 1], keys[k]) == 0)
                return keys[k];
        }
    }
    return NULL;
}

cdl_result cdl_json_read(struct cdl_json **out, const char *text, size_t length, struct cdl_json_error *error) {
    struct reader r = {.text = text, .length = length, .error = error, .sought = SIZE_MAX};
    *out = NULL;
    if (length >= UINT32_MAX)
        return CDL_ERR_NOMEM;
    if (!read_all(&r))
        return CDL_ERR_FORMAT;
    size_t value_bytes, key_bytes, size;
    if (!cdl_mul_size(r.num_values, sizeof(*r.values), &value_bytes) ||
        !cdl_mul_size(r.max_members, sizeof(const char *), &key_bytes) ||
        !cdl_add_size(value_bytes, key_bytes, &size) || !cdl_add_size(size, r.string_bytes, &size))
        return CDL_ERR_NOMEM;
    char *block = malloc(size);
    if (!block)
        return CDL_ERR_NOMEM;
    r.values = (struct cdl_json *)(void *)block;
    r.strings = block + value_bytes + key_bytes;
    read_all(&r);
    const char *duplicate = find_duplicate(r.values, r.num_values, (const char **)(void *)(block + value_bytes));
    if (duplicate) {
        r.sought = (size_t)(duplicate - r.strings);
        read_all(&r);
        *error = (struct cdl_json_error){"a duplicate of a member before it", r.found};
        free(block);
        return CDL_ERR_FORMAT;
    }
    *out = r.values;
    return CDL_OK;
}

const struct cdl_json *cdl_json_member(const struct cdl_json *object, const char *key) {
    if (!object || object->type != CDL_JSON_OBJECT)
        return NULL;
    const struct cdl_json *member = object + 1;
    for (uint32_t i = 0; i < object->count; i++, member += member->extent) {
        if (strcmp(member->key, key) == 0)
            return member;
    }
    return NULL;
}

const char *cdl_json_text(const struct cdl_json *value) {
    return value && value->type == CDL_JSON_STRING ? value->value.text : NULL;
}

// ---- writing

static void put_bytes(struct cdl_json_writer *w, const char *bytes, size_t count) {
    if (w->out)
        memcpy(w->out + w->length, bytes, count);
    w->length += count;
}

void cdl_json_put(struct cdl_json_writer *w, const char *text) { put_bytes(w, text, strlen(text)); }

void cdl_json_put_string(struct cdl_json_writer *w, const char *text) {
    static const char meanings[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    cdl_json_put(w, "\"");
    for (; *text; text++) {
        const char *meaning = strchr(meanings, *text);
        char escape[8] = {'\\', 0};
        if (meaning)
            escape[1] = names[meaning - meanings];
        else if ((unsigned char)*text < 0x20)
            cdl_format_text(escape, sizeof escape, "\\u%04X", (unsigned)*text);
        if (escape[1])
            cdl_json_put(w, escape);
        else
            put_bytes(w, text, 1);
    }
    cdl_json_put(w, "\"");
}

void cdl_json_put_integer(struct cdl_json_writer *w, int64_t value) {
    char digits[24];
    cdl_format_text(digits, sizeof digits, "%lld", (long long)value);
    cdl_json_put(w, digits);
}
