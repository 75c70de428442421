// picture.c - see picture.h: files, formats by content, limits and error lines.
#include "picture/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/files.h"
#include "system/text.h"

#define DEFAULT_MAX_SIDE 65535
#define DEFAULT_MAX_PIXELS ((uint64_t)1 << 28)
#define DEFAULT_MAX_FILE_BYTES ((uint64_t)512 << 20)

bool picture_fail(const struct picture_source *s, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(s->error, s->error_size, s->name, fmt, args);
    va_end(args);
    return false;
}

bool picture_fail_truncated(const struct picture_source *s, const char *kind, const char *what) {
    return picture_fail(s, "truncated %s (%s); copy or download it again", kind, what);
}

bool picture_check_size(const struct picture_source *s, int64_t width, int64_t height, struct picture_layout *out) {
    if (width <= 0 || height <= 0)
        return picture_fail(s, "corrupt file: a picture of %lldx%lld pixels", (long long)width, (long long)height);
    if (width > s->limits.max_side || height > s->limits.max_side)
        return picture_fail(s, "%lldx%lld pixels is too large: at most %d a side; scale it down first",
                            (long long)width, (long long)height, s->limits.max_side);
    if ((uint64_t)width * (uint64_t)height > s->limits.max_pixels)
        return picture_fail(s, "%lldx%lld pixels is too large: at most %llu million; scale it down first",
                            (long long)width, (long long)height, (unsigned long long)(s->limits.max_pixels / 1000000));
    out->width = (int)width;
    out->height = (int)height;
    return true;
}

bool picture_allocate(const struct picture_source *s, const struct picture_layout *layout, struct picture *out) {
    uint64_t bytes = (uint64_t)layout->width * (uint64_t)layout->height * 4;
    out->rgba = bytes <= SIZE_MAX ? malloc((size_t)bytes) : NULL;
    if (!out->rgba)
        return picture_fail(s, "not enough memory for %dx%d pixels", layout->width, layout->height);
    out->width = layout->width;
    out->height = layout->height;
    return true;
}

static uint8_t mul_div_255(int a, int b) {
    int t = a * b + 128;
    return (uint8_t)(((t >> 8) + t) >> 8);
}

// Convert.c: cmyk2rgb
void picture_cmyk_to_rgb(uint8_t *pixels, size_t count) {
    for (size_t i = 0; i < count; ++i) {
        uint8_t *v = pixels + i * 4;
        int paper = v[3];
        for (int c = 0; c < 3; ++c)
            v[c] = (uint8_t)(paper - mul_div_255(255 - v[c], paper));
        v[3] = 255;
    }
}

struct format {
    enum picture_format format;
    const char *name;
    const char *library, *package;                                              // NULL: always there
    bool (*layout)(const struct picture_source *s, struct picture_layout *out); // NULL: not in this build
    bool (*decode)(const struct picture_source *s, const struct picture_layout *layout, struct picture *out);
};

#ifdef CARDINAL_HAVE_WEBP
#define WEBP_READER picture_webp_layout, picture_webp_decode
#define WEBP_NAME ", WebP"
#else
#define WEBP_READER NULL, NULL
#define WEBP_NAME ""
#endif
#ifdef CARDINAL_HAVE_TIFF
#define TIFF_READER picture_tiff_layout, picture_tiff_decode
#define TIFF_NAME ", TIFF"
#else
#define TIFF_READER NULL, NULL
#define TIFF_NAME ""
#endif
#ifdef CARDINAL_HAVE_HEIF
#define HEIF_READER picture_heif_layout, picture_heif_decode
#define HEIF_NAME ", HEIC, AVIF"
#else
#define HEIF_READER NULL, NULL
#define HEIF_NAME ""
#endif

static const struct format formats[] = {
    {PICTURE_JPEG, "JPEG", NULL, NULL, picture_jpeg_layout, picture_jpeg_decode},
    {PICTURE_PNG, "PNG", NULL, NULL, picture_png_layout, picture_png_decode},
    {PICTURE_BMP, "BMP", NULL, NULL, picture_bmp_layout, picture_bmp_decode},
    {PICTURE_GIF, "GIF", NULL, NULL, picture_gif_layout, picture_gif_decode},
    {PICTURE_PNM, "PNM", NULL, NULL, picture_pnm_layout, picture_pnm_decode},
    {PICTURE_WEBP, "WebP", "libwebp", "libwebp-dev", WEBP_READER},
    {PICTURE_TIFF, "TIFF", "libtiff", "libtiff-dev", TIFF_READER},
    {PICTURE_HEIF, "HEIC or AVIF", "libheif", "libheif-dev", HEIF_READER},
};

