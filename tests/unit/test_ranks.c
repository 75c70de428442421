// test_ranks.c - the guesses at the fastest kernel (engine/kernels/rank.c) beside what was measured on an H200; and
// that there are kernels for every device.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/resnet.h"
#include "kernels/family.h"
#include "support/caps.h"
#include "support/harness.h"
#include "tune/tuner.h"

enum { MAX_RECORDS = 512 };

static const struct cdl_caps h200 = {
    .vendor_id = 0x10DE,
    .driver_id = 4,
    .subgroup_size = 32,
    .subgroup_shuffle = true,
    .int64 = true,
    .fp16_arithmetic = true,
    .max_workgroup_size = 1024,
    .max_shared_bytes = 49152,
    .matrix_m = 16,
    .matrix_n = 16,
    .matrix_k = 16,
    .matrix_subgroup = 32,
    .matrix_half_sums = true,
    .processors = 132,
    .cache_bytes = 32u << 20,
};

struct layer {
    int images, side, kernel, stride, groups, channels, dst_channels, residual;
};

struct record {
    struct layer layer;
    double us;
    char kernel[CDL_PROGRAM_NAME];
};

static struct record records[MAX_RECORDS];
static int num_records;

static void read_records(void) {
    char line[256];
    FILE *f = fopen(CDL_GOLDEN_DIR "/tuning/h200.txt", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) {
        assert_true(num_records < MAX_RECORDS);
        struct record *r = &records[num_records];
        struct layer *l = &r->layer;
        int at = 0;
        if (line[0] == '#')
            continue;
        if (sscanf(line, "%d %d %d %d %d %d %d %d %lf %n", &l->images, &l->side, &l->kernel, &l->stride, &l->groups,
                   &l->channels, &l->dst_channels, &l->residual, &r->us, &at) != 9 ||
            !at)
            fail_msg("not a record: %s", line);
        line[strcspn(line, "\r\n")] = 0;
        snprintf(r->kernel, sizeof r->kernel, "%s", line + at);
        num_records++;
    }
    fclose(f);
}

// Microseconds of the layer by that kernel; 0: it was not measured.
static double recorded(const struct layer *layer, const char *kernel) {
    for (int i = 0; i < num_records; i++)
        if (!memcmp(&records[i].layer, layer, sizeof *layer) && !strcmp(records[i].kernel, kernel))
            return records[i].us;
    return 0;
}

static int kernels_of(const struct layer *l, struct cdl_kernel kernels[CDL_MAX_KERNELS]) {
    const int side = l->side * l->stride;
    struct cdl_value values[] = {{side, side, l->channels, false},
                                 {l->side, l->side, l->dst_channels, false},
                                 {l->side, l->side, l->dst_channels, false}};
    struct cdl_op op = {
        .kind = CDL_OP_CONV,
        .name = "layer",
        .src = 0,
        .residual = l->residual ? 1 : -1,
        .dst = 2,
        .relu = true,
        .kernel_h = l->kernel,
        .kernel_w = l->kernel,
        .stride = l->stride,
        .padding = l->kernel / 2,
        .groups = l->groups,
    };
    const struct cdl_graph graph = {
        .ops = &op, .values = values, .num_ops = 1, .num_values = 3, .output = 2, .map = 2, .features = 2};
    const struct cdl_work work = {&graph, &op, 1};
    return cdl_kernels_for(&work, l->images, &h200, true, kernels);
}

// Of the layer that record `first` begins: the best of the first kernels that a quick tuning measures is within 3 % of
// the best there is, and each recorded kernel is one that the engine has. Returns the time of its first kernel beside
// the best.
static double check_layer(int first) {
    const struct layer *layer = &records[first].layer;
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const int count = kernels_of(layer, kernels);
    double best = 0, quick = 0, guess = 0;
    for (int i = 0; i < num_records; i++) {
        bool known = false;
        if (memcmp(&records[i].layer, layer, sizeof *layer))
            continue;
        best = best <= 0 || records[i].us < best ? records[i].us : best;
        for (int k = 0; k < count && !known; k++) {
            char name[CDL_PROGRAM_NAME];
            cdl_program_name(&kernels[k].program, name);
            known = !strcmp(name, records[i].kernel);
        }
        if (!known)
            fail_msg("%s is no kernel for a %dx%d of %d to %d channels", records[i].kernel, layer->kernel,
                     layer->kernel, layer->channels, layer->dst_channels);
    }
    for (int k = 0; k < count && k < CDL_QUICK_CANDIDATES; k++) {
        char name[CDL_PROGRAM_NAME];
        cdl_program_name(&kernels[k].program, name);
        const double us = recorded(layer, name);
        quick = us > 0 && (quick <= 0 || us < quick) ? us : quick;
        guess = k == 0 ? us : guess;
        print_message("  %s%.1f us by %s\n", k ? "" : "first ", us, name);
    }
    print_message("%d images of %dx%d, %dx%d stride %d, %d groups, %d to %d channels%s: %.1f us at best, quick %.1f\n",
                  layer->images, layer->side, layer->side, layer->kernel, layer->kernel, layer->stride, layer->groups,
                  layer->channels, layer->dst_channels, layer->residual ? ", residual" : "", best, quick);
    if (!(quick > 0 && quick <= 1.03 * best))
        fail_msg("the first %d kernels take %.1f us at best, the best %.1f", CDL_QUICK_CANDIDATES, quick, best);
    assert_true(guess > 0); // the first of all was measured
    return guess / best;
}

