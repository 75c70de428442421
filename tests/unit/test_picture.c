#if !defined(_WIN32) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE // mkdtemp, mkfifo
#endif
// test_picture.c - decoding against Pillow's pixels; truncated, damaged and hostile files.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/golden_pictures.h"
#include "picture/picture.h"
#include "support/reference_preprocess.h"

#if !defined(_WIN32)
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>
#endif

#ifdef CARDINAL_HAVE_JPEG
enum { EXACT_JPEG = 1 };
#else
enum { EXACT_JPEG = 0 }; // stb_image's inverse DCT and upsampling round differently
#endif

static uint8_t *read_golden(const char *file, size_t *size) {
    char path[512], error[512];
    uint8_t *data = NULL;
    golden_path(path, sizeof(path), file);
    if (!picture_read_file(path, NULL, &data, size, error, sizeof(error)))
        fail_msg("%s", error);
    return data;
}

static bool is_jpeg(const char *file) { return strstr(file, ".jpg") != NULL; }

static uint64_t hash_rgb(const struct picture *p) {
    uint64_t hash = GOLDEN_HASH_START;
    size_t n = (size_t)p->width * (size_t)p->height;
    for (size_t i = 0; i < n; ++i)
        hash = golden_hash(hash, p->rgba + i * 4, 3);
    return hash;
}

static void check_golden(const struct golden_case *c, int *inexact) {
    static const float mean[3] = {0, 0, 0}, std[3] = {1, 1, 1};
    char path[512], error[512];
    struct picture p;
    golden_path(path, sizeof(path), c->file);
    if (!picture_load(path, NULL, &p, error, sizeof(error)))
        fail_msg("%s", error);
    assert_int_equal(p.width, c->width);
    assert_int_equal(p.height, c->height);
    if (p.orientation != c->orientation)
        fail_msg("%s: orientation %d, not %d", c->file, p.orientation, c->orientation);
    bool exact = EXACT_JPEG || !is_jpeg(c->file);
    if (exact && !golden_hash_is(hash_rgb(&p), c->decoded)) {
        fprintf(stderr, "%s: decoded pixels differ from Pillow's\n", c->file);
        ++*inexact;
    }
    struct cdl_pixels image = {
        .data = p.rgba, .width = p.width, .height = p.height, .format = CDL_FORMAT_RGBA8, .orientation = p.orientation};
    uint8_t *crop = malloc((size_t)c->crop_width * (size_t)c->crop_height * 3);
    assert_true(cdl_preprocess_reference(&image, CDL_INTERPOLATION_BILINEAR, c->resize, c->crop_width, c->crop_height,
                                         mean, std, crop, NULL));
    if (exact) {
        bool equal = false;
        assert_true(golden_crop_ok(c, crop, &equal));
        *inexact += !equal;
    } else {
        int64_t sum = 0;
        for (size_t i = 0; i < c->num_samples; ++i)
            sum += abs((int)crop[i * GOLDEN_SAMPLE_STEP] - (int)c->samples[i]);
        assert_true(sum <= (int64_t)c->num_samples * 4); // the mean difference, in grey levels
    }
    free(crop);
    picture_free(&p);
}

static void test_equals_pillow(void **state) {
    (void)state;
    FILE *f = golden_open("expected.txt");
    assert_non_null(f);
    struct golden_case c;
    int count = 0, inexact = 0;
    while (golden_next(f, &c)) {
        if (picture_unreadable_format(c.file)) {
            print_message("%s: SKIPPED: %s\n", c.file, picture_unreadable_format(c.file));
        } else if (c.file[0] != '@') {
            check_golden(&c, &inexact);
            ++count;
        }
        free(c.samples);
    }
    fclose(f);
    print_message("%d cases, %d not byte-equal\n", count, inexact);
    assert_true(count > 40);
    assert_int_equal(inexact, 0);
}

// Decodes `size` bytes from a buffer of exactly that size, so that AddressSanitizer sees any read beyond.
static bool decode_exact(const uint8_t *data, size_t size, struct picture *out, char *error, size_t error_size) {
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, data, size);
    bool ok = picture_decode(copy, size, "file", NULL, out, error, error_size);
    free(copy);
    if (!ok) {
        assert_null(out->rgba);
        assert_true(strncmp(error, "file: ", 6) == 0 && strlen(error) > 10);
        assert_null(strchr(error, '\n'));
    }
    return ok;
}

