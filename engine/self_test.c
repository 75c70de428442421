// self_test.c - a small convolution on the device beside plain C.
//
// Sources and weights are multiples of 1/64 between -1 and 1, which halves hold exactly. An output is right when it
// lies within the rounding that its storage and any order of summation allow, measured by the sum of the
// magnitudes of its terms: a lost or misplaced term shows.
#include "self_test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGES = 2, MAX_SAMPLES = 768, GUARD_BYTES = 256 };

struct trial {
    struct cdl_graph graph;
    struct cdl_op op;
    struct cdl_value values[3]; // source, residual, destination
    struct cdl_tensor weight, bias;
    struct cdl_kernel kernel;
    float *memory;                            // all of the following
    float *weights;                           // [dst][src / groups][kernel_h][kernel_w]
    float *biases;                            // [dst]
    float *data[2];                           // source, residual: [IMAGES][height][width][channels]
    float *scratch;
    struct cdl_buffer in, out;                // in: source, residual, packed weights
    size_t weights_at, residual_at, dst_bytes;
};

static uint32_t next_random(uint32_t *state) { // xorshift32, Marsaglia 2003
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

static void fill(float *out, size_t count, uint32_t *state) {
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)(next_random(state) % 129) - 64) / 64;
}

static size_t elements(const struct cdl_value *v) { return (size_t)IMAGES * (size_t)v->height * (size_t)v->width * (size_t)v->channels; }

static size_t stored_bytes(const struct cdl_value *v, bool fp16) {
    return (size_t)IMAGES * (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) * (fp16 ? 2 : 4);
}

// ---- which shape

static int at_most(int a, int b) { return a < b ? a : b; }

// Sets the shape; true when the device's list for it has the very kernel.
static bool try_shape(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernel,
                      const struct cdl_caps *caps, int src_channels, int dst_channels, int dst_height, int dst_width) {
    struct cdl_kernel list[CDL_MAX_KERNELS];
    char wanted[160], name[160];
    const int group_src = graph->values[op->src].channels / op->groups;
    t->op = *op;
    t->op.groups = op->groups == 1 ? 1 : src_channels / group_src;
    t->op.src = 0;
    t->op.residual = op->residual >= 0 ? 1 : -1;
    t->op.dst = 2;
    t->op.norm = (struct cdl_batch_norm){0};
    t->values[2] = (struct cdl_value){dst_height, dst_width, dst_channels, graph->values[op->dst].fp32};
    t->values[1] = t->values[2];
    t->values[0] = (struct cdl_value){(dst_height - 1) * op->stride + op->kernel_h - 2 * op->padding,
                                      (dst_width - 1) * op->stride + op->kernel_w - 2 * op->padding, src_channels, graph->values[op->src].fp32};
    if (t->values[0].height < 1 || t->values[0].width < 1)
        return false;
    t->graph = (struct cdl_graph){.ops = &t->op, .values = t->values, .num_ops = 1, .num_values = 3};
    const int count = cdl_kernels_for(&t->graph, &t->op, caps, kernel->fp16, list);
    cdl_kernel_name(kernel, wanted, sizeof wanted);
    for (int i = 0; i < count; i++) {
        cdl_kernel_name(&list[i], name, sizeof name);
        if (!strcmp(name, wanted)) {
            t->kernel = list[i];
            return true;
        }
    }
    return false;
}

// The cheapest shape of some: few channels first, then few pixels; at last the operation's own.
static bool find_shape(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernel,
                       const struct cdl_caps *caps) {
    const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
    const int group_src = src->channels / op->groups, group_dst = dst->channels / op->groups;
    const int pixels[][2] = {{5, 7}, {9, 19}, {dst->height, dst->width}};
    const int dense[][2] = {{20, 44}, {72, 136}, {src->channels, 44}, {72, dst->channels}, {src->channels, dst->channels}};
    const int blocks[] = {3, 5, 16, op->groups}; // groups
    const size_t num_channels = op->groups == 1 ? CDL_COUNT(dense) : CDL_COUNT(blocks);
    for (size_t p = 0; p < CDL_COUNT(pixels); p++)
        for (size_t c = 0; c < num_channels; c++) {
            const int groups = op->groups == 1 ? 1 : at_most(blocks[c], op->groups);
            const int s = op->groups == 1 ? at_most(dense[c][0], src->channels) : groups * group_src;
            const int d = op->groups == 1 ? at_most(dense[c][1], dst->channels) : groups * group_dst;
            // A linear layer, and what pools to one pixel, stay at one.
            const int h = at_most(pixels[p][0], dst->height), w = at_most(pixels[p][1], dst->width);
            if (try_shape(t, graph, op, kernel, caps, s, d, h, w))
                return true;
        }
    return false;
}

