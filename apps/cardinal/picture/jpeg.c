// jpeg.c - JPEG: a walk over the markers for size and EXIF, then libjpeg-turbo with Pillow's
// settings, or stb_image where the build has no libjpeg.
//
// Which damaged files are refused: as in Pillow, one that ends before its last pixel; a baseline
// file that lacks only the end marker passes, a progressive one does not. Beyond Pillow, one whose
// coded data is damaged or stops early is refused too, rather than classified half grey.
#include "picture/internal.h"

#include <stdlib.h>
#include <string.h>

enum marker {
    MARKER_SOF0 = 0xc0,
    MARKER_DHT = 0xc4,
    MARKER_JPG = 0xc8,
    MARKER_SOF9 = 0xc9, // SOF9 and up are arithmetic coded
    MARKER_DAC = 0xcc,
    MARKER_SOF15 = 0xcf,
    MARKER_RST0 = 0xd0,
    MARKER_RST7 = 0xd7,
    MARKER_SOI = 0xd8,
    MARKER_EOI = 0xd9,
    MARKER_SOS = 0xda,
    MARKER_APP0 = 0xe0,
    MARKER_APP1 = 0xe1,
    MARKER_APP14 = 0xee,
    MARKER_TEM = 0x01
};

static bool is_frame(int marker) {
    return marker >= MARKER_SOF0 && marker <= MARKER_SOF15 && marker != MARKER_DHT && marker != MARKER_JPG &&
           marker != MARKER_DAC;
}

// The next marker at or after *at, which then points behind it; -1 at the end of the data.
int picture_jpeg_next_marker(const struct picture_source *s, size_t *at) {
    size_t i = *at;
    while (i < s->size) {
        const uint8_t *ff = memchr(s->data + i, 0xff, s->size - i);
        if (!ff)
            break;
        i = (size_t)(ff - s->data) + 1;
        while (i < s->size && s->data[i] == 0xff)
            ++i;
        if (i < s->size && s->data[i] != 0) { // 0xff00 is a data byte
            *at = i + 1;
            return s->data[i];
        }
    }
    *at = s->size;
    return -1;
}

// body: behind the segment's length. A Huffman-coded picture spends at least one bit on each 8x8
// block, so a header that promises more blocks than the file has bits is refused before its
// pixels, up to a gigabyte, are allocated.
static bool read_frame(const struct picture_source *s, int marker, const uint8_t *body, size_t length,
                       struct picture_layout *out) {
    if (length < 6 || length < 6 + (size_t)body[5] * 3)
        return picture_fail(s, "corrupt JPEG (short frame header)");
    int64_t height = picture_be16(body + 1), width = picture_be16(body + 3);
    int components = body[5];
    if (!picture_check_size(s, width, height, out))
        return false;
    if (components != 1 && components != 3 && components != 4)
        return picture_fail(s, "a JPEG of %d channels is not supported; convert it to PNG", components);
    int h_max = 1, v_max = 1;
    for (int c = 0; c < components; ++c) {
        int h = body[7 + 3 * c] >> 4, v = body[7 + 3 * c] & 15;
        if (h < 1 || h > 4 || v < 1 || v > 4)
            return picture_fail(s, "corrupt JPEG (sampling factors)");
        h_max = h > h_max ? h : h_max;
        v_max = v > v_max ? v : v_max;
    }
    uint64_t blocks = 0;
    for (int c = 0; c < components; ++c) {
        int h = body[7 + 3 * c] >> 4, v = body[7 + 3 * c] & 15;
        blocks += (uint64_t)(width * h / (8 * h_max)) * (uint64_t)(height * v / (8 * v_max));
    }
    if (marker < MARKER_SOF9 && blocks / 8 > s->size)
        return picture_fail_truncated(s, "JPEG", "too few bytes for its size");
    return true;
}

bool picture_jpeg_layout(const struct picture_source *s, struct picture_layout *out) {
    static const uint8_t exif_prefix[6] = {'E', 'x', 'i', 'f', 0, 0};
    size_t at = 2; // behind SOI
    bool framed = false;
    for (;;) {
        int marker = picture_jpeg_next_marker(s, &at);
        if (marker < 0)
            return picture_fail_truncated(s, "JPEG", "it ends within its header");
        if ((marker >= MARKER_RST0 && marker <= MARKER_SOI) || marker == MARKER_TEM)
            continue;
        if (marker == MARKER_EOI)
            return picture_fail(s, "corrupt JPEG (no picture in it)");
        size_t length = s->size - at >= 2 ? picture_be16(s->data + at) : 0;
        if (s->size - at < 2 || length > s->size - at)
            return picture_fail_truncated(s, "JPEG", "it ends within its header");
        if (length < 2)
            return picture_fail(s, "corrupt JPEG (segment length)");
        const uint8_t *body = s->data + at + 2;
        size_t body_size = length - 2;
        if (is_frame(marker)) {
            if (framed)
                return picture_fail(s, "corrupt JPEG (two frame headers)");
            if (!read_frame(s, marker, body, body_size, out))
                return false;
            framed = true;
        } else if (marker == MARKER_SOS) {
            return framed ? true : picture_fail(s, "corrupt JPEG (scan before its frame header)");
        } else if (marker == MARKER_APP1 && !out->exif && body_size > sizeof(exif_prefix) &&
                   memcmp(body, exif_prefix, sizeof(exif_prefix)) == 0) {
            out->exif = body + sizeof(exif_prefix);
            out->exif_size = body_size - sizeof(exif_prefix);
        }
        at += length;
    }
}

