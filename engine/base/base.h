// base.h - what every file of the engine shares: error reporting, checked sizes, growing arrays, text, number formats.
#ifndef CDL_BASE_H_
#define CDL_BASE_H_

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdl/cdl.h"

#if defined(__MINGW32__) // whose own "printf" format is that of old Windows libraries, without %zu
#define CDL_PRINTF(fmt, args) __attribute__((format(gnu_printf, fmt, args)))
#elif defined(__GNUC__)
#define CDL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define CDL_PRINTF(fmt, args)
#endif

#define CDL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

// Formats one line for log->fn when `level` is wanted. log may be NULL.
void cdl_logf(const cdl_log *log, cdl_log_level level, const char *fmt, ...) CDL_PRINTF(3, 4);

// Logs at CDL_LOG_ERR and returns `r`: `return cdl_fail(log, CDL_ERR_IO, "...")`.
cdl_result cdl_fail(const cdl_log *log, cdl_result r, const char *fmt, ...) CDL_PRINTF(3, 4);

// A caller's mistake: logs the broken rule and returns CDL_ERR_INVALID from the enclosing function.
#define CDL_REQUIRE(log, condition) \
    do { \
        if (!(condition)) \
            return cdl_fail((log), CDL_ERR_INVALID, "%s: requires %s", __func__, #condition); \
    } while (0)

// The same with words: what parameter it is, what it is, and what it may be.
#define CDL_EXPECT(log, condition, ...) \
    do { \
        if (!(condition)) \
            return cdl_fail((log), CDL_ERR_INVALID, __VA_ARGS__); \
    } while (0)

// *out = a op b; false, and *out untouched, when it does not fit size_t.
bool cdl_mul_size(size_t a, size_t b, size_t *out);
bool cdl_add_size(size_t a, size_t b, size_t *out);

// `align` is a power of two.
static inline size_t cdl_align_up(size_t n, size_t align) { return (n + align - 1) & ~(align - 1); }
static inline uint32_t cdl_div_up(uint32_t a, uint32_t b) { return a / b + (a % b != 0); }

// Copies a caller's params struct, whose first member is its size_t struct_size, into out[size]: what an older
// caller's shorter struct lacks is zero, what a newer one adds is ignored. in NULL: all zero. false: its size is 0.
bool cdl_read_params(void *out, size_t size, const void *in);

// snprintf that always terminates the text, cuts off what does not fit, and never fails.
void cdl_format_text(char *out, size_t size, const char *fmt, ...) CDL_PRINTF(3, 4);

// Whole text to number, no trailing characters, independent of the locale; false otherwise.
bool cdl_parse_int(const char *text, int min, int max, int *out);
bool cdl_parse_float(const char *text, float *out);

// A malloc'd copy, or NULL.
char *cdl_copy_text(const char *text);
bool cdl_ends_with(const char *text, const char *suffix);

// `items`, a malloc'd array of `count` elements of `size` bytes, with room for one more: as it was while
// count < *capacity, else larger and perhaps elsewhere. NULL: no memory; `items` is then still valid.
void *cdl_grow(void *items, size_t count, size_t *capacity, size_t size);

// The little-endian unsigned number of `bytes` <= 8 bytes at p, aligned or not.
static inline uint64_t cdl_load_little_endian(const uint8_t *p, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | p[i];
    return value;
}

// IEEE binary16 and bfloat16 by bits, round to nearest even.
uint16_t cdl_f32_to_f16(float f);
float cdl_f16_to_f32(uint16_t h);
uint16_t cdl_f32_to_bf16(float f);
float cdl_bf16_to_f32(uint16_t h);

#endif // CDL_BASE_H_
