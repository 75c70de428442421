// test_overlay.c - class activation maps over pictures: the refined map, the painter, orientations, PNG files.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "picture/overlay.h"
#include "picture/picture.h"

static uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE];

static void test_colours_rise(void **state) {
    (void)state;
    uint8_t colours[OVERLAY_COLOURS][4];
    double before = -1;
    overlay_colours(colours);
    for (int i = 0; i < OVERLAY_COLOURS; i++) {
        const double luma = 0.2126 * pow(colours[i][0] / 255.0, 2.2) + 0.7152 * pow(colours[i][1] / 255.0, 2.2) +
                            0.0722 * pow(colours[i][2] / 255.0, 2.2);
        assert_true(luma > before - 0.01); // rounding to 8 bits aside, stronger is lighter
        assert_int_equal(colours[i][3], 255);
        before = luma;
    }
    assert_true(before > 0.6);
}

static void test_refine(void **state) {
    (void)state;
    const float none[6] = {-1, -2, -3, 0, -0.5f, -9}, even[6] = {2, 2, 2, 2, 2, 2};
    assert_false(overlay_refine(none, 3, 2, map));
    for (int i = 0; i < OVERLAY_SIDE * OVERLAY_SIDE; i++)
        assert_int_equal(map[i], 0);
    assert_true(overlay_refine(even, 3, 2, map));
    for (int i = 0; i < OVERLAY_SIDE * OVERLAY_SIDE; i++)
        assert_int_equal(map[i], 255);

    // One place of 7x7: strongest there, weaker with every step away, nothing far off.
    float one[49] = {0};
    one[2 * 7 + 5] = 3;
    assert_true(overlay_refine(one, 7, 7, map));
    const int x = (int)(5.5 / 7 * OVERLAY_SIDE), y = (int)(2.5 / 7 * OVERLAY_SIDE);
    assert_true(map[y * OVERLAY_SIDE + x] >= 250);
    for (int i = x; i > 0; i--)
        assert_true(map[y * OVERLAY_SIDE + i - 1] <= map[y * OVERLAY_SIDE + i]);
    assert_int_equal(map[y * OVERLAY_SIDE], 0);
    assert_int_equal(map[(OVERLAY_SIDE - 1) * OVERLAY_SIDE + x], 0);
    const float lone = 1;
    assert_true(overlay_refine(&lone, 1, 1, map));
    assert_int_equal(map[0], 255);
}

static void test_paint(void **state) {
    (void)state;
    enum { WIDTH = 40, HEIGHT = 20 };
    uint8_t pixels[HEIGHT][WIDTH][4], colours[OVERLAY_COLOURS][4];
    const struct cdl_region seen = {10, 0, 20, 20};
    memset(pixels, 100, sizeof pixels);
    memset(map, 255, sizeof map);
    overlay_colours(colours);
    overlay_paint(&pixels[0][0][0], WIDTH, HEIGHT, &seen, map);
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            for (int i = 0; i < 3; i++) {
                const int painted = (int)(100 + 0.62 * (colours[OVERLAY_COLOURS - 1][i] - 100) + 0.5);
                assert_in_range(pixels[y][x][i], x >= 10 && x < 30 ? painted - 1 : 100,
                                x >= 10 && x < 30 ? painted + 1 : 100);
            }
    memset(pixels, 100, sizeof pixels);
    memset(map, 0, sizeof map);
    overlay_paint(&pixels[0][0][0], WIDTH, HEIGHT, &seen, map);
    for (size_t i = 0; i < sizeof pixels; i++)
        assert_int_equal((&pixels[0][0][0])[i], 100); // what does not speak stays as it is
}

// EXIF: where row 0 and column 0 of what is stored lie in the upright picture.
static void test_upright(void **state) {
    (void)state;
    static const char *const expected[] = {"abcdef", "abcdef", "cbafed", "fedcba", "defabc",
                                           "adbecf", "daebfc", "fcebda", "cfbead"};
    uint8_t stored[6][4] = {{0}};
    for (int i = 0; i < 6; i++)
        stored[i][0] = (uint8_t)('a' + i); // abc over def
    for (int orientation = 0; orientation <= 8; orientation++) {
        int width, height;
        uint8_t *upright = overlay_upright(&stored[0][0], 3, 2, orientation, &width, &height);
        assert_non_null(upright);
        assert_int_equal(width, orientation >= 5 ? 2 : 3);
        assert_int_equal(height, orientation >= 5 ? 3 : 2);
        for (int i = 0; i < 6; i++)
            assert_int_equal(upright[4 * i], expected[orientation][i]);
        free(upright);
    }
}

static void test_png(void **state) {
    (void)state;
    enum { WIDTH = 61, HEIGHT = 7 };
    uint8_t pixels[WIDTH * HEIGHT * 4];
    char error[512];
    struct picture back;
    for (int i = 0; i < WIDTH * HEIGHT * 4; i++)
        pixels[i] = i % 4 == 3 ? 255 : (uint8_t)(i * 37 >> 3);
    assert_true(overlay_write_png("test_overlay.png", pixels, WIDTH, HEIGHT, error, sizeof error));
    assert_true(picture_load("test_overlay.png", NULL, &back, error, sizeof error));
    assert_true(back.width == WIDTH && back.height == HEIGHT);
    for (int i = 0; i < WIDTH * HEIGHT * 4; i++)
        assert_true(i % 4 == 3 || back.rgba[i] == pixels[i]);
    picture_free(&back);
    assert_int_equal(remove("test_overlay.png"), 0);
    assert_false(overlay_write_png("no such folder/a.png", pixels, WIDTH, HEIGHT, error, sizeof error));
    assert_non_null(strstr(error, "no such folder/a.png"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_colours_rise), cmocka_unit_test(test_refine), cmocka_unit_test(test_paint),
        cmocka_unit_test(test_upright),      cmocka_unit_test(test_png),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