#ifdef CARDINAL_HAVE_JPEG

#include <stdio.h> // jpeglib.h needs it

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>

#ifndef JCS_EXTENSIONS
#error "libjpeg-turbo is needed (JCS_EXT_RGBX); build without CARDINAL_HAVE_JPEG to use stb_image"
#endif

enum { ROWS_AT_ONCE = 16 };

// libjpeg keeps pointers to the first three; everything that longjmp must find again lives here.
struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr input;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    char reason[JMSG_LENGTH_MAX];
    bool truncated;
};

static struct decoder *decoder_of(j_common_ptr jpeg) { return jpeg->client_data; }

static void on_error(j_common_ptr jpeg) {
    struct decoder *d = decoder_of(jpeg);
    jpeg->err->format_message(jpeg, d->reason);
    longjmp(d->escape, 1);
}

static void on_message(j_common_ptr jpeg, int level) {
    if (level >= 0) // a trace
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_HIT_MARKER: // "premature end of data segment"
        decoder_of(jpeg)->truncated = true;
        on_error(jpeg);
        break;
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_NOT_SEQUENTIAL: on_error(jpeg); break;
    default: // junk between segments and the like: every pixel is still there
        break;
    }
}

static void on_output(j_common_ptr jpeg) { (void)jpeg; }

static void on_progress(j_common_ptr jpeg) {
    struct decoder *d = decoder_of(jpeg);
    if (d->jpeg.input_scan_number > PICTURE_JPEG_MAX_SCANS) {
        snprintf(d->reason, sizeof(d->reason), "more than %d scans", PICTURE_JPEG_MAX_SCANS);
        longjmp(d->escape, 1);
    }
}

// The whole file is in memory, so running dry means it is truncated; the "suspension" that
// returns false asks for is how Pillow finds out as well.
static boolean input_fill(j_decompress_ptr jpeg) {
    (void)jpeg;
    return FALSE;
}

static void input_skip(j_decompress_ptr jpeg, long count) {
    struct jpeg_source_mgr *input = jpeg->src;
    size_t n = count > 0 ? (size_t)count : 0;
    n = n < input->bytes_in_buffer ? n : input->bytes_in_buffer;
    input->next_input_byte += n;
    input->bytes_in_buffer -= n;
}

static void input_nothing(j_decompress_ptr jpeg) { (void)jpeg; }

static bool ran_dry(struct decoder *d) {
    snprintf(d->reason, sizeof(d->reason), "the file ends too early");
    d->truncated = true;
    return false;
}

static void set_up(struct decoder *d, const struct picture_source *s) {
    d->jpeg.err = jpeg_std_error(&d->errors);
    d->errors.error_exit = on_error;
    d->errors.emit_message = on_message;
    d->errors.output_message = on_output;
    d->jpeg.client_data = d;
    jpeg_create_decompress(&d->jpeg); // clears the struct but keeps err and client_data
    d->input = (struct jpeg_source_mgr){
        .next_input_byte = s->data,
        .bytes_in_buffer = s->size,
        .init_source = input_nothing,
        .fill_input_buffer = input_fill,
        .skip_input_data = input_skip,
        .resync_to_restart = jpeg_resync_to_restart,
        .term_source = input_nothing,
    };
    d->jpeg.src = &d->input;
    d->progress.progress_monitor = on_progress;
    d->jpeg.progress = &d->progress;
}

