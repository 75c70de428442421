// test_session.c - the public API: use, misuse, slots in flight, sharing, threads, order of destruction.
#include <math.h>

#include "support/harness.h"
#include "tune/tuner.h"
#include "system/thread.h"

enum { WIDTH = 5, HEIGHT = 7, INPUT = 3 * WIDTH * HEIGHT, CLASSES = 10, PICTURES = 6 };

static cdl_session *open_session(cdl_model *model, const struct cdl_session_params *params) {
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, params), "session");
    return s;
}

// Six pictures of different sizes, and what a session of one image says of each.
static struct {
    cdl_model *model; // 10 classes, input 5x7 (width x height)
    uint8_t rgb[PICTURES][40 * 40 * 3];
    struct cdl_pixels pixels[PICTURES];
    float logits[PICTURES][CLASSES];
} t;

static int open_all(void **state) {
    if (harness_open(state))
        return -1;
    struct random r = random_of(1);
    t.model = harness_load("bottleneck_g8");
    cdl_session *s = open_session(t.model, cdl_session_params(.precision = CDL_PRECISION_FP32));
    for (int i = 0; i < PICTURES; i++) {
        for (size_t k = 0; k < sizeof t.rgb[i]; k++)
            t.rgb[i][k] = (uint8_t)random_next(&r);
        t.pixels[i] =
            (struct cdl_pixels){.data = t.rgb[i], .width = 12 + 5 * i, .height = 40 - 4 * i, .format = CDL_FORMAT_RGB8};
        harness_expect_ok(cdl_session_run(s, &t.pixels[i], 1), "run");
        memcpy(t.logits[i], cdl_session_logits(s, 0, 0), sizeof t.logits[i]);
    }
    cdl_session_destroy(&s);
    return 0;
}

static int close_all(void **state) {
    cdl_model_destroy(&t.model);
    return harness_close(state);
}

// limit: of the largest logit
static void check_logits(const cdl_session *s, int slot, int image, int picture, double limit, const char *what) {
    const float *logits = cdl_session_logits(s, slot, image);
    double largest = 0, worst = 0;
    assert_non_null(logits);
    for (int i = 0; i < CLASSES; i++) {
        largest = fmax(largest, fabs((double)t.logits[picture][i]));
        worst = fmax(worst, fabs((double)logits[i] - (double)t.logits[picture][i]));
    }
    if (!(worst <= limit * largest))
        fail_msg("%s: logits of picture %d are off by %g, largest %g", what, picture, worst, largest);
}

// ---- use

static void test_info(void **state) {
    (void)state;
    struct cdl_session_info info;
    cdl_session *s = open_session(t.model, NULL);
    cdl_session_get_info(s, &info);
    assert_int_equal(info.max_batch, 1);
    assert_int_equal(info.num_slots, 1);
    assert_int_equal(info.width, WIDTH);
    assert_int_equal(info.height, HEIGHT);
    assert_true(info.precision == CDL_PRECISION_FP32 || info.precision == CDL_PRECISION_FP16);
    assert_true(info.weight_bytes > 0 && info.activation_bytes > 0 && info.staging_bytes >= INPUT * 4);
    cdl_session_destroy(&s);
    assert_null(s);
    cdl_session_destroy(&s);
    cdl_session_destroy(NULL);
}

static void test_partial_batches(void **state) {
    (void)state;
    static const int counts[] = {5, 1, 3, 4, 2, 5};
    cdl_session *s = open_session(t.model, cdl_session_params(.max_batch = 5, .precision = CDL_PRECISION_FP32));
    for (size_t i = 0; i < CDL_COUNT(counts); i++) {
        harness_expect_ok(cdl_session_run(s, t.pixels + 1, counts[i]), "run");
        for (int k = 0; k < counts[i]; k++)
            check_logits(s, 0, k, 1 + k, 1e-5, "partial batch");
        assert_null(cdl_session_logits(s, 0, counts[i]));
    }
    cdl_session_destroy(&s);
}