// Every prefix fails, but for those that lack only the last `spare` bytes; these decode alike.
static void check_truncations(const char *file, size_t spare, size_t step) {
    size_t size = 0, accepted = 0;
    uint8_t *data = read_golden(file, &size);
    struct picture whole, p;
    char error[256];
    assert_true(decode_exact(data, size, &whole, error, sizeof(error)));
    for (size_t n = 0; n < size; n += size - n <= 64 ? 1 : step) {
        if (!decode_exact(data, n, &p, error, sizeof(error)))
            continue;
        if (size - n > spare)
            fail_msg("%s cut to %zu of %zu bytes was accepted", file, n, size);
        ++accepted;
        assert_true(hash_rgb(&p) == hash_rgb(&whole));
        picture_free(&p);
    }
    print_message("%s: %zu prefixes lack nothing but the end\n", file, accepted);
    picture_free(&whole);
    free(data);
}

static void test_truncations(void **state) {
    (void)state;
    size_t jpeg_end = EXACT_JPEG ? 2 : 0; // as Pillow: the end marker may be missing
    check_truncations("tiny.jpg", jpeg_end, 1);
    check_truncations("grey.jpg", jpeg_end, 1);
    check_truncations("restart.jpg", jpeg_end, 1);
    check_truncations("restarts.jpg", jpeg_end, 7);
    check_truncations("exif6.jpg", jpeg_end, 1);
    check_truncations("cmyk.jpg", jpeg_end, 5);
    check_truncations("progressive_422.jpg", 0, 11);
    check_truncations("palette2.png", 0, 1);
    check_truncations("palette4_short.png", 0, 1);
    check_truncations("grey16.png", 0, 1);
    check_truncations("interlaced1.png", 0, 1);
    check_truncations("rgb565.bmp", 2, 1); // the last row's padding
    check_truncations("bits.bmp", 2, 1);
    check_truncations("palette.bmp", 3, 7);
    check_truncations("frame.gif", 1, 1); // the trailer
    check_truncations("interlaced.gif", 1, 1);
    check_truncations("noise.gif", 1, 37);
    check_truncations("inset_transparent.gif", 1, 1);
    check_truncations("rle8.bmp", 2, 1); // the mark of the end
    check_truncations("rle4.bmp", 2, 1);
    check_truncations("plain.pbm", 1, 1); // a line break
    check_truncations("plain.pgm", 1, 1);
    check_truncations("raw.pbm", 0, 1);
    check_truncations("maximum1000.ppm", 0, 1);
    check_truncations("raw_packed8.png", 0, 1);
    check_truncations("grey.pgm", 0, 1);
    check_truncations("rgb.ppm", 0, 7);
}

// The same for the formats of libraries, as far as this build has them. A TIFF's end may hold tags that no pixel needs.
static void test_truncations_of_libraries(void **state) {
    (void)state;
    static const struct {
        const char *file;
        size_t step;
    } files[] = {{"lossy.webp", 1},  {"lossless.webp", 1},    {"alpha.webp", 1},    {"inset.webp", 1},
                 {"photo.heic", 11}, {"photo.avif", 11},      {"alpha.avif", 23},   {"group4.tif", 1},
                 {"lzw.tif", 11},    {"jpeg.tif", 5},         {"rgb16_big.tif", 1}, {"palette2.tif", 1},
                 {"ycbcr.tif", 3},   {"premultiplied.tif", 1}};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); ++i)
        if (picture_unreadable_format(files[i].file))
            print_message("%s: SKIPPED: %s\n", files[i].file, picture_unreadable_format(files[i].file));
        else
            check_truncations(files[i].file, strstr(files[i].file, ".tif") ? SIZE_MAX : 0, files[i].step);
}