const char *picture_formats(void) { return "JPEG, PNG, BMP, GIF, PNM" WEBP_NAME TIFF_NAME HEIF_NAME; }

const char *const *picture_extensions(void) {
    static const char *const extensions[] = {".jpg",  ".jpeg", ".jpe", ".jfif", ".png", ".bmp",
                                             ".gif",  ".pbm",  ".pgm", ".ppm",  ".pnm",
#ifdef CARDINAL_HAVE_WEBP
                                             ".webp",
#endif
#ifdef CARDINAL_HAVE_TIFF
                                             ".tif",  ".tiff",
#endif
#ifdef CARDINAL_HAVE_HEIF
                                             ".heic", ".heif", ".hif", ".avif",
#endif
                                             NULL};
    return extensions;
}

const char *picture_unreadable_format(const char *name) {
    static const struct {
        const char *extensions[8], *text;
    } known[] = {
        {{".webp"}, "WebP (needs libwebp-dev)"},
        {{".tif", ".tiff"}, "TIFF (needs libtiff-dev 4.5)"},
        {{".heic", ".heif", ".hif", ".avif"}, "HEIC or AVIF (needs libheif-dev)"},
        {{".jxl"}, "JPEG XL"},
        {{".jp2", ".j2k"}, "JPEG 2000"},
        {{".psd", ".tga", ".pam"}, "a picture of this kind"},
        {{".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2"}, "camera raw"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); ++i)
        if (has_extension(name, known[i].extensions))
            return has_extension(name, picture_extensions()) ? NULL : known[i].text;
    return NULL;
}

static bool begins(const struct picture_source *s, size_t at, const char *magic, size_t length) {
    return s->size >= at + length && memcmp(s->data + at, magic, length) == 0;
}

// Whether one of the file type box's brands is a still picture's, or a sequence of them.
static bool is_heif(const struct picture_source *s) {
    static const char *const brands[] = {"heic", "heix", "hevc", "hevx", "heim", "heis", "hevm",
                                         "hevs", "mif1", "msf1", "mif2", "avif", "avis"};
    if (!begins(s, 4, "ftyp", 4))
        return false;
    uint64_t end = picture_be32(s->data) < s->size ? picture_be32(s->data) : s->size;
    for (size_t at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) // between the major brand and the others: a version
        for (size_t i = 0; i < sizeof(brands) / sizeof(brands[0]); ++i)
            if (begins(s, at, brands[i], 4))
                return true;
    return false;
}

static enum picture_format sniff(const struct picture_source *s) {
    if (begins(s, 0, "\xff\xd8", 2))
        return PICTURE_JPEG;
    if (begins(s, 0, "\x89PNG\r\n\x1a\n", 8))
        return PICTURE_PNG;
    if (begins(s, 0, "GIF87a", 6) || begins(s, 0, "GIF89a", 6))
        return PICTURE_GIF;
    // "BM" also begins words: demand the reserved fields to be zero or a known header size.
    if (begins(s, 0, "BM", 2) && (s->size < 18 || picture_le32(s->data + 14) <= 256))
        return PICTURE_BMP;
    if (s->size > 2 && s->data[0] == 'P' && s->data[1] >= '1' && s->data[1] <= '6' && s->data[2] != '\0' &&
        strchr(" \t\r\n#", s->data[2]))
        return PICTURE_PNM;
    if (begins(s, 0, "RIFF", 4) && begins(s, 8, "WEBP", 4))
        return PICTURE_WEBP;
    if (begins(s, 0, "II*\0", 4) || begins(s, 0, "MM\0*", 4) || begins(s, 0, "II+\0", 4) || begins(s, 0, "MM\0+", 4))
        return PICTURE_TIFF;
    if (is_heif(s))
        return PICTURE_HEIF;
    return PICTURE_UNKNOWN;
}