static void test_topk(void **state) {
    (void)state;
    struct cdl_class top[CLASSES];
    cdl_session *s = open_session(t.model, cdl_session_params(.max_batch = 2, .precision = CDL_PRECISION_FP32));
    harness_expect_ok(cdl_session_run(s, t.pixels, 2), "run");
    for (int image = 0; image < 2; image++) {
        double sum = 0;
        harness_expect_ok(cdl_session_topk(s, 0, image, top, CLASSES), "topk");
        const float *logits = cdl_session_logits(s, 0, image);
        for (int i = 0; i < CLASSES; i++) {
            sum += (double)top[i].prob;
            assert_true(top[i].logit == logits[top[i].id]);
            if (i)
                assert_true(top[i - 1].logit > top[i].logit ||
                            (top[i - 1].logit == top[i].logit && top[i - 1].id < top[i].id));
        }
        assert_true(fabs(sum - 1) < 1e-5);
    }
    harness_expect_ok(cdl_session_topk(s, 0, 0, top, 0), "topk of none");
    cdl_session_destroy(&s);
}

static void test_slots_in_flight(void **state) {
    (void)state;
    cdl_session *s =
        open_session(t.model, cdl_session_params(.max_batch = 3, .num_slots = 2, .precision = CDL_PRECISION_FP32));
    for (int round = 0; round < 4; round++) {
        harness_expect_ok(cdl_session_submit(s, 0, t.pixels, 3), "slot 0");
        harness_expect_ok(cdl_session_submit(s, 1, t.pixels + 3, 2 + round % 2), "slot 1");
        assert_null(cdl_session_logits(s, 0, 0)); // under way
        harness_expect_ok(cdl_session_wait(s, 1, UINT64_MAX), "wait for slot 1");
        cdl_result r;
        while ((r = cdl_session_wait(s, 0, 0)) == CDL_NOT_READY) // polling
            ;
        harness_expect_ok(r, "wait for slot 0");
        for (int i = 0; i < 3; i++)
            check_logits(s, 0, i, i, 1e-5, "slot 0");
        for (int i = 0; i < 2 + round % 2; i++)
            check_logits(s, 1, i, 3 + i, 1e-5, "slot 1");
    }
    // Pixels may be reused at once, and one slot's result lasts while the other runs.
    uint8_t *copy = must_alloc(sizeof t.rgb[0], 1);
    struct cdl_pixels pixels = t.pixels[4];
    memcpy(copy, t.rgb[4], sizeof t.rgb[4]);
    pixels.data = copy;
    harness_expect_ok(cdl_session_submit(s, 1, &pixels, 1), "slot 1");
    memset(copy, 0, sizeof t.rgb[4]);
    check_logits(s, 0, 0, 0, 1e-5, "slot 0, still");
    harness_expect_ok(cdl_session_wait(s, 1, UINT64_MAX), "wait");
    check_logits(s, 1, 0, 4, 1e-5, "reused pixels");
    harness_expect_ok(cdl_session_wait(s, 1, 0), "waiting for what is done");
    free(copy);
    harness_expect_ok(cdl_session_submit(s, 0, t.pixels, 2), "left under way");
    cdl_session_destroy(&s);
}

static void test_fold_and_precision(void **state) {
    (void)state;
    cdl_session *plain =
        open_session(t.model, cdl_session_params(.max_batch = 6, .no_fold = true, .precision = CDL_PRECISION_FP32));
    cdl_session *half = open_session(t.model, cdl_session_params(.max_batch = 6, .precision = CDL_PRECISION_FP16));
    harness_expect_ok(cdl_session_run(plain, t.pixels, 6), "no-fold");
    harness_expect_ok(cdl_session_run(half, t.pixels, 6), "fp16");
    for (int i = 0; i < 6; i++) {
        check_logits(plain, 0, i, i, 2e-5, "no-fold");
        check_logits(half, 0, i, i, 2e-2, "fp16");
    }
    assert_int_equal(half->info.precision, CDL_PRECISION_FP16);
    assert_true(half->info.weight_bytes < plain->info.weight_bytes);
    cdl_session_destroy(&half);
    cdl_session_destroy(&plain);
}

static void test_other_input_size(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.width = 20, .height = 28));
    assert_int_equal(s->resize_size, 4 * t.model->recipe.resize_size);
    harness_expect_ok(cdl_session_run(s, t.pixels, 1), "run");
    assert_non_null(cdl_session_logits(s, 0, 0));
    cdl_session_destroy(&s);
}

