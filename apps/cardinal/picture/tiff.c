// tiff.c - TIFF by libtiff: the first picture, rows or tiles, converted as Pillow converts. What has no plain meaning
// as 8-bit colours (floats, 32-bit and signed samples, Lab) is refused rather than clipped.
#include "picture/internal.h"

#ifdef CARDINAL_HAVE_TIFF

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

struct reader {
    const struct picture_source *source;
    uint64_t at; // the file position
    char reason[160];
    bool reading_pixels, damaged;
};

struct tiff {
    uint32_t width, height;
    uint16_t bits, samples, photometric, planes, compression, orientation, alpha; // alpha: EXTRASAMPLE_...
    int inks;                                                                     // the samples that make the colour
    bool as_rgba; // subsampled YCbCr, which libtiff itself converts
    const uint16_t *palette[3];
};

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t size) {
    struct reader *r = handle;
    const struct picture_source *s = r->source;
    uint64_t left = r->at < s->size ? s->size - r->at : 0;
    uint64_t n = size > 0 ? (uint64_t)size : 0;
    n = n < left ? n : left;
    if (n > 0)
        memcpy(to, s->data + r->at, (size_t)n);
    r->at += n;
    return (tmsize_t)n;
}

static tmsize_t write_nothing(thandle_t handle, void *from, tmsize_t size) {
    (void)handle;
    (void)from;
    (void)size;
    return 0;
}

static toff_t seek_to(thandle_t handle, toff_t offset, int whence) {
    struct reader *r = handle;
    r->at = whence == SEEK_SET ? offset : whence == SEEK_CUR ? r->at + offset : r->source->size + offset;
    return r->at;
}

static int close_nothing(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t tell_size(thandle_t handle) { return ((struct reader *)handle)->source->size; }

static int on_error(TIFF *tif, void *user, const char *module, const char *fmt, va_list args) {
    struct reader *r = user;
    (void)tif;
    (void)module;
    if (!r->reason[0])
        vsnprintf(r->reason, sizeof(r->reason), fmt, args);
    r->damaged = r->damaged || r->reading_pixels;
    return 1;
}

// Fax codecs only warn where rows are damaged or missing.
static int on_warning(TIFF *tif, void *user, const char *module, const char *fmt, va_list args) {
    struct reader *r = user;
    uint16_t compression = COMPRESSION_NONE;
    if (r->reading_pixels && TIFFGetField(tif, TIFFTAG_COMPRESSION, &compression) &&
        (compression == COMPRESSION_CCITTRLE || compression == COMPRESSION_CCITTFAX3 ||
         compression == COMPRESSION_CCITTFAX4 || compression == COMPRESSION_CCITTRLEW))
        on_error(tif, user, module, fmt, args);
    return 1;
}

static bool fail_tiff(const struct picture_source *s, const struct reader *r, const char *else_reason) {
    return picture_fail(s, "corrupt, truncated or unsupported TIFF (%s)", r->reason[0] ? r->reason : else_reason);
}

static TIFF *open_tiff(const struct picture_source *s, uint64_t max_alloc, struct reader *r) {
    *r = (struct reader){.source = s};
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    TIFF *tif = NULL;
    if (options) {
        TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, r);
        TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, r);
        TIFFOpenOptionsSetMaxSingleMemAlloc(options, (tmsize_t)max_alloc);
        tif = TIFFClientOpenExt("picture", "rm", r, read_bytes, write_nothing, seek_to, close_nothing, tell_size, NULL,
                                NULL, options);
        TIFFOpenOptionsFree(options);
    }
    if (!tif)
        fail_tiff(s, r, "not enough memory");
    return tif;
}

static bool unsupported(const struct picture_source *s, const struct tiff *t, const char *what) {
    return picture_fail(s, "a TIFF %s is not supported (%u samples of %u bits, photometric %u); convert it to PNG",
                        what, (unsigned)t->samples, (unsigned)t->bits, (unsigned)t->photometric);
}

