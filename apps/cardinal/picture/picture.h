// picture.h - a picture file decoded to pixels for the engine, told apart by content, never by name: JPEG, PNG, BMP,
// GIF and PNM (P1 to P6) in every build; WebP, TIFF, HEIC and AVIF where it has libwebp, libtiff, libheif
// (CARDINAL_HAVE_WEBP, _TIFF, _HEIF). Of an animation, the first frame; of several pictures, the first or primary one.
//
// Pixels equal those of Pillow's Image.open(file).convert("RGB"): alpha is dropped, palettes are looked up, CMYK is
// converted as Pillow does. Known differences: of 16-bit grey the high byte is taken, where Pillow clips to 255 or
// refuses. HEIC and AVIF are as libheif's own tools write them. JPEG needs libjpeg-turbo for equality
// (CARDINAL_HAVE_JPEG); else stb_image decodes it, within a few grey levels. PNG is libpng's (CARDINAL_HAVE_PNG) or
// stb_image's, to the same bits. Orientation is read by libexif (CARDINAL_HAVE_EXIF), else by a reader of our own.
//
// Every function is safe on untrusted bytes. Thread-safety: Safe; none keeps state.
// Errors are one line in error[], without newline, that begins with the file's name and tells
// the remedy where there is one. error may be NULL when error_size is 0.
#ifndef CARDINAL_PICTURE_H_
#define CARDINAL_PICTURE_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct picture {
    uint8_t *rgba;     // malloc'd, [height][width][4], sRGB; the fourth byte carries nothing. picture_free
    int width, height; // as stored, before `orientation`
    int orientation;   // EXIF 1..8; 1, upright, when the file tells none. Goes to cdl_pixels.orientation
};

// Checked against the file's header, before anything of the picture's size is allocated.
struct picture_limits {
    int max_side;            // pixels; 0: 65535
    uint64_t max_pixels;     // 0: 2^28, 1 GiB of RGBA
    uint64_t max_file_bytes; // 0: 512 MiB
};

enum picture_format {
    PICTURE_UNKNOWN,
    PICTURE_JPEG,
    PICTURE_PNG,
    PICTURE_BMP,
    PICTURE_GIF,
    PICTURE_PNM,
    PICTURE_WEBP,
    PICTURE_TIFF,
    PICTURE_HEIF // HEIC and AVIF
};

struct picture_header {
    enum picture_format format;
    int width, height; // as stored
};

// Reads and decodes a regular file; blocks. limits NULL: the defaults. true: the caller
// frees *out by picture_free. false: *out is all zero and error[] tells why.
bool picture_load(const char *path, const struct picture_limits *limits, struct picture *out, char *error,
                  size_t error_size);

// The same for a file's bytes; `name` begins the error line.
bool picture_decode(const uint8_t *data, size_t size, const char *name, const struct picture_limits *limits,
                    struct picture *out, char *error, size_t error_size);

// picture_load's first half: the file's bytes, malloc'd, the caller's to free; at least one byte.
bool picture_read_file(const char *path, const struct picture_limits *limits, uint8_t **data, size_t *size, char *error,
                       size_t error_size);

// Format and size from the header alone, checked against the limits; decodes nothing.
bool picture_read_header(const uint8_t *data, size_t size, const char *name, const struct picture_limits *limits,
                         struct picture_header *out, char *error, size_t error_size);

// The format by a file's first bytes, 64 or all of them. PICTURE_UNKNOWN also where this build lacks its library.
enum picture_format picture_readable_format(const uint8_t *data, size_t size);

// The names of the formats that this build reads, for messages: "JPEG, PNG, ...".
const char *picture_formats(void);

// The extensions of the formats that this build reads, with their dots, in lower case; NULL ends the list.
const char *const *picture_extensions(void);

// What a picture of this name is, by its extension, that this build does not read: "WebP (needs libwebp-dev)".
// NULL: it is read, or no picture.
const char *picture_unreadable_format(const char *name);

// Whether a file that begins so (64 bytes are enough) is meant to be a picture, of a kind that is read or not. A text,
// such as a list of paths, is none.
bool picture_looks_like_one(const uint8_t *data, size_t size);

// Frees the pixels and zeroes *p; NULL and an all-zero picture are fine.
void picture_free(struct picture *p);

#endif // CARDINAL_PICTURE_H_
