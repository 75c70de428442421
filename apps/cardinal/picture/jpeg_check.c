// jpeg_check.c - for builds without libjpeg: is all of a JPEG's coded data there? stb_image fills up with grey, without
// a word, what is missing or ill coded. This walks the Huffman codes of every scan, baseline and progressive (ITU-T
// T.81, annexes F and G), and keeps no coefficient's value; only, for refinements, which ones are not zero.
#include "picture/internal.h"

#ifndef CARDINAL_HAVE_JPEG

#include <stdlib.h>
#include <string.h>

#define ADVICE \
    "; copy or download it again, or build with libjpeg-turbo (libjpeg62-turbo-dev), which reads more of them"

struct huffman {
    bool defined;
    uint32_t limit[17]; // codes of up to that length, as 16 bits from the left, are below
    int first[17];      // what to add to a code of that length for its place in symbols
    uint8_t symbols[256];
};

struct component {
    int id, h, v;
    int64_t columns, rows;   // of blocks in a scan of its own
    int64_t padded_columns;  // of blocks in a scan of all
    struct huffman *dc, *ac; // of the scan under way
    uint64_t *nonzero;       // a progressive file's: a bit a coefficient, [rows padded][padded_columns]
    bool seen;
};

struct walk {
    const struct picture_source *s;
    size_t at;
    bool progressive;
    struct component components[4];
    int num_components, h_max, v_max;
    int64_t mcu_columns, mcu_rows;
    struct huffman tables[2][4]; // DC, AC
    uint32_t restart_interval;
    int scans;
    // The scan under way
    struct component *scanned[4];
    int num_scanned, from, to, refines; // coefficients from..to
    uint32_t end_of_band;               // blocks that have nothing more in this band
    uint32_t bits;                      // the next ones, from the left
    int num_bits;
    const char *problem;
};

static bool fail(struct walk *w, const char *problem) {
    if (!w->problem)
        w->problem = problem;
    return false;
}

static void fill(struct walk *w) {
    const uint8_t *d = w->s->data;
    while (w->num_bits <= 24 && w->at < w->s->size) {
        if (d[w->at] == 0xff && (w->at + 1 >= w->s->size || d[w->at + 1] != 0))
            return; // a marker
        w->bits |= (uint32_t)d[w->at] << (24 - w->num_bits);
        w->num_bits += 8;
        w->at += d[w->at] == 0xff ? 2 : 1;
    }
}

static bool take(struct walk *w, int count, uint32_t *value) {
    fill(w);
    if (count > w->num_bits)
        return fail(w, "coded data missing");
    *value = count ? w->bits >> (32 - count) : 0;
    w->bits = count ? w->bits << count : w->bits;
    w->num_bits -= count;
    return true;
}

static bool skip(struct walk *w, int count) {
    uint32_t ignored;
    return take(w, count, &ignored);
}

static bool symbol(struct walk *w, const struct huffman *table, int *out) {
    if (!table || !table->defined)
        return fail(w, "Huffman table missing");
    fill(w);
    uint32_t peek = w->bits >> 16, code;
    int length = 1;
    while (length <= 16 && peek >= table->limit[length])
        ++length;
    if (length > 16)
        return fail(w, w->num_bits < 16 ? "coded data missing" : "bad Huffman code");
    if (!take(w, length, &code))
        return false;
    *out = table->symbols[(int)code + table->first[length]];
    return true;
}

// body: behind a DHT segment's length. stb_image before 2.28 writes beyond its tables when one has more than 256 codes.
static bool read_tables(struct walk *w, const uint8_t *body, size_t length) {
    enum { COUNTS = 16, MAX_CODES = 256 };
    while (length > 0) {
        if (length < 1 + COUNTS || body[0] >> 4 > 1 || (body[0] & 15) > 3)
            return fail(w, "Huffman table");
        struct huffman *table = &w->tables[body[0] >> 4][body[0] & 15];
        size_t codes = 0;
        uint32_t code = 0;
        for (int i = 1; i <= COUNTS; ++i) {
            table->first[i] = (int)codes - (int)code;
            code += body[i];
            codes += body[i];
            if (code > 1U << i || codes > MAX_CODES)
                return fail(w, "Huffman table");
            table->limit[i] = code << (16 - i);
            code <<= 1;
        }
        if (length < 1 + COUNTS + codes)
            return fail(w, "Huffman table");
        memcpy(table->symbols, body + 1 + COUNTS, codes);
        table->defined = true;
        body += 1 + COUNTS + codes;
        length -= 1 + COUNTS + codes;
    }
    return true;
}