// Whether these samples are converted below; sets t->inks.
static bool check_kind(const struct picture_source *s, struct tiff *t, uint16_t format) {
    bool bytes = t->bits == 8, words = t->bits == 16, low = t->bits == 1 || t->bits == 2 || t->bits == 4;
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
        return unsupported(s, t, "of floats or signed numbers");
    bool ok = false;
    switch (t->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK:
        t->inks = 1;
        ok = bytes || words || (low && t->samples == 1);
        break;
    case PHOTOMETRIC_PALETTE:
        t->inks = 1;
        ok = bytes || (low && t->samples == 1);
        break;
    case PHOTOMETRIC_RGB:
        t->inks = 3;
        ok = bytes || words;
        break;
    case PHOTOMETRIC_YCBCR:
        t->inks = 3;
        ok = bytes && t->samples == 3;
        break;
    case PHOTOMETRIC_SEPARATED:
        t->inks = 4;
        ok = bytes || words;
        break;
    default: break;
    }
    if (!ok || t->samples < t->inks || t->samples > 8)
        return unsupported(s, t, "of this kind");
    if (t->planes == PLANARCONFIG_SEPARATE && low)
        return unsupported(s, t, "in planes of less than 8 bits");
    return true;
}

static bool read_tags(const struct picture_source *s, TIFF *tif, struct reader *r, struct tiff *t) {
    uint16_t format = SAMPLEFORMAT_UINT, extra = 0, *extras = NULL;
    uint16_t *red = NULL, *green = NULL, *blue = NULL;
    memset(t, 0, sizeof(*t));
    TIFFGetFieldDefaulted(tif, TIFFTAG_BITSPERSAMPLE, &t->bits);
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLESPERPIXEL, &t->samples);
    TIFFGetFieldDefaulted(tif, TIFFTAG_PLANARCONFIG, &t->planes);
    TIFFGetFieldDefaulted(tif, TIFFTAG_COMPRESSION, &t->compression);
    TIFFGetFieldDefaulted(tif, TIFFTAG_SAMPLEFORMAT, &format);
    if (!TIFFGetField(tif, TIFFTAG_ORIENTATION, &t->orientation))
        t->orientation = 1;
    if (TIFFGetFieldDefaulted(tif, TIFFTAG_EXTRASAMPLES, &extra, &extras) && extra > 0)
        t->alpha = extras[0];
    if (!TIFFGetField(tif, TIFFTAG_PHOTOMETRIC, &t->photometric))
        return fail_tiff(s, r, "no photometric interpretation");
    if (!check_kind(s, t, format))
        return false;
    if (!TIFFIsCODECConfigured(t->compression))
        return picture_fail(s, "a TIFF of compression %u is not supported by this libtiff; convert it to PNG",
                            (unsigned)t->compression);
    if (t->photometric == PHOTOMETRIC_PALETTE && !TIFFGetField(tif, TIFFTAG_COLORMAP, &red, &green, &blue))
        return fail_tiff(s, r, "no palette");
    t->palette[0] = red;
    t->palette[1] = green;
    t->palette[2] = blue;
    if (t->photometric == PHOTOMETRIC_YCBCR) { // as Pillow: RGB of JPEG's own decoder where there is one
        t->as_rgba = t->compression != COMPRESSION_JPEG || t->planes != PLANARCONFIG_CONTIG;
        if (!t->as_rgba)
            TIFFSetField(tif, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    }
    return true;
}

static bool read_size(const struct picture_source *s, TIFF *tif, struct reader *r, struct picture_layout *out) {
    uint32_t width = 0, height = 0;
    if (!TIFFGetField(tif, TIFFTAG_IMAGEWIDTH, &width) || !TIFFGetField(tif, TIFFTAG_IMAGELENGTH, &height))
        return fail_tiff(s, r, "no size");
    return picture_check_size(s, width, height, out);
}

bool picture_tiff_layout(const struct picture_source *s, struct picture_layout *out) {
    struct reader r;
    struct tiff t;
    TIFF *tif = open_tiff(s, (uint64_t)1 << 28, &r);
    bool ok = tif && read_size(s, tif, &r, out) && read_tags(s, tif, &r, &t);
    if (ok)
        out->orientation = t.orientation >= 1 && t.orientation <= 8 ? t.orientation : 1;
    if (tif)
        TIFFClose(tif);
    return ok;
}

