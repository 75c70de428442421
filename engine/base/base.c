#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *cdl_result_str(cdl_result r) {
    switch (r) {
    case CDL_NOT_READY: return "not ready";
    case CDL_OK: return "success";
    case CDL_ERR_INVALID: return "invalid use";
    case CDL_ERR_NOMEM: return "out of memory";
    case CDL_ERR_IO: return "file could not be read or written";
    case CDL_ERR_FORMAT: return "malformed or unsupported model";
    case CDL_ERR_UNSUPPORTED: return "no Vulkan, or a needed device feature is missing";
    case CDL_ERR_DEVICE_LOST: return "device lost";
    }
    return "unknown result";
}

#define TEXT_OF(x) #x
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

const char *cdl_version(void) { return VERSION_TEXT(CDL_VERSION_MAJOR, CDL_VERSION_MINOR, CDL_VERSION_PATCH); }
int cdl_version_number(void) { return CDL_VERSION_NUMBER; }

// ---- log

enum { LOG_LINE = 1024 };

// Text from a file may hold line breaks or terminal escapes; a log line must not.
static void replace_control_characters(char *text) {
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = '?';
    }
}

static void log_line(const cdl_log *log, cdl_log_level level, const char *fmt, va_list args) {
    if (!log || !log->fn || level == CDL_LOG_NONE || level > log->level)
        return;
    char line[LOG_LINE];
    int length = vsnprintf(line, sizeof(line), fmt, args);
    if (length < 0)
        cdl_format_text(line, sizeof(line), "(a message could not be formatted)");
    else if ((size_t)length >= sizeof(line))
        memcpy(line + sizeof(line) - 4, "...", 4);
    replace_control_characters(line);
    log->fn(log->ctx, level, line);
}

void cdl_logf(const cdl_log *log, cdl_log_level level, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    log_line(log, level, fmt, args);
    va_end(args);
}

cdl_result cdl_fail(const cdl_log *log, cdl_result r, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    log_line(log, CDL_LOG_ERR, fmt, args);
    va_end(args);
    return r;
}

// ---- sizes and text

bool cdl_mul_size(size_t a, size_t b, size_t *out) {
    if (a != 0 && b > SIZE_MAX / a)
        return false;
    *out = a * b;
    return true;
}

bool cdl_add_size(size_t a, size_t b, size_t *out) {
    if (b > SIZE_MAX - a)
        return false;
    *out = a + b;
    return true;
}

bool cdl_read_params(void *out, size_t size, const void *in) {
    size_t given = 0;
    memset(out, 0, size);
    if (in) {
        memcpy(&given, in, sizeof given);
        if (given == 0)
            return false; // not even the log can be trusted
        memcpy(out, in, given < size ? given : size);
    }
    memcpy(out, &size, sizeof size);
    return true;
}

void cdl_format_text(char *out, size_t size, const char *fmt, ...) {
    if (size == 0)
        return;
    va_list args;
    va_start(args, fmt);
    if (vsnprintf(out, size, fmt, args) < 0)
        out[0] = 0;
    va_end(args);
}

bool cdl_parse_int(const char *text, int min, int max, int *out) {
    bool negative = *text == '-';
    if (negative || *text == '+')
        text++;
    if (*text == 0)
        return false;
    int64_t value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (*text - '0');
        if (value > (int64_t)INT32_MAX + 1)
            return false;
    }
    if (negative)
        value = -value;
    if (value < min || value > max)
        return false;
    *out = (int)value;
    return true;
}

// 10^e by repeated squaring; exact up to 10^22, infinite when too large.
static double power_of_ten(int e) {
    double result = 1, base = 10;
    for (; e; e >>= 1, base *= base) {
        if (e & 1)
            result *= base;
    }
    return result;
}

// Exponent part after 'e': [+-]digits to the end of the text.
static bool parse_exponent(const char *text, int *out) { return cdl_parse_int(text, -400, 400, out); }

bool cdl_parse_float(const char *text, float *out) {
    bool negative = *text == '-';
    if (negative || *text == '+')
        text++;
    // 17 digits are kept; a double's product or quotient of two exact numbers is then far
    // closer than a float can tell.
    uint64_t mantissa = 0;
    int exponent = 0, num_digits = 0;
    bool seen_point = false;
    for (; (*text >= '0' && *text <= '9') || (*text == '.' && !seen_point); text++) {
        if (*text == '.') {
            seen_point = true;
            continue;
        }
        num_digits++;
        if (mantissa < 10000000000000000u) {
            mantissa = mantissa * 10 + (uint64_t)(*text - '0');
            exponent -= seen_point;
        } else {
            exponent += !seen_point;
        }
    }
    if (num_digits == 0 || num_digits > 1000)
        return false;
    int stated = 0;
    if (*text == 'e' || *text == 'E') {
        if (!parse_exponent(text + 1, &stated))
            return false;
    } else if (*text) {
        return false;
    }
    exponent += stated;
    double value = (double)mantissa;
    value = exponent < 0 ? value / power_of_ten(-exponent) : value * power_of_ten(exponent);
    if (!(value <= 3.4028235e38)) // infinite, or NaN from 0 * infinity
        return mantissa == 0 ? (*out = 0, true) : false;
    *out = (float)(negative ? -value : value);
    return true;
}

char *cdl_copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

bool cdl_ends_with(const char *text, const char *suffix) {
    const size_t length = strlen(text), n = strlen(suffix);
    return length >= n && strcmp(text + length - n, suffix) == 0;
}

void *cdl_grow(void *items, size_t count, size_t *capacity, size_t size) {
    if (count < *capacity)
        return items;
    const size_t wanted = *capacity ? *capacity * 2 : 64;
    size_t bytes;
    void *larger = wanted > *capacity && cdl_mul_size(wanted, size, &bytes) ? realloc(items, bytes) : NULL;
    if (larger)
        *capacity = wanted;
    return larger;
}

// ---- half precision

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

uint16_t cdl_f32_to_f16(float f) {
    uint32_t bits = bits_of(f);
    uint32_t sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) // NaN stays NaN, made quiet, with its upper payload
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x1ffu));
    if (magnitude >= 0x477ff000u) // 65520 and above, halfway past the largest half, rounds to infinity
        return (uint16_t)(sign | 0x7c00u);
    if (magnitude >= 0x38800000u) { // normal: drop 13 bits, rebias the exponent 127 -> 15
        uint32_t odd = magnitude >> 13 & 1;
        return (uint16_t)(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
    }
    if (magnitude <= 0x33000000u) // 2^-25 is halfway to the smallest subnormal and goes to even, zero
        return (uint16_t)sign;
    // Subnormal: a multiple of 2^-24.
    uint32_t shift = 126 - (magnitude >> 23); // 14...24
    uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;
    uint32_t half = 1u << (shift - 1), odd = mantissa >> shift & 1;
    return (uint16_t)(sign | ((mantissa + half - 1 + odd) >> shift));
}

float cdl_f16_to_f32(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, mantissa = h & 0x3ffu;
    if (exponent == 31)
        return float_of(sign | 0x7f800000u | mantissa << 13);
    if (exponent != 0)
        return float_of(sign | (exponent + 112) << 23 | mantissa << 13);
    float value = (float)mantissa * (1.0f / 16777216.0f); // exact: 2^-24 times at most 10 bits
    return float_of(sign | bits_of(value));
}

uint16_t cdl_f32_to_bf16(float f) {
    uint32_t bits = bits_of(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(bits >> 16 | 0x40u); // quiet, so that the NaN cannot round to infinity
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

float cdl_bf16_to_f32(uint16_t h) { return float_of((uint32_t)h << 16); }
