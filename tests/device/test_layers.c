// test_layers.c - small networks, every layer against PyTorch's output (tests/golden/make_layers.py), one by one.
//
// Without folding, each operation is a layer of PyTorch's, except that our batch norm adds the residual and applies
// the ReLU itself; folded, each convolution is one with its batch norm. In both, every position of a batch is looked
// at.
#include <math.h>

#include "base/file_map.h"
#include "graph/resnet.h"
#include "support/harness.h"
#include "session/inspect.h"

enum { MAX_BATCH = 5, GOLDEN_IMAGES = 2, MAX_VALUES = 256 };

// Of a layer's largest magnitude. fp32 differs by the order of sums alone. In fp16 every stored value is off by up to
// 2^-11 of itself, and layers pass that on.
static const double tolerance[2] = {2e-5, 1.5e-2};

static const char *const networks[] = {"basic_7x7",     "basic_3x3",       "bottleneck_g1",  "bottleneck_g2",
                                       "bottleneck_g4", "bottleneck_g8",   "bottleneck_g16", "bottleneck_g32",
                                       "basic_bias",    "bottleneck_bias", "option_a",       "option_a_end",
                                       "option_a_wide"};

// What PyTorch's modules gave, by their names, in a file beside the network's.
struct outputs {
    struct cdl_tensor_list list;
    const void *data;
    size_t size;
    char path[512];
};

static void load_outputs(struct outputs *out, const char *network) {
    *out = (struct outputs){0};
    snprintf(out->path, sizeof out->path, "%s/layers/%s.outputs.safetensors", CDL_GOLDEN_DIR, network);
    harness_expect_ok(cdl_file_map(&out->data, &out->size, out->path, &harness_shared_log), out->path);
    harness_expect_ok(cdl_parse_safetensors(&out->list, out->data, out->size, out->path, &harness_shared_log),
                      out->path);
}

static void free_outputs(struct outputs *outputs) {
    cdl_tensor_list_free(&outputs->list);
    cdl_file_unmap(outputs->data, outputs->size);
}

static const struct cdl_tensor *find_output(const struct outputs *outputs, const char *module) {
    for (int i = 0; i < outputs->list.count; i++)
        if (!strcmp(outputs->list.items[i].name, module))
            return &outputs->list.items[i];
    fail_msg("%s: no %s", outputs->path, module);
    return NULL;
}

// The golden output of a module for one image, as [height][width][channels]. malloc'd.
static float *golden(const struct outputs *outputs, const char *module, const struct cdl_value *v, int image) {
    const struct cdl_tensor *t = find_output(outputs, module);
    const size_t pixels = (size_t)v->height * (size_t)v->width, channels = (size_t)v->channels;
    if (t->shape[0] != GOLDEN_IMAGES || (size_t)cdl_tensor_row_size(t) != pixels * channels ||
        t->shape[1] != v->channels)
        fail_msg("%s: %s is not the shape of value %dx%dx%d", outputs->path, module, v->height, v->width, v->channels);
    float *planar = must_alloc(pixels * channels, sizeof *planar), *out = must_alloc(pixels * channels, sizeof *out);
    cdl_tensor_read_row(t, image, planar);
    for (size_t i = 0; i < pixels * channels; i++)
        out[i] = planar[i % channels * pixels + i / channels];
    free(planar);
    return out;
}

// What every value of the graph must be for one golden image.
struct expected {
    float *values[MAX_VALUES];
    int count;
};

// The module whose output, residual and ReLU aside, an operation computes.
static void module_of(const struct cdl_op *op, char *out, size_t size) {
    snprintf(out, size, "%s", op->name);
    if (op->kind != CDL_OP_CONV || !op->norm.weight)
        return;
    char *conv = strstr(out, "conv");
    const size_t length = strlen(out);
    if (conv)
        snprintf(conv, size - (size_t)(conv - out), "bn%s", op->name + (conv - out) + 4);
    else
        out[length - 1] = '1'; // downsample.0 to downsample.1
}