static uint8_t unmultiply(int value, int alpha) {
    int v = alpha ? value * 255 / alpha : 0;
    return (uint8_t)(v < 255 ? v : 255);
}

// Of pixel x in a row of `step` samples a pixel, sample c: its value, for 16 bits its high byte.
static int sample(const struct tiff *t, const uint8_t *row, size_t x, size_t step, size_t c) {
    size_t at = x * step + c;
    if (t->bits == 8)
        return row[at];
    if (t->bits == 16) { // in this machine's order
        uint16_t word;
        memcpy(&word, row + at * 2, 2);
        return word >> 8;
    }
    size_t per_byte = 8U / t->bits;
    return row[at / per_byte] >> (8U - t->bits * (at % per_byte + 1)) & ((1 << t->bits) - 1);
}

// A pixel's first four samples, which stand in its place, to its colour.
static void convert_pixel(const struct tiff *t, uint8_t *rgba) {
    int value = rgba[0];
    if (t->photometric == PHOTOMETRIC_PALETTE) {
        for (int c = 0; c < 3; ++c)
            rgba[c] = (uint8_t)(t->palette[c][value] >> 8);
    } else if (t->inks == 1) {
        int grey = t->bits < 8 ? value * 255 / ((1 << t->bits) - 1) : value;
        grey = t->photometric == PHOTOMETRIC_MINISWHITE ? 255 - grey : grey;
        rgba[0] = rgba[1] = rgba[2] = (uint8_t)grey;
    } else if (t->inks == 3 && t->samples > 3 && t->alpha == EXTRASAMPLE_ASSOCALPHA && rgba[3] != 255) {
        for (int c = 0; c < 3; ++c)
            rgba[c] = unmultiply(rgba[c], rgba[3]);
    } else if (t->inks == 4) {
        for (int c = 0; c < 4; ++c)
            rgba[c] = (uint8_t)(255 - rgba[c]);
        picture_cmyk_to_rgb(rgba, 1);
    }
    rgba[3] = 255;
}

static void convert_all(const struct tiff *t, struct picture *out) {
    size_t n = (size_t)out->width * (size_t)out->height;
    for (size_t i = 0; i < n; ++i)
        convert_pixel(t, out->rgba + i * 4);
}

// Copies a row of `count` pixels' samples to where the pixels go; of a plane, its one sample a pixel.
static void copy_samples(const struct tiff *t, const uint8_t *row, size_t count, int plane, uint8_t *rgba) {
    size_t step = t->planes == PLANARCONFIG_SEPARATE ? 1 : t->samples;
    size_t kept = step < 4 ? step : 4;
    for (size_t x = 0; x < count && plane < 4; ++x)
        for (size_t c = 0; c < kept; ++c)
            rgba[x * 4 + (size_t)plane + c] = (uint8_t)sample(t, row, x, step, c);
}

static bool read_rows(const struct picture_source *s, TIFF *tif, const struct tiff *t, struct picture *out) {
    int planes = t->planes == PLANARCONFIG_SEPARATE ? t->samples : 1;
    uint64_t bytes = TIFFScanlineSize64(tif);
    uint64_t wanted = ((uint64_t)out->width * t->bits * (planes > 1 ? 1U : t->samples) + 7) / 8;
    if (bytes < wanted || bytes > wanted + 64) // else its tags contradict each other
        return picture_fail(s, "corrupt TIFF (row size)");
    uint8_t *row = calloc(1, (size_t)bytes);
    if (!row)
        return picture_fail(s, "not enough memory to decode it");
    bool ok = true;
    for (int plane = 0; ok && plane < planes; ++plane) // one after the other: a codec reads its strips from the top
        for (int y = 0; ok && y < out->height; ++y) {
            ok = TIFFReadScanline(tif, row, (uint32_t)y, (uint16_t)plane) == 1;
            if (ok)
                copy_samples(t, row, (size_t)out->width, plane, out->rgba + (size_t)y * (size_t)out->width * 4);
        }
    free(row);
    return ok;
}