static void test_timings(void **state) {
    (void)state;
    struct cdl_timing timings[256];
    int num = -1;
    cdl_session *s = open_session(t.model, cdl_session_params(.timings = true));
    harness_expect_ok(cdl_session_run(s, t.pixels, 1), "run");
    check_logits(s, 0, 0, 0, 2e-2, "timed");
    harness_expect_ok(cdl_session_timings(s, 0, NULL, 0, &num), "count");
    harness_expect_ok(cdl_session_timings(s, 0, timings, 256, &num), "timings");
    assert_int_equal(num, harness.info.timestamps ? s->plan.num_steps : 0);
    for (int i = 0; i < num; i++)
        assert_true(timings[i].layer[0] && timings[i].kernel[0] && timings[i].flops > 0 && timings[i].bytes > 0);
    if (num)
        assert_string_equal(timings[num - 1].layer, "fc");
    if (harness.info.timestamps)
        assert_true(cdl_session_gpu_ns(s, 0) > 0);
    cdl_session_destroy(&s);
}

// A session whose first steps run for a few images at a time: what the tuner may find, put into its table.
static cdl_session *open_segmented(struct cdl_session_params params, int steps, int images) {
    cdl_session *s = open_session(t.model, &params);
    remember_segment(s, (struct cdl_segment){steps, images});
    cdl_session_destroy(&s);
    s = open_session(t.model, &params);
    const bool whole = steps == 0 || images >= params.max_batch;
    assert_int_equal(s->plan.segment.steps, whole ? 0 : steps);
    assert_int_equal(s->plan.segment.images, whole ? 0 : images);
    return s;
}

static void expect_same_logits(const cdl_session *a, const cdl_session *b, int image) {
    const float *x = cdl_session_logits(a, 0, image), *y = cdl_session_logits(b, 0, image);
    assert_non_null(x);
    assert_non_null(y);
    assert_memory_equal(x, y, CLASSES * sizeof *x);
}

// The order of work changes, no result does, to the last bit: whatever the number of pictures.
static void test_segments(void **state) {
    (void)state;
    static const struct { int steps, images; } segments[] = {{1, 1}, {2, 4}, {5, 2}, {7, 3}, {12, 1}, {100, 2}, {3, 6}};
    for (int i = 0; i < 4; i++) {
        struct cdl_session_params params =
            *cdl_session_params(.max_batch = PICTURES, .no_fold = i & 2,
                                .precision = i & 1 ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32);
        cdl_session *plain = open_segmented(params, 0, 0);
        for (size_t k = 0; k < CDL_COUNT(segments); k++) {
            const int steps = segments[k].steps < plain->plan.num_steps ? segments[k].steps : plain->plan.num_steps;
            cdl_session *s = open_segmented(params, steps, segments[k].images);
            for (int count = PICTURES; count >= 1; count--) {
                harness_expect_ok(cdl_session_run(plain, t.pixels, count), "whole batch");
                harness_expect_ok(cdl_session_run(s, t.pixels, count), "sub-batches");
                for (int image = 0; image < count; image++)
                    expect_same_logits(plain, s, image);
            }
            cdl_session_destroy(&s);
        }
        cdl_session_destroy(&plain);
        cdl_session *s = open_segmented(params, 0, 0); // for the tests behind this one
        cdl_session_destroy(&s);
    }
}

// A layer's time is that of all its sub-batches, and all layers' are no more than the run's.
static void test_timings_of_segments(void **state) {
    (void)state;
    struct cdl_timing timings[256];
    int num;
    cdl_session *s =
        open_segmented(*cdl_session_params(.max_batch = 5, .timings = true, .precision = CDL_PRECISION_FP32), 4, 2);
    for (int count = 5; count >= 1; count -= 2) {
        uint64_t sum = 0;
        harness_expect_ok(cdl_session_run(s, t.pixels, count), "run");
        check_logits(s, 0, count - 1, count - 1, 1e-5, "timed");
        harness_expect_ok(cdl_session_timings(s, 0, timings, 256, &num), "timings");
        assert_int_equal(num, harness.info.timestamps ? s->plan.num_steps : 0);
        for (int i = 0; i < num; i++) {
            assert_true(timings[i].flops > 0 && timings[i].flops % (uint64_t)count == 0);
            sum += timings[i].gpu_ns;
        }
        assert_true(sum <= cdl_session_gpu_ns(s, 0) && (sum > 0) == harness.info.timestamps);
        assert_true(cdl_session_preprocess_ns(s, 0) <= cdl_session_gpu_ns(s, 0) - sum);
    }
    cdl_session_destroy(&s);
    s = open_segmented(*cdl_session_params(.max_batch = 5, .timings = true, .precision = CDL_PRECISION_FP32), 0, 0);
    cdl_session_destroy(&s);
}