static size_t value_count(const struct cdl_value *v) {
    return (size_t)v->height * (size_t)v->width * (size_t)v->channels;
}

static void expect(struct expected *out, const struct outputs *outputs, const struct cdl_graph *g, int image) {
    char module[96];
    out->count = g->num_values;
    assert_true(g->num_values <= MAX_VALUES);
    out->values[0] = golden(outputs, "input", &g->values[0], image);
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        module_of(op, module, sizeof module);
        float *v = out->values[op->dst] = golden(outputs, module, &g->values[op->dst], image);
        for (size_t k = 0; k < value_count(&g->values[op->dst]); k++) {
            if (op->residual >= 0)
                v[k] += out->values[op->residual][k];
            if (op->relu && v[k] < 0)
                v[k] = 0;
        }
    }
}

static void forget(struct expected *e) {
    for (int i = 0; i < e->count; i++)
        free(e->values[i]);
    e->count = 0;
}

static double compare(const char *network, const char *layer, const float *found, const float *wanted, size_t count,
                      double limit, int batch, int position) {
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        largest = fmax(largest, fabs((double)wanted[i]));
        const double difference = fabs((double)found[i] - (double)wanted[i]);
        worst = difference <= worst ? worst : difference; // NaN stays
    }
    if (!(worst <= limit * largest))
        fail_msg("%s: %s of image %d in a batch of %d is off by %g; its largest value is %g", network, layer, position,
                 batch, worst, largest);
    return largest > 0 ? worst / largest : 0;
}

static double check_run(const char *network, cdl_session *s, const struct expected *expected,
                        const float *const *inputs, int batch, int first, double limit) {
    const struct cdl_graph *g = &s->plan.graph;
    struct cdl_pixels pixels[MAX_BATCH];
    double worst = 0;
    for (int i = 0; i < batch; i++)
        pixels[i] = (struct cdl_pixels){.data = inputs[(first + i) % GOLDEN_IMAGES],
                                        .width = s->info.width,
                                        .height = s->info.height,
                                        .format = CDL_FORMAT_TENSOR_F32};
    harness_expect_ok(cdl_session_run(s, pixels, batch), network);
    for (int i = 0; i < batch; i++) {
        const struct expected *e = &expected[(first + i) % GOLDEN_IMAGES];
        for (int k = 0; k < g->num_ops; k++) {
            const int value = g->ops[k].dst;
            const size_t count = value_count(&g->values[value]);
            float *found = must_alloc(count, sizeof *found);
            harness_expect_ok(cdl_session_read_value(s, value, i, found), g->ops[k].name);
            worst = fmax(worst, compare(network, g->ops[k].name, found, e->values[value], count, limit, batch, i));
            free(found);
        }
        const float *logits = cdl_session_logits(s, 0, i);
        assert_true(logits != NULL);
        compare(network, "the logits", logits, e->values[g->num_values - 1], (size_t)g->num_classes, limit, batch, i);
    }
    return worst;
}

static double check_network(const char *network, int max_batch, bool fp16, bool no_fold) {
    cdl_model *model = harness_load(network);
    struct outputs outputs;
    load_outputs(&outputs, network);
    cdl_session *s;
    struct expected expected[GOLDEN_IMAGES];
    float *inputs[GOLDEN_IMAGES];
    double worst = 0;
    harness_expect_ok(
        cdl_session_create_keeping(&s, harness.dev, model,
                                   cdl_session_params(.max_batch = max_batch, .no_fold = no_fold,
                                                      .precision = fp16 ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32)),
        network);
    for (int i = 0; i < GOLDEN_IMAGES; i++) {
        const struct cdl_tensor *t = find_output(&outputs, "input");
        expect(&expected[i], &outputs, &s->plan.graph, i);
        inputs[i] = must_alloc((size_t)cdl_tensor_row_size(t), sizeof **inputs);
        cdl_tensor_read_row(t, i, inputs[i]);
    }
    static const int batches[] = {1, 2, 5};
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int first = 0; first < GOLDEN_IMAGES && batches[i] <= max_batch; first++)
            worst = fmax(worst, check_run(network, s, expected, (const float *const *)inputs, batches[i], first,
                                          tolerance[fp16]));
    for (int i = 0; i < GOLDEN_IMAGES; i++) {
        forget(&expected[i]);
        free(inputs[i]);
    }
    cdl_session_destroy(&s);
    free_outputs(&outputs);
    cdl_model_destroy(&model);
    return worst;
}

