// torchvision's ResNet architectures with seeded random weights, for benchmarks and tests.
//
// The values are the same on every machine: they come from a counter-based integer generator and floating-point
// operations whose results IEEE 754 defines exactly (sqrt is one; there is no a * b + c that a compiler might fuse).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "model/architectures.h"
#include "model/model.h"

enum { NUM_CLASSES = 1000 };

// ---- numbers

static uint32_t sum_of_quarters(uint64_t bits) {
    return (uint32_t)(bits & 0xffff) + (uint32_t)(bits >> 16 & 0xffff) + (uint32_t)(bits >> 32 & 0xffff) +
           (uint32_t)(bits >> 48);
}

// Normal in good approximation: the sum of 8 uniform integers 0...65535, centred and scaled.
static void fill_normal(float *out, size_t n, uint64_t seed, double deviation) {
    const double sum_deviation = 53509.92; // sqrt(8 * (65536^2 - 1) / 12)
    const float scale = (float)(deviation / sum_deviation);
    for (size_t i = 0; i < n; i++) {
        const uint32_t sum =
            sum_of_quarters(cdl_random_bits(seed, 2 * i)) + sum_of_quarters(cdl_random_bits(seed, 2 * i + 1));
        out[i] = (float)((int32_t)sum - 8 * 65535 / 2) * scale;
    }
}

// Uniform in [low, high), both in units of 2^-16.
static void fill_uniform(float *out, size_t n, uint64_t seed, int32_t low, int32_t high) {
    for (size_t i = 0; i < n; i++) {
        const int64_t k = (int64_t)(cdl_random_bits(seed, i) >> 48) * (high - low) >> 16;
        out[i] = (float)(low + k) * (1.0f / 65536.0f);
    }
}

// ---- tensors

// add_network walks over all tensors twice: first, with block NULL, to count their values, then to make them.
struct builder {
    struct cdl_model *model;
    float *block;
    size_t used; // values
    uint64_t seed;
    int num_blocks; // of the network
    cdl_result result;
    const cdl_log *log;
};

// Adds a tensor of shape[num_dims]; NULL while counting, or after a failure.
static float *add_tensor(struct builder *b, const char *name, int num_dims, const int64_t *shape) {
    struct cdl_tensor t = {.name = name, .dtype = CDL_DTYPE_F32, .num_dims = num_dims};
    int64_t count = 1;
    for (int d = num_dims - 1; d >= 0; d--) {
        t.shape[d] = shape[d];
        t.stride[d] = count;
        count *= shape[d];
    }
    float *values = b->block ? b->block + b->used : NULL;
    b->used += (size_t)count;
    if (!values || b->result != CDL_OK)
        return NULL;
    t.data = (const uint8_t *)values;
    b->result = cdl_tensor_list_add(&b->model->list, &t, b->log);
    b->seed = cdl_random_bits(b->seed, 0); // so that each tensor has a sequence of its own
    return b->result == CDL_OK ? values : NULL;
}

// He-normal by fan-in, so that a ReLU network keeps its activations' variance.
static void add_conv(struct builder *b, const char *name, int out, int in_per_group, int kernel) {
    char full[96];
    cdl_format_text(full, sizeof(full), "%s.weight", name);
    float *weight = add_tensor(b, full, 4, (int64_t[]){out, in_per_group, kernel, kernel});
    const size_t fan_in = (size_t)in_per_group * (size_t)kernel * (size_t)kernel;
    if (weight)
        fill_normal(weight, (size_t)out * fan_in, b->seed, sqrt(2.0 / (double)fan_in));
}

// `branch_end`: the last batch norm before a residual addition. Its weights are 0.2 ... 0.5 in a ResNet-18, which has 8
// blocks, and smaller in proportion in deeper networks: this keeps the activations of the deepest below 100 or so.
static void add_norm(struct builder *b, const char *name, int channels, bool branch_end) {
    static const struct {
        const char *suffix;
        int32_t low, high;
    } parts[] = {
        {"weight", 32768, 98304}, // 0.5 ... 1.5
        {"bias", -6554, 6554},    // -0.1 ... 0.1
        {"running_mean", -6554, 6554},
        {"running_var", 32768, 98304}, // 0.5 ... 1.5
    };
    for (size_t i = 0; i < CDL_COUNT(parts); i++) {
        char full[96];
        cdl_format_text(full, sizeof(full), "%s.%s", name, parts[i].suffix);
        float *values = add_tensor(b, full, 1, (int64_t[]){channels});
        if (!values)
            continue;
        if (i == 0 && branch_end)
            fill_uniform(values, (size_t)channels, b->seed, 8 * 13107 / b->num_blocks, 8 * 32768 / b->num_blocks);
        else
            fill_uniform(values, (size_t)channels, b->seed, parts[i].low, parts[i].high);
    }
}

