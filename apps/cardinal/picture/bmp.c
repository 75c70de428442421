// bmp.c - BMP, uncompressed and run-length coded (4 and 8 bits), strictly: every byte read is checked to be there.
#include "picture/internal.h"

#include <string.h>

enum {
    FILE_HEADER_BYTES = 14,
    COMPRESSION_NONE = 0,
    COMPRESSION_RLE8 = 1,
    COMPRESSION_RLE4 = 2,
    COMPRESSION_BITFIELDS = 3,
    COMPRESSION_ALPHA_BITFIELDS = 6
};

struct bmp {
    int64_t width, height; // height > 0
    bool top_down, runs;   // runs: RLE4, RLE8
    int bits;              // per pixel: 1, 4, 8, 16, 24, 32
    uint64_t pixels;       // offset of the first stored row
    uint64_t row_bytes;    // with padding to 4
    uint32_t mask[3];      // red, green, blue, of 16- and 32-bit pixels
    uint8_t palette[256][3];
};

static void read_palette(const struct picture_source *s, uint64_t at, uint64_t colors, size_t entry_bytes,
                         struct bmp *b) {
    uint64_t most = (uint64_t)1 << b->bits;
    if (colors == 0 || colors > most)
        colors = most;
    for (uint64_t i = 0; i < colors && at + 3 <= s->size && at + 3 <= b->pixels; ++i, at += entry_bytes)
        for (int c = 0; c < 3; ++c)
            b->palette[i][c] = s->data[at + 2 - (uint64_t)c]; // stored blue first
}

static bool read_masks(const struct picture_source *s, uint32_t compression, struct bmp *b) {
    static const uint32_t rgb555[3] = {0x7c00, 0x03e0, 0x001f}, rgb888[3] = {0xff0000, 0x00ff00, 0x0000ff};
    memcpy(b->mask, b->bits == 16 ? rgb555 : rgb888, sizeof(b->mask));
    if (compression == COMPRESSION_NONE || b->runs)
        return true;
    // The masks follow the first 40 header bytes, inside longer headers or after a 40-byte one.
    for (int c = 0; c < 3; ++c) {
        b->mask[c] = picture_le32(s->data + FILE_HEADER_BYTES + 40 + 4 * c);
        if (b->mask[c] == 0)
            return picture_fail(s, "corrupt BMP (colour masks)");
    }
    return true;
}

static bool read_bmp(const struct picture_source *s, struct bmp *b) {
    memset(b, 0, sizeof(*b));
    if (s->size < FILE_HEADER_BYTES + 12)
        return picture_fail_truncated(s, "BMP", "it ends within its header");
    const uint8_t *h = s->data + FILE_HEADER_BYTES;
    uint32_t header = picture_le32(h), compression = COMPRESSION_NONE, colors = 0;
    bool old = header == 12;
    if (!old && (header < 40 || header > 256))
        return picture_fail(s, "corrupt BMP (header of %lu bytes)", (unsigned long)header);
    if (s->size < (uint64_t)FILE_HEADER_BYTES + header)
        return picture_fail_truncated(s, "BMP", "it ends within its header");
    b->width = old ? (int64_t)picture_le16(h + 4) : (int64_t)(int32_t)picture_le32(h + 4);
    b->height = old ? (int64_t)picture_le16(h + 6) : (int64_t)(int32_t)picture_le32(h + 8);
    b->top_down = b->height < 0;
    b->height = b->top_down ? -b->height : b->height;
    b->bits = (int)picture_le16(old ? h + 10 : h + 14);
    b->pixels = picture_le32(s->data + 10);
    if (!old) {
        compression = picture_le32(h + 16);
        colors = picture_le32(h + 32);
    }
    bool masked = (compression == COMPRESSION_BITFIELDS || compression == COMPRESSION_ALPHA_BITFIELDS) &&
                  (b->bits == 16 || b->bits == 32);
    b->runs = (compression == COMPRESSION_RLE8 && b->bits == 8) || (compression == COMPRESSION_RLE4 && b->bits == 4);
    if (compression != COMPRESSION_NONE && !masked && !b->runs)
        return picture_fail(s, "a BMP of compression %lu and %d bits a pixel is not supported; convert it to PNG",
                            (unsigned long)compression, b->bits);
    if (b->runs && b->top_down)
        return picture_fail(s, "corrupt BMP (runs from the top down)");
    if (b->bits != 1 && b->bits != 4 && b->bits != 8 && b->bits != 16 && b->bits != 24 && b->bits != 32)
        return picture_fail(s, "a BMP of %d bits a pixel is not supported; convert it to PNG", b->bits);
    if (masked && s->size < FILE_HEADER_BYTES + 40 + 12)
        return picture_fail_truncated(s, "BMP", "it ends within its header");
    if (!read_masks(s, compression, b))
        return false;
    uint64_t palette_at = FILE_HEADER_BYTES + (uint64_t)header;
    if (b->pixels < palette_at)
        return picture_fail(s, "corrupt BMP (pixels inside the header)");
    if (b->bits <= 8)
        read_palette(s, palette_at, colors, old ? 3 : 4, b);
    return true;
}

