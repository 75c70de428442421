// test_preprocess.c - geometry, coefficients and orientation against torchvision and Pillow.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/golden_pictures.h"
#include "kernels/preprocess.h"
#include "support/reference_preprocess.h"

static const float imagenet_mean[3] = {0.485f, 0.456f, 0.406f};
static const float imagenet_std[3] = {0.229f, 0.224f, 0.225f};

static void test_geometry_table(void **state) {
    (void)state;
    FILE *f = golden_open("geometry.txt");
    assert_non_null(f);
    int w, h, resize, cw, ch, rw, rh, left, top, count = 0;
    while (fscanf(f, "%d %d %d %d %d %d %d %d %d", &w, &h, &resize, &cw, &ch, &rw, &rh, &left, &top) == 9) {
        struct cdl_geometry g;
        assert_true(cdl_resize_geometry(w, h, resize, cw, ch, &g));
        if (g.resized_width != rw || g.resized_height != rh || g.crop_left != left || g.crop_top != top)
            fail_msg("%dx%d resize %d crop %dx%d: %dx%d at %d,%d, expected %dx%d at %d,%d", w, h, resize, cw, ch,
                     g.resized_width, g.resized_height, g.crop_left, g.crop_top, rw, rh, left, top);
        ++count;
    }
    fclose(f);
    assert_true(count >= 400);
}

static void test_geometry_limits(void **state) {
    (void)state;
    static const int bad[][5] = {
        {0, 1, 1, 1, 1},     {1, 0, 1, 1, 1},     {-5, 9, 1, 1, 1},    {65536, 1, 1, 1, 1},
        {1, 65536, 1, 1, 1}, {9, 9, 0, 1, 1},     {9, 9, 32768, 1, 1}, {9, 9, 1, 0, 1},
        {9, 9, 1, 1, -1},    {9, 9, 1, 32768, 1}, {9, 9, 1, 1, 32768},
    };
    struct cdl_geometry g;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        g.resized_width = 7;
        assert_false(cdl_resize_geometry(bad[i][0], bad[i][1], bad[i][2], bad[i][3], bad[i][4], &g));
        assert_int_equal(g.resized_width, 0);
    }
    assert_true(cdl_resize_geometry(65535, 1, 32767, 224, 224, &g)); // the extreme: still an int
    assert_int_equal(g.resized_width, 2147385345);
}

static void check_axis_of(cdl_interpolation filter, int in_size, int out_size, int first, int count) {
    int taps = cdl_resample_taps(filter, in_size, out_size);
    assert_in_range(taps, 1, in_size);
    int32_t *start = malloc((size_t)count * sizeof(*start));
    int32_t *coef = malloc((size_t)count * (size_t)taps * sizeof(*coef));
    cdl_resample_axis(filter, in_size, out_size, first, count, taps, start, coef);
    for (int k = 0; k < count; ++k) {
        int64_t sum = 0, magnitudes = 0;
        assert_true(start[k] >= 0 && start[k] + taps <= in_size);
        for (int t = 0; t < taps; ++t) {
            int32_t c = coef[k * taps + t];
            assert_true(c >= 0 || filter == CDL_INTERPOLATION_BICUBIC);
            sum += c;
            magnitudes += llabs(c);
        }
        bool border = first + k < 0 || first + k >= out_size;
        if (border) {
            assert_int_equal(magnitudes, 0);
            assert_int_equal(start[k], 0);
        } else { // each coefficient is off by at most a half
            assert_true(llabs((long long)sum - (1 << CDL_RESAMPLE_BITS)) <= (taps + 1) / 2);
            assert_true(magnitudes * 255 + (1 << (CDL_RESAMPLE_BITS - 1)) < INT32_MAX);
        }
        if (!border && in_size == out_size) {
            assert_int_equal(taps, 1);
            assert_int_equal(start[k], first + k);
            assert_int_equal(coef[k], 1 << CDL_RESAMPLE_BITS);
        }
    }
    free(start);
    free(coef);
}

