// test_pixels.c - pictures through a session: formats, strides, orientations, bands and parts, all as the plain-C
// reference and Pillow have them. What the network is given is read back.
#include <math.h>

#include "session/inspect.h"
#include "support/golden_pictures.h"
#include "support/harness.h"
#include "picture/picture.h"
#include "support/reference_preprocess.h"

static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};

struct setting {
    int resize, width, height, batch;
    size_t staging;
    bool bicubic;
};

// A session that keeps its values, of a tiny network told to take `setting`'s input.
static cdl_session *open_session(const struct setting *setting, bool fp16) {
    char path[512], input_size[32], resize_size[16];
    cdl_model *model;
    cdl_session *s;
    snprintf(path, sizeof path, "%s/layers/basic_3x3.safetensors", CDL_GOLDEN_DIR);
    snprintf(input_size, sizeof input_size, "%dx%d", setting->height, setting->width);
    snprintf(resize_size, sizeof resize_size, "%d", setting->resize);
    const struct cdl_pair metadata[] = {{"input_size", input_size},
                                        {"resize_size", resize_size},
                                        {"interpolation", setting->bicubic ? "bicubic" : "bilinear"}};
    cdl_log log = harness_log();
    log.level = CDL_LOG_ERR; // a warning tells of black borders, which are wanted here
    harness_expect_ok(
        cdl_model_load_file(&model, path, cdl_model_params(.log = log, .metadata = metadata, .num_metadata = 3)), path);
    harness_expect_ok(
        cdl_session_create_keeping(&s, harness.dev, model,
                                   cdl_session_params(.max_batch = setting->batch, .staging_bytes = setting->staging,
                                                      .precision = fp16 ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32)),
        "session");
    cdl_model_destroy(&model);
    return s;
}

// The network's input for one image: [height][width][3], and as 8-bit before Normalize. malloc'd.
static float *read_input(cdl_session *s, int image, uint8_t **rgb) {
    const size_t count = (size_t)s->info.width * (size_t)s->info.height * 3;
    float *out = must_alloc(count, sizeof *out);
    harness_expect_ok(cdl_session_read_value(s, 0, image, out), "the network's input");
    if (rgb) {
        *rgb = must_alloc(count, 1);
        for (size_t i = 0; i < count; i++)
            (*rgb)[i] = (uint8_t)lround(
                fmin(fmax(((double)out[i] * (double)deviation[i % 3] + (double)mean[i % 3]) * 255, 0), 255));
    }
    return out;
}

static void check_input(cdl_session *s, int image, const struct cdl_pixels *pixels, const char *what) {
    const size_t plane = (size_t)s->info.width * (size_t)s->info.height;
    float *out = read_input(s, image, NULL), *expected = must_alloc(plane * 3, sizeof *expected);
    assert_true(cdl_preprocess_reference(pixels, s->interpolation, s->resize_size, s->info.width, s->info.height, mean,
                                         deviation, NULL, expected));
    for (size_t i = 0; i < plane * 3; i++) {
        const double wanted = (double)expected[i % 3 * plane + i / 3],
                     bound = s->plan.fp16 ? 0x1p-10 * fabs(wanted) + 0x1p-14 : 0x1p-21 * fabs(wanted) + 1e-6;
        if (!(fabs((double)out[i] - wanted) <= bound))
            fail_msg("%s: image %d pixel %zu channel %zu is %g, expected %g", what, image, i / 3, i % 3, (double)out[i],
                     wanted);
    }
    free(out);
    free(expected);
}

static size_t bytes_per_pixel(cdl_format format) {
    return format == CDL_FORMAT_RGB8 ? 3 : format == CDL_FORMAT_GRAY8 ? 1 : 4;
}

// ---- tests