// false: d->reason tells why. The settings left alone are Pillow's: JDCT_ISLOW, fancy upsampling.
static bool decode_rows(struct decoder *d, const struct picture_source *s, struct picture *out) {
    if (setjmp(d->escape))
        return false;
    set_up(d, s);
    if (jpeg_read_header(&d->jpeg, TRUE) != JPEG_HEADER_OK)
        return ran_dry(d);
    d->jpeg.out_color_space = d->jpeg.num_components == 4 ? JCS_CMYK : JCS_EXT_RGBX;
    if (!jpeg_start_decompress(&d->jpeg))
        return ran_dry(d);
    if (d->jpeg.output_width != (JDIMENSION)out->width || d->jpeg.output_height != (JDIMENSION)out->height) {
        snprintf(d->reason, sizeof(d->reason), "two sizes");
        return false;
    }
    while (d->jpeg.output_scanline < d->jpeg.output_height) {
        JSAMPROW rows[ROWS_AT_ONCE];
        JDIMENSION count = d->jpeg.output_height - d->jpeg.output_scanline;
        if (count > ROWS_AT_ONCE)
            count = ROWS_AT_ONCE;
        for (JDIMENSION i = 0; i < count; ++i)
            rows[i] = out->rgba + (size_t)(d->jpeg.output_scanline + i) * (size_t)out->width * 4;
        if (jpeg_read_scanlines(&d->jpeg, rows, count) == 0)
            return ran_dry(d);
    }
    return true; // jpeg_finish_decompress would only look for the end marker
}

bool picture_jpeg_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    if (!picture_allocate(s, layout, out))
        return false;
    struct decoder *d = calloc(1, sizeof(*d));
    if (!d)
        return picture_fail(s, "not enough memory to decode it");
    bool ok = decode_rows(d, s, out);
    if (!ok && d->truncated)
        picture_fail_truncated(s, "JPEG", d->reason);
    else if (!ok)
        picture_fail(s, "corrupt or unsupported JPEG (%s)", d->reason);
    else if (d->jpeg.num_components == 4)
        picture_cmyk_to_rgb(out->rgba, (size_t)out->width * (size_t)out->height);
    jpeg_destroy_decompress(&d->jpeg);
    free(d);
    return ok;
}

#else

// What libjpeg takes the channels for, and so Pillow; stb_image judges otherwise in places.
struct colors {
    int components;
    bool jfif, adobe, rgb_ids;
    int transform; // Adobe's
    size_t scan;   // offset of the first scan's marker
};

static void read_colors(const struct picture_source *s, struct colors *out) {
    memset(out, 0, sizeof(*out));
    size_t at = 2;
    for (;;) { // as picture_jpeg_layout walked them
        int marker = picture_jpeg_next_marker(s, &at);
        if (marker < 0 || marker == MARKER_SOS)
            break;
        if ((marker >= MARKER_RST0 && marker <= MARKER_SOI) || marker == MARKER_TEM)
            continue;
        size_t length = picture_be16(s->data + at);
        const uint8_t *body = s->data + at + 2;
        if (is_frame(marker)) {
            out->components = body[5];
            out->rgb_ids = body[5] == 3 && body[6] == 'R' && body[9] == 'G' && body[12] == 'B';
        } else if (marker == MARKER_APP0 && length >= 7 && memcmp(body, "JFIF", 5) == 0) {
            out->jfif = true;
        } else if (marker == MARKER_APP14 && length >= 14 && memcmp(body, "Adobe", 5) == 0) {
            out->adobe = true;
            out->transform = body[11];
        }
        at += length;
    }
    out->scan = at - 2;
}

// stb_image takes four channels without Adobe's word for YCbCr and alpha; so that word is put before the first scan.
static uint8_t *mark_cmyk(const struct picture_source *s, const struct colors *c, size_t *size) {
    uint8_t marker[16] = {0xff, MARKER_APP14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100};
    uint8_t *copy = malloc(s->size + sizeof(marker));
    if (!copy)
        return NULL;
    marker[15] = c->adobe && c->transform != 0 ? 2 : 0;
    memcpy(copy, s->data, c->scan);
    memcpy(copy + c->scan, marker, sizeof(marker));
    memcpy(copy + c->scan + sizeof(marker), s->data + c->scan, s->size - c->scan);
    *size = s->size + sizeof(marker);
    return copy;
}

bool picture_jpeg_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    if (!picture_jpeg_check(s))
        return false;
    struct colors c;
    read_colors(s, &c);
    if (c.rgb_ids && (c.jfif || (c.adobe && c.transform != 0)))
        return picture_fail(s,
                            "a JPEG of contradictory colours is not supported by this build; build with libjpeg-turbo "
                            "(libjpeg62-turbo-dev), or convert it to PNG");
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    if (c.components != 4)
        return picture_stb_decode(s, layout, "JPEG", pixels * 8 + (1 << 20), out);
    struct picture_source marked = *s;
    uint8_t *copy = mark_cmyk(s, &c, &marked.size);
    if (!copy)
        return picture_fail(s, "not enough memory to decode it");
    marked.data = copy;
    bool ok = picture_stb_decode(&marked, layout, "JPEG", pixels * 8 + (1 << 20), out);
    free(copy);
    return ok;
}

#endif
