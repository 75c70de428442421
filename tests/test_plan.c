// test_plan.c - graphs and plans without a device: shapes, refusals, the arena, and barriers against a brute-force
// search for hazards.
#include "harness.h"

static const struct cdl_caps gpu = {.subgroup_size = 32, .subgroup_broadcast = true, .max_workgroup_size = 1024, .max_shared_bytes = 49152};
static const struct cdl_caps cpu = {.subgroup_size = 8, .subgroup_broadcast = true, .software = true, .max_workgroup_size = 1024,
                                    .max_shared_bytes = 32768};
static const struct cdl_caps least = {.subgroup_size = 1, .max_workgroup_size = 128, .max_shared_bytes = 16384}; // Vulkan's guaranteed limits

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    harness.errors += level == CDL_LOG_ERR;
    if (level == CDL_LOG_ERR)
        cdl_format_text(harness.last, sizeof harness.last, "%s", msg);
}
static const cdl_log plain_log = {on_log, NULL, CDL_LOG_WARN};

static cdl_model *random_model(const char *arch) {
    cdl_model *model;
    harness_expect_ok(cdl_model_random(&model, arch, 1, cdl_model_params(.log = plain_log)), arch);
    return model;
}

static cdl_model *load_layers(const char *name) {
    char path[512];
    cdl_model *model;
    snprintf(path, sizeof path, "%s/layers/%s.safetensors", CDL_GOLDEN_DIR, name);
    harness_expect_ok(cdl_model_load_file(&model, path, cdl_model_params(.log = plain_log)), path);
    return model;
}

// ---- shapes

static const struct cdl_value *value_after(const struct cdl_graph *g, const char *op) {
    for (int i = 0; i < g->num_ops; i++)
        if (!strcmp(g->ops[i].name, op))
            return &g->values[g->ops[i].dst];
    fail_msg("no operation %s", op);
    return NULL;
}

static void check_shape(const struct cdl_graph *g, const char *op, int height, int width, int channels) {
    const struct cdl_value *v = value_after(g, op);
    if (v->height != height || v->width != width || v->channels != channels)
        fail_msg("%s gives %dx%dx%d, expected %dx%dx%d", op, v->height, v->width, v->channels, height, width, channels);
}

static void test_resnext50_shapes(void **state) {
    (void)state;
    cdl_model *model = random_model("resnext50_32x4d");
    struct cdl_graph g;
    harness_expect_ok(cdl_graph_create(&g, model, 224, 160, true, &plain_log), "graph");
    check_shape(&g, "conv1", 112, 80, 64);
    check_shape(&g, "maxpool", 56, 40, 64);
    check_shape(&g, "layer1.0.conv2", 56, 40, 128);
    check_shape(&g, "layer1.2.conv3", 56, 40, 256);
    check_shape(&g, "layer2.0.downsample.0", 28, 20, 512);
    check_shape(&g, "layer3.5.conv3", 14, 10, 1024);
    check_shape(&g, "layer4.0.conv1", 14, 10, 1024);
    check_shape(&g, "layer4.2.conv3", 7, 5, 2048);
    check_shape(&g, "avgpool", 1, 1, 2048);
    check_shape(&g, "fc", 1, 1, 1000);
    assert_int_equal(g.num_ops, 1 + 1 + 16 * 3 + 4 + 1 + 1);
    assert_int_equal(g.num_classes, 1000);
    uint64_t flops = 0;
    for (int i = 0; i < g.num_ops; i++)
        flops += cdl_op_flops(&g, &g.ops[i], 1);
    assert_true(flops > 5.9e9 && flops < 6.3e9); // 4.23 GMACs at 224x224
    cdl_graph_destroy(&g);
    harness_expect_ok(cdl_graph_create(&g, model, 224, 224, false, &plain_log), "graph without folding");
    assert_int_equal(g.num_ops, 1 + 1 + 16 * 3 + 4 + 1 + 1 + 53);
    cdl_graph_destroy(&g);
    harness_expect_ok(cdl_graph_create(&g, model, 1, 1, true, &plain_log), "a picture of one pixel");
    check_shape(&g, "layer4.2.conv3", 1, 1, 2048);
    cdl_graph_destroy(&g);
    cdl_model_destroy(&model);
}