static void test_formats_and_orientations(void **state) {
    (void)state;
    struct random r = random_of(1);
    static const cdl_format formats[] = {CDL_FORMAT_RGBA8, CDL_FORMAT_BGRA8, CDL_FORMAT_RGB8, CDL_FORMAT_GRAY8};
    for (int fp16 = 0; fp16 < 2; fp16++) {
        cdl_session *s = open_session(&(struct setting){.resize = 24, .width = 21, .height = 19, .batch = 8}, fp16);
        for (size_t f = 0; f < CDL_COUNT(formats); f++) {
            struct cdl_pixels pixels[8];
            uint8_t *data[8];
            char what[64];
            for (int i = 0; i < 8; i++) { // orientation 1 ... 8; strides tight, padded, and 0
                const int width = 40 + i, height = 61 - 3 * i;
                const size_t tight = (size_t)width * bytes_per_pixel(formats[f]),
                             stride = i % 3 == 0 ? 0 : tight + (size_t)(i % 3 - 1) * 5;
                data[i] = random_bytes(&r, (stride ? stride : tight) * (size_t)height);
                pixels[i] = (struct cdl_pixels){data[i], width, height, stride, formats[f], i + 1};
            }
            harness_expect_ok(cdl_session_run(s, pixels, 8), "run");
            for (int i = 0; i < 8; i++) {
                snprintf(what, sizeof what, "format %d orientation %d %s", (int)formats[f], i + 1,
                         fp16 ? "fp16" : "fp32");
                check_input(s, i, &pixels[i], what);
                free(data[i]);
            }
        }
        cdl_session_destroy(&s);
    }
}

// BT.709 in limited range, as its matrix is defined (ITU-R BT.709-6, 3): Kr 0.2126, Kb 0.0722.
static void rgb_of_yuv(int y, int cb, int cr, double rgb[3]) {
    const double kr = 0.2126, kb = 0.0722, kg = 1 - kr - kb, level = (y - 16) / 219.0, b = (cb - 128) / 224.0,
                 r = (cr - 128) / 224.0;
    rgb[0] = level + 2 * (1 - kr) * r;
    rgb[1] = level - 2 * kb * (1 - kb) / kg * b - 2 * kr * (1 - kr) / kg * r;
    rgb[2] = level + 2 * (1 - kb) * b;
}

// NV12 is the same as its pixels converted one by one, but for what 8-bit fixed point rounds.
static void test_nv12(void **state) {
    (void)state;
    struct random r = random_of(2);
    cdl_session *s = open_session(&(struct setting){.resize = 24, .width = 21, .height = 19, .batch = 2}, false);
    static const struct {
        int width, height, padding;
    } sizes[] = {{24, 24, 0}, {41, 37, 0}, {60, 31, 6}, {1, 1, 0}, {33, 90, 1}};
    for (size_t i = 0; i < CDL_COUNT(sizes); i++) {
        const int width = sizes[i].width, height = sizes[i].height, tight = (width + 1) / 2 * 2,
                  stride = tight + sizes[i].padding;
        uint8_t *nv12 = random_bytes(&r, (size_t)stride * (size_t)(height + (height + 1) / 2));
        uint8_t *rgb = must_alloc((size_t)width * (size_t)height, 3);
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++) {
                const uint8_t *pair = nv12 + stride * (height + y / 2) + x / 2 * 2;
                double exact[3];
                rgb_of_yuv(nv12[stride * y + x], pair[0], pair[1], exact);
                for (int c = 0; c < 3; c++)
                    rgb[(y * width + x) * 3 + c] = (uint8_t)lround(fmin(fmax(exact[c], 0), 1) * 255);
            }
        const struct cdl_pixels both[2] = {
            {.data = nv12,
             .width = width,
             .height = height,
             .stride = sizes[i].padding ? (size_t)stride : 0,
             .format = CDL_FORMAT_NV12,
             .orientation = 1 + (int)i},
            {.data = rgb, .width = width, .height = height, .format = CDL_FORMAT_RGB8, .orientation = 1 + (int)i},
        };
        harness_expect_ok(cdl_session_run(s, both, 2), "run");
        check_input(s, 1, &both[1], "rgb");
        uint8_t *got[2];
        for (int k = 0; k < 2; k++)
            free(read_input(s, k, &got[k]));
        for (int k = 0; k < 21 * 19 * 3; k++)
            if (abs(got[0][k] - got[1][k]) > 2)
                fail_msg("%dx%d: value %d is %d, by the definition %d", width, height, k, got[0][k], got[1][k]);
        for (int k = 0; k < 2; k++)
            free(got[k]);
        free(nv12);
        free(rgb);
    }
    const uint8_t odd[12] = {0};
    const struct cdl_pixels narrow = {.data = odd, .width = 3, .height = 2, .stride = 3, .format = CDL_FORMAT_NV12};
    harness_expect_failure(cdl_session_run(s, &narrow, 1), CDL_ERR_INVALID, "rows shorter than their chroma pairs");
    cdl_session_destroy(&s);
}