// ---- misuse

// Resize to the short side, then the centre: what the network saw of a picture.
static void test_seen(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.width = 20, .height = 10));
    struct cdl_region r;
    const struct { int width, height; } sizes[] = {{200, 100}, {100, 200}, {31, 31}, {1, 500}};
    for (size_t i = 0; i < CDL_COUNT(sizes); i++) {
        harness_expect_ok(cdl_session_seen(s, sizes[i].width, sizes[i].height, &r), "seen");
        const int shorter = sizes[i].width < sizes[i].height ? sizes[i].width : sizes[i].height;
        const float scale = (float)shorter / (float)s->resize_size,
                    margin = 1.01f * scale + 0.01f * r.width; // whole pixels, resized
        assert_float_equal(r.width, 20 * scale, margin);
        assert_float_equal(r.height, 10 * scale, 0.5f * margin + 0.2f);
        assert_float_equal(r.x + r.width / 2, sizes[i].width / 2.0f, margin);
        assert_float_equal(r.y + r.height / 2, sizes[i].height / 2.0f, margin);
    }
    harness_expect_failure(cdl_session_seen(s, 0, 10, &r), CDL_ERR_INVALID, "no picture");
    harness_expect_failure(cdl_session_seen(s, 10, 65536, &r), CDL_ERR_INVALID, "too large a picture");
    harness_expect_failure(cdl_session_seen(s, 10, 10, NULL), CDL_ERR_INVALID, "nowhere to write");
    const struct cdl_pixels picture = t.pixels[0];
    harness_expect_ok(cdl_session_run(s, &picture, 1), "run");
    float map[64];
    harness_expect_failure(cdl_session_cam(s, 0, 0, 0, map), CDL_ERR_INVALID, "no `cam` was asked for");
    assert_non_null(cdl_session_features(s, 0, 0));
    assert_null(cdl_session_features(s, 1, 0));
    cdl_session_destroy(&s);
}

static void test_wrong_parameters(void **state) {
    (void)state;
    static const struct {
        const char *what;
        struct cdl_session_params params;
    } wrong[] = {
        {"no struct_size", {.max_batch = 1}},
        {"max_batch -1", {.struct_size = sizeof(struct cdl_session_params), .max_batch = -1}},
        {"max_batch of a million", {.struct_size = sizeof(struct cdl_session_params), .max_batch = 1000000}},
        {"num_slots -1", {.struct_size = sizeof(struct cdl_session_params), .num_slots = -1}},
        {"num_slots 1000", {.struct_size = sizeof(struct cdl_session_params), .num_slots = 1000}},
        {"width -1", {.struct_size = sizeof(struct cdl_session_params), .width = -1}},
        {"height -1", {.struct_size = sizeof(struct cdl_session_params), .height = -1}},
        {"width 100000", {.struct_size = sizeof(struct cdl_session_params), .width = 100000}},
        {"precision 7", {.struct_size = sizeof(struct cdl_session_params), .precision = (cdl_precision)7}},
    };
    cdl_session *s = NULL;
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        harness_expect_failure(cdl_session_create(&s, harness.dev, t.model, &wrong[i].params), CDL_ERR_INVALID,
                               wrong[i].what);
        assert_null(s);
    }
    harness_expect_failure(cdl_session_create(&s, harness.dev, NULL, NULL), CDL_ERR_INVALID, "no model");
    assert_null(s);
}