// The header was checked by picture_jpeg_layout.
static bool read_frame(struct walk *w, int marker, const uint8_t *body) {
    int64_t height = picture_be16(body + 1), width = picture_be16(body + 3);
    if (marker > 0xc2)
        return fail(w, "arithmetic or lossless coding");
    w->progressive = marker == 0xc2;
    w->num_components = body[5];
    for (int c = 0; c < w->num_components; ++c) {
        struct component *one = &w->components[c];
        one->id = body[6 + 3 * c];
        one->h = body[7 + 3 * c] >> 4;
        one->v = body[7 + 3 * c] & 15;
        w->h_max = one->h > w->h_max ? one->h : w->h_max;
        w->v_max = one->v > w->v_max ? one->v : w->v_max;
    }
    w->mcu_columns = (width + 8 * w->h_max - 1) / (8 * w->h_max);
    w->mcu_rows = (height + 8 * w->v_max - 1) / (8 * w->v_max);
    for (int c = 0; c < w->num_components; ++c) {
        struct component *one = &w->components[c];
        one->columns = ((width * one->h + w->h_max - 1) / w->h_max + 7) / 8;
        one->rows = ((height * one->v + w->v_max - 1) / w->v_max + 7) / 8;
        one->padded_columns = w->mcu_columns * one->h;
        if (w->progressive) {
            one->nonzero = calloc((size_t)(w->mcu_rows * one->v * one->padded_columns), sizeof(uint64_t));
            if (!one->nonzero)
                return fail(w, "not enough memory");
        }
    }
    return true;
}

static bool sequential_block(struct walk *w, const struct component *c) {
    int size = 0, code = 0;
    if (!symbol(w, c->dc, &size) || !skip(w, size & 15))
        return false;
    for (int k = 1; k < 64; ++k) {
        if (!symbol(w, c->ac, &code) || !skip(w, code & 15))
            return false;
        if ((code & 15) == 0 && code >> 4 != 15)
            return true;
        k += code >> 4;
        if (k > 63)
            return fail(w, "too many coefficients");
    }
    return true;
}

static bool dc_block(struct walk *w, const struct component *c) {
    int size = 0;
    if (w->refines)
        return skip(w, 1);
    return symbol(w, c->dc, &size) && skip(w, size & 15);
}

// run: of 2^run blocks and as many more as that many bits tell, this one is the first.
static bool begin_end_of_band(struct walk *w, int run) {
    uint32_t more;
    if (!take(w, run, &more))
        return false;
    w->end_of_band = (1U << run) + more;
    return true;
}

static bool first_band_block(struct walk *w, const struct component *c, uint64_t *nonzero) {
    if (w->end_of_band > 0) {
        --w->end_of_band;
        return true;
    }
    for (int k = w->from; k <= w->to; ++k) {
        int code = 0, run, size;
        if (!symbol(w, c->ac, &code))
            return false;
        run = code >> 4;
        size = code & 15;
        if (size == 0 && run < 15)
            return begin_end_of_band(w, run) && (--w->end_of_band, true);
        k += run;
        if (k > w->to)
            return fail(w, "too many coefficients");
        if (!skip(w, size))
            return false;
        if (size > 0)
            *nonzero |= (uint64_t)1 << k;
    }
    return true;
}

static bool refining_band_block(struct walk *w, const struct component *c, uint64_t *nonzero) {
    int k = w->from;
    while (w->end_of_band == 0 && k <= w->to) {
        int code = 0, run, size;
        if (!symbol(w, c->ac, &code))
            return false;
        run = code >> 4;
        size = code & 15;
        if (size > 1)
            return fail(w, "a refinement of more than a bit");
        if (size == 0 && run < 15) {
            if (!begin_end_of_band(w, run))
                return false;
            break;
        }
        if (!skip(w, size)) // the sign of a new one
            return false;
        for (; k <= w->to; ++k) // over `run` zeros; those that are not get a bit each
            if (*nonzero >> k & 1) {
                if (!skip(w, 1))
                    return false;
            } else if (run-- == 0) {
                break;
            }
        if (size && k > w->to)
            return fail(w, "too many coefficients");
        if (size)
            *nonzero |= (uint64_t)1 << k;
        ++k;
    }
    if (w->end_of_band == 0)
        return true;
    for (; k <= w->to; ++k)
        if ((*nonzero >> k & 1) && !skip(w, 1))
            return false;
    --w->end_of_band;
    return true;
}

static bool block(struct walk *w, struct component *c, int64_t row, int64_t column) {
    if (!w->progressive)
        return sequential_block(w, c);
    if (w->from == 0)
        return dc_block(w, c);
    uint64_t *nonzero = &c->nonzero[row * c->padded_columns + column];
    return w->refines ? refining_band_block(w, c, nonzero) : first_band_block(w, c, nonzero);
}