// The same pictures through buffers of any size: the same bits.
static void test_parts_equal_one_part(void **state) {
    (void)state;
    struct random r = random_of(3);
    static const struct { int width, height; } sizes[] = {{500, 333}, {77, 400}, {1, 300}, {33, 21}, {640, 48}};
    static const size_t stagings[] = {0, 400000, 120000, 80000};
    struct cdl_pixels pixels[5];
    float *expected[5];
    for (int orientation = 1; orientation <= 8; orientation += 5) { // 1 and 6: upright and turned
        for (int i = 0; i < 5; i++)
            pixels[i] =
                (struct cdl_pixels){.data = random_bytes(&r, (size_t)sizes[i].width * (size_t)sizes[i].height * 3),
                                    .width = sizes[i].width,
                                    .height = sizes[i].height,
                                    .format = CDL_FORMAT_RGB8,
                                    .orientation = orientation};
        for (size_t k = 0; k < CDL_COUNT(stagings); k++) {
            cdl_session *s = open_session(
                &(struct setting){.resize = 32, .width = 32, .height = 32, .batch = 5, .staging = stagings[k]}, false);
            const size_t bytes = 32 * 32 * 3 * sizeof(float);
            if (stagings[k])
                assert_true(s->info.staging_bytes == stagings[k]); // else this tests nothing
            harness_expect_ok(cdl_session_run(s, pixels, 5), "run");
            for (int i = 0; i < 5; i++) {
                float *got = read_input(s, i, NULL);
                if (k == 0) {
                    expected[i] = got;
                    check_input(s, i, &pixels[i], "one part");
                    continue;
                }
                if (memcmp(got, expected[i], bytes))
                    fail_msg("picture %dx%d through %zu bytes differs from one part", sizes[i].width, sizes[i].height,
                             stagings[k]);
                free(got);
            }
            cdl_session_destroy(&s);
        }
        for (int i = 0; i < 5; i++) {
            free(expected[i]);
            free((void *)(uintptr_t)pixels[i].data);
        }
    }
}

static void test_too_small_a_staging_buffer(void **state) {
    (void)state;
    struct random r = random_of(4);
    cdl_session *s =
        open_session(&(struct setting){.resize = 8, .width = 8, .height = 8, .batch = 2, .staging = 1}, false);
    uint8_t *large = random_bytes(&r, 4000 * 300 * 3), *small = random_bytes(&r, 9 * 8);
    const struct cdl_pixels bad = {.data = large, .width = 4000, .height = 300, .format = CDL_FORMAT_RGB8};
    const struct cdl_pixels good = {.data = small, .width = 9, .height = 8, .format = CDL_FORMAT_GRAY8};
    harness_expect_failure(cdl_session_run(s, &bad, 1), CDL_ERR_NOMEM, "a picture that fits no band");
    assert_non_null(strstr(harness.last, "staging_bytes"));
    assert_null(cdl_session_logits(s, 0, 0));
    harness_expect_ok(cdl_session_run(s, &good, 1), "a picture that fits");
    check_input(s, 0, &good, "after a failure");
    // One of two: nothing of the run counts.
    const struct cdl_pixels both[] = {good, bad};
    harness_expect_failure(cdl_session_run(s, both, 2), CDL_ERR_NOMEM, "one picture of two");
    assert_null(cdl_session_logits(s, 0, 0));
    cdl_session_destroy(&s);
    free(large);
    free(small);
}