static void check_axis(int in_size, int out_size, int first, int count) {
    check_axis_of(CDL_INTERPOLATION_BILINEAR, in_size, out_size, first, count);
    check_axis_of(CDL_INTERPOLATION_BICUBIC, in_size, out_size, first, count);
}

static void test_axis_properties(void **state) {
    (void)state;
    static const int sizes[] = {1, 2, 3, 5, 7, 32, 100, 223, 224, 225, 256, 341, 500, 1000, 4000, 6000, 65535};
    enum { N = sizeof(sizes) / sizeof(sizes[0]) };
    for (int i = 0; i < N; ++i)
        for (int o = 0; o < N; ++o) {
            int out = sizes[o], count = out < 64 ? out : 64;
            check_axis(sizes[i], out, 0, count);
            check_axis(sizes[i], out, out - count, count);
            check_axis(sizes[i], out, -3, out < 40 ? out + 6 : 46);
            check_axis(sizes[i], out, out - 2, 5);
        }
    check_axis(65535, 2147385345, 2147385345 / 2, 224); // the largest resize
    check_axis(1, 2147385345, 2147385345 - 224, 224);
    uint32_t seed = 12345;
    for (int n = 0; n < 3000; ++n) {
        seed = seed * 1664525u + 1013904223u;
        int in = (int)(seed >> 8) % 3000 + 1;
        seed = seed * 1664525u + 1013904223u;
        int out = (int)(seed >> 8) % 700 + 1;
        check_axis(in, out, 0, out < 50 ? out : 50);
    }
}

static void test_orientations(void **state) {
    (void)state;
    enum { W = 4, H = 3, BYTES = 4, STRIDE = 20 };
    // Which stored pixel (x, y) the upright picture's top left and its right neighbour are.
    static const int corner[9][4] = {{0},
                                     {0, 0, 1, 0},
                                     {W - 1, 0, W - 2, 0},
                                     {W - 1, H - 1, W - 2, H - 1},
                                     {0, H - 1, 1, H - 1},
                                     {0, 0, 0, 1},
                                     {0, H - 1, 0, H - 2},
                                     {W - 1, H - 1, W - 1, H - 2},
                                     {W - 1, 0, W - 1, 1}};
    for (int o = 1; o <= 8; ++o) {
        struct cdl_pixel_walk w;
        cdl_orient(o, W, H, STRIDE, BYTES, &w);
        assert_int_equal(w.width, o < 5 ? W : H);
        assert_int_equal(w.height, o < 5 ? H : W);
        assert_int_equal(w.base, corner[o][1] * STRIDE + corner[o][0] * BYTES);
        assert_int_equal(w.base + w.step_x, corner[o][3] * STRIDE + corner[o][2] * BYTES);
        bool seen[H][W] = {{false}};
        for (int y = 0; y < w.height; ++y)
            for (int x = 0; x < w.width; ++x) {
                int64_t at = w.base + x * w.step_x + y * w.step_y;
                assert_true(at >= 0 && at / STRIDE < H && at % STRIDE / BYTES < W && at % STRIDE % BYTES == 0);
                bool *pixel = &seen[at / STRIDE][at % STRIDE / BYTES];
                assert_false(*pixel);
                *pixel = true;
            }
    }
    static const int senseless[] = {0, -1, 9, 65535};
    for (size_t i = 0; i < 4; ++i) {
        struct cdl_pixel_walk w;
        cdl_orient(senseless[i], W, H, STRIDE, BYTES, &w);
        assert_true(w.width == W && w.height == H && w.base == 0 && w.step_x == BYTES && w.step_y == STRIDE);
    }
}

static void test_normalize_bits(void **state) {
    (void)state;
    uint8_t grey[256];
    for (int v = 0; v < 256; ++v)
        grey[v] = (uint8_t)v;
    struct cdl_pixels image = {.data = grey, .width = 256, .height = 1, .format = CDL_FORMAT_GRAY8};
    float out[3 * 256];
    assert_true(cdl_preprocess_reference(&image, CDL_INTERPOLATION_BILINEAR, 1, 256, 1, imagenet_mean, imagenet_std,
                                         NULL, out));
    FILE *f = golden_open("normalize.txt");
    assert_non_null(f);
    for (int i = 0; i < 3 * 256; ++i) {
        unsigned expected;
        uint32_t bits;
        assert_int_equal(fscanf(f, "%x", &expected), 1);
        memcpy(&bits, &out[i], 4);
        assert_int_equal(bits, expected);
    }
    fclose(f);
}