// Callers compiled with an older or a newer header than the library.
static void test_other_versions_of_params(void **state) {
    (void)state;
    struct {
        struct cdl_session_params params;
        char later[64];
    } newer = {.params = {.struct_size = sizeof newer, .max_batch = 2}};
    cdl_session *s = open_session(t.model, &newer.params);
    assert_int_equal(s->info.max_batch, 2);
    cdl_session_destroy(&s);
    struct cdl_session_params older = {
        .struct_size = offsetof(struct cdl_session_params, width), .max_batch = 3, .width = -1}; // not read
    s = open_session(t.model, &older);
    assert_int_equal(s->info.max_batch, 3);
    assert_int_equal(s->info.width, WIDTH);
    cdl_session_destroy(&s);
}

static void test_wrong_pixels(void **state) {
    (void)state;
    const struct cdl_pixels good = t.pixels[0];
    static float tensor[INPUT];
    struct cdl_pixels wrong[] = {
        good,
        good,
        good,
        good,
        good,
        good,
        good,
        good,
        good,
        {.data = tensor, .width = WIDTH + 1, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32},
        {.data = tensor, .width = WIDTH, .height = HEIGHT, .stride = WIDTH * 4, .format = CDL_FORMAT_TENSOR_F32}};
    wrong[0].data = NULL;
    wrong[1].width = 0;
    wrong[2].height = -3;
    wrong[3].format = (cdl_format)9;
    wrong[4].stride = (size_t)good.width * 3 - 1;
    wrong[5].orientation = 9;
    wrong[6].orientation = -1;
    wrong[7].format = (cdl_format)-1;
    wrong[8].width = 70000; // more than a picture's side may have
    cdl_session *s = open_session(t.model, cdl_session_params(.max_batch = 2, .precision = CDL_PRECISION_FP32));
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        char what[32];
        snprintf(what, sizeof what, "wrong pixels %zu", i);
        harness_expect_failure(cdl_session_run(s, &wrong[i], 1), CDL_ERR_INVALID, what);
        const struct cdl_pixels second[] = {good, wrong[i]};
        harness_expect_failure(cdl_session_run(s, second, 2), CDL_ERR_INVALID, what);
        assert_null(cdl_session_logits(s, 0, 0));
    }
    const struct cdl_pixels mixed[] = {
        good, {.data = tensor, .width = WIDTH, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32}};
    harness_expect_failure(cdl_session_run(s, mixed, 2), CDL_ERR_INVALID, "a picture and a tensor");
    harness_expect_failure(cdl_session_run(s, &good, 0), CDL_ERR_INVALID, "no picture");
    harness_expect_failure(cdl_session_run(s, t.pixels, 3), CDL_ERR_INVALID, "more than max_batch");
    harness_expect_failure(cdl_session_run(s, NULL, 1), CDL_ERR_INVALID, "no pixels");
    harness_expect_ok(cdl_session_run(s, &good, 1), "a good one after all that");
    check_logits(s, 0, 0, 0, 1e-5, "after misuse");
    cdl_session_destroy(&s);
}

static void test_wrong_order_of_calls(void **state) {
    (void)state;
    struct cdl_class top[CLASSES + 1];
    struct cdl_timing timing;
    int num;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 2, .precision = CDL_PRECISION_FP32));
    harness_expect_failure(cdl_session_topk(s, 0, 0, top, 1), CDL_ERR_INVALID, "topk before a run");
    harness_expect_failure(cdl_session_submit(s, 2, t.pixels, 1), CDL_ERR_INVALID, "slot 2 of two");
    harness_expect_failure(cdl_session_submit(s, -1, t.pixels, 1), CDL_ERR_INVALID, "slot -1");
    harness_expect_failure(cdl_session_wait(s, 2, 0), CDL_ERR_INVALID, "wait for slot 2 of two");
    assert_null(cdl_session_logits(s, 0, 0));
    assert_null(cdl_session_logits(s, 9, 0));
    assert_true(cdl_session_gpu_ns(s, 0) == 0);
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "waiting for nothing");

    harness_expect_ok(cdl_session_submit(s, 0, t.pixels, 1), "submit");
    harness_expect_failure(cdl_session_submit(s, 0, t.pixels, 1), CDL_ERR_INVALID, "a busy slot");
    harness_expect_failure(cdl_session_topk(s, 0, 0, top, 1), CDL_ERR_INVALID, "topk of a busy slot");
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    check_logits(s, 0, 0, 0, 1e-5, "after misuse");
    harness_expect_failure(cdl_session_topk(s, 0, 0, top, CLASSES + 1), CDL_ERR_INVALID, "k above the class count");
    harness_expect_failure(cdl_session_topk(s, 0, 0, top, -1), CDL_ERR_INVALID, "k below 0");
    harness_expect_failure(cdl_session_topk(s, 0, 1, top, 1), CDL_ERR_INVALID, "image 1 of one");
    harness_expect_failure(cdl_session_topk(s, 0, 0, NULL, 1), CDL_ERR_INVALID, "topk to nowhere");
    harness_expect_failure(cdl_session_timings(s, 0, &timing, 1, &num), CDL_ERR_INVALID,
                           "timings of a session without");
    cdl_session_destroy(&s);
}