// Walks the runs. rgba: where the pixels go; NULL: only counts the pixels that the file tells or passes over, for the
// file to be whole or not. In the end, or where a run steps beyond the last row, the rest stays colour 0.
static bool read_runs(const struct picture_source *s, const struct bmp *b, uint8_t *rgba) {
    uint64_t at = b->pixels;
    int64_t x = 0, y = 0;
    while (y < b->height && !(y == b->height - 1 && x >= b->width)) {
        if (at + 2 > s->size)
            return picture_fail_truncated(s, "BMP", "pixels missing");
        int count = s->data[at], value = s->data[at + 1];
        at += 2;
        bool literal = count == 0;
        if (literal && value == 0) { // the end of the row
            x = 0;
            ++y;
            continue;
        }
        if (literal && value == 1) // the end of the picture
            break;
        if (literal && value == 2) { // a step to the right and up
            if (at + 2 > s->size)
                return picture_fail_truncated(s, "BMP", "pixels missing");
            x += s->data[at];
            y += s->data[at + 1];
            at += 2;
            continue;
        }
        uint64_t from = at;
        if (literal) { // so many pixels as they are, up to a whole number of 16-bit words
            count = value;
            uint64_t bytes = b->bits == 8 ? (uint64_t)count : ((uint64_t)count + 1) / 2;
            at += (bytes + 1) / 2 * 2;
            if (from + bytes > s->size)
                return picture_fail_truncated(s, "BMP", "pixels missing");
        }
        for (int i = 0; i < count && x < b->width; ++i, ++x) { // what leaves the row is dropped
            int index = value;
            if (literal)
                index = s->data[from + (uint64_t)(b->bits == 8 ? i : i / 2)];
            if (b->bits == 4)
                index = i % 2 == 0 ? index >> 4 : index & 15;
            if (rgba)
                memcpy(rgba + (size_t)((b->height - 1 - y) * b->width + x) * 4, b->palette[index], 3);
        }
    }
    return true;
}

bool picture_bmp_layout(const struct picture_source *s, struct picture_layout *out) {
    struct bmp b;
    if (!read_bmp(s, &b) || !picture_check_size(s, b.width, b.height, out))
        return false;
    if (b.runs) {
        // The longest step: 255 rows by four bytes.
        if ((uint64_t)b.height / 255 * 4 > s->size)
            return picture_fail_truncated(s, "BMP", "too few bytes for its size");
        return read_runs(s, &b, NULL);
    }
    uint64_t row_bits = (uint64_t)b.width * (uint64_t)b.bits;
    b.row_bytes = (row_bits + 31) / 32 * 4;
    uint64_t last_row = (row_bits + 7) / 8; // its padding may be missing
    if (b.pixels + b.row_bytes * (uint64_t)(b.height - 1) + last_row > s->size)
        return picture_fail_truncated(s, "BMP", "pixels missing");
    return true;
}

// The field's value scaled to 0..255, as Pillow scales: truncating.
static uint8_t field(uint32_t pixel, uint32_t mask) {
    uint32_t shift = 0;
    while ((mask >> shift & 1) == 0)
        ++shift;
    return (uint8_t)((uint64_t)(pixel & mask) / ((uint64_t)1 << shift) * 255 / (mask >> shift));
}

static void convert_row(const struct bmp *b, const uint8_t *row, uint8_t *rgba) {
    int per_byte = b->bits < 8 ? 8 / b->bits : 1;
    for (int64_t x = 0; x < b->width; ++x, rgba += 4) {
        rgba[3] = 255;
        if (b->bits <= 8) {
            int shift = 8 - b->bits * (int)(x % per_byte + 1);
            memcpy(rgba, b->palette[row[x / per_byte] >> shift & ((1 << b->bits) - 1)], 3);
        } else if (b->bits == 24) {
            for (int c = 0; c < 3; ++c)
                rgba[c] = row[x * 3 + 2 - c];
        } else {
            uint32_t pixel = b->bits == 16 ? picture_le16(row + x * 2) : picture_le32(row + x * 4);
            for (int c = 0; c < 3; ++c)
                rgba[c] = field(pixel, b->mask[c]);
        }
    }
}

bool picture_bmp_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct bmp b;
    if (!read_bmp(s, &b) || !picture_allocate(s, layout, out))
        return false;
    if (b.runs) {
        for (int64_t i = 0; i < b.width * b.height; ++i) {
            memcpy(out->rgba + i * 4, b.palette[0], 3);
            out->rgba[i * 4 + 3] = 255;
        }
        return read_runs(s, &b, out->rgba);
    }
    b.row_bytes = ((uint64_t)b.width * (uint64_t)b.bits + 31) / 32 * 4;
    for (int64_t y = 0; y < b.height; ++y) {
        int64_t stored = b.top_down ? y : b.height - 1 - y;
        convert_row(&b, s->data + b.pixels + b.row_bytes * (uint64_t)stored,
                    out->rgba + (size_t)y * (size_t)b.width * 4);
    }
    return true;
}