static void test_tensors_in_parts(void **state) {
    (void)state;
    enum { W = 17, H = 15, N = 5 };
    float *data = must_alloc(N * 3 * W * H, sizeof *data);
    struct cdl_pixels pixels[N];
    struct random r = random_of(3);
    for (int i = 0; i < N * 3 * W * H; i++)
        data[i] = random_float(&r);
    for (int i = 0; i < N; i++)
        pixels[i] = (struct cdl_pixels){
            .data = data + (N - 1 - i) * 3 * W * H, .width = W, .height = H, .format = CDL_FORMAT_TENSOR_F32};
    for (size_t staging = 1; staging <= 20000; staging += 9999) {
        cdl_session *s = open_session(
            &(struct setting){.resize = 16, .width = W, .height = H, .batch = N, .staging = staging}, false);
        harness_expect_ok(cdl_session_run(s, pixels, N), "tensors");
        for (int i = 0; i < N; i++) {
            float *got = read_input(s, i, NULL);
            for (int k = 0; k < W * H * 3; k++)
                if (got[k] != ((const float *)pixels[i].data)[k % 3 * W * H + k / 3])
                    fail_msg("tensor %d value %d through %zu bytes", i, k, staging);
            free(got);
        }
        cdl_session_destroy(&s);
    }
    free(data);
}

// ---- Pillow's and torchvision's pixels (tests/golden/make_pictures.py)

// Returns whether every byte is equal; fails beyond the tolerance that golden_crop_ok grants.
static bool check_golden(cdl_session *s, const struct golden_case *c) {
    struct cdl_pixels pixels = {.width = c->width, .height = c->height};
    struct picture picture = {0};
    uint8_t *formula = NULL, *rgb;
    char path[512], error[512];
    bool equal;
    if (c->file[0] == '@') {
        pixels.data = formula = must_alloc((size_t)c->width * (size_t)c->height, 3);
        golden_formula(c->width, c->height, formula);
        pixels.format = CDL_FORMAT_RGB8;
    } else {
        golden_path(path, sizeof path, c->file);
        if (!picture_load(path, NULL, &picture, error, sizeof error))
            fail_msg("%s", error);
        pixels.data = picture.rgba;
        pixels.orientation = picture.orientation;
    }
    harness_expect_ok(cdl_session_run(s, &pixels, 1), c->file);
    float *input = read_input(s, 0, &rgb);
    if (!golden_crop_ok(c, rgb, &equal))
        fail_msg("%s resize %d: the network's input is not Pillow's", c->file, c->resize);
    free(rgb);
    free(input);
    free(formula);
    picture_free(&picture);
    return equal;
}

// Compares with every line of a text of golden pictures; how many there are, and how many are equal to the last bit.
static void check_goldens(const char *file, bool bicubic, int *num_cases, int *num_equal) {
    cdl_session *sessions[40] = {0};
    int num_sessions = 0, cases = 0, equal = 0;
    struct golden_case c;
    FILE *f = golden_open(file);
    assert_non_null(f);
    while (golden_next(f, &c)) {
        if (c.file[0] != '@' && picture_unreadable_format(c.file)) {
            print_message("%s: SKIPPED: %s\n", c.file, picture_unreadable_format(c.file));
            free(c.samples);
            continue;
        }
        int i = 0;
        while (i < num_sessions && (sessions[i]->resize_size != c.resize || sessions[i]->info.width != c.crop_width ||
                                    sessions[i]->info.height != c.crop_height))
            i++;
        if (i == num_sessions) {
            assert_true(num_sessions < (int)CDL_COUNT(sessions));
            sessions[num_sessions++] =
                open_session(&(struct setting){c.resize, c.crop_width, c.crop_height, 1, 0, bicubic}, false);
        }
        equal += check_golden(sessions[i], &c);
        cases++;
        free(c.samples);
    }
    fclose(f);
    print_message("%s: %d pictures, %d equal to the last bit\n", file, cases, equal);
    for (int i = 0; i < num_sessions; i++)
        cdl_session_destroy(&sessions[i]);
    *num_cases = cases;
    *num_equal = equal;
}

static void test_golden_pictures(void **state) {
    (void)state;
    int cases, equal;
    check_goldens("expected.txt", false, &cases, &equal);
    assert_true(cases >= 50);
#ifdef CARDINAL_HAVE_JPEG
    assert_int_equal(equal, cases);
#endif
    check_goldens("bicubic.txt", true, &cases, &equal);
    assert_true(cases >= 30);
    assert_int_equal(equal, cases); // no JPEG among them
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats_and_orientations), cmocka_unit_test(test_nv12),
        cmocka_unit_test(test_parts_equal_one_part),     cmocka_unit_test(test_too_small_a_staging_buffer),
        cmocka_unit_test(test_tensors_in_parts),         cmocka_unit_test(test_golden_pictures),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("pixels", tests, harness_open, harness_close);
}