static void test_devices(void **state) {
    (void)state;
    struct cdl_device_info list[8];
    struct cdl_device_params no_size = {.log = harness_log()};
    const cdl_log log = harness_log();
    cdl_device *dev = NULL;
    int num = 0, again = 0;
    harness_expect_ok(cdl_device_list(NULL, 0, &num, &log), "count");
    assert_true(num >= 1);
    harness_expect_ok(cdl_device_list(list, 8, &again, &log), "list");
    assert_int_equal(num, again);
    bool found = false;
    for (int i = 0; i < num && i < 8; i++)
        found = found || !strcmp(list[i].uuid, harness.info.uuid);
    assert_true(found);
    harness_expect_failure(cdl_device_list(list, 8, NULL, &log), CDL_ERR_INVALID, "a list without a count");

    assert_int_equal(cdl_device_create(&dev, &no_size),
                     CDL_ERR_INVALID); // silent: where the log is depends on struct_size
    harness_expect_failure(cdl_device_create(NULL, cdl_device_params(.log = log)), CDL_ERR_INVALID,
                           "no place for the device");
    harness_expect_failure(cdl_device_create(&dev, cdl_device_params(.log = log, .name = "no such device")),
                           CDL_ERR_UNSUPPORTED, "an unknown name");
    harness_expect_failure(cdl_device_create(&dev, cdl_device_params(.log = log, .name = "99")), CDL_ERR_UNSUPPORTED,
                           "index 99");
    assert_null(dev);
    if (harness.info.software && num == 1)
        harness_expect_failure(cdl_device_create(&dev, cdl_device_params(.log = log, .hardware_only = true)),
                               CDL_ERR_UNSUPPORTED, "hardware only");
    harness_expect_ok(
        cdl_device_create(&dev, cdl_device_params(.log = log, .name = harness.info.uuid, .hardware_only = true)),
        "by UUID");
    cdl_device_destroy(&dev);
    assert_null(dev);
    cdl_device_destroy(&dev);
    cdl_device_destroy(NULL);
    assert_string_equal(cdl_result_str(CDL_OK), cdl_result_str(0));
    assert_non_null(cdl_result_str((cdl_result)-99));
}

// ---- sharing and lifetimes

static void test_sessions_share_weights(void **state) {
    (void)state;
    cdl_model *other = harness_load("bottleneck_g8"); // the same file, another model
    cdl_session *a = open_session(t.model, cdl_session_params(.precision = CDL_PRECISION_FP32));
    cdl_session *b = open_session(t.model, cdl_session_params(.precision = CDL_PRECISION_FP32, .max_batch = 3));
    cdl_session *half = open_session(t.model, cdl_session_params(.precision = CDL_PRECISION_FP16));
    cdl_session *c = open_session(other, cdl_session_params(.precision = CDL_PRECISION_FP32));
    assert_ptr_equal(a->weights, b->weights);
    assert_ptr_not_equal(a->weights, half->weights);
    assert_ptr_not_equal(a->weights, c->weights);
    cdl_session_destroy(&a);
    cdl_session_destroy(&half);
    harness_expect_ok(cdl_session_run(b, t.pixels, 3), "run");
    for (int i = 0; i < 3; i++)
        check_logits(b, 0, i, i, 1e-5, "shared weights");
    cdl_session_destroy(&b);
    cdl_session_destroy(&c);
    cdl_model_destroy(&other);
    assert_null(*cdl_weights_of(harness.dev));
}