static bool read_tiles(const struct picture_source *s, TIFF *tif, const struct tiff *t, struct picture *out) {
    uint32_t tile_width = 0, tile_height = 0;
    TIFFGetField(tif, TIFFTAG_TILEWIDTH, &tile_width);
    TIFFGetField(tif, TIFFTAG_TILELENGTH, &tile_height);
    uint32_t width = (uint32_t)out->width, height = (uint32_t)out->height;
    uint64_t bytes = TIFFTileSize64(tif), row_bytes = TIFFTileRowSize64(tif);
    int planes = t->planes == PLANARCONFIG_SEPARATE ? t->samples : 1;
    uint64_t wanted = ((uint64_t)tile_width * t->bits * (planes > 1 ? 1U : t->samples) + 7) / 8;
    if (tile_width == 0 || tile_height == 0 || tile_width > width + 65536 || tile_height > height + 65536 ||
        row_bytes < wanted || bytes < row_bytes * tile_height)
        return picture_fail(s, "corrupt TIFF (tile size)");
    if (bytes > (uint64_t)1 << 28)
        return picture_fail(s, "a TIFF with tiles of %ux%u pixels is too large; convert it to PNG",
                            (unsigned)tile_width, (unsigned)tile_height);
    uint8_t *buffer = malloc((size_t)bytes);
    if (!buffer)
        return picture_fail(s, "not enough memory to decode it");
    bool ok = true;
    for (uint32_t top = 0; ok && top < height; top += tile_height)
        for (uint32_t left = 0; ok && left < width; left += tile_width) {
            uint32_t rows = height - top < tile_height ? height - top : tile_height;
            uint32_t columns = width - left < tile_width ? width - left : tile_width;
            for (int plane = 0; ok && plane < planes; ++plane) {
                ok = TIFFReadTile(tif, buffer, left, top, 0, (uint16_t)plane) >= 0;
                for (uint32_t y = 0; ok && y < rows; ++y)
                    copy_samples(t, buffer + (size_t)row_bytes * y, columns, plane,
                                 out->rgba + ((size_t)(top + y) * width + left) * 4);
            }
        }
    free(buffer);
    return ok;
}

// libtiff's own conversion: ABGR words, and as they stand in the file.
static bool read_rgba(TIFF *tif, struct picture *out) {
    char reason[1024];
    TIFFRGBAImage image;
    if (!TIFFRGBAImageBegin(&image, tif, 1, reason))
        return false;
    image.req_orientation = image.orientation = ORIENTATION_TOPLEFT;
    bool ok = TIFFRGBAImageGet(&image, (uint32_t *)(void *)out->rgba, (uint32_t)out->width, (uint32_t)out->height) == 1;
    TIFFRGBAImageEnd(&image);
    size_t n = (size_t)out->width * (size_t)out->height;
    for (size_t i = 0; ok && i < n; ++i) {
        uint32_t pixel;
        memcpy(&pixel, out->rgba + i * 4, 4);
        uint8_t rgba[4] = {(uint8_t)TIFFGetR(pixel), (uint8_t)TIFFGetG(pixel), (uint8_t)TIFFGetB(pixel), 255};
        memcpy(out->rgba + i * 4, rgba, 4);
    }
    return ok;
}

bool picture_tiff_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    struct reader r;
    struct tiff t;
    struct picture_layout same;
    // The largest that an honest file asks for at once is a strip or a tile: the whole picture, sometimes.
    uint64_t pixels = (uint64_t)layout->width * (uint64_t)layout->height;
    TIFF *tif = open_tiff(s, pixels * 16 + (uint64_t)s->size * 2 + (1 << 22), &r);
    bool ok = tif && read_size(s, tif, &r, &same) && read_tags(s, tif, &r, &t) && picture_allocate(s, layout, out);
    if (ok) {
        r.reading_pixels = true;
        if (t.as_rgba)
            ok = read_rgba(tif, out);
        else
            ok = TIFFIsTiled(tif) ? read_tiles(s, tif, &t, out) : read_rows(s, tif, &t, out);
        ok = ok && !r.damaged;
        if (ok && !t.as_rgba)
            convert_all(&t, out);
        if (!ok && (!s->error_size || !s->error[0]))
            fail_tiff(s, &r, "no reason told");
    }
    if (tif)
        TIFFClose(tif);
    return ok;
}

#endif
