// test_pairs.c - kernels that do two operations: a grouped 3x3 convolution and the 1x1 behind it, by themselves, beside
// plain C, and in whole networks, where the average and the classifier are such, too (by themselves: test_kernels.c).
// Devices without matrix units have none for convolutions.
#include <math.h>

#include "support/harness.h"
#include "tune/kernel_check.h"
#include "tune/tuner.h"

static const struct pair_case {
    int channels, groups, stride, height, width, dst_channels; // height and width: of the result
    bool residual, relu;
} cases[] = {
    {128, 32, 1, 56, 56, 256, true, true},  // resnext50_32x4d layer1
    {256, 32, 2, 28, 28, 512, true, true},  // layer2.0
    {512, 32, 1, 14, 14, 1024, true, true}, // too much for 48 KB of shared memory
    {64, 2, 1, 17, 23, 40, false, true},    // a window of 32 channels; channels that fill no matrix
    {64, 16, 2, 9, 5, 24, true, false},     {128, 2, 1, 7, 7, 128, true, true}, // a window of 64 channels
    {32, 32, 1, 1, 1, 8, false, false},                                         // one pixel
    {64, 8, 1, 11, 4, 200, true, true},  // more tiles than workgroups that live through many
    {128, 32, 1, 1, 5, 136, true, true}, // a subgroup has several columns of both
};

static struct { int kernels, cases; } t;

static void check_case(const struct pair_case *c, struct cdl_once *once) {
    struct cdl_value values[4] = {
        {(c->height - 1) * c->stride + 1, (c->width - 1) * c->stride + 1, c->channels, false},
        {c->height, c->width, c->channels, false},
        {c->height, c->width, c->dst_channels, false},
        {c->height, c->width, c->dst_channels, false},
    };
    struct cdl_op ops[2] = {
        {.kind = CDL_OP_CONV,
         .name = "conv2",
         .src = 0,
         .residual = -1,
         .dst = 1,
         .relu = true,
         .kernel_h = 3,
         .kernel_w = 3,
         .stride = c->stride,
         .padding = 1,
         .groups = c->groups},
        {.kind = CDL_OP_CONV,
         .name = "conv3",
         .src = 1,
         .residual = c->residual ? 2 : -1,
         .dst = 3,
         .relu = c->relu,
         .kernel_h = 1,
         .kernel_w = 1,
         .stride = 1,
         .groups = 1},
    };
    const struct cdl_graph graph = {
        .ops = ops, .values = values, .num_ops = 2, .num_values = 4, .output = 3, .map = 3, .features = 3};
    const struct cdl_work work = {&graph, ops, 2};
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    assert_int_equal(cdl_kernels_for(&work, 1, &harness.dev->caps, false, kernels), 0);
    const int count = cdl_kernels_for(&work, 1, &harness.dev->caps, true, kernels);
    assert_true(count >= 0 && count <= CDL_MAX_KERNELS); // no assert_in_range: see op_instance.c
    for (int i = 0; i < count; i++) {
        char name[CDL_PROGRAM_NAME];
        bool passed;
        cdl_program_name(&kernels[i].program, name);
        harness_expect_ok(cdl_kernel_check(&passed, once, &work, &kernels[i]), name);
        if (!passed)
            fail_msg("%s: wrong results", name);
    }
    t.kernels += count;
    t.cases += count > 0;
}

static void test_cases(void **state) {
    (void)state;
    struct cdl_once once;
    harness_expect_ok(cdl_once_create(&once, harness.dev), "once");
    for (size_t i = 0; i < CDL_COUNT(cases); i++)
        check_case(&cases[i], &once);
    cdl_once_destroy(&once);
    print_message("%s: %d kernels for pairs of operations, of %d shapes\n", harness.info.name, t.kernels, t.cases);
    assert_int_equal(t.kernels > 0, harness.dev->caps.matrix_m > 0);
}

// ---- in networks

enum { SIDE = 48, BATCH = 7, MAX_CLASSES = 16, MAX_FEATURES = 2048 };

// Lets the device remember that every two operations that can are to run in their `which`-th kernel (-1: apart);
// returns how many there are.
static int choose_pairs(const cdl_session *s, int which) {
    const struct cdl_graph *g = &s->plan.graph;
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    int pairs = 0;
    for (int i = 0; i + 1 < g->num_ops; i++) {
        const struct cdl_work work = {g, &g->ops[i], 2};
        const int count = cdl_kernels_for(&work, 1, &harness.dev->caps, s->plan.fp16, kernels);
        if (count == 0 || g->ops[i + 1].src != g->ops[i].dst)
            continue;
        struct cdl_finding found = {.kind = CDL_FOUND_KERNEL, .mode = CDL_TUNE_QUICK, .ns = 1};
        if (which >= 0)
            found.kernel = cdl_program_id(&kernels[which < count ? which : count - 1].program);
        cdl_work_key(found.key, &work, BATCH, s->plan.fp16);
        cdl_findings_remember(harness.dev, &found);
        pairs++;
    }
    return pairs;
}