static void test_every_architecture(void **state) {
    (void)state;
    for (int i = 0; cdl_model_arch_name(i); i++) {
        const char *arch = cdl_model_arch_name(i);
        if (strstr(arch, "101_") || strstr(arch, "152")) // large; their blocks are the others'
            continue;
        cdl_model *model = random_model(arch);
        struct cdl_model_info info;
        cdl_model_get_info(model, &info);
        assert_string_equal(info.architecture, arch);
        assert_int_equal(info.num_classes, 1000);
        cdl_model_destroy(&model);
    }
    assert_null(cdl_model_arch_name(-1));
    assert_null(cdl_model_arch_name(1000));
}

// ---- state dicts that are no network

// A copy of a model's tensors, without `skip`, with `reshape`'s first dimension one less.
static void damaged(cdl_model *model, const char *skip, const char *reshape, const char *expected) {
    struct cdl_model copy = *model;
    struct cdl_graph g;
    copy.list.items = must_alloc((size_t)model->list.count, sizeof *copy.list.items);
    copy.list.count = 0;
    for (int i = 0; i < model->list.count; i++) {
        struct cdl_tensor t = model->list.items[i];
        if (skip && !strcmp(t.name, skip))
            continue;
        if (reshape && !strcmp(t.name, reshape))
            t.shape[0]--;
        copy.list.items[copy.list.count++] = t;
    }
    harness_expect_failure(cdl_graph_create(&g, &copy, 32, 32, true, &plain_log), CDL_ERR_FORMAT, skip ? skip : reshape);
    if (!strstr(harness.last, expected))
        fail_msg("the message does not name %s: %s", expected, harness.last);
    free(copy.list.items);
}

static void test_damaged_state_dicts(void **state) {
    (void)state;
    cdl_model *model = load_layers("bottleneck_g4");
    static const char *const needed[] = {
        "conv1.weight", "bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var", "layer1.0.conv1.weight", "layer1.0.conv2.weight",
        "layer1.0.bn3.running_var", "layer2.1.bn2.weight", "layer2.0.downsample.1.weight", "fc.weight", "fc.bias",
    };
    for (size_t i = 0; i < CDL_COUNT(needed); i++)
        damaged(model, needed[i], NULL, needed[i]);
    damaged(model, "layer2.0.downsample.0.weight", NULL, "layer2.0.downsample.0.weight");
    damaged(model, "layer2.0.conv3.weight", NULL, "layer2.0");
    static const char *const reshaped[] = {"bn1.weight", "layer1.0.bn2.running_var", "layer3.0.downsample.1.bias", "fc.bias"};
    for (size_t i = 0; i < CDL_COUNT(reshaped); i++)
        damaged(model, NULL, reshaped[i], reshaped[i]);
    damaged(model, NULL, "layer1.0.conv3.weight", "layer1.0.bn3");
    damaged(model, NULL, "layer2.0.conv2.weight", "layer2.0.conv2.weight"); // 7 channels out of 4 groups
    cdl_model_destroy(&model);
}

// ---- plans

struct lifetime { int first, last; };

// As a value is written and read, step by step; kept values, features and logits live to the end.
static struct lifetime lifetime_of(const struct cdl_plan *p, int value, bool keep) {
    struct lifetime l = {-1, -1};
    for (int i = 0; i < p->graph.num_ops; i++) {
        const struct cdl_op *op = &p->graph.ops[i];
        if (op->dst == value)
            l.first = l.last = i;
        if (op->src == value || op->residual == value)
            l.last = i;
    }
    if (keep || value == p->graph.num_values - 1 || value == p->graph.features)
        l.last = p->graph.num_ops;
    return l;
}

static bool touch(const struct cdl_plan *p, int a, int b) {
    return a >= 0 && b >= 0 && p->value_at[a] < p->value_at[b] + p->value_bytes[b] && p->value_at[b] < p->value_at[a] + p->value_bytes[a];
}