// The convolution `block`.convN and its batch norm `block`.bnN.
static void add_conv_and_norm(struct builder *b, const char *block, int n, int out, int in_per_group, int kernel,
                              bool branch_end) {
    char name[64];
    cdl_format_text(name, sizeof(name), "%s.conv%d", block, n);
    add_conv(b, name, out, in_per_group, kernel);
    cdl_format_text(name, sizeof(name), "%s.bn%d", block, n);
    add_norm(b, name, out, branch_end);
}

static void add_block(struct builder *b, const struct cdl_architecture *arch, const char *name, int in, int planes,
                      bool downsample) {
    const int width = planes * arch->width_per_group / 64 * arch->groups;
    const int out = arch->bottleneck ? planes * 4 : planes;
    if (arch->bottleneck) {
        add_conv_and_norm(b, name, 1, width, in, 1, false);
        add_conv_and_norm(b, name, 2, width, width / arch->groups, 3, false);
        add_conv_and_norm(b, name, 3, out, width, 1, true);
    } else {
        add_conv_and_norm(b, name, 1, planes, in, 3, false);
        add_conv_and_norm(b, name, 2, planes, planes, 3, true);
    }
    if (downsample) {
        char full[64];
        cdl_format_text(full, sizeof(full), "%s.downsample.0", name);
        add_conv(b, full, out, in, 1);
        cdl_format_text(full, sizeof(full), "%s.downsample.1", name);
        add_norm(b, full, out, false);
    }
}

static void add_network(struct builder *b, const struct cdl_architecture *arch) {
    const int expansion = arch->bottleneck ? 4 : 1;
    b->num_blocks = arch->blocks[0] + arch->blocks[1] + arch->blocks[2] + arch->blocks[3];
    add_conv(b, "conv1", 64, 3, 7);
    add_norm(b, "bn1", 64, false);
    int in = 64;
    for (int stage = 0; stage < 4; stage++) {
        const int planes = 64 << stage;
        for (int i = 0; i < arch->blocks[stage]; i++) {
            char name[32];
            cdl_format_text(name, sizeof(name), "layer%d.%d", stage + 1, i);
            add_block(b, arch, name, in, planes, i == 0 && (stage > 0 || in != planes * expansion));
            in = planes * expansion;
        }
    }
    float *weight = add_tensor(b, "fc.weight", 2, (int64_t[]){NUM_CLASSES, in});
    if (weight)
        fill_normal(weight, (size_t)NUM_CLASSES * (size_t)in, b->seed, sqrt(1.0 / in));
    float *bias = add_tensor(b, "fc.bias", 1, (int64_t[]){NUM_CLASSES});
    if (bias)
        fill_uniform(bias, NUM_CLASSES, b->seed, -6554, 6554);
}

static void free_block(void *ctx, const void *data) {
    (void)ctx;
    free((void *)data); // malloc'd below
}

cdl_result cdl_model_make_random(cdl_model **out, const char *arch, uint64_t seed,
                                 const struct cdl_model_params *params) {
    const cdl_log *log = &params->log;
    const struct cdl_architecture *found = NULL;
    for (int i = 0; i < cdl_num_architectures; i++) {
        if (strcmp(cdl_architectures[i].name, arch) == 0)
            found = &cdl_architectures[i];
    }
    if (!found) {
        return cdl_fail(log, CDL_ERR_INVALID,
                        "architecture '%s' is not known; use a torchvision name such as resnext50_32x4d or "
                        "resnet18",
                        arch);
    }
    struct builder b = {.log = log};
    add_network(&b, found);
    char what[64];
    cdl_format_text(what, sizeof(what), "%s (random)", arch);
    struct cdl_model *model = cdl_model_new(what);
    float *block = malloc(b.used * sizeof(*block));
    if (!model || !block) {
        free(block);
        cdl_model_destroy(&model);
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory for %zu weights", what, b.used);
    }
    model->data = block;
    model->size = b.used * sizeof(*block);
    model->free_fn = free_block;
    b = (struct builder){.model = model, .block = block, .seed = seed, .log = log};
    add_network(&b, found);
    const cdl_result r = b.result == CDL_OK ? cdl_model_finish(model, params) : b.result;
    if (r == CDL_OK)
        *out = model;
    else
        cdl_model_destroy(&model);
    return r;
}
