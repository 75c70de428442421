// fuzz_json.c - the engine's JSON reader beside jansson: both take the same texts, and find the same in them.
#include "fuzz/fuzz.h"

#include <jansson.h>

#include "base/json.h"

static void expect_same(const struct cdl_json *a, const json_t *b) {
    switch (a->type) {
    case CDL_JSON_NULL: FUZZ_REQUIRE(json_is_null(b)); break;
    case CDL_JSON_FALSE: FUZZ_REQUIRE(json_is_false(b)); break;
    case CDL_JSON_TRUE: FUZZ_REQUIRE(json_is_true(b)); break;
    case CDL_JSON_INTEGER: FUZZ_REQUIRE(json_is_integer(b) && json_integer_value(b) == a->value.integer); break;
    case CDL_JSON_REAL: FUZZ_REQUIRE(json_is_real(b)); break;
    case CDL_JSON_STRING: FUZZ_REQUIRE(json_is_string(b) && !strcmp(json_string_value(b), a->value.text)); break;
    case CDL_JSON_ARRAY: {
        FUZZ_REQUIRE(json_is_array(b) && json_array_size(b) == a->count);
        const struct cdl_json *element = a + 1;
        for (uint32_t i = 0; i < a->count; i++, element += element->extent) {
            FUZZ_REQUIRE(!element->key);
            expect_same(element, json_array_get(b, i));
        }
        FUZZ_REQUIRE(element == a + a->extent);
        break;
    }
    case CDL_JSON_OBJECT: {
        FUZZ_REQUIRE(json_is_object(b) && json_object_size(b) == a->count);
        const struct cdl_json *member = a + 1;
        for (uint32_t i = 0; i < a->count; i++, member += member->extent) {
            FUZZ_REQUIRE(cdl_json_member(a, member->key) == member);
            expect_same(member, json_object_get(b, member->key));
        }
        FUZZ_REQUIRE(member == a + a->extent);
        break;
    }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cdl_json_error error = {0};
    struct cdl_json *json;
    json_error_t other;
    const cdl_result r = cdl_json_read(&json, (const char *)data, size, &error);
    json_t *expected = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &other);
    if (r == CDL_OK) {
        // jansson keeps the values of reals, and refuses those that no double can hold.
        FUZZ_REQUIRE(expected || strstr(other.text, "real number overflow"));
        if (expected)
            expect_same(json, expected);
    } else {
        FUZZ_REQUIRE(r == CDL_ERR_FORMAT && !json && error.problem && error.at <= size);
        // jansson's limit of depth is 2048, and it does not see zero bytes between values.
        FUZZ_REQUIRE(!expected || strstr(error.problem, "nested too deep") || (size && memchr(data, 0, size)));
    }
    json_decref(expected);
    free(json);
    return 0;
}