static uint8_t *make_formula(int width, int height) {
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    assert_non_null(rgb);
    golden_formula(width, height, rgb);
    return rgb;
}

// The pictures that need no decoder: nothing may differ from Pillow's. Returns how many there are.
static int check_formulas(const char *file, cdl_interpolation filter) {
    FILE *f = golden_open(file);
    assert_non_null(f);
    struct golden_case c;
    int count = 0;
    while (golden_next(f, &c)) {
        if (c.file[0] == '@') {
            uint8_t *rgb = make_formula(c.width, c.height);
            uint8_t *crop = malloc((size_t)c.crop_width * (size_t)c.crop_height * 3);
            struct cdl_pixels image = {.data = rgb, .width = c.width, .height = c.height, .format = CDL_FORMAT_RGB8};
            bool equal = false;
            assert_true(cdl_preprocess_reference(&image, filter, c.resize, c.crop_width, c.crop_height, imagenet_mean,
                                                 imagenet_std, crop, NULL));
            golden_crop_ok(&c, crop, &equal);
            assert_true(equal);
            free(crop);
            free(rgb);
            ++count;
        }
        free(c.samples);
    }
    fclose(f);
    return count;
}

static void test_large_pictures(void **state) {
    (void)state;
    assert_true(check_formulas("expected.txt", CDL_INTERPOLATION_BILINEAR) >= 2);
    assert_true(check_formulas("bicubic.txt", CDL_INTERPOLATION_BICUBIC) >= 20);
}

// Formats, strides and orientations agree with the same picture as upright RGB8.
static void test_formats(void **state) {
    (void)state;
    enum { W = 37, H = 23, STRIDE = W * 4 + 12, CROP = 17 };
    uint8_t *rgb = make_formula(W, H), *stored = calloc(STRIDE, W > H ? W : H);
    uint8_t expected[CROP * CROP * 3], got[CROP * CROP * 3];
    struct cdl_pixels image = {.data = rgb, .width = W, .height = H, .format = CDL_FORMAT_RGB8};
    assert_true(cdl_preprocess_reference(&image, CDL_INTERPOLATION_BICUBIC, 19, CROP, CROP, imagenet_mean, imagenet_std,
                                         expected, NULL));
    for (int o = 1; o <= 8; ++o) {
        for (int bgr = 0; bgr < 2; ++bgr) {
            int sw = o < 5 ? W : H, sh = o < 5 ? H : W;
            struct cdl_pixel_walk walk;
            cdl_orient(o, sw, sh, STRIDE, 4, &walk);
            for (int y = 0; y < H; ++y)
                for (int x = 0; x < W; ++x)
                    for (int c = 0; c < 3; ++c)
                        stored[walk.base + x * walk.step_x + y * walk.step_y + (bgr ? 2 - c : c)] =
                            rgb[(y * W + x) * 3 + c];
            image = (struct cdl_pixels){.data = stored,
                                        .width = sw,
                                        .height = sh,
                                        .stride = STRIDE,
                                        .format = bgr ? CDL_FORMAT_BGRA8 : CDL_FORMAT_RGBA8,
                                        .orientation = o};
            assert_true(cdl_preprocess_reference(&image, CDL_INTERPOLATION_BICUBIC, 19, CROP, CROP, imagenet_mean,
                                                 imagenet_std, got, NULL));
            assert_memory_equal(got, expected, sizeof(got));
        }
    }
    free(stored);
    free(rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_geometry_table),  cmocka_unit_test(test_geometry_limits),
        cmocka_unit_test(test_axis_properties), cmocka_unit_test(test_orientations),
        cmocka_unit_test(test_normalize_bits),  cmocka_unit_test(test_large_pictures),
        cmocka_unit_test(test_formats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