// Damaged files decode or fail, but never crash, leak or write more than one line.
static void test_damaged(void **state) {
    (void)state;
    static const char *const files[] = {
        "tiny.jpg",         "grey.jpg",    "restart.jpg",     "exif6.jpg",  "palette2.png",    "grey16.png",
        "rgb565.bmp",       "palette.bmp", "interlaced1.png", "frame.gif",  "grey.pgm",        "inset.gif",
        "rle8.bmp",         "rle4.bmp",    "plain.ppm",       "plain.pbm",  "raw_packed8.png", "raw_international3.png",
        "lossy.webp",       "inset.webp",  "lossless.webp",   "photo.heic", "alpha.avif",      "group4.tif",
        "jpeg.tif",         "lzw.tif",     "tiles.tif",       "planes.tif", "palette2.tif",    "ycbcr.tif",
        "premultiplied.tif"};
    uint32_t seed = 20240517;
    print_message("seed %lu\n", (unsigned long)seed);
    // A build without a format's library refuses these, which takes no time.
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); ++f) {
        size_t size = 0;
        uint8_t *data = read_golden(files[f], &size), *damaged = malloc(size);
        for (int round = 0; round < 300; ++round) {
            memcpy(damaged, data, size);
            for (int hits = round % 4; hits >= 0; --hits) {
                seed = seed * 1664525u + 1013904223u;
                size_t at = (seed >> 8) % (round % 2 ? size : size < 64 ? size : 64);
                seed = seed * 1664525u + 1013904223u;
                damaged[at] = (uint8_t)(seed >> 24);
            }
            struct picture p;
            char error[256];
            struct picture_limits limits = {.max_pixels = 4000000}; // so that no round takes long
            if (picture_decode(damaged, size, "file", &limits, &p, error, sizeof(error)))
                assert_in_range(p.orientation, 1, 8);
            else
                assert_null(strchr(error, '\n'));
            picture_free(&p);
        }
        free(damaged);
        free(data);
    }
}

// Whatever the EXIF block holds, the pixels come.
static void test_garbage_exif(void **state) {
    (void)state;
    size_t size = 0, at = 0;
    uint8_t *data = read_golden("exif6.jpg", &size);
    while (at + 6 < size && memcmp(data + at, "Exif\0", 6) != 0)
        ++at;
    size_t length = (size_t)data[at - 2] << 8 | data[at - 1]; // of the segment, from its length field on
    uint8_t *damaged = malloc(size);
    uint32_t seed = 99;
    for (int round = 0; round < 2000; ++round) {
        memcpy(damaged, data, size);
        for (size_t i = 0; i < (size_t)(round % 5 + 1); ++i) {
            seed = seed * 1664525u + 1013904223u;
            damaged[at + 6 + (seed >> 16) % (length - 8)] = (uint8_t)(seed >> 8);
        }
        struct picture p;
        char error[256];
        if (!decode_exact(damaged, size, &p, error, sizeof(error)))
            fail_msg("round %d: %s", round, error);
        assert_in_range(p.orientation, 1, 8);
        picture_free(&p);
    }
    free(damaged);
    free(data);
}

static void expect_error(const void *data, size_t size, const char *part) {
    struct picture p;
    char error[256];
    if (decode_exact(data, size, &p, error, sizeof(error)))
        fail_msg("accepted; expected \"%s\"", part);
    if (!strstr(error, part))
        fail_msg("\"%s\" lacks \"%s\"", error, part);
}

static uint32_t slow_crc(const uint8_t *data, size_t size) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; ++i) {
        crc ^= data[i];
        for (int b = 0; b < 8; ++b)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
}

static void put32(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; ++i)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void test_absurd_sizes(void **state) {
    (void)state;
    uint8_t png[33] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10, 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    static const struct {
        uint32_t width, height;
        const char *part;
    } sizes[] = {{100000, 100000, "100000x100000 pixels is too large: at most 65535 a side"},
                 {65535, 65535, "65535x65535 pixels is too large: at most 268 million"},
                 {0xffffffff, 1, "4294967295x1"},
                 {0, 5, "0x5"},
                 {16000, 16000, "truncated PNG (too few bytes for its size)"}};
    png[24] = 8;
    png[25] = 2;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        put32(png + 16, sizes[i].width);
        put32(png + 20, sizes[i].height);
        put32(png + 29, slow_crc(png + 12, 17));
        expect_error(png, sizeof(png), sizes[i].part);
    }
    static const uint8_t jpeg[] = {0xff, 0xd8, 0xff, 0xc0, 0, 11, 8, 0xff, 0, 0xff, 0, 1, 1, 0x11, 0, 0xff, 0xda};
    expect_error(jpeg, sizeof(jpeg), "65280x65280 pixels is too large");
    uint8_t thin[sizeof(jpeg)];
    memcpy(thin, jpeg, sizeof(jpeg));
    thin[9] = 0x0f;
    expect_error(thin, sizeof(thin), "truncated JPEG (too few bytes for its size)");
    uint8_t bmp[54] = {'B', 'M', 0, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 255, 255, 0, 0, 255, 15};
    bmp[26] = 1;
    bmp[28] = 24;
    expect_error(bmp, sizeof(bmp), "truncated BMP (pixels missing)");
    bmp[25] = 0x80; // height -2^31 + ...
    expect_error(bmp, sizeof(bmp), "too large");
    expect_error("GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\1\0\1\0\0\2", 24, "65535x65535 pixels is too large");
    expect_error("GIF89a\1\0\1\0\0\0\0,\xff\xff\xff\xff\1\0\1\0\0\2", 24, "65536x65536 pixels is too large");
    expect_error("P6 65536 4 255\n", 15, "65536x4 pixels is too large");
    expect_error("P6 60000 4000 255\n", 18, "truncated PNM");
}

