// png.c - PNG and GIF. stb_image decodes; what it would let pass is checked here first:
// truncation, checksums, palettes too short for their pixels (it would read uninitialised memory).
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

bool picture_png_layout(const struct picture_source *s, struct picture_layout *out) {
    size_t at = PNG_SIGNATURE_BYTES;
    struct chunk c = {0};
    if (!next_chunk(s, &at, &c) || !read_header_chunk(s, &c, out))
        return false;
    bool palette = false, pixels = false;
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
            return true;
        case CHUNK('e', 'X', 'I', 'f'):
            if (!out->exif) {
                out->exif = c.body;
                out->exif_size = c.length;
            }
            break;
        default:
            if ((c.type & 0x20000000) == 0) // stb would say so too, but from a shared static buffer
                return picture_fail(s, "corrupt PNG (unknown critical chunk)");
            break;
        }
    }
}

// A copy for stb_image: header, palette filled up with black to 256 entries, pixels, end. Dropping the rest
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
            length = CHUNK_OVERHEAD + FULL_PALETTE; // the checksum is zero; stb does not look
        }
        used += length;
    }
    *size = used;
    return copy;
}

bool picture_png_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct picture_source essential = *s;
    uint8_t *copy = essential_copy(s, &essential.size);
    if (!copy)
        return picture_fail(s, "not enough memory to decode it");
    essential.data = copy;
    // The largest buffer of an honest file: 16-bit RGBA with its filter bytes, more when interlaced;
    // inflating doubles its buffer as it grows, and so does joining the chunks.
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    uint64_t limit = pixels * 16 + (uint64_t)layout->height * 16 + (uint64_t)s->size * 2 + (1 << 16);
    bool ok = picture_stb_decode(&essential, layout, "PNG", limit, out);
    free(copy);
    return ok;
}

// Skips a chain of GIF's data blocks up to its terminator; false when the data ends first.
static bool skip_blocks(const struct picture_source *s, size_t *at) {
    while (*at < s->size) {
        size_t length = s->data[*at];
        *at += 1 + length;
        if (length == 0)
            return true;
    }
    return false;
}

bool picture_gif_layout(const struct picture_source *s, struct picture_layout *out) {
    enum { SCREEN_BYTES = 13, FRAME_BYTES = 10 };
    if (s->size < SCREEN_BYTES)
        return picture_fail_truncated(s, "GIF", "it ends within its header");
    if (!picture_check_size(s, picture_le16(s->data + 6), picture_le16(s->data + 8), out))
        return false;
    // stb_image takes nine bytes a pixel, and a GIF's canvas costs its maker nothing.
    if ((uint64_t)out->width * (uint64_t)out->height > s->limits.max_pixels / 4)
        return picture_fail(s, "%dx%d pixels is too large for a GIF; convert it to PNG", out->width, out->height);
    size_t at = SCREEN_BYTES;
    if (s->data[10] & 0x80)
        at += (size_t)6 << (s->data[10] & 7);
    for (;;) {
        if (at >= s->size)
            return picture_fail_truncated(s, "GIF", "no picture in it");
        int kind = s->data[at];
        if (kind == 0x21) { // extension: a label, then blocks
            at += 2;
        } else if (kind == 0x2c) { // the first frame
            if (s->size - at < FRAME_BYTES)
                return picture_fail_truncated(s, "GIF", "it ends within its header");
            int flags = s->data[at + 9];
            at += FRAME_BYTES + (flags & 0x80 ? (size_t)6 << (flags & 7) : 0) + 1;
        } else {
            return picture_fail(s, "corrupt GIF (%s)", kind == 0x3b ? "no picture in it" : "unknown block");
        }
        if (at > s->size || !skip_blocks(s, &at) || at > s->size)
            return picture_fail_truncated(s, "GIF", "it ends within its first picture");
        if (kind == 0x2c)
            return true;
    }
}

bool picture_gif_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    return picture_stb_decode(s, layout, "GIF", pixels * 4 + (1 << 18), out);
}