static void check_networks(bool fp16, bool no_fold) {
    double worst = 0;
    for (size_t i = 0; i < CDL_COUNT(networks); i++)
        worst = fmax(worst, check_network(networks[i], MAX_BATCH, fp16, no_fold));
    print_message("%zu networks, largest difference %.2g of a layer's largest value\n", CDL_COUNT(networks), worst);
}

static void test_every_layer_fp32(void **state) {
    (void)state;
    check_networks(false, true);
}
static void test_every_layer_fp16(void **state) {
    (void)state;
    check_networks(true, true);
}
static void test_folded_fp32(void **state) {
    (void)state;
    check_networks(false, false);
}
static void test_folded_fp16(void **state) {
    (void)state;
    check_networks(true, false);
}

// Sessions made for one and for two images, not only partly filled ones.
static void test_small_batches(void **state) {
    (void)state;
    for (int fp16 = 0; fp16 < 2; fp16++)
        for (int batch = 1; batch <= 2; batch++)
            check_network("bottleneck_g16", batch, fp16, false);
}

// Features and class activation maps of ordinary sessions, whose values share memory.
static double check_maps(const char *network, bool fp16) {
    enum { CLASSES = 3 };
    cdl_model *model = harness_load(network);
    struct outputs outputs;
    load_outputs(&outputs, network);
    cdl_session *s;
    struct cdl_pixels pixels[GOLDEN_IMAGES];
    float *inputs[GOLDEN_IMAGES];
    double worst = 0;
    harness_expect_ok(
        cdl_session_create(&s, harness.dev, model,
                           cdl_session_params(.max_batch = GOLDEN_IMAGES, .cam = true,
                                              .precision = fp16 ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32)),
        network);
    const struct cdl_graph *g = &s->plan.graph;
    struct cdl_session_info info;
    cdl_session_get_info(s, &info);
    const int places = info.cam_width * info.cam_height;
    assert_int_equal(info.cam_width, g->values[g->map].width);
    assert_int_equal(info.num_features, g->values[g->map].channels);
    for (int i = 0; i < GOLDEN_IMAGES; i++) {
        const struct cdl_tensor *t = find_output(&outputs, "input");
        inputs[i] = must_alloc((size_t)cdl_tensor_row_size(t), sizeof **inputs);
        cdl_tensor_read_row(t, i, inputs[i]);
        pixels[i] = (struct cdl_pixels){
            .data = inputs[i], .width = info.width, .height = info.height, .format = CDL_FORMAT_TENSOR_F32};
    }
    harness_expect_ok(cdl_session_run(s, pixels, GOLDEN_IMAGES), network);
    const struct cdl_tensor *weight = cdl_model_find(model, "fc.weight"), *bias = cdl_model_find(model, "fc.bias");
    float *row = must_alloc((size_t)info.num_features, sizeof *row),
          *biases = must_alloc((size_t)info.num_classes, sizeof *biases);
    float *found = must_alloc((size_t)places, sizeof *found), *wanted = must_alloc((size_t)places, sizeof *wanted);
    cdl_tensor_read_row(bias, 0, biases);
    for (int i = 0; i < GOLDEN_IMAGES; i++) {
        struct expected e;
        expect(&e, &outputs, g, i);
        const float *features = cdl_session_features(s, 0, i), *map = e.values[g->map];
        assert_non_null(features);
        worst = fmax(worst, compare(network, "the features", features, e.values[g->features], (size_t)info.num_features,
                                    tolerance[fp16], GOLDEN_IMAGES, i));
        for (int c = 0; c < CLASSES && c < info.num_classes; c++) {
            double sum = 0, terms = 0;
            harness_expect_ok(cdl_session_cam(s, 0, i, c, found), network);
            cdl_tensor_read_row(weight, c, row);
            for (int k = 0; k < places; k++) {
                double at = 0;
                for (int f = 0; f < info.num_features; f++) {
                    at += (double)row[f] * (double)map[k * info.num_features + f];
                    terms += fabs((double)row[f] * (double)map[k * info.num_features + f]);
                }
                wanted[k] = (float)at;
                sum += (double)found[k];
            }
            for (int k = 0; k < places; k++) // terms cancel: the bound is of their magnitude
                if (!(fabs((double)found[k] - (double)wanted[k]) <= (double)tolerance[fp16] * (terms / places + 1e-6)))
                    fail_msg("%s: map of class %d, place %d is %g, expected %g", network, c, k, (double)found[k],
                             (double)wanted[k]);
            const double logit = (double)cdl_session_logits(s, 0, i)[c], by_map = sum / places + (double)biases[c];
            if (!(fabs(logit - by_map) <= (double)tolerance[fp16] * (terms / places + 1e-6)))
                fail_msg("%s: the map of class %d says its logit is %g, it is %g", network, c, by_map, logit);
        }
        forget(&e);
    }
    assert_null(cdl_session_features(s, 0, GOLDEN_IMAGES));
    harness_expect_failure(cdl_session_cam(s, 0, GOLDEN_IMAGES, 0, found), CDL_ERR_INVALID, "no such image");
    harness_expect_failure(cdl_session_cam(s, 0, 0, info.num_classes, found), CDL_ERR_INVALID, "no such class");
    harness_expect_failure(cdl_session_cam(s, 0, 0, 0, NULL), CDL_ERR_INVALID, "nowhere to write");
    free(row);
    free(biases);
    free(found);
    free(wanted);
    for (int i = 0; i < GOLDEN_IMAGES; i++)
        free(inputs[i]);
    cdl_session_destroy(&s);
    free_outputs(&outputs);
    cdl_model_destroy(&model);
    return worst;
}