static void test_models_side_by_side(void **state) {
    (void)state;
    static const char *const names[] = {"basic_3x3", "bottleneck_g4", "bottleneck_g16"};
    cdl_session *sessions[3];
    float first[3][64];
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++) {
            if (round == 0) {
                cdl_model *model = harness_load(names[i]);
                sessions[i] = open_session(model, NULL);
                cdl_model_destroy(&model); // the session keeps it
            }
            harness_expect_ok(cdl_session_run(sessions[i], t.pixels, 1), names[i]);
            const float *logits = cdl_session_logits(sessions[i], 0, 0);
            const size_t bytes = (size_t)sessions[i]->info.num_classes * sizeof *logits;
            if (round == 0)
                memcpy(first[i], logits, bytes);
            else
                assert_memory_equal(first[i], logits, bytes);
        }
    cdl_session_destroy(&sessions[1]);
    cdl_session_destroy(&sessions[0]);
    cdl_session_destroy(&sessions[2]);
}

struct worker {
    cdl_session *s;
    int picture, failures;
};

static void work(void *ctx) { // no cmocka here: its failures belong to the main thread
    struct worker *w = ctx;
    for (int i = 0; i < 25; i++) {
        if (cdl_session_run(w->s, &t.pixels[w->picture], 1) != CDL_OK) {
            w->failures++;
            continue;
        }
        const float *logits = cdl_session_logits(w->s, 0, 0);
        for (int k = 0; k < CLASSES; k++)
            w->failures += !(fabs((double)logits[k] - (double)t.logits[w->picture][k]) <=
                             1e-4 * (1 + fabs((double)t.logits[w->picture][k])));
    }
}

static void create_and_run(void *ctx) {
    struct worker *w = ctx;
    for (int i = 0; i < 3; i++) {
        if (cdl_session_create(&w->s, harness.dev, t.model, cdl_session_params(.precision = CDL_PRECISION_FP32)) !=
            CDL_OK)
            w->failures++;
        else
            work(w);
        cdl_session_destroy(&w->s);
    }
}

static void run_threads(void (*run)(void *), struct worker *workers, int count) {
    thread_handle threads[4];
    for (int i = 0; i < count; i++)
        assert_true(thread_create(&threads[i], run, &workers[i]));
    for (int i = 0; i < count; i++)
        thread_join(&threads[i]);
    for (int i = 0; i < count; i++)
        assert_int_equal(workers[i].failures, 0);
}

static void test_threads(void **state) {
    (void)state;
    struct worker workers[2] = {{.picture = 1}, {.picture = 4}};
    for (int i = 0; i < 2; i++)
        workers[i].s = open_session(t.model, cdl_session_params(.precision = CDL_PRECISION_FP32));
    run_threads(work, workers, 2);
    for (int i = 0; i < 2; i++)
        cdl_session_destroy(&workers[i].s);
    struct worker creators[3] = {{.picture = 0}, {.picture = 2}, {.picture = 5}};
    run_threads(create_and_run, creators, 3);
    assert_null(*cdl_weights_of(harness.dev));
    assert_int_equal(harness_take_errors(), 0);
}

static void test_two_devices(void **state) {
    (void)state;
    cdl_device *other;
    cdl_session *s;
    harness_expect_ok(cdl_device_create(&other, cdl_device_params(.log = harness_log(), .name = harness.info.uuid)),
                      "a second device");
    harness_expect_ok(cdl_session_create(&s, other, t.model, cdl_session_params(.precision = CDL_PRECISION_FP32)),
                      "session");
    harness_expect_ok(cdl_session_run(s, t.pixels, 1), "run");
    check_logits(s, 0, 0, 0, 1e-5, "second device");
    cdl_session_destroy(&s);
    cdl_device_destroy(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_partial_batches),
        cmocka_unit_test(test_topk),
        cmocka_unit_test(test_slots_in_flight),
        cmocka_unit_test(test_fold_and_precision),
        cmocka_unit_test(test_other_input_size),
        cmocka_unit_test(test_timings),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_timings_of_segments),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_wrong_parameters),
        cmocka_unit_test(test_other_versions_of_params),
        cmocka_unit_test(test_wrong_pixels),
        cmocka_unit_test(test_wrong_order_of_calls),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_sessions_share_weights),
        cmocka_unit_test(test_models_side_by_side),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_two_devices),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("session", tests, open_all, close_all);
}