static void check_arena(const struct cdl_plan *p, bool keep, const char *what) {
    for (int a = 0; a < p->graph.num_values; a++) {
        const struct lifetime la = lifetime_of(p, a, keep);
        const struct cdl_value *v = &p->graph.values[a];
        const size_t needed = (size_t)p->max_batch * (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) *
                              (p->fp16 && !v->fp32 ? 2 : 4);
        assert_true(p->value_bytes[a] >= needed && p->value_at[a] % 256 == 0);
        assert_true(p->value_at[a] + p->value_bytes[a] <= p->arena_bytes);
        for (int b = 0; b < a; b++) {
            const struct lifetime lb = lifetime_of(p, b, keep);
            if (la.first <= lb.last && lb.first <= la.last && touch(p, a, b))
                fail_msg("%s: values %d and %d are alive at once and overlap", what, a, b);
        }
    }
    assert_true(p->live_bytes <= p->arena_bytes);
}

// Between any two steps without a barrier in between there must be no hazard; and no barrier without one.
static void check_barriers(const struct cdl_plan *p, const char *what) {
    for (int i = 0; i < p->graph.num_ops; i++) {
        const struct cdl_op *later = &p->graph.ops[i];
        bool reason = false;
        int since = i; // the first step that runs in one go with the step before this
        while (since > 0 && !(since < i && p->steps[since].barrier_before))
            since--;
        for (int j = since; j < i; j++) {
            const struct cdl_op *earlier = &p->graph.ops[j];
            const bool read_after_write = touch(p, later->src, earlier->dst) || touch(p, later->residual, earlier->dst);
            const bool write_after_read = touch(p, later->dst, earlier->src) || touch(p, later->dst, earlier->residual);
            const bool hazard = read_after_write || write_after_read || touch(p, later->dst, earlier->dst);
            if (hazard && !p->steps[i].barrier_before)
                fail_msg("%s: %s runs beside %s without a barrier", what, later->name, earlier->name);
            reason = reason || hazard;
        }
        if (p->steps[i].barrier_before && !reason)
            fail_msg("%s: %s has a barrier for nothing", what, later->name);
    }
}

static void check_weights(const struct cdl_plan *p, const char *what) {
    size_t end = 0;
    for (int i = 0; i < p->graph.num_ops; i++) {
        if (p->steps[i].weights_at % 16 != 0 || p->steps[i].weights_at < end)
            fail_msg("%s: the weights of %s overlap those before", what, p->graph.ops[i].name);
        end = p->steps[i].weights_at + p->steps[i].kernel.weight_bytes;
    }
    assert_true(end <= p->weights_bytes);
}

static void check_plan(const cdl_model *model, const struct cdl_plan_params *params, const char *what) {
    struct cdl_plan p;
    harness_expect_ok(cdl_plan_create(&p, model, params, &plain_log), what);
    check_arena(&p, params->keep_values, what);
    check_barriers(&p, what);
    check_weights(&p, what);
    cdl_plan_destroy(&p);
    assert_null(p.steps);
}

static void test_plans_of_small_networks(void **state) {
    (void)state;
    static const char *const names[] = {"basic_7x7", "basic_3x3", "bottleneck_g1", "bottleneck_g2", "bottleneck_g4", "bottleneck_g8",
                                        "bottleneck_g16", "bottleneck_g32"};
    static const struct cdl_caps *const caps[] = {&gpu, &cpu, &least};
    for (size_t n = 0; n < CDL_COUNT(names); n++) {
        cdl_model *model = load_layers(names[n]);
        for (int i = 0; i < 3 * 2 * 2 * 2; i++)
            for (int batch = 1; batch <= 5; batch += 2)
                check_plan(model, &(struct cdl_plan_params){.max_batch = batch, .height = 33, .width = 20 + batch, .fp16 = i & 1, .fold = i & 2,
                                                            .keep_values = i & 4, .caps = caps[i / 8]}, names[n]);
        cdl_model_destroy(&model);
    }
}