static cdl_session *open_session(cdl_model *model, cdl_precision precision, bool timings) {
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model,
                                         cdl_session_params(.max_batch = BATCH, .precision = precision,
                                                            .timings = timings, .width = SIDE, .height = SIDE)),
                      "session");
    return s;
}

// What is compared: logits, and the features before them, which one of the kernels keeps beside its result.
struct outcome {
    float values[BATCH][MAX_CLASSES + MAX_FEATURES];
};

static void run(cdl_session *s, const float *tensors, int count, struct outcome *out) {
    struct cdl_pixels pixels[BATCH];
    struct cdl_session_info info;
    cdl_session_get_info(s, &info);
    assert_true(info.num_classes <= MAX_CLASSES && info.num_features <= MAX_FEATURES);
    for (int i = 0; i < count; i++)
        pixels[i] = (struct cdl_pixels){.data = tensors + (size_t)i * 3 * SIDE * SIDE,
                                        .width = SIDE,
                                        .height = SIDE,
                                        .format = CDL_FORMAT_TENSOR_F32};
    memset(out, 0, sizeof *out);
    harness_expect_ok(cdl_session_run(s, pixels, count), "run");
    for (int i = 0; i < count; i++) {
        memcpy(out->values[i], cdl_session_logits(s, 0, i), (size_t)info.num_classes * sizeof(float));
        memcpy(out->values[i] + MAX_CLASSES, cdl_session_features(s, 0, i), (size_t)info.num_features * sizeof(float));
    }
}

// Between [first, end) of the first `count` images' values.
static void expect_close(const char *name, const struct outcome *a, const struct outcome *b, int count, int first,
                         int end, double bound) {
    double largest = 0, worst = 0;
    for (int i = 0; i < count; i++)
        for (int k = first; k < end; k++) {
            largest = fmax(largest, fabs((double)a->values[i][k]));
            worst = fmax(worst, fabs((double)a->values[i][k] - (double)b->values[i][k]));
        }
    if (!(largest > 0 && worst <= bound * largest))
        fail_msg("%s: off by %g, largest %g", name, worst, largest);
}

static void check_timings(const cdl_session *s, int pairs) {
    struct cdl_timing timings[256];
    int num, together = 0;
    harness_expect_ok(cdl_session_timings(s, 0, timings, 256, &num), "timings");
    for (int i = 0; i < num; i++) {
        assert_true(timings[i].flops > 0 && timings[i].bytes > 0);
        together += strchr(timings[i].operation, ',') != NULL;
    }
    assert_int_equal(num, harness.info.timestamps ? s->plan.num_steps : 0);
    assert_int_equal(together, num ? pairs : 0);
}

// Each network apart, with every pair that there is, and apart again; returns how many pairs.
static int check_network(const char *name, cdl_precision precision, const float *tensors) {
    static struct outcome apart, together;
    cdl_model *model = harness_load(name);
    cdl_session *s = open_session(model, precision, false);
    const int pairs = choose_pairs(s, -1);
    cdl_session_destroy(&s);
    s = open_session(model, precision, false);
    assert_int_equal(s->plan.num_steps, s->plan.graph.num_ops);
    run(s, tensors, BATCH, &apart);
    choose_pairs(s, 0);
    cdl_session_destroy(&s);
    s = open_session(model, precision, true);
    assert_int_equal(s->plan.num_steps, s->plan.graph.num_ops - pairs);
    for (int count = BATCH; count >= 1; count -= 3) {
        // The average is fp32 and sees the same map, but behind pairs of convolutions; its classifier's weights may be
        // rounded to fp16, those of the one that runs alone are not on every device.
        const double logits = precision == CDL_PRECISION_FP16 ? 1e-2 : 1e-5, features = pairs > 1 ? 1e-2 : 1e-5;
        run(s, tensors, count, &together);
        expect_close(name, &apart, &together, count, 0, MAX_CLASSES, logits);
        expect_close(name, &apart, &together, count, MAX_CLASSES, MAX_CLASSES + MAX_FEATURES, features);
        check_timings(s, pairs);
    }
    cdl_session_destroy(&s);
    cdl_model_destroy(&model);
    return pairs;
}

static void test_networks(void **state) {
    (void)state;
    static const char *const names[] = {"bottleneck_g2", "bottleneck_g8", "bottleneck_g32"};
    struct random r = random_of(11);
    float *tensors = must_alloc((size_t)BATCH * 3 * SIDE * SIDE, sizeof *tensors);
    int pairs = 0;
    for (size_t i = 0; i < (size_t)BATCH * 3 * SIDE * SIDE; i++)
        tensors[i] = random_float(&r);
    for (size_t i = 0; i < CDL_COUNT(names); i++) {
        assert_int_equal(check_network(names[i], CDL_PRECISION_FP32, tensors), 1); // the average and the classifier
        pairs += check_network(names[i], CDL_PRECISION_FP16, tensors) - 1;
    }
    print_message("%d pairs of convolutions in networks\n", pairs);
    assert_int_equal(pairs > 0, harness.dev->caps.matrix_m > 0);
    free(tensors);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_networks)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("pairs", tests, harness_open, harness_close);
}
