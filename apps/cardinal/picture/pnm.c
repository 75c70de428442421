// pnm.c - PBM, PGM and PPM, plain (P1, P2, P3) and raw (P4, P5, P6), scaled to 0..255 as Pillow scales.
#include "picture/internal.h"

#include <math.h>
#include <string.h>

struct pnm {
    int kind; // 1 to 6
    bool plain, bitmap;
    int channels;
    uint32_t width, height, max_value;
    size_t pixels; // offset
};

static bool is_blank(uint8_t c) { return c != '\0' && strchr(" \t\r\n\v\f", c) != NULL; }

// Over blanks and #-comments.
static size_t skip_blanks(const struct picture_source *s, size_t at) {
    while (at < s->size && (is_blank(s->data[at]) || s->data[at] == '#'))
        if (s->data[at] == '#')
            while (at < s->size && s->data[at] != '\n' && s->data[at] != '\r')
                ++at;
        else
            ++at;
    return at;
}

// A decimal number after blanks and comments; false when there is none. *at ends behind its last digit.
static bool read_number(const struct picture_source *s, size_t *at, uint32_t *out) {
    size_t i = skip_blanks(s, *at), begin = i;
    uint32_t value = 0;
    for (; i < s->size && s->data[i] >= '0' && s->data[i] <= '9' && i - begin < 9; ++i)
        value = value * 10 + (uint32_t)(s->data[i] - '0');
    *at = i;
    *out = value;
    return i > begin;
}

static bool read_pnm(const struct picture_source *s, struct pnm *p) {
    memset(p, 0, sizeof(*p));
    p->kind = s->data[1] - '0';
    p->plain = p->kind <= 3;
    p->bitmap = p->kind == 1 || p->kind == 4;
    p->channels = p->kind == 3 || p->kind == 6 ? 3 : 1;
    p->max_value = 1;
    size_t at = 2;
    if (!read_number(s, &at, &p->width) || !read_number(s, &at, &p->height) ||
        (!p->bitmap && !read_number(s, &at, &p->max_value)))
        return picture_fail(s, "corrupt or truncated PNM (header)");
    if (p->max_value < 1 || p->max_value > 65535)
        return picture_fail(s, "corrupt PNM (maximum %lu)", (unsigned long)p->max_value);
    if (at < s->size && !is_blank(s->data[at]))
        return picture_fail(s, "corrupt PNM (header)");
    p->pixels = at + 1; // one blank
    return true;
}

bool picture_pnm_layout(const struct picture_source *s, struct picture_layout *out) {
    struct pnm p;
    if (!read_pnm(s, &p) || !picture_check_size(s, p.width, p.height, out))
        return false;
    uint64_t samples = (uint64_t)p.width * p.height * (uint64_t)p.channels, bytes;
    if (p.plain) // at least a digit each, and a blank between two numbers
        bytes = p.bitmap ? samples : samples * 2 - 1;
    else if (p.bitmap)
        bytes = ((uint64_t)p.width + 7) / 8 * p.height;
    else
        bytes = samples * (p.max_value > 255 ? 2 : 1);
    if (p.pixels > s->size || bytes > s->size - p.pixels)
        return picture_fail_truncated(s, "PNM", "pixels missing");
    return true;
}

// In doubles and to the even neighbour, as Python's round().
static uint8_t scale(uint32_t value, uint32_t max_value) {
    return (uint8_t)nearbyint((double)value / (double)max_value * 255.0);
}

// One sample of a plain picture: a number, or for P1 one digit, 1 being black.
static bool read_plain(const struct picture_source *s, const struct pnm *p, size_t *at, uint8_t *out) {
    uint32_t value = 0;
    if (p->bitmap) {
        *at = skip_blanks(s, *at);
        if (*at < s->size)
            value = (uint32_t)s->data[*at] - '0';
        if (*at >= s->size)
            return picture_fail_truncated(s, "PNM", "pixels missing");
        if (value > 1)
            return picture_fail(s, "corrupt PNM (neither 0 nor 1)");
        ++*at;
        *out = value ? 0 : 255;
        return true;
    }
    if (!read_number(s, at, &value))
        return *at >= s->size ? picture_fail_truncated(s, "PNM", "pixels missing")
                              : picture_fail(s, "corrupt PNM (not a number)");
    if (value > p->max_value)
        return picture_fail(s, "corrupt PNM (%lu of at most %lu)", (unsigned long)value, (unsigned long)p->max_value);
    *out = scale(value, p->max_value);
    return true;
}

static uint8_t read_raw(const struct pnm *p, const uint8_t **from) {
    uint32_t value = p->max_value > 255 ? picture_be16(*from) : **from;
    *from += p->max_value > 255 ? 2 : 1;
    return scale(value < p->max_value ? value : p->max_value, p->max_value);
}

bool picture_pnm_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct pnm p;
    if (!read_pnm(s, &p) || !picture_allocate(s, layout, out))
        return false;
    size_t at = p.pixels, row_bytes = ((size_t)p.width + 7) / 8;
    const uint8_t *from = s->data + p.pixels;
    uint8_t *to = out->rgba;
    for (size_t y = 0; y < p.height; ++y)
        for (size_t x = 0; x < p.width; ++x, to += 4) {
            for (int c = 0; c < p.channels; ++c)
                if (p.plain) {
                    if (!read_plain(s, &p, &at, &to[c]))
                        return false;
                } else if (p.bitmap) {
                    to[c] = from[y * row_bytes + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
                } else {
                    to[c] = read_raw(&p, &from);
                }
            if (p.channels == 1)
                to[1] = to[2] = to[0];
            to[3] = 255;
        }
    return true;
}
