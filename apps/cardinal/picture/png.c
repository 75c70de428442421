// png.c - PNG: a walk over the chunks for size, orientation and damage, then libpng, or stb_image where the build has
// none. What stb_image would let pass is checked here: truncation, checksums, short palettes.
#include "picture/internal.h"

#include <stdlib.h>
#include <string.h>

enum { PNG_SIGNATURE_BYTES = 8, CHUNK_OVERHEAD = 12, HEADER_BYTES = 13 };

#define CHUNK(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

struct chunk {
    uint32_t type;
    const uint8_t *body;
    size_t length;
};

// The PNG specification's CRC, four bits a step: a table small enough to need no set-up.
static uint32_t crc32(const uint8_t *data, size_t size) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
                                       0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
                                       0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; ++i) {
        crc ^= data[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

// The chunk at *at, which then points behind it. Critical chunks must have the right checksum.
static bool next_chunk(const struct picture_source *s, size_t *at, struct chunk *out) {
    size_t left = s->size - *at;
    const uint8_t *p = s->data + *at;
    if (left < CHUNK_OVERHEAD)
        return picture_fail_truncated(s, "PNG", "no end chunk");
    out->length = picture_be32(p);
    out->type = picture_be32(p + 4);
    out->body = p + 8;
    if (out->length > left - CHUNK_OVERHEAD)
        return picture_fail_truncated(s, "PNG", "it ends within a chunk");
    bool checked = (out->type & 0x20000000) == 0;
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    checked = false; // a fuzzer would never get past the checksums
#endif
    if (checked && crc32(p + 4, out->length + 4) != picture_be32(out->body + out->length))
        return picture_fail(s, "corrupt PNG (checksum of %.4s); copy or download it again", (const char *)p + 4);
    *at += out->length + CHUNK_OVERHEAD;
    return true;
}

static int channels_of(int color_type) {
    static const int channels[7] = {1, 0, 3, 1, 2, 0, 4};
    return color_type <= 6 ? channels[color_type] : 0;
}

static bool read_header_chunk(const struct picture_source *s, const struct chunk *c, struct picture_layout *out) {
    if (c->type != CHUNK('I', 'H', 'D', 'R') || c->length != HEADER_BYTES)
        return picture_fail(s, "corrupt PNG (no header chunk)");
    if (!picture_check_size(s, picture_be32(c->body), picture_be32(c->body + 4), out))
        return false;
    int depth = c->body[8], channels = channels_of(c->body[9]);
    if (channels == 0 || (depth != 1 && depth != 2 && depth != 4 && depth != 8 && depth != 16))
        return picture_fail(s, "corrupt PNG (colour type %d of depth %d)", c->body[9], depth);
    uint64_t bytes = ((uint64_t)out->width * (uint64_t)(depth * channels) + 7) / 8 * (uint64_t)out->height;
    if (bytes / 1032 > s->size) // deflate's best ratio
        return picture_fail_truncated(s, "PNG", "too few bytes for its size");
    return true;
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// ImageMagick's way of old to keep EXIF: a line break, "exif", the length, then lines of hexadecimal digits. Decoded in
// place, as far as they go. 0: no orientation in it.
static int profile_orientation(uint8_t *text, size_t size) {
    size_t at = 0, used = 0;
    for (int line = 0; line < 3 && at < size; ++at)
        line += text[at] == '\n';
    for (int high = -1; at < size; ++at) {
        int digit = hex_digit(text[at]);
        if (digit < 0 && text[at] != '\n' && text[at] != '\r' && text[at] != ' ')
            break;
        if (digit >= 0 && high >= 0)
            text[used++] = (uint8_t)(high << 4 | digit);
        if (digit >= 0)
            high = high >= 0 ? -1 : digit;
    }
    return picture_exif_orientation(text, used);
}

// A tEXt, zTXt or iTXt chunk with the keyword "Raw profile type exif": its orientation; 0 otherwise.
static int raw_profile(const struct chunk *c) {
    static const char keyword[] = "Raw profile type exif";
    enum { MAX_TEXT = 1 << 18 }; // an EXIF block of 64 KiB is twice that in hexadecimal digits
    size_t at = sizeof(keyword);
    if (c->length < at || memcmp(c->body, keyword, at) != 0) // with its NUL
        return 0;
    bool packed = c->type == CHUNK('z', 'T', 'X', 't');
    if (packed)
        ++at;                                   // the method
    if (c->type == CHUNK('i', 'T', 'X', 't')) { // a flag, the method, a language and the translated keyword
        packed = at < c->length && c->body[at] == 1;
        at += 2;
        for (int texts = 0; texts < 2 && at < c->length; ++at)
            texts += c->body[at] == 0;
    }
    if (at >= c->length)
        return 0;
    size_t size = c->length - at;
    uint8_t *text = malloc(packed ? MAX_TEXT : size);
    if (text && packed)
        size = picture_stb_inflate(c->body + at, size, text, MAX_TEXT);
    else if (text)
        memcpy(text, c->body + at, size);
    int orientation = text ? profile_orientation(text, size) : 0;
    free(text);
    return orientation;
}

bool picture_png_layout(const struct picture_source *s, struct picture_layout *out) {
    size_t at = PNG_SIGNATURE_BYTES;
    struct chunk c = {0};
    if (!next_chunk(s, &at, &c) || !read_header_chunk(s, &c, out))
        return false;
    bool palette = false, pixels = false;
    int profile = 0; // the orientation of a raw profile
    int color_type = s->data[PNG_SIGNATURE_BYTES + 8 + 9];
    for (;;) {
        if (!next_chunk(s, &at, &c))
            return false;
        switch (c.type) {
        case CHUNK('P', 'L', 'T', 'E'):
            if (palette || pixels || c.length == 0 || c.length > 768 || c.length % 3 != 0)
                return picture_fail(s, "corrupt PNG (palette)");
            palette = true;
            break;
        case CHUNK('I', 'D', 'A', 'T'): pixels = true; break;
        case CHUNK('I', 'E', 'N', 'D'):
            if (!pixels || (color_type == 3 && !palette))
                return picture_fail(s, "corrupt PNG (%s missing)", pixels ? "palette" : "pixels");
            if (!out->exif)
                out->orientation = profile;
            return true;
        case CHUNK('e', 'X', 'I', 'f'):
            if (!out->exif) {
                out->exif = c.body;
                out->exif_size = c.length;
            }
            break;
        case CHUNK('t', 'E', 'X', 't'):
        case CHUNK('z', 'T', 'X', 't'):
        case CHUNK('i', 'T', 'X', 't'):
            if (profile == 0)
                profile = raw_profile(&c);
            break;
        default:
            if ((c.type & 0x20000000) == 0) // stb would say so too, but from a shared static buffer
                return picture_fail(s, "corrupt PNG (unknown critical chunk)");
            break;
        }
    }
}

// A copy for the decoder: header, palette filled up with black to 256 entries, pixels, end. Dropping the rest
// also drops tRNS, so no pixel's colour depends on alpha. Not NULL unless memory is short.
static uint8_t *essential_copy(const struct picture_source *s, size_t *size) {
    enum { FULL_PALETTE = 768 };
    uint8_t *copy = malloc(s->size + FULL_PALETTE);
    if (!copy)
        return NULL;
    memcpy(copy, s->data, PNG_SIGNATURE_BYTES);
    size_t used = PNG_SIGNATURE_BYTES, at = PNG_SIGNATURE_BYTES;
    struct chunk c = {0};
    while (c.type != CHUNK('I', 'E', 'N', 'D')) {
        size_t begin = at;
        at += CHUNK_OVERHEAD + picture_be32(s->data + at); // checked by picture_png_layout
        c.type = picture_be32(s->data + begin + 4);
        if ((c.type & 0x20000000) != 0)
            continue;
        size_t length = at - begin;
        memcpy(copy + used, s->data + begin, length);
        if (c.type == CHUNK('P', 'L', 'T', 'E')) {
            memset(copy + used + length - 4, 0, CHUNK_OVERHEAD + FULL_PALETTE - length + 4);
            copy[used + 2] = FULL_PALETTE >> 8;
            copy[used + 3] = FULL_PALETTE & 255;
            length = CHUNK_OVERHEAD + FULL_PALETTE; // the checksum is zero; the decoders do not look
        }
        used += length;
    }
    *size = used;
    return copy;
}

#ifdef CARDINAL_HAVE_PNG

#include <png.h>
#include <setjmp.h>
#include <stdio.h>

struct decoder {
    const uint8_t *data;
    size_t size, at;
    char reason[128];
    png_structp png;
    png_infop info;
};

static void on_error(png_structp png, png_const_charp text) {
    struct decoder *d = png_get_error_ptr(png);
    snprintf(d->reason, sizeof(d->reason), "%s", text);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) {
    (void)png;
    (void)text;
}

static void read_bytes(png_structp png, png_bytep to, size_t size) {
    struct decoder *d = png_get_io_ptr(png);
    if (size > d->size - d->at)
        png_error(png, "the file ends too early");
    memcpy(to, d->data + d->at, size);
    d->at += size;
}

// false: d->reason tells why.
static bool decode_rows(struct decoder *d, const struct picture_source *s, struct picture *out) {
    if (setjmp(png_jmpbuf(d->png)))
        return false;
    png_set_read_fn(d->png, d, read_bytes);
    png_set_crc_action(d->png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE); // they were checked above
    png_set_user_limits(d->png, (png_uint_32)s->limits.max_side, (png_uint_32)s->limits.max_side);
    png_read_info(d->png, d->info);
    if (png_get_image_width(d->png, d->info) != (png_uint_32)out->width ||
        png_get_image_height(d->png, d->info) != (png_uint_32)out->height)
        png_error(d->png, "two sizes");
    png_set_expand(d->png); // palettes, and grey of less than 8 bits
    png_set_strip_16(d->png);
    png_set_gray_to_rgb(d->png);
    png_set_add_alpha(d->png, 255, PNG_FILLER_AFTER);
    int passes = png_set_interlace_handling(d->png);
    png_read_update_info(d->png, d->info);
    if (png_get_rowbytes(d->png, d->info) != (size_t)out->width * 4)
        png_error(d->png, "row size");
    for (int pass = 0; pass < passes; ++pass)
        for (int y = 0; y < out->height; ++y)
            png_read_row(d->png, out->rgba + (size_t)y * (size_t)out->width * 4, NULL);
    return true;
}

static bool decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct decoder d = {.data = s->data, .size = s->size};
    if (!picture_allocate(s, layout, out))
        return false;
    d.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &d, on_error, on_warning);
    d.info = d.png ? png_create_info_struct(d.png) : NULL;
    bool ok = d.info && decode_rows(&d, s, out);
    if (!ok)
        picture_fail(s, "corrupt or unsupported PNG (%s)", d.reason[0] ? d.reason : "not enough memory");
    png_destroy_read_struct(&d.png, &d.info, NULL);
    return ok;
}

#else

static bool decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    // The largest buffer of an honest file: 16-bit RGBA with its filter bytes, more when interlaced;
    // inflating doubles its buffer as it grows, and so does joining the chunks.
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    uint64_t limit = pixels * 16 + (uint64_t)layout->height * 16 + (uint64_t)s->size * 2 + (1 << 16);
    return picture_stb_decode(s, layout, "PNG", limit, out);
}

#endif

bool picture_png_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct picture_source essential = *s;
    uint8_t *copy = essential_copy(s, &essential.size);
    if (!copy)
        return picture_fail(s, "not enough memory to decode it");
    essential.data = copy;
    bool ok = decode(&essential, layout, out);
    free(copy);
    return ok;
}