static void test_h200(void **state) {
    (void)state;
    int layers = 0, best = 0;
    read_records();
    for (int i = 0; i < num_records; i++) {
        bool begins = true;
        for (int j = 0; j < i; j++)
            begins = begins && memcmp(&records[j].layer, &records[i].layer, sizeof records[i].layer) != 0;
        if (!begins)
            continue;
        const double slower = check_layer(i);
        layers++;
        best += slower <= 1.03;
        assert_true(slower <= 1.12); // without any tuning
    }
    print_message("%d layers, %d of them with the best kernel, within 3 %%, first\n", layers, best);
    assert_true(layers >= 28 && 4 * best >= 3 * layers);
}

// How many kernels do a grouped 3x3 of so many channels and the 1x1 behind it with the weights of both in registers.
// The first of all pairs is another, as those were never measured.
static int pairs_in_registers(const struct cdl_caps *caps, int channels, int side) {
    struct cdl_value values[] = {{side, side, channels, false},
                                 {side, side, channels, false},
                                 {side, side, 2 * channels, false},
                                 {side, side, 2 * channels, false}};
    struct cdl_op ops[] = {{.name = "conv2",
                            .residual = -1,
                            .dst = 1,
                            .relu = true,
                            .kernel_h = 3,
                            .kernel_w = 3,
                            .stride = 1,
                            .padding = 1,
                            .groups = 32},
                           {.name = "conv3",
                            .src = 1,
                            .residual = 2,
                            .dst = 3,
                            .relu = true,
                            .kernel_h = 1,
                            .kernel_w = 1,
                            .stride = 1,
                            .groups = 1}};
    const struct cdl_graph graph = {.ops = ops, .values = values, .num_ops = 2, .num_values = 4, .output = 3};
    const struct cdl_work work = {&graph, ops, 2};
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    int found = 0;
    for (int i = 0, count = cdl_kernels_for(&work, 1, caps, true, kernels); i < count; i++) {
        const bool persists = strcmp(kernels[i].program.shader->name, "conv_pair_persist") == 0;
        assert_true(i > 0 || !persists);
        found += persists;
    }
    return found;
}

// By the registers and the shared memory that docs/results/fusion.md counts.
static void test_pairs_in_registers(void **state) {
    (void)state;
    struct cdl_caps caps = h200;
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 2); // tiles of 4x10 and 4x8
    assert_int_equal(pairs_in_registers(&caps, 256, 28), 0);
    caps.max_shared_bytes = 32768;
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 2);
    caps.max_shared_bytes = 16384;
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 0);
    caps = h200;
    caps.matrix_half_sums = false;
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 0);
    caps = h200;
    caps.vendor_id = 0x8086; // 128 registers
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 0);
    caps.vendor_id = 0x1002; // holds factors twice
    assert_int_equal(pairs_in_registers(&caps, 128, 56), 1);
}

// Every operation has at least one kernel on a device with no more than Vulkan guarantees, in both storage types; and
// what a kernel says of itself fits the device.
static void test_kernels_fit_devices(void **state) {
    (void)state;
    static const struct cdl_caps *const caps[] = {&h200, &cpu, &least};
    cdl_model *model = harness_random_model("resnext50_32x4d");
    struct cdl_graph g;
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    harness_expect_ok(cdl_graph_create(&g, model, 64, 64, false, &harness_shared_log), "graph");
    for (size_t c = 0; c < CDL_COUNT(caps); c++)
        for (int i = 0; i < g.num_ops; i++)
            for (int fp16 = 0; fp16 < 2; fp16++) {
                const struct cdl_work work = {&g, &g.ops[i], 1};
                const int count = cdl_kernels_for(&work, 1, caps[c], fp16, kernels);
                assert_in_range(count, 1, CDL_MAX_KERNELS);
                for (int k = 0; k < count; k++) {
                    const struct cdl_program *program = &kernels[k].program;
                    assert_true(program->constants[0] <= caps[c]->max_workgroup_size);
                    assert_true(program->shader == &kernels[k].family->shader && (!program->fp16 || fp16));
                    assert_true(k == 0 || kernels[k].rank >= kernels[k - 1].rank);
                }
            }
    cdl_graph_destroy(&g);
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_h200), cmocka_unit_test(test_pairs_in_registers),
                                       cmocka_unit_test(test_kernels_fit_devices)};
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("ranks", tests, NULL, NULL);
}