// From the first start-of-scan marker on, up to the marker behind that scan.
static size_t first_scan(const uint8_t *data, size_t size, size_t *length) {
    size_t begin = 0, end;
    while (begin + 4 < size && !(data[begin] == 0xff && data[begin + 1] == 0xda))
        ++begin;
    end = begin + 4;
    while (end + 1 < size && !(data[end] == 0xff && data[end + 1] != 0))
        ++end;
    *length = end - begin;
    return begin;
}

static void test_hostile_jpeg(void **state) {
    (void)state;
    size_t size = 0;
    uint8_t *data = read_golden("grey.jpg", &size);
    uint8_t *cut = malloc(size);
    memcpy(cut, data, size);
    cut[size / 2 + 300] = 0xff; // the end marker in the middle of the scan
    cut[size / 2 + 301] = 0xd9;
    expect_error(cut, size / 2 + 302,
                 EXACT_JPEG ? "truncated JPEG (Corrupt JPEG data: premature end of data segment)"
                            : "JPEG (coded data missing); copy or download it again, or build with libjpeg-turbo");
    free(cut);
    free(data);

    enum { COPIES = 300 }; // of the first scan: a small file that costs much time
    data = read_golden("progressive_422.jpg", &size);
    size_t length, scan = first_scan(data, size, &length);
    uint8_t *bomb = malloc(size + COPIES * length), *end = bomb + scan;
    memcpy(bomb, data, scan);
    for (int i = 0; i < COPIES; ++i, end += length)
        memcpy(end, data + scan, length);
    memcpy(end, data + scan, size - scan);
    expect_error(bomb, size + COPIES * length, "more than 100 scans");
    free(bomb);
    free(data);
}

// What stb_image would fill up with grey, and libjpeg with a warning.
static void test_damaged_scans(void **state) {
    (void)state;
    static const char *const files[] = {"progressive_422.jpg", "restarts.jpg", "landscape.jpg", "cmyk_unmarked.jpg"};
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); ++f) {
        size_t size = 0, length = 0;
        uint8_t *data = read_golden(files[f], &size);
        size_t scan = first_scan(data, size, &length);
        size_t missing = length / 4, end = scan + length - missing; // the scan's end
        uint8_t *cut = malloc(size - missing);
        memcpy(cut, data, end);
        memcpy(cut + end, data + end + missing, size - end - missing);
        expect_error(cut, size - missing, "JPEG (");
        free(cut);
        free(data);
    }
    size_t size = 0, at = 0;
    uint8_t *data = read_golden("restarts.jpg", &size);
    while (at + 2 < size && !(data[at] == 0xff && data[at + 1] == 0xd1))
        ++at;
    assert_int_equal(data[at + 1], 0xd1);
    data[at + 1] = 0xd5; // out of turn
    expect_error(data, size, "JPEG (");
    free(data);
}