// ---- data

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    const int group_src = t->values[0].channels / t->op.groups, dst = t->values[2].channels;
    const size_t weights = (size_t)dst * (size_t)(group_src * t->op.kernel_h * t->op.kernel_w);
    const size_t src = elements(&t->values[0]), residual = t->op.residual >= 0 ? elements(&t->values[1]) : 0;
    uint32_t state = 88172645u;
    t->weight = (struct cdl_tensor){
        .name = "self-test", .dtype = CDL_DTYPE_F32, .num_dims = 4, .shape = {dst, group_src, t->op.kernel_h, t->op.kernel_w},
        .stride = {group_src * t->op.kernel_h * t->op.kernel_w, t->op.kernel_h * t->op.kernel_w, t->op.kernel_w, 1},
    };
    t->bias = (struct cdl_tensor){.name = "self-test", .dtype = CDL_DTYPE_F32, .num_dims = 1, .shape = {dst}, .stride = {1}};
    t->op.weight = &t->weight;
    t->op.bias = &t->bias;
    t->memory = malloc((weights + (size_t)dst + src + residual + cdl_kernel_scratch(&t->op)) * sizeof(float));
    if (!t->memory)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while testing kernels");
    t->weights = t->memory;
    t->biases = t->weights + weights;
    t->data[0] = t->biases + dst;
    t->data[1] = t->data[0] + src;
    t->scratch = t->data[1] + residual;
    fill(t->memory, weights + (size_t)dst + src + residual, &state);
    t->weight.data = (const uint8_t *)t->weights;
    t->bias.data = (const uint8_t *)t->biases;
    return CDL_OK;
}

static void store(const struct cdl_value *v, bool fp16, const float *data, uint8_t *out) {
    const size_t padded = (size_t)cdl_padded_channels(v->channels), channels = (size_t)v->channels, count = elements(v);
    memset(out, 0, stored_bytes(v, fp16));
    for (size_t i = 0; i < count; i++) {
        const size_t at = i / channels * padded + i % channels;
        if (fp16)
            ((uint16_t *)(void *)out)[at] = cdl_f32_to_f16(data[i]);
        else
            ((float *)(void *)out)[at] = data[i];
    }
}

static cdl_result make_buffers(struct trial *t, struct cdl_device *dev) {
    const bool src_fp16 = t->kernel.fp16 && !t->values[0].fp32, dst_fp16 = t->kernel.fp16 && !t->values[2].fp32;
    const size_t src = cdl_align_up(stored_bytes(&t->values[0], src_fp16), 256);
    const size_t residual = t->op.residual >= 0 ? cdl_align_up(stored_bytes(&t->values[1], dst_fp16), 256) : 0;
    t->residual_at = src;
    t->weights_at = src + residual;
    t->dst_bytes = stored_bytes(&t->values[2], dst_fp16);
    cdl_result r = cdl_buffer_create(&t->in, dev, t->weights_at + t->kernel.weight_bytes, CDL_MEMORY_UPLOAD, "a kernel's self-test");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->out, dev, t->dst_bytes + GUARD_BYTES, CDL_MEMORY_READBACK, "a kernel's self-test");
    if (r != CDL_OK)
        return r;
    uint8_t *in = t->in.mapped;
    store(&t->values[0], src_fp16, t->data[0], in);
    if (residual)
        store(&t->values[1], dst_fp16, t->data[1], in + t->residual_at);
    // Packed beside, as what the mapped memory is may be slow to read.
    uint8_t *packed = malloc(t->kernel.weight_bytes);
    if (!packed)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while testing kernels");
    cdl_kernel_pack(&t->kernel, &t->graph, &t->op, t->scratch, packed);
    memcpy(in + t->weights_at, packed, t->kernel.weight_bytes);
    free(packed);
    memset(t->out.mapped, 0xff, t->out.size); // not a number, until the kernel writes
    r = cdl_buffer_flush(&t->in, dev);
    return r == CDL_OK ? cdl_buffer_flush(&t->out, dev) : r;
}

// ---- reference

struct expected { double value, magnitude; };

