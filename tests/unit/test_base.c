// What the engine's rooms share: number formats, text, log lines, arrays, random numbers.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "base/random.h"

static void test_half_conversion(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const uint32_t exponent = h >> 10 & 31, mantissa = h & 1023;
        const float f = cdl_f16_to_f32((uint16_t)h), sign = h >> 15 ? -1.0f : 1.0f;
        if (exponent == 31) {
            assert_true(mantissa ? isnan(f) : f == sign * INFINITY);
            assert_int_equal(cdl_f32_to_f16(f), mantissa ? h | 0x200 : h);
            continue;
        }
        assert_true(f ==
                    sign * ldexpf((float)(exponent ? mantissa + 1024 : mantissa), (int)(exponent ? exponent : 1) - 25));
        assert_int_equal(!!signbit(f), h >> 15);
        assert_int_equal(cdl_f32_to_f16(f), h);
        // Halfway to the next half goes to the even one, a float beside it to its nearest.
        const float next = (h & 0x7fff) == 0x7bff ? sign * 65536.0f : cdl_f16_to_f32((uint16_t)(h + 1));
        const float middle = (f + next) / 2;
        assert_int_equal(cdl_f32_to_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(cdl_f32_to_f16(nextafterf(middle, f)), h);
        assert_int_equal(cdl_f32_to_f16(nextafterf(middle, next)), h + 1);
    }
    assert_int_equal(cdl_f32_to_f16(3.0e38f), 0x7c00);
    assert_int_equal(cdl_f32_to_f16(1e-45f), 0);
}

static void test_bfloat16_conversion(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        const float f = cdl_bf16_to_f32((uint16_t)h);
        if (isnan(f)) {
            assert_true(isnan(cdl_bf16_to_f32(cdl_f32_to_bf16(f))));
            continue;
        }
        assert_int_equal(cdl_f32_to_bf16(f), h);
        if (isinf(f) || (h & 0x7fff) == 0x7f7f)
            continue;
        const float next = cdl_bf16_to_f32((uint16_t)(h + 1)), middle = f / 2 + next / 2;
        if ((h & 0x7fff) >= 0x100) // below, halving is not exact
            assert_int_equal(cdl_f32_to_bf16(middle), h & 1 ? h + 1 : h);
    }
    assert_int_equal(cdl_f32_to_bf16(3.4028235e38f), 0x7f80);
}

static void test_parse_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        float value;
    } cases[] = {
        {"0.485", true, 0.485f},
        {"-1", true, -1},
        {"1e-3", true, 0.001f},
        {".5", true, 0.5f},
        {"5.", true, 5},
        {"+2", true, 2},
        {"3.4028235e38", true, 3.4028235e38f},
        {"1e39", false, 0},
        {"", false, 0},
        {".", false, 0},
        {"nan", false, 0},
        {"inf", false, 0},
        {"1x", false, 0},
        {"1e", false, 0},
        {"0x1", false, 0},
        {"1,5", false, 0},
        {"1e-400", true, 0},
        {"0e400", true, 0},
        {"1e99999999999", false, 0},
        {"--1", false, 0},
        {"0.22900000000000000000000000001", true, 0.229f},
        {"123456789012345678901234567890", true, 1.2345679e29f},
    };
    for (size_t i = 0; i < CDL_COUNT(cases); i++) {
        float value = 0;
        if (cdl_parse_float(cases[i].text, &value) != cases[i].ok || (cases[i].ok && value != cases[i].value))
            fail_msg("'%s': %.9g", cases[i].text, (double)value);
    }
    int n = 7;
    assert_true(cdl_parse_int("-12", -20, 20, &n) && n == -12);
    assert_true(cdl_parse_int("2147483647", 0, INT32_MAX, &n) && n == INT32_MAX);
    assert_false(cdl_parse_int("2147483648", 0, INT32_MAX, &n));
    assert_false(cdl_parse_int("99999999999999999999999", 0, INT32_MAX, &n));
    assert_false(cdl_parse_int("1 ", 0, 9, &n));
    assert_false(cdl_parse_int("", 0, 9, &n));
    assert_false(cdl_parse_int("-", -9, 9, &n));
}

struct last_line {
    char text[1200];
};

static void keep_line(void *ctx, cdl_log_level level, const char *msg) {
    struct last_line *last = ctx;
    (void)level;
    snprintf(last->text, sizeof(last->text), "%s", msg);
}

static void test_log_line_is_one_line(void **state) {
    (void)state;
    struct last_line last;
    const cdl_log log = {keep_line, &last, CDL_LOG_DEBUG};
    cdl_logf(&log, CDL_LOG_WARN, "a\n%s\x7f", "\x1b[31m");
    assert_string_equal(last.text, "a??[31m?");
    char text[3000];
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = 0;
    cdl_logf(&log, CDL_LOG_WARN, "%s", text);
    assert_string_equal(last.text + strlen(last.text) - 4, "x...");
}

static void test_texts(void **state) {
    (void)state;
    assert_true(cdl_ends_with("bn1.running_var", "running_var"));
    assert_true(cdl_ends_with("a", "a"));
    assert_true(cdl_ends_with("a", ""));
    assert_false(cdl_ends_with("var", "running_var"));
    assert_false(cdl_ends_with("running_vary", "running_var"));
    char *copy = cdl_copy_text("abc");
    assert_string_equal(copy, "abc");
    free(copy);
}

static void test_growing_array(void **state) {
    (void)state;
    int *items = NULL;
    size_t capacity = 0;
    for (int i = 0; i < 1000; i++) {
        int *grown = cdl_grow(items, (size_t)i, &capacity, sizeof(*items));
        assert_non_null(grown);
        assert_true((size_t)i < capacity);
        items = grown;
        items[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        assert_int_equal(items[i], i);
    const size_t before = capacity;
    assert_null(cdl_grow(items, capacity, &capacity, SIZE_MAX / 2)); // its bytes do not fit size_t
    assert_int_equal(capacity, before);
    free(items);
}

static void test_little_endian(void **state) {
    (void)state;
    static const uint8_t bytes[] = {0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0xf8};
    assert_true(cdl_load_little_endian(bytes + 1, 8) == UINT64_C(0xf877665544332211));
    assert_int_equal(cdl_load_little_endian(bytes + 1, 2), 0x2211);
    assert_int_equal(cdl_load_little_endian(bytes, 0), 0);
}

// The first outputs of Vigna's splitmix64.c, run with x = 1234567.
static void test_random_bits(void **state) {
    (void)state;
    static const uint64_t expected[] = {UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
                                        UINT64_C(9817491932198370423)};
    for (size_t k = 0; k < CDL_COUNT(expected); k++)
        assert_true(cdl_random_bits(1234567, k) == expected[k]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_half_conversion), cmocka_unit_test(test_bfloat16_conversion),
        cmocka_unit_test(test_parse_numbers),   cmocka_unit_test(test_log_line_is_one_line),
        cmocka_unit_test(test_texts),           cmocka_unit_test(test_growing_array),
        cmocka_unit_test(test_little_endian),   cmocka_unit_test(test_random_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