static void test_foreign_files(void **state) {
    (void)state;
    expect_error("", 0, "the file is empty");
    expect_error("hello, world\n", 13, "not a picture: text");
    expect_error("BMW is a car\n and more text follows", 35, "not a picture: text");
    expect_error("P7\nWIDTH 1\n", 11, "P7 pictures are not supported");
    expect_error("P3 1 1 255 0 0 300", 18, "corrupt PNM (300 of at most 255)");
    expect_error("P2 1 1 255 x", 12, "corrupt PNM (not a number)");
    expect_error("P1 2 1 02", 9, "corrupt PNM (neither 0 nor 1)");
    expect_error("\0\0\0\x18"
                 "ftypisom",
                 12, "not a picture: a video");
    expect_error("%PDF-1.5\n\0", 10, "not a picture: PDF");
    expect_error("PK\x03\x04\0\0\0", 7, "a zip archive");
    expect_error("\x89PNG\n\x1a\n\0\0\0", 10, "damaged PNG signature");
    expect_error("\x01\x02\x03\x04", 4, "of an unknown kind");
    expect_error("\xff\xd8\xff\xd9", 4, "corrupt JPEG (no picture in it)");
    expect_error("version https://git-lfs.github.com/spec/v1\n", 43, "Git LFS pointer");
}

static void test_no_room_for_error(void **state) {
    (void)state;
    struct picture p;
    char tiny[8];
    assert_false(picture_decode((const uint8_t *)"x", 1, "name", NULL, &p, NULL, 0));
    assert_false(picture_decode((const uint8_t *)"x", 1, "name", NULL, &p, tiny, sizeof(tiny)));
    assert_true(strlen(tiny) < sizeof(tiny));
    char name[2001], error[256];
    memset(name, 'n', 2000);
    name[2000] = '\0';
    name[1990] = '\n';
    assert_false(picture_decode((const uint8_t *)"x", 1, name, NULL, &p, error, sizeof(error)));
    assert_non_null(strstr(error, ": not a picture: text")); // the reason survives a long name
    assert_null(strchr(error, '\n'));
    picture_free(NULL);
}

static void test_limits(void **state) {
    (void)state;
    size_t size = 0;
    uint8_t *data = read_golden("wide.jpg", &size);
    struct picture p;
    struct picture_header header;
    char error[256];
    assert_true(picture_read_header(data, size, "f", NULL, &header, error, sizeof(error)));
    assert_true(header.format == PICTURE_JPEG && header.width == 640 && header.height == 427);
    struct picture_limits side = {.max_side = 639}, pixels = {.max_pixels = 640 * 427 - 1};
    struct picture_limits bytes = {.max_file_bytes = size - 1}, enough = {640, 640 * 427, size};
    assert_false(picture_decode(data, size, "f", &side, &p, error, sizeof(error)));
    assert_false(picture_decode(data, size, "f", &pixels, &p, error, sizeof(error)));
    assert_false(picture_decode(data, size, "f", &bytes, &p, error, sizeof(error)));
    assert_true(picture_decode(data, size, "f", &enough, &p, error, sizeof(error)));
    picture_free(&p);
    free(data);
    char path[512];
    golden_path(path, sizeof(path), "wide.jpg");
    assert_false(picture_load(path, &bytes, &p, error, sizeof(error)));
}

static void expect_load_error(const char *path, const char *part) {
    struct picture p;
    char error[512];
    assert_false(picture_load(path, NULL, &p, error, sizeof(error)));
    assert_null(p.rgba);
    if (!strstr(error, part) || !strstr(error, path))
        fail_msg("\"%s\" lacks \"%s\" or the path", error, part);
}

static void test_special_files(void **state) {
    (void)state;
    expect_load_error("no/such/file.jpg", "cannot open: ");
    expect_load_error(CDL_GOLDEN_DIR, "is a folder, not a picture");
#if !defined(_WIN32)
    char fifo[] = "/tmp/cardinal-test-XXXXXX", empty[64];
    assert_non_null(mkdtemp(fifo));
    snprintf(empty, sizeof(empty), "%s/empty.jpg", fifo);
    fclose(fopen(empty, "w"));
    expect_load_error(empty, "the file is empty");
    unlink(empty);
    assert_int_equal(mkfifo(empty, 0600), 0);
    expect_load_error(empty, "is not a regular file");
    unlink(empty);
    rmdir(fifo);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_pillow),
        cmocka_unit_test(test_truncations),
        cmocka_unit_test(test_truncations_of_libraries),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_garbage_exif),
        cmocka_unit_test(test_hostile_jpeg),
        cmocka_unit_test(test_damaged_scans),
        cmocka_unit_test(test_absurd_sizes),
        cmocka_unit_test(test_foreign_files),
        cmocka_unit_test(test_no_room_for_error),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_special_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
