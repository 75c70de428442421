// test_graph.c - graphs without a device: shapes, architectures, and state dicts that are no network.
#include "graph/resnet.h"
#include "support/harness.h"

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
    cdl_model *model = harness_random_model("resnext50_32x4d");
    struct cdl_graph g;
    harness_expect_ok(cdl_graph_create(&g, model, 224, 160, true, &harness_shared_log), "graph");
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
    harness_expect_ok(cdl_graph_create(&g, model, 224, 224, false, &harness_shared_log), "graph without folding");
    assert_int_equal(g.num_ops, 1 + 1 + 16 * 3 + 4 + 1 + 1 + 53);
    cdl_graph_destroy(&g);
    harness_expect_ok(cdl_graph_create(&g, model, 1, 1, true, &harness_shared_log), "a picture of one pixel");
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
        cdl_model *model = harness_random_model(arch);
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
    harness_expect_failure(cdl_graph_create(&g, &copy, 32, 32, true, &harness_shared_log), CDL_ERR_FORMAT,
                           skip ? skip : reshape);
    if (!strstr(harness.last, expected))
        fail_msg("the message does not name %s: %s", expected, harness.last);
    free(copy.list.items);
}

static void test_damaged_state_dicts(void **state) {
    (void)state;
    cdl_model *model = harness_load("bottleneck_g4");
    static const char *const needed[] = {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer1.0.conv2.weight",
        "layer1.0.bn3.running_var",
        "layer2.1.bn2.weight",
        "layer2.0.downsample.1.weight",
        "fc.weight",
        "fc.bias",
    };
    for (size_t i = 0; i < CDL_COUNT(needed); i++)
        damaged(model, needed[i], NULL, needed[i]);
    damaged(model, "layer2.0.downsample.0.weight", NULL, "layer2.0.downsample.0.weight");
    damaged(model, "layer2.0.conv3.weight", NULL, "layer2.0");
    static const char *const reshaped[] = {"bn1.weight", "layer1.0.bn2.running_var", "layer3.0.downsample.1.bias",
                                           "fc.bias"};
    for (size_t i = 0; i < CDL_COUNT(reshaped); i++)
        damaged(model, NULL, reshaped[i], reshaped[i]);
    damaged(model, NULL, "layer1.0.conv3.weight", "layer1.0.bn3");
    damaged(model, NULL, "layer2.0.conv2.weight", "layer2.0.conv2.weight"); // 7 channels out of 4 groups
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnext50_shapes),
        cmocka_unit_test(test_every_architecture),
        cmocka_unit_test(test_damaged_state_dicts),
    };
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
