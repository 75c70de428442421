// json.h - JSON text (RFC 8259) as values, and text that JSON can hold. Strict, for bytes that are not trusted.
//
// A reader of its own, because no JSON library of the distributions both tells a failed allocation from malformed text
// and keeps out of what a host may use too: jansson and cJSON have one allocator for the whole process, jansson asserts
// on some failures. This one allocates once, after it has read everything, and keeps no state.
#ifndef CDL_JSON_H_
#define CDL_JSON_H_

#include "base/base.h"

enum cdl_json_type {
    CDL_JSON_NULL,
    CDL_JSON_FALSE,
    CDL_JSON_TRUE,
    CDL_JSON_INTEGER, // a number that is written without fraction and exponent, and fits int64_t
    CDL_JSON_REAL,    // another number; its value is not kept
    CDL_JSON_STRING,
    CDL_JSON_ARRAY,
    CDL_JSON_OBJECT,
};

// Values lie one behind the other, in the order of the text, each before what it contains: the first of an array's or
// object's `count` elements is value + 1, the next of `value` is value + value->extent.
struct cdl_json {
    enum cdl_json_type type;
    uint32_t count;  // elements of an array, members of an object
    uint32_t extent; // values that it consists of, itself among them
    const char *key; // of an object's member, else NULL
    union {
        const char *text; // CDL_JSON_STRING: UTF-8 without a zero byte
        int64_t integer;  // CDL_JSON_INTEGER
    } value;
};

struct cdl_json_error {
    const char *problem; // such as "a comma or } is missing"
    size_t at;           // byte of the text
};

enum { CDL_JSON_MAX_DEPTH = 64 };

// Reads all of text[length], which need not end in a zero byte.
// CDL_OK: *out is the value, to be freed by free(*out); it does not refer to `text`. Else *out is NULL.
// CDL_ERR_FORMAT, with *error: no JSON, nested deeper than CDL_JSON_MAX_DEPTH, an object with the same key twice,
// or a string with a zero byte in it. CDL_ERR_NOMEM: out of memory, or 4 GiB of text.
cdl_result cdl_json_read(struct cdl_json **out, const char *text, size_t length, struct cdl_json_error *error);

// The member of that name, or NULL; `object` may be NULL or no object.
const struct cdl_json *cdl_json_member(const struct cdl_json *object, const char *key);
// The value is a string: its text, else NULL; `value` may be NULL.
const char *cdl_json_text(const struct cdl_json *value);

// What is written. Counts bytes, and stores them where out is not NULL: written twice, the first time gives the size.
struct cdl_json_writer {
    char *out;
    size_t length;
};
void cdl_json_put(struct cdl_json_writer *w, const char *text);        // as it is: punctuation
void cdl_json_put_string(struct cdl_json_writer *w, const char *text); // UTF-8, in quotes and escaped
void cdl_json_put_integer(struct cdl_json_writer *w, int64_t value);

bool cdl_is_utf8(const char *text);

#endif // CDL_JSON_H_
