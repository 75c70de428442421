// internal.h - what picture.c and the readers of the single formats share.
#ifndef CARDINAL_PICTURE_INTERNAL_H_
#define CARDINAL_PICTURE_INTERNAL_H_

#include "picture/picture.h"

#if defined(__GNUC__)
#define PICTURE_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define PICTURE_PRINTF(fmt, args)
#endif

// The bytes under work and where the reason goes when they are no good.
struct picture_source {
    const uint8_t *data;
    size_t size;
    const char *name;
    struct picture_limits limits; // defaults filled in
    char *error;
    size_t error_size;
};

// What a header tells. exif points into the source, or is NULL: the TIFF structure that
// holds the orientation.
struct picture_layout {
    int width, height;
    const uint8_t *exif;
    size_t exif_size;
    int orientation; // 1..8 where the format itself tells it, and exif is not asked; else 0
};

// Writes "name: text" into the error buffer; always false, so that `return picture_fail(...)` reads well.
bool picture_fail(const struct picture_source *s, const char *fmt, ...) PICTURE_PRINTF(2, 3);
bool picture_fail_truncated(const struct picture_source *s, const char *kind, const char *what);

// Checks the sides against the limits and stores them; 64-bit, as headers can claim anything.
bool picture_check_size(const struct picture_source *s, int64_t width, int64_t height, struct picture_layout *out);

// malloc of width * height * 4 bytes into out->rgba, and its sides.
bool picture_allocate(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);

// Per format: the header with its checks; then the pixels into an all-zero *out, which the
// caller frees on failure too.
bool picture_jpeg_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_jpeg_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_png_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_png_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_gif_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_gif_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_bmp_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_bmp_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_webp_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_webp_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_heif_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_heif_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_tiff_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_tiff_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
bool picture_pnm_layout(const struct picture_source *s, struct picture_layout *out);
bool picture_pnm_decode(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);

// 1..8 from a TIFF structure, with or without "Exif\0\0" before it; 1 when there is none, or it is damaged.
int picture_exif_orientation(const uint8_t *tiff, size_t size);

// The next marker of a JPEG at or after *at, which then points behind it; -1 at the end of the data.
int picture_jpeg_next_marker(const struct picture_source *s, size_t *at);

enum { PICTURE_JPEG_MAX_SCANS = 100 }; // a progressive file has about 10; a bomb thousands

// Whether all coded data of a JPEG is there and in order; picture_jpeg_layout has passed. Only without libjpeg.
bool picture_jpeg_check(const struct picture_source *s);

// stb_image. max_alloc bounds each of its allocations, for a compressed stream can claim more
// than the picture needs. `kind` ("PNG") begins the reason. Fails also when the size differs from layout's.
bool picture_stb_decode(const struct picture_source *s, const struct picture_layout *layout, const char *kind,
                        uint64_t max_alloc, struct picture *out);

// Inflates a zlib stream; how many bytes came, 0 when it is damaged or does not fit.
size_t picture_stb_inflate(const uint8_t *data, size_t size, uint8_t *out, size_t out_size);

// In place, count pixels of CMYK as Adobe writes it, inverted, to RGB, as Pillow mixes the inks.
void picture_cmyk_to_rgb(uint8_t *pixels, size_t count);

static inline uint32_t picture_le16(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t picture_le32(const uint8_t *p) { return picture_le16(p) | picture_le16(p + 2) << 16; }
static inline uint32_t picture_be16(const uint8_t *p) { return (uint32_t)p[0] << 8 | (uint32_t)p[1]; }
static inline uint32_t picture_be32(const uint8_t *p) { return picture_be16(p) << 16 | picture_be16(p + 2); }

#endif // CARDINAL_PICTURE_INTERNAL_H_