// stb_image finds a restart marker only right behind the data.
static bool restart(struct walk *w, uint32_t number) {
    fill(w);
    if (w->num_bits >= 8)
        return fail(w, "restart marker missing");
    while (w->at + 1 < w->s->size && w->s->data[w->at] == 0xff && w->s->data[w->at + 1] == 0xff)
        ++w->at;
    if (w->at + 1 >= w->s->size || w->s->data[w->at] != 0xff || w->s->data[w->at + 1] != 0xd0 + number % 8)
        return fail(w, "restart marker missing");
    w->at += 2;
    w->bits = 0;
    w->num_bits = 0;
    w->end_of_band = 0;
    return true;
}

static bool mcu(struct walk *w, int64_t row, int64_t column) {
    if (w->num_scanned == 1)
        return block(w, w->scanned[0], row, column);
    for (int c = 0; c < w->num_scanned; ++c) {
        struct component *one = w->scanned[c];
        for (int v = 0; v < one->v; ++v)
            for (int h = 0; h < one->h; ++h)
                if (!block(w, one, row * one->v + v, column * one->h + h))
                    return false;
    }
    return true;
}

static bool scan_header(struct walk *w, const uint8_t *body, size_t length) {
    if (++w->scans > PICTURE_JPEG_MAX_SCANS)
        return fail(w, "more than 100 scans");
    w->num_scanned = length > 0 ? body[0] : 0;
    if (w->num_scanned < 1 || w->num_scanned > w->num_components || length < 4 + 2 * (size_t)w->num_scanned)
        return fail(w, "scan header");
    for (int i = 0; i < w->num_scanned; ++i) {
        int tables = body[2 + 2 * i];
        w->scanned[i] = NULL;
        for (int c = 0; c < w->num_components; ++c)
            if (w->components[c].id == body[1 + 2 * i])
                w->scanned[i] = &w->components[c];
        if (!w->scanned[i] || tables >> 4 > 3 || (tables & 15) > 3)
            return fail(w, "scan header");
        w->scanned[i]->dc = &w->tables[0][tables >> 4];
        w->scanned[i]->ac = &w->tables[1][tables & 15];
    }
    const uint8_t *band = body + 1 + 2 * w->num_scanned;
    w->from = band[0];
    w->to = band[1];
    w->refines = band[2] >> 4;
    if (w->progressive &&
        (w->from > w->to || w->to > 63 || (w->from == 0 && w->to != 0) || (w->from > 0 && w->num_scanned > 1)))
        return fail(w, "scan header");
    return true;
}

// at: behind the scan's header.
static bool walk_scan(struct walk *w) {
    bool alone = w->num_scanned == 1;
    int64_t columns = alone ? w->scanned[0]->columns : w->mcu_columns;
    int64_t rows = alone ? w->scanned[0]->rows : w->mcu_rows;
    uint32_t left = w->restart_interval, restarts = 0;
    w->bits = 0;
    w->num_bits = 0;
    w->end_of_band = 0;
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < columns; ++column) {
            if (w->restart_interval > 0 && left-- == 0) {
                if (!restart(w, restarts++))
                    return false;
                left = w->restart_interval - 1;
            }
            if (!mcu(w, row, column))
                return false;
        }
    for (int c = 0; c < w->num_scanned; ++c)
        w->scanned[c]->seen = w->scanned[c]->seen || !w->progressive || w->from == 0;
    return true;
}

static bool walk_segments(struct walk *w) {
    for (;;) {
        int marker = picture_jpeg_next_marker(w->s, &w->at);
        if (marker == 0xd9)
            break;
        if ((marker >= 0xd0 && marker <= 0xd8) || marker == 0x01)
            continue;
        const uint8_t *p = w->s->data + w->at;
        size_t length = marker >= 0 && w->s->size - w->at >= 2 ? picture_be16(p) : 0;
        if (length < 2 || length > w->s->size - w->at)
            return fail(w, "no end marker");
        w->at += length;
        bool ok = true;
        if (marker == 0xc4) {
            ok = read_tables(w, p + 2, length - 2);
        } else if (marker == 0xdd) {
            w->restart_interval = length >= 4 ? picture_be16(p + 2) : 0;
        } else if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc) {
            ok = w->num_components == 0 ? read_frame(w, marker, p + 2) : fail(w, "two frame headers");
        } else if (marker == 0xda) {
            ok = scan_header(w, p + 2, length - 2) && walk_scan(w);
        }
        if (!ok)
            return false;
    }
    for (int c = 0; c < w->num_components; ++c)
        if (!w->components[c].seen)
            return fail(w, "a scan missing");
    return true;
}

bool picture_jpeg_check(const struct picture_source *s) {
    struct walk *w = calloc(1, sizeof(*w));
    if (!w)
        return picture_fail(s, "not enough memory to decode it");
    w->s = s;
    w->at = 2;
    bool ok = walk_segments(w);
    if (!ok)
        picture_fail(s, "damaged, truncated or unusual JPEG (%s)" ADVICE, w->problem);
    for (int c = 0; c < 4; ++c)
        free(w->components[c].nonzero);
    free(w);
    return ok;
}

#endif
