// gif.c - GIF, the first frame, as Pillow shows it: a transparent pixel keeps its palette's colour, what the frame does
// not cover has the transparent colour (else colour 0), and a frame that leaves the canvas enlarges it.
#include "picture/internal.h"

#include <string.h>

enum {
    SCREEN_BYTES = 13,
    FRAME_BYTES = 10,
    BLOCK_EXTENSION = 0x21,
    BLOCK_FRAME = 0x2c,
    BLOCK_END = 0x3b,
    LABEL_GRAPHIC_CONTROL = 0xf9,
    MAX_CODES = 4096 // of 12 bits
};

struct gif {
    int64_t left, top, frame_width, frame_height;
    bool interlaced;
    const uint8_t *palette; // colors times 3 bytes; NULL: pixels are grey levels
    size_t colors;
    int fill;      // the colour around the frame
    size_t pixels; // offset of the first data block
    int code_bits; // LZW's least
};

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

static void use_palette(const struct picture_source *s, size_t at, int flags, struct gif *g) {
    g->palette = flags & 0x80 ? s->data + at : NULL;
    g->colors = g->palette ? (size_t)2 << (flags & 7) : 0;
    bool ramp = true; // a table that says nothing but "grey" is none, for Pillow
    for (size_t i = 0; ramp && i < g->colors * 3; ++i)
        ramp = g->palette[i] == i / 3;
    if (ramp)
        g->palette = NULL;
}

static size_t palette_bytes(int flags) { return flags & 0x80 ? (size_t)6 << (flags & 7) : 0; }

// The frame's header at `at`, a comma.
static bool read_frame(const struct picture_source *s, size_t at, struct gif *g) {
    if (s->size - at < FRAME_BYTES)
        return picture_fail_truncated(s, "GIF", "it ends within its header");
    const uint8_t *p = s->data + at;
    int flags = p[9];
    g->left = picture_le16(p + 1);
    g->top = picture_le16(p + 3);
    g->frame_width = picture_le16(p + 5);
    g->frame_height = picture_le16(p + 7);
    g->interlaced = (flags & 0x40) != 0;
    g->pixels = at + FRAME_BYTES + palette_bytes(flags) + 1;
    if (g->pixels > s->size)
        return picture_fail_truncated(s, "GIF", "it ends within its header");
    if (flags & 0x80)
        use_palette(s, at + FRAME_BYTES, flags, g);
    g->code_bits = s->data[g->pixels - 1];
    if (g->code_bits < 1 || g->code_bits > 11)
        return picture_fail(s, "corrupt GIF (codes of %d bits)", g->code_bits);
    return true;
}

static bool read_gif(const struct picture_source *s, struct gif *g, struct picture_layout *layout) {
    memset(g, 0, sizeof(*g));
    if (s->size < SCREEN_BYTES)
        return picture_fail_truncated(s, "GIF", "it ends within its header");
    int64_t width = picture_le16(s->data + 6), height = picture_le16(s->data + 8);
    int flags = s->data[10];
    size_t at = SCREEN_BYTES + palette_bytes(flags);
    if (at <= s->size)
        use_palette(s, SCREEN_BYTES, flags, g);
    for (;;) {
        if (at >= s->size)
            return picture_fail_truncated(s, "GIF", "no picture in it");
        int kind = s->data[at];
        if (kind == BLOCK_FRAME)
            break;
        if (kind == BLOCK_END)
            return picture_fail(s, "corrupt GIF (no picture in it)");
        if (kind != BLOCK_EXTENSION) { // stray bytes are passed over, as by Pillow
            ++at;
            continue;
        }
        const uint8_t *body = s->data + at + 2; // its length, then flags, delay, transparent colour
        if (s->size - at >= 7 && body[-1] == LABEL_GRAPHIC_CONTROL && body[0] >= 4 && (body[1] & 1))
            g->fill = body[4];
        at += 2;
        if (at > s->size || !skip_blocks(s, &at) || at > s->size)
            return picture_fail_truncated(s, "GIF", "it ends before its first picture");
    }
    if (!read_frame(s, at, g))
        return false;
    width = width > g->left + g->frame_width ? width : g->left + g->frame_width;
    height = height > g->top + g->frame_height ? height : g->top + g->frame_height;
    if (!picture_check_size(s, width, height, layout))
        return false;
    // A canvas costs a GIF's maker nothing, so it may be large only where a picture of that size would be.
    if ((uint64_t)width * (uint64_t)height > s->limits.max_pixels / 4)
        return picture_fail(s, "%dx%d pixels is too large for a GIF; convert it to PNG", (int)width, (int)height);
    return true;
}

