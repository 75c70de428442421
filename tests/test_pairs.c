// test_pairs.c - kernels that do two operations, a grouped 3x3 convolution and the 1x1 behind it: by themselves, beside plain C.
// Devices without matrix units have none.
#include "harness.h"
#include "self_test.h"

static const struct pair_case {
    int channels, groups, stride, height, width, dst_channels; // height and width: of the result
    bool residual, relu;
} cases[] = {
    {128, 32, 1, 56, 56, 256, true, true},  // resnext50_32x4d layer1
    {256, 32, 2, 28, 28, 512, true, true},  // layer2.0
    {512, 32, 1, 14, 14, 1024, true, true}, // too much for 48 KB of shared memory
    {64, 2, 1, 17, 23, 40, false, true},    // a window of 32 channels; channels that fill no matrix
    {64, 16, 2, 9, 5, 24, true, false},
    {128, 2, 1, 7, 7, 128, true, true},     // a window of 64 channels
    {32, 32, 1, 1, 1, 8, false, false},     // one pixel
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
        {.kind = CDL_OP_CONV, .name = "conv2", .src = 0, .residual = -1, .dst = 1, .relu = true, .kernel_h = 3, .kernel_w = 3,
         .stride = c->stride, .padding = 1, .groups = c->groups},
        {.kind = CDL_OP_CONV, .name = "conv3", .src = 1, .residual = c->residual ? 2 : -1, .dst = 3, .relu = c->relu, .kernel_h = 1,
         .kernel_w = 1, .stride = 1, .groups = 1},
    };
    const struct cdl_graph graph = {.ops = ops, .values = values, .num_ops = 2, .num_values = 4, .map = 3, .features = 3};
    struct cdl_kernel kernels[CDL_MAX_KERNELS], first;
    const int count = cdl_pair_kernels_for(&graph, &ops[1], &harness.dev->caps, true, kernels, &first);
    assert_true(count >= 0 && count <= CDL_MAX_KERNELS); // no assert_in_range: see op_instance.c
    assert_int_equal(cdl_pair_kernels_for(&graph, &ops[1], &harness.dev->caps, false, kernels, &first), 0);
    assert_int_equal(cdl_pair_kernels_for(&graph, &ops[0], &harness.dev->caps, true, kernels, &first), 0);
    cdl_pair_kernels_for(&graph, &ops[1], &harness.dev->caps, true, kernels, &first);
    for (int i = 0; i < count; i++) {
        char name[160];
        bool passed;
        cdl_kernel_name(&kernels[i], name, sizeof name);
        print_message("%s\n", name);
        harness_expect_ok(cdl_self_test(&passed, once, &graph, &ops[1], &kernels[i]), name);
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("pairs", tests, harness_open, harness_close);
}