static void test_plans_of_resnext50(void **state) {
    (void)state;
    cdl_model *model = random_model("resnext50_32x4d");
    static const int batches[] = {1, 32};
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_plan_params params = {.max_batch = batches[i], .height = 224, .width = 224, .fp16 = fp16, .fold = true, .caps = &gpu};
            struct cdl_plan p;
            int barriers = 0;
            check_plan(model, &params, "resnext50");
            harness_expect_ok(cdl_plan_create(&p, model, &params, &plain_log), "plan");
            for (int k = 0; k < p.graph.num_ops; k++)
                barriers += p.steps[k].barrier_before;
            print_message("resnext50_32x4d batch %d %s: arena %.1f MB, largest live set %.1f MB, ratio %.3f; %d barriers for %d steps\n", batches[i],
                          fp16 ? "fp16" : "fp32", (double)p.arena_bytes / 1e6, (double)p.live_bytes / 1e6, (double)p.arena_bytes / (double)p.live_bytes,
                          barriers, p.graph.num_ops);
            assert_true((double)p.arena_bytes <= 1.1 * (double)p.live_bytes);
            cdl_plan_destroy(&p);
        }
    cdl_model_destroy(&model);
}

static void test_plan_hash(void **state) {
    (void)state;
    cdl_model *model = load_layers("bottleneck_g4");
    struct cdl_plan_params params = {.max_batch = 1, .height = 20, .width = 20, .fold = true, .caps = &gpu};
    struct cdl_plan a, b, half;
    harness_expect_ok(cdl_plan_create(&a, model, &params, &plain_log), "plan");
    params.max_batch = 7;
    harness_expect_ok(cdl_plan_create(&b, model, &params, &plain_log), "plan");
    params.fp16 = true;
    harness_expect_ok(cdl_plan_create(&half, model, &params, &plain_log), "plan");
    assert_true(cdl_plan_weights_hash(&a) == cdl_plan_weights_hash(&b));
    assert_true(cdl_plan_weights_hash(&a) != cdl_plan_weights_hash(&half));
    cdl_plan_destroy(&a);
    cdl_plan_destroy(&b);
    cdl_plan_destroy(&half);
    cdl_model_destroy(&model);
}

static void test_too_large(void **state) {
    (void)state;
    cdl_model *model = load_layers("basic_3x3");
    struct cdl_plan p;
    const struct cdl_plan_params params = {.max_batch = 4096, .height = 4096, .width = 4096, .fold = true, .caps = &gpu};
    harness_expect_failure(cdl_plan_create(&p, model, &params, &plain_log), CDL_ERR_UNSUPPORTED, "4096 pictures of 4096x4096");
    cdl_model_destroy(&model);
}

// Every operation has at least one kernel on a device with no more than Vulkan guarantees, in both storage types; and
// what a kernel says of itself fits the device.
static void test_kernels_fit_devices(void **state) {
    (void)state;
    static const struct cdl_caps *const caps[] = {&gpu, &cpu, &least};
    cdl_model *model = random_model("resnext50_32x4d");
    struct cdl_graph g;
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    harness_expect_ok(cdl_graph_create(&g, model, 64, 64, false, &plain_log), "graph");
    for (size_t c = 0; c < CDL_COUNT(caps); c++)
        for (int i = 0; i < g.num_ops; i++)
            for (int fp16 = 0; fp16 < 2; fp16++) {
                const int count = cdl_kernels_for(&g, &g.ops[i], caps[c], fp16, kernels);
                assert_in_range(count, 1, CDL_MAX_KERNELS);
                for (int k = 0; k < count; k++) {
                    assert_true(kernels[k].num_constants <= CDL_MAX_CONSTANTS && kernels[k].constants[0] <= caps[c]->max_workgroup_size);
                    assert_true(kernels[k].shader && (!kernels[k].fp16 || fp16));
                }
            }
    cdl_graph_destroy(&g);
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnext50_shapes), cmocka_unit_test(test_every_architecture), cmocka_unit_test(test_damaged_state_dicts),
        cmocka_unit_test(test_plans_of_small_networks), cmocka_unit_test(test_plans_of_resnext50), cmocka_unit_test(test_plan_hash),
        cmocka_unit_test(test_too_large), cmocka_unit_test(test_kernels_fit_devices),
    };
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
