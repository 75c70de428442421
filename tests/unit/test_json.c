// test_json.c - JSON text as values, what is no JSON, and what is written.
#include "support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static struct cdl_json *read_text(const char *text) {
    struct cdl_json_error error = {0};
    struct cdl_json *json;
    const cdl_result r = cdl_json_read(&json, text, strlen(text), &error);
    if (r != CDL_OK)
        fail_msg("%s: %s at byte %zu", text, error.problem, error.at);
    return json;
}

static void test_values(void **state) {
    (void)state;
    struct cdl_json *json =
        read_text(" {\"a\": [1, [2, {\"x\": -3}], \"four\"], \"b\": true, \"\": null,\r\n\t\"c\": 1.5e-3 } \n");
    assert_int_equal(json->type, CDL_JSON_OBJECT);
    assert_int_equal(json->count, 4);
    assert_int_equal(json->extent, 11);
    const struct cdl_json *a = cdl_json_member(json, "a");
    assert_int_equal(a->type, CDL_JSON_ARRAY);
    assert_int_equal(a->count, 3);
    const struct cdl_json *one = a + 1, *two = one + one->extent, *four = two + two->extent;
    assert_int_equal(one->value.integer, 1);
    assert_int_equal(two->count, 2);
    assert_int_equal(cdl_json_member(two + 2, "x")->value.integer, -3);
    assert_string_equal(cdl_json_text(four), "four");
    assert_ptr_equal(four + four->extent, cdl_json_member(json, "b"));
    assert_int_equal(cdl_json_member(json, "b")->type, CDL_JSON_TRUE);
    assert_int_equal(cdl_json_member(json, "")->type, CDL_JSON_NULL);
    assert_int_equal(cdl_json_member(json, "c")->type, CDL_JSON_REAL);
    assert_null(cdl_json_member(json, "d"));
    assert_null(cdl_json_member(a, "a"));
    assert_null(cdl_json_member(NULL, "a"));
    assert_null(cdl_json_text(a));
    free(json);
}

static void test_integers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {{"0", 0},
                 {"-0", 0},
                 {"9007199254740993", 9007199254740993}, // 2^53 + 1: no double has it
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN}};
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct cdl_json *json = read_text(cases[i].text);
        assert_int_equal(json->type, CDL_JSON_INTEGER);
        assert_true(json->value.integer == cases[i].value);
        free(json);
    }
}

static void test_strings(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"\"\"", ""},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e9\\u732B\\ud83d\\uDC08\"", "A\xc3\xa9\xe7\x8c\xab\xf0\x9f\x90\x88"},
        {"\"\xc3\xa9\xed\x9f\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf\x7f\"",
         "\xc3\xa9\xed\x9f\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf\x7f"},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        struct cdl_json *json = read_text(cases[i][0]);
        assert_string_equal(cdl_json_text(json), cases[i][1]);
        free(json);
    }
}