bool picture_looks_like_one(const uint8_t *data, size_t size) {
    static const struct {
        size_t at;
        const char *magic;
        size_t length;
    } others[] = {{8, "WEBP", 4},           {0, "II*\0", 4},          {0, "MM\0*", 4},    {4, "ftyp", 4},
                  {0, "\0\0\0\x0cjP  ", 8}, {0, "\0\0\0\x0cJXL ", 8}, {0, "\xff\x0a", 2}, {0, "\x89PNG", 4}};
    const struct picture_source s = {.data = data, .size = size};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); ++i)
        if (begins(&s, others[i].at, others[i].magic, others[i].length) && (i != 0 || begins(&s, 0, "RIFF", 4)))
            return true;
    if (begins(&s, 0, "BM", 2)) // also the beginning of words
        return size >= 18 && picture_le32(data + 6) == 0 && picture_le32(data + 14) <= 256;
    if (size >= 4 && data[0] == 'P' && data[1] >= '1' && data[1] <= '7') // "P6", space, a number or a comment
        return strchr(" \t\r\n", data[2]) && data[2] &&
               (data[3] == '#' || (data[3] >= '0' && data[3] <= '9') || (data[1] == '7' && data[3] == 'W'));
    return sniff(&s) != PICTURE_UNKNOWN;
}

static bool looks_like_text(const uint8_t *data, size_t size) {
    size_t n = size < 512 ? size : 512;
    for (size_t i = 0; i < n; ++i)
        if ((data[i] < ' ' && !(data[i] >= '\t' && data[i] <= '\r') && data[i] != 27) || data[i] == 127)
            return false;
    return true;
}

static bool fail_unknown(const struct picture_source *s) {
    static const struct {
        size_t at;
        const char *magic;
        size_t length;
        const char *text;
    } known[] = {
        {4, "ftyp", 4, "not a picture: a video; save one of its frames as JPEG or PNG"},
        {0, "\xff\x0a", 2, "JPEG XL is not supported; convert it to JPEG or PNG"},
        {0, "\0\0\0\x0cjP  ", 8, "JPEG 2000 is not supported; convert it to JPEG or PNG"},
        {0, "%PDF", 4, "not a picture: PDF; export the page as PNG"},
        {0, "PK\x03\x04", 4, "not a picture: a zip archive; unpack it first"},
        {0, "\x1f\x8b", 2, "not a picture: gzip; unpack it first"},
        {0, "version https://git-lfs", 23, "not a picture: a Git LFS pointer; run `git lfs pull`"},
        {0, "\x89PNG", 4, "damaged PNG signature; copy or download it again in binary mode"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); ++i)
        if (begins(s, known[i].at, known[i].magic, known[i].length))
            return picture_fail(s, "%s", known[i].text);
    if (begins(s, 0, "P7\n", 3))
        return picture_fail(s, "P7 pictures are not supported; convert it to PNG");
    if (looks_like_text(s->data, s->size))
        return picture_fail(s, "not a picture: text");
    return picture_fail(s, "not a picture, or of an unknown kind; read are %s", picture_formats());
}

static struct picture_source make_source(const char *name, const struct picture_limits *limits, char *error,
                                         size_t error_size) {
    struct picture_source s = {.name = name, .error = error, .error_size = error_size};
    if (limits)
        s.limits = *limits;
    if (s.limits.max_side <= 0 || s.limits.max_side > DEFAULT_MAX_SIDE)
        s.limits.max_side = DEFAULT_MAX_SIDE;
    if (s.limits.max_pixels == 0 || s.limits.max_pixels > DEFAULT_MAX_PIXELS)
        s.limits.max_pixels = DEFAULT_MAX_PIXELS; // the readers' int and size_t arithmetic relies on it
    if (s.limits.max_file_bytes == 0 || s.limits.max_file_bytes > DEFAULT_MAX_FILE_BYTES)
        s.limits.max_file_bytes = DEFAULT_MAX_FILE_BYTES;
    if (error_size > 0)
        error[0] = '\0';
    return s;
}

static const struct format *find_format(const struct picture_source *s) {
    enum picture_format kind = sniff(s);
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); ++i)
        if (formats[i].format == kind)
            return &formats[i];
    return NULL;
}

static const struct format *read_layout(const struct picture_source *s, struct picture_layout *layout) {
    memset(layout, 0, sizeof(*layout));
    if (s->size == 0) {
        picture_fail(s, "the file is empty");
        return NULL;
    }
    if (s->size > s->limits.max_file_bytes) {
        picture_fail(s, "a file of %llu MiB is too large: at most %llu MiB", (unsigned long long)(s->size >> 20),
                     (unsigned long long)(s->limits.max_file_bytes >> 20));
        return NULL;
    }
    const struct format *format = find_format(s);
    if (!format)
        fail_unknown(s);
    else if (!format->layout)
        picture_fail(s, "%s needs %s, which this build lacks: install %s and build again, or convert it to PNG",
                     format->name, format->library, format->package);
    return format && format->layout && format->layout(s, layout) ? format : NULL;
}