bool picture_gif_layout(const struct picture_source *s, struct picture_layout *out) {
    struct gif g;
    if (!read_gif(s, &g, out))
        return false;
    size_t at = g.pixels;
    if (!skip_blocks(s, &at) || at > s->size)
        return picture_fail_truncated(s, "GIF", "it ends within its first picture");
    return true;
}

// The codes of a chain of data blocks, lowest bits first.
struct code_reader {
    const uint8_t *data;
    size_t size, at, block_left;
    uint32_t bits;
    int num_bits;
};

// -1 at the end of the chain.
static int next_code(struct code_reader *r, int bits) {
    while (r->num_bits < bits) {
        if (r->block_left == 0) {
            if (r->at >= r->size || r->data[r->at] == 0)
                return -1;
            r->block_left = r->data[r->at++];
        }
        if (r->at >= r->size)
            return -1;
        r->bits |= (uint32_t)r->data[r->at++] << r->num_bits;
        r->num_bits += 8;
        --r->block_left;
    }
    int code = (int)(r->bits & ((1U << bits) - 1));
    r->bits >>= bits;
    r->num_bits -= bits;
    return code;
}

// Where the frame's next pixel goes.
struct cursor {
    const struct gif *gif;
    struct picture *out;
    uint8_t colors[256][3];
    int64_t x, y;
    int pass;
    uint64_t left; // pixels
};

static void next_row(struct cursor *c) {
    static const int first[4] = {0, 4, 2, 1}, step[4] = {8, 8, 4, 2};
    c->x = 0;
    c->y += c->gif->interlaced ? step[c->pass] : 1;
    while (c->gif->interlaced && c->y >= c->gif->frame_height && c->pass < 3)
        c->y = first[++c->pass];
}

static void put(struct cursor *c, uint8_t index) {
    if (c->left == 0) // codes beyond the last pixel mean nothing
        return;
    --c->left;
    size_t pixel = (size_t)(c->gif->top + c->y) * (size_t)c->out->width + (size_t)(c->gif->left + c->x);
    memcpy(c->out->rgba + pixel * 4, c->colors[index], 3);
    if (++c->x == c->gif->frame_width)
        next_row(c);
}

static bool decode_frame(const struct picture_source *s, struct cursor *c) {
    const int clear = 1 << c->gif->code_bits, end = clear + 1;
    struct code_reader r = {.data = s->data, .size = s->size, .at = c->gif->pixels};
    uint16_t prefix[MAX_CODES]; // of the string that a code stands for, all but its last
    uint8_t last[MAX_CODES], string[MAX_CODES];
    int bits = c->gif->code_bits + 1, next = end + 1, before = -1;
    uint8_t begin = 0; // the first of the string before
    while (c->left > 0) {
        int code = next_code(&r, bits);
        if (code < 0 || code == end)
            return picture_fail_truncated(s, "GIF", "pixels missing");
        if (code == clear) {
            bits = c->gif->code_bits + 1;
            next = end + 1;
            before = -1;
            continue;
        }
        if (before < 0 ? code > clear : code > next)
            return picture_fail(s, "corrupt GIF (code %d of %d)", code, next);
        int length = 0, from = code;
        if (code == next) { // the string before and its own first
            string[length++] = begin;
            from = before;
        }
        for (; from > end; from = prefix[from])
            string[length++] = last[from];
        string[length++] = begin = (uint8_t)from;
        if (before >= 0 && next < MAX_CODES) {
            prefix[next] = (uint16_t)before;
            last[next++] = begin;
            if (next == 1 << bits && bits < 12)
                ++bits;
        }
        before = code;
        while (length > 0)
            put(c, string[--length]);
    }
    return true;
}

bool picture_gif_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct gif g;
    struct picture_layout same;
    if (!read_gif(s, &g, &same) || !picture_allocate(s, layout, out))
        return false;
    struct cursor c = {.gif = &g, .out = out, .left = (uint64_t)g.frame_width * (uint64_t)g.frame_height};
    for (size_t i = 0; i < 256; ++i)
        if (!g.palette)
            memset(c.colors[i], (int)i, 3);
        else if (i < g.colors)
            memcpy(c.colors[i], g.palette + i * 3, 3);
    size_t pixels = (size_t)out->width * (size_t)out->height;
    for (size_t i = 0; i < pixels; ++i) {
        memcpy(out->rgba + i * 4, c.colors[g.fill], 3);
        out->rgba[i * 4 + 3] = 255;
    }
    return decode_frame(s, &c);
}