static void expect_error(const char *text, size_t length, const char *problem, size_t at) {
    char *copy = malloc(length + !length); // of that size: a sanitizer sees what is read beyond
    assert_non_null(copy);
    memcpy(copy, text, length);
    struct cdl_json_error error = {0};
    struct cdl_json *json;
    const cdl_result r = cdl_json_read(&json, copy, length, &error);
    free(copy);
    assert_null(json);
    if (r != CDL_ERR_FORMAT || strcmp(error.problem, problem) != 0 || error.at != at)
        fail_msg("%.*s: %s, %s at byte %zu", (int)length, text, cdl_result_str(r), error.problem, error.at);
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *problem;
        size_t at;
    } cases[] = {
        {"", "no value", 0},
        {"  ", "no value", 2},
        {"nul", "no value", 0},
        {"{} {}", "something follows the end", 3},
        {"[1,]", "no value", 3},
        {"[1 2]", "a comma or ] is missing", 3},
        {"[1", "a comma or ] is missing", 2},
        {"{\"a\":1", "a comma or } is missing", 6},
        {"{\"a\" 1}", "a colon is missing", 5},
        {"{1:1}", "a member has no name", 1},
        {"{\"a\":1,}", "a member has no name", 7},
        {"'a'", "no value", 0},
        {"01", "a number that begins with 0", 0},
        {"-", "no value", 0},
        {"+1", "no value", 0},
        {"1.", "a number without digits after its point", 0},
        {"1e+", "a number without digits in its exponent", 0},
        {"NaN", "no value", 0},
        {"9223372036854775808", "a number beyond 64 bits", 0},
        {"-9223372036854775809", "a number beyond 64 bits", 0},
        {"99999999999999999999999999", "a number beyond 64 bits", 0},
        {"[\"a", "a string does not end", 1},
        {"\"a\nb\"", "a control character in a string", 2},
        {"\"\\x\"", "an unknown escape", 1},
        {"\"\\", "an unknown escape", 1},
        {"\"\\u12g4\"", "\\u is not followed by four hexadecimal digits", 1},
        {"\"\\ud83d\"", "half a surrogate pair", 1},
        {"\"\\ud83d\\u0041\"", "half a surrogate pair", 1},
        {"\"\\udc08\"", "half a surrogate pair", 1},
        {"\"\\u0000\"", "a string holds a zero byte", 1},
        {"\"\x80\"", "text that is not UTF-8", 1},
        {"\"\xc0\xaf\"", "text that is not UTF-8", 1},     // overlong
        {"\"\xe0\x9f\xbf\"", "text that is not UTF-8", 1}, // overlong
        {"\"\xed\xa0\x80\"", "text that is not UTF-8", 1}, // a surrogate
        {"\"\xf4\x90\x80\x80\"", "text that is not UTF-8", 1},
        {"\"\xe7\x8c\"", "text that is not UTF-8", 1},
        {"{\"a\":1,\"b\":2,\"\\u0061\":3}", "a duplicate of a member before it", 13},
        {"[{\"x\":{\"b\":2,\"b\":3}}]", "a duplicate of a member before it", 13},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++)
        expect_error(cases[i].text, strlen(cases[i].text), cases[i].problem, cases[i].at);
    expect_error("\"\0\"", 3, "a control character in a string", 1);
    expect_error("1\0", 2, "something follows the end", 1); // a zero byte is no space, nor the end
    expect_error("\0[]", 3, "no value", 0);
    // Every beginning of a text is an error, and nothing behind it is read.
    static const char whole[] = "{\"a\\u00e9\": [-1.5e+3, true, null, \"\xf0\x9f\x90\x88\"]}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct cdl_json_error error;
        struct cdl_json *json;
        char *copy = malloc(n + !n);
        assert_non_null(copy);
        memcpy(copy, whole, n);
        assert_int_equal(cdl_json_read(&json, copy, n, &error), CDL_ERR_FORMAT);
        assert_true(error.at <= n);
        free(copy);
    }
}

static void test_depth(void **state) {
    (void)state;
    char text[2 * CDL_JSON_MAX_DEPTH + 3];
    for (int depth = CDL_JSON_MAX_DEPTH; depth <= CDL_JSON_MAX_DEPTH + 1; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = 0;
        if (depth <= CDL_JSON_MAX_DEPTH)
            free(read_text(text));
        else
            expect_error(text, strlen(text), "it is nested too deep", CDL_JSON_MAX_DEPTH);
    }
}

// What is written is read as the same.
static void test_writing(void **state) {
    (void)state;
    static const char text[] = "\" \\ / \b\f\n\r\t \x01\x1f\x7f \xc3\xa9 \xf0\x9f\x90\x88";
    char out[256];
    struct cdl_json_writer w = {0};
    for (int pass = 0; pass < 2; pass++) {
        cdl_json_put(&w, "[");
        cdl_json_put_string(&w, text);
        cdl_json_put(&w, ",");
        cdl_json_put_integer(&w, INT64_MIN);
        cdl_json_put(&w, "]");
        assert_true(w.length < sizeof out);
        if (pass == 0)
            w = (struct cdl_json_writer){.out = out};
    }
    out[w.length] = 0;
    assert_string_equal(
        out, "[\"\\\" \\\\ / \\b\\f\\n\\r\\t \\u0001\\u001F\x7f \xc3\xa9 \xf0\x9f\x90\x88\",-9223372036854775808]");
    struct cdl_json *json = read_text(out);
    assert_string_equal(cdl_json_text(json + 1), text);
    assert_true(json[2].value.integer == INT64_MIN);
    free(json);
    assert_true(cdl_is_utf8(text));
    assert_true(cdl_is_utf8(""));
    assert_false(cdl_is_utf8("a\xff"));
    assert_false(cdl_is_utf8("\xe7\x8c"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_integers), cmocka_unit_test(test_strings),
        cmocka_unit_test(test_errors), cmocka_unit_test(test_depth),    cmocka_unit_test(test_writing),
    };
    return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