enum picture_format picture_readable_format(const uint8_t *data, size_t size) {
    struct picture_source s = {.data = data, .size = size};
    const struct format *format = find_format(&s);
    return format && format->layout ? format->format : PICTURE_UNKNOWN;
}

bool picture_read_header(const uint8_t *data, size_t size, const char *name, const struct picture_limits *limits,
                         struct picture_header *out, char *error, size_t error_size) {
    memset(out, 0, sizeof(*out));
    struct picture_source s = make_source(name, limits, error, error_size);
    s.data = data;
    s.size = size;
    struct picture_layout layout;
    const struct format *format = read_layout(&s, &layout);
    if (!format)
        return false;
    *out = (struct picture_header){format->format, layout.width, layout.height};
    return true;
}

bool picture_decode(const uint8_t *data, size_t size, const char *name, const struct picture_limits *limits,
                    struct picture *out, char *error, size_t error_size) {
    memset(out, 0, sizeof(*out));
    struct picture_source s = make_source(name, limits, error, error_size);
    s.data = data;
    s.size = size;
    struct picture_layout layout;
    const struct format *format = read_layout(&s, &layout);
    if (!format)
        return false;
    if (!format->decode(&s, &layout, out)) {
        picture_free(out);
        return false;
    }
    out->orientation =
        layout.orientation ? layout.orientation : picture_exif_orientation(layout.exif, layout.exif_size);
    return true;
}

// Reads until the end rather than by the size told: the file may grow or shrink meanwhile.
static uint8_t *read_stream(const struct picture_source *s, FILE *file, uint64_t size_hint, size_t *size) {
    size_t capacity = (size_t)size_hint + 1; // one more, so that the end shows without growing
    uint8_t *data = malloc(capacity);
    size_t used = 0;
    while (data) {
        used += fread(data + used, 1, capacity - used, file);
        if (used < capacity)
            break;
        if (used > s->limits.max_file_bytes) {
            picture_fail(s, "the file grew past %llu MiB while being read",
                         (unsigned long long)(s->limits.max_file_bytes >> 20));
            free(data);
            return NULL;
        }
        capacity = capacity < 2048 ? 4096 : capacity * 2;
        uint8_t *larger = realloc(data, capacity);
        if (!larger)
            free(data);
        data = larger;
    }
    if (!data) {
        picture_fail(s, "not enough memory to read it");
    } else if (ferror(file)) {
        picture_fail(s, "cannot read: %s", strerror(errno));
        free(data);
        data = NULL;
    } else if (used == 0) {
        picture_fail(s, "the file is empty");
        free(data);
        data = NULL;
    }
    *size = data ? used : 0;
    return data;
}

bool picture_read_file(const char *path, const struct picture_limits *limits, uint8_t **data, size_t *size, char *error,
                       size_t error_size) {
    *data = NULL;
    *size = 0;
    struct picture_source s = make_source(path, limits, error, error_size);
    struct file_status status;
    if (!get_file_status(path, &status))
        return picture_fail(&s, "cannot open: %s", strerror(errno));
    if (status.kind == FILE_FOLDER)
        return picture_fail(&s, "is a folder, not a picture");
    if (status.kind != FILE_REGULAR) // a FIFO or device could block for ever
        return picture_fail(&s, "is not a regular file; save it as a file first");
    if ((uint64_t)status.size > s.limits.max_file_bytes)
        return picture_fail(&s, "a file of %llu MiB is too large: at most %llu MiB",
                            (unsigned long long)status.size >> 20, (unsigned long long)s.limits.max_file_bytes >> 20);
    FILE *file = fopen(path, "rb");
    if (!file)
        return picture_fail(&s, "cannot open: %s", strerror(errno));
    *data = read_stream(&s, file, (uint64_t)status.size, size);
    fclose(file);
    return *data != NULL;
}

bool picture_load(const char *path, const struct picture_limits *limits, struct picture *out, char *error,
                  size_t error_size) {
    memset(out, 0, sizeof(*out));
    uint8_t *data = NULL;
    size_t size = 0;
    if (!picture_read_file(path, limits, &data, &size, error, error_size))
        return false;
    bool ok = picture_decode(data, size, path, limits, out, error, error_size);
    free(data);
    return ok;
}

void picture_free(struct picture *p) {
    if (!p)
        return;
    free(p->rgba);
    memset(p, 0, sizeof(*p));
}
