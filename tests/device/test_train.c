// test_train.c - training on a device: one step's gradients against PyTorch's (tests/golden/make_gradients.py), two runs
// alike, a saved state that goes on as if nothing had happened, and what learning does.
#include <math.h>

#include "base/file_map.h"
#include "base/random.h"
#include "support/harness.h"
#include "train/network.h"
#include "train/trainer.h"

enum { IMAGES = 8, PIXEL_SEED = 1, LABEL_SEED = 2 };

static const char *const networks[] = {"basic_7x7",     "basic_3x3",       "bottleneck_g1",  "bottleneck_g2",
                                       "bottleneck_g4", "bottleneck_g8",   "bottleneck_g16", "bottleneck_g32",
                                       "basic_bias",    "bottleneck_bias", "option_a",       "option_a_end",
                                       "option_a_wide"};

// Of a tensor's largest gradient.
static const double tolerance = 1e-4;

// ---- pictures as make_gradients.py has them

struct batch {
    float *pixels; // [IMAGES][3][height][width]
    struct cdl_train_picture pictures[IMAGES];
};

static struct batch make_batch(const struct cdl_trainer *t) {
    const size_t image = 3 * (size_t)t->sight.height * (size_t)t->sight.width;
    struct batch b = {.pixels = must_alloc(IMAGES * image, sizeof(float))};
    for (size_t i = 0; i < IMAGES * image; i++)
        b.pixels[i] = (float)((double)(cdl_random_bits(PIXEL_SEED, i) >> 40) / (1 << 22) - 2);
    for (int i = 0; i < IMAGES; i++)
        b.pictures[i] = (struct cdl_train_picture){
            .pixels = {.data = b.pixels + (size_t)i * image,
                       .width = t->sight.width,
                       .height = t->sight.height,
                       .format = CDL_FORMAT_TENSOR_F32},
            .label = (int)(cdl_random_bits(LABEL_SEED, (uint64_t)i) % (uint64_t)t->program.graph.num_classes),
            .index = (uint64_t)i,
        };
    return b;
}

static cdl_trainer *make_trainer(const char *network, const struct cdl_trainer_params *params) {
    cdl_model *model = harness_load(network);
    cdl_trainer *t;
    harness_expect_ok(cdl_trainer_create(&t, harness.dev, model, params), network);
    cdl_model_destroy(&model);
    return t;
}

static struct cdl_train_result take(cdl_trainer *t) {
    struct cdl_train_result result;
    harness_expect_ok(cdl_trainer_result(t, true, &result), "result");
    return result;
}

static float *download(cdl_trainer *t, const struct cdl_buffer *from) {
    float *out = must_alloc((size_t)from->size / sizeof(float), sizeof(float));
    harness_expect_ok(cdl_train_download(t, from, out, (size_t)from->size), "download");
    return out;
}

// ---- one step against PyTorch

struct golden {
    struct cdl_tensor_list list;
    const void *data;
    size_t size;
};

static struct golden load_golden(const char *network) {
    struct golden g = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/gradients/%s.safetensors", CDL_GOLDEN_DIR, network);
    harness_expect_ok(cdl_file_map(&g.data, &g.size, path, &harness_shared_log), path);
    harness_expect_ok(cdl_parse_safetensors(&g.list, g.data, g.size, path, &harness_shared_log), path);
    return g;
}

static const struct cdl_tensor *find(const struct golden *g, const char *name) {
    for (int i = 0; i < g->list.count; i++)
        if (!strcmp(g->list.items[i].name, name))
            return &g->list.items[i];
    fail_msg("no golden %s", name);
    return NULL;
}

// The largest difference from the golden tensor, as a part of its largest value or, where that is less, of `floor`.
static double difference(const struct golden *g, const char *name, const float *found, double floor) {
    const struct cdl_tensor *t = find(g, name);
    const int64_t rows = cdl_tensor_rows(t), width = cdl_tensor_row_size(t);
    float *wanted = must_alloc((size_t)width, sizeof *wanted);
    double worst = 0, largest = floor;
    for (int64_t r = 0; r < rows; r++) {
        cdl_tensor_read_row(t, r, wanted);
        for (int64_t i = 0; i < width; i++) {
            const double d = fabs((double)found[r * width + i] - (double)wanted[i]);
            worst = d <= worst ? worst : d; // NaN stays
            largest = fmax(largest, fabs((double)wanted[i]));
        }
    }
    free(wanted);
    return worst / largest;
}

// A convolution's bias in front of a batch norm has no effect: its gradient is noise around zero, in PyTorch too.
static bool has_no_effect(const char *name) {
    return cdl_ends_with(name, ".bias") && (strstr(name, "conv") || strstr(name, "downsample.0"));
}

static double check_step(const char *network) {
    cdl_trainer *t = make_trainer(network, cdl_trainer_params(.batch = IMAGES, .label_smoothing = 0.1f));
    struct golden golden = load_golden(network);
    struct batch batch = make_batch(t);
    harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.0f), network);
    const struct cdl_train_result result = take(t);
    float *gradients = download(t, &t->gradients), *parameters = download(t, &t->parameters);
    double worst = 0;
    const double loss = difference(&golden, "loss", &result.loss, 0);
    if (!(loss <= 1e-5))
        fail_msg("%s: loss %g is off by %g", network, (double)result.loss, loss);
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const char *name = p->tensor->name;
        if (p->kind == CDL_PARAMETER_CONSTANT)
            continue;
        const bool running = p->kind == CDL_PARAMETER_RUNNING;
        assert_true(running || p->trainable);
        const double off =
            difference(&golden, name, running ? parameters + p->at : gradients + p->at, has_no_effect(name) ? 0.1 : 0);
        if (!(off <= tolerance))
            fail_msg("%s: %s of %s is off by %g of its largest", network, running ? "the value" : "the gradient", name,
                     off);
        worst = fmax(worst, off);
    }
    free(gradients);
    free(parameters);
    free(batch.pixels);
    cdl_tensor_list_free(&golden.list);
    cdl_file_unmap(golden.data, golden.size);
    cdl_trainer_destroy(&t);
    return worst;
}

static void one_step_is_pytorchs(void **state) {
    (void)state;
    for (size_t i = 0; i < CDL_COUNT(networks); i++)
        print_message("%s: off by %.1e at most\n", networks[i], check_step(networks[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_is_pytorchs),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