static struct expected reference(const struct trial *t, int image, int y, int x, int channel) {
    const struct cdl_op *op = &t->op;
    const struct cdl_value *src = &t->values[0], *dst = &t->values[2];
    const int group_src = src->channels / op->groups, group = channel / (dst->channels / op->groups);
    struct expected e = {(double)t->biases[channel], fabs((double)t->biases[channel])};
    for (int ky = 0; ky < op->kernel_h; ky++)
        for (int kx = 0; kx < op->kernel_w; kx++) {
            const int sy = y * op->stride + ky - op->padding, sx = x * op->stride + kx - op->padding;
            if (sy < 0 || sy >= src->height || sx < 0 || sx >= src->width)
                continue;
            const float *pixel = t->data[0] + ((size_t)(image * src->height + sy) * (size_t)src->width + (size_t)sx) * (size_t)src->channels;
            for (int c = 0; c < group_src; c++) {
                const size_t w = (((size_t)channel * (size_t)group_src + (size_t)c) * (size_t)op->kernel_h + (size_t)ky) * (size_t)op->kernel_w +
                                 (size_t)kx;
                const double term = (double)pixel[group * group_src + c] * (double)t->weights[w];
                e.value += term;
                e.magnitude += fabs(term);
            }
        }
    if (op->residual >= 0) {
        const size_t at = ((size_t)(image * dst->height + y) * (size_t)dst->width + (size_t)x) * (size_t)dst->channels + (size_t)channel;
        e.value += (double)t->data[1][at];
        e.magnitude += fabs((double)t->data[1][at]);
    }
    if (op->relu && e.value < 0)
        e.value = 0;
    return e;
}

static bool check(const struct trial *t, uint32_t *state) {
    const struct cdl_value *dst = &t->values[2];
    const bool fp16 = t->kernel.fp16 && !dst->fp32;
    const int padded = cdl_padded_channels(dst->channels);
    const uint8_t *out = t->out.mapped;
    const size_t total = (size_t)IMAGES * (size_t)dst->height * (size_t)dst->width * (size_t)padded;
    const double tolerance = t->kernel.fp16 ? 4e-3 : 1e-5;
    for (size_t i = 0; i < GUARD_BYTES; i++)
        if (out[t->dst_bytes + i] != 0xff)
            return false;
    for (size_t n = 0; n < MAX_SAMPLES && n < total; n++) {
        // All of them when there are few; the very first and last in any case.
        const size_t at = total <= MAX_SAMPLES ? n : n == 0 ? 0 : n == 1 ? total - 1 : next_random(state) % total;
        const double got = fp16 ? (double)cdl_f16_to_f32(((const uint16_t *)(const void *)out)[at]) : (double)((const float *)(const void *)out)[at];
        const int channel = (int)(at % (size_t)padded);
        const size_t pixel = at / (size_t)padded;
        struct expected e = {0, 0}; // padding channels
        if (channel < dst->channels)
            e = reference(t, (int)(pixel / (size_t)(dst->height * dst->width)), (int)(pixel / (size_t)dst->width % (size_t)dst->height),
                          (int)(pixel % (size_t)dst->width), channel);
        if (!(fabs(got - e.value) <= tolerance * e.magnitude))
            return false;
    }
    return true;
}

// ---- run

static cdl_result run(struct trial *t, struct cdl_once *once, bool *passed) {
    struct cdl_device *dev = once->dev;
    VkPipeline pipeline;
    struct cdl_launch launch;
    uint32_t state = 362436069u;
    cdl_result r = cdl_pipeline_get(&pipeline, dev, &t->kernel);
    if (r == CDL_ERR_UNSUPPORTED)
        return CDL_OK; // the driver cannot compile it
    if (r == CDL_OK)
        r = make_data(t, dev);
    if (r == CDL_OK)
        r = make_buffers(t, dev);
    if (r == CDL_OK)
        r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    const struct cdl_addresses at = {
        .src = t->in.address, .residual = t->op.residual >= 0 ? t->in.address + t->residual_at : 0, .dst = t->out.address,
        .weights = t->in.address + t->weights_at,
    };
    cdl_kernel_launch(&t->kernel, &t->graph, &t->op, IMAGES, &at, &launch);
    cdl_once_dispatch(once, pipeline, &launch);
    r = cdl_once_run(once, 0);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&t->out, dev);
    if (r == CDL_OK)
        *passed = check(t, &state);
    return r;
}

cdl_result cdl_self_test(bool *passed, struct cdl_once *once, const struct cdl_graph *graph, const struct cdl_op *op,
                         const struct cdl_kernel *kernel) {
    struct trial t = {0};
    *passed = false;
    if (!find_shape(&t, graph, op, kernel, &once->dev->caps))
        return cdl_fail(&once->dev->log, CDL_ERR_INVALID, "%s: %s is not among its own kernels", op->name, kernel->shader);
    const cdl_result r = run(&t, once, passed);
    cdl_buffer_destroy(&t.in, once->dev);
    cdl_buffer_destroy(&t.out, once->dev);
    free(t.memory);
    return r;
}