static void test_maps(void **state) {
    (void)state;
    for (int fp16 = 0; fp16 < 2; fp16++)
        for (size_t i = 0; i < CDL_COUNT(networks); i++)
            check_maps(networks[i], fp16);
}

// The epilogues that `expect` adds lead to PyTorch's own block outputs.
static void test_blocks_are_pytorchs(void **state) {
    (void)state;
    for (size_t n = 0; n < CDL_COUNT(networks); n++) {
        cdl_model *model = harness_load(networks[n]);
        struct outputs outputs;
        load_outputs(&outputs, networks[n]);
        struct cdl_graph g;
        struct expected e;
        int blocks = 0;
        const cdl_log log = harness_log();
        harness_expect_ok(
            cdl_graph_create(&g, model, model->recipe.input_height, model->recipe.input_width, true, &log),
            networks[n]);
        expect(&e, &outputs, &g, 1);
        for (int i = 0; i < g.num_ops; i++) {
            char block[64];
            snprintf(block, sizeof block, "%s", g.ops[i].name);
            if (g.ops[i].residual < 0 || !strrchr(block, '.'))
                continue;
            *strrchr(block, '.') = 0;
            const struct cdl_value *v = &g.values[g.ops[i].dst];
            float *wanted = golden(&outputs, block, v, 1);
            compare(networks[n], block, e.values[g.ops[i].dst], wanted, value_count(v), 1e-6, 1, 0);
            free(wanted);
            blocks++;
        }
        assert_true(blocks > 0);
        forget(&e);
        cdl_graph_destroy(&g);
        free_outputs(&outputs);
        cdl_model_destroy(&model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_pytorchs),
        cmocka_unit_test(test_every_layer_fp32),
        cmocka_unit_test(test_every_layer_fp16),
        cmocka_unit_test(test_folded_fp32),
        cmocka_unit_test(test_folded_fp16),
        cmocka_unit_test(test_small_batches),
        cmocka_unit_test(test_maps),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    return cmocka_run_group_tests_name("layers", tests, harness_open, harness_close);
}
