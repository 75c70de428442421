// kernel_check.c - a small convolution on the device beside plain C; or two that one kernel does.
//
// Sources and weights are multiples of 1/64 between -1 and 1, which halves hold exactly. An output is right when it
// lies within the rounding that its storage and any order of summation allow, measured by the sum of the
// magnitudes of its terms: a lost or misplaced term shows.
#include "tune/kernel_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/memory.h"

enum { IMAGES = 2, MAX_SAMPLES = 768, GUARD_BYTES = 256 };

struct trial {
    struct cdl_graph graph;
    bool pair; // ops[0] and ops[1], else ops[1] alone
    struct cdl_op ops[2];
    struct cdl_value values[4]; // source, residual, destination; what a pair has in between
    struct cdl_tensor weight[2], bias[2];
    struct cdl_kernel kernel, first; // first: of a pair's first weights
    float *memory;                   // all of the following
    float *weights[2];               // [dst][src / groups][kernel_h][kernel_w]
    float *biases[2];                // [dst]
    float *data[2];                  // source, residual: [IMAGES][height][width][channels]
    float *scratch;
    struct cdl_buffer in, out; // in: source, residual, packed weights
    size_t weights_at[2], residual_at, dst_bytes;
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

static size_t elements(const struct cdl_value *v) {
    return (size_t)IMAGES * (size_t)v->height * (size_t)v->width * (size_t)v->channels;
}

static size_t stored_bytes(const struct cdl_value *v, bool fp16) {
    return (size_t)IMAGES * (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) *
           (fp16 ? 2 : 4);
}

// ---- which shape

static int at_most(int a, int b) { return a < b ? a : b; }

// The source that gives dst_height x dst_width.
static struct cdl_value source_value(const struct cdl_op *op, int channels, int dst_height, int dst_width, bool fp32) {
    return (struct cdl_value){(dst_height - 1) * op->stride + op->kernel_h - 2 * op->padding,
                              (dst_width - 1) * op->stride + op->kernel_w - 2 * op->padding, channels, fp32};
}

// Whether the device's list for the shape has the very kernel; then it is the one to test.
static bool listed(struct trial *t, const struct cdl_kernel *kernel, const struct cdl_caps *caps) {
    struct cdl_kernel list[CDL_MAX_KERNELS];
    char wanted[160], name[160];
    if (t->values[0].height < 1 || t->values[0].width < 1)
        return false;
    t->graph = (struct cdl_graph){.ops = t->pair ? t->ops : t->ops + 1,
                                  .values = t->values,
                                  .num_ops = t->pair ? 2 : 1,
                                  .num_values = 4,
                                  .map = 2,
                                  .features = 2};
    const int count = t->pair ? cdl_pair_kernels_for(&t->graph, &t->ops[1], caps, kernel->fp16, list, &t->first)
                              : cdl_kernels_for(&t->graph, &t->ops[1], caps, kernel->fp16, list);
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

// Sets the shape; true when the device's list for it has the kernel.
static bool try_shape(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op,
                      const struct cdl_kernel *kernel, const struct cdl_caps *caps, int src_channels, int dst_channels,
                      int dst_height, int dst_width) {
    const int group_src = graph->values[op->src].channels / op->groups;
    struct cdl_op *tested = &t->ops[1];
    *tested = *op;
    tested->groups = op->groups == 1 ? 1 : src_channels / group_src;
    tested->src = 0;
    tested->residual = op->residual >= 0 ? 1 : -1;
    tested->dst = 2;
    tested->norm = (struct cdl_batch_norm){0};
    t->values[2] = (struct cdl_value){dst_height, dst_width, dst_channels, graph->values[op->dst].fp32};
    t->values[1] = t->values[2];
    t->values[0] = source_value(op, src_channels, dst_height, dst_width, graph->values[op->src].fp32);
    return listed(t, kernel, caps);
}

// The same of a pair: a 3x3 of as many channels as it has, which the kernel's constants tell, and the 1x1 behind it.
static bool try_pair(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op,
                     const struct cdl_kernel *kernel, const struct cdl_caps *caps, int dst_channels, int dst_height,
                     int dst_width) {
    t->ops[0] = op[-1];
    t->ops[1] = *op;
    t->ops[0].norm = t->ops[1].norm = (struct cdl_batch_norm){0};
    t->ops[0].src = 0;
    t->ops[0].dst = t->ops[1].src = 3;
    t->ops[1].residual = op->residual >= 0 ? 1 : -1;
    t->ops[1].dst = 2;
    t->values[2] = (struct cdl_value){dst_height, dst_width, dst_channels, false};
    t->values[1] = t->values[2];
    t->values[3] = (struct cdl_value){dst_height, dst_width, graph->values[op->src].channels, false};
    t->values[0] = source_value(&t->ops[0], graph->values[op[-1].src].channels, dst_height, dst_width, false);
    return listed(t, kernel, caps);
}

static bool find_pair_shape(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op,
                            const struct cdl_kernel *kernel, const struct cdl_caps *caps) {
    const struct cdl_value *dst = &graph->values[op->dst];
    // A tile is as high and wide as the picture in equal parts; some tiles, the last of them not full.
    for (int h = at_most(9, dst->height); h <= dst->height; h++)
        for (int w = at_most(9, dst->width); w <= dst->width; w++)
            if (try_pair(t, graph, op, kernel, caps, at_most(88, dst->channels), h, w))
                return true;
    return false;
}

// The cheapest shape of some: few channels first, then few pixels; at last the operation's own.
static bool find_shape(struct trial *t, const struct cdl_graph *graph, const struct cdl_op *op,
                       const struct cdl_kernel *kernel, const struct cdl_caps *caps) {
    if (kernel->pair)
        return find_pair_shape(t, graph, op, kernel, caps);
    const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
    const int group_src = src->channels / op->groups, group_dst = dst->channels / op->groups;
    const int pixels[][2] = {{5, 7}, {9, 19}, {dst->height, dst->width}};
    const int dense[][2] = {
        {20, 44}, {72, 136}, {src->channels, 44}, {72, dst->channels}, {src->channels, dst->channels}};
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

static size_t count_weights(const struct trial *t, const struct cdl_op *op) {
    return (size_t)t->values[op->dst].channels *
           (size_t)(t->values[op->src].channels / op->groups * op->kernel_h * op->kernel_w);
}

// Sets the operation's tensors, whose numbers lie at *at, and moves that behind them.
static void set_tensors(struct trial *t, int i, float **at) {
    struct cdl_op *op = &t->ops[i];
    const int dst = t->values[op->dst].channels, group_src = t->values[op->src].channels / op->groups;
    t->weights[i] = *at;
    t->biases[i] = t->weights[i] + count_weights(t, op);
    *at = t->biases[i] + dst;
    t->weight[i] = (struct cdl_tensor){
        .name = "self-test",
        .dtype = CDL_DTYPE_F32,
        .num_dims = 4,
        .shape = {dst, group_src, op->kernel_h, op->kernel_w},
        .stride = {group_src * op->kernel_h * op->kernel_w, op->kernel_h * op->kernel_w, op->kernel_w, 1},
        .data = (const uint8_t *)t->weights[i],
    };
    t->bias[i] = (struct cdl_tensor){.name = "self-test",
                                     .dtype = CDL_DTYPE_F32,
                                     .num_dims = 1,
                                     .shape = {dst},
                                     .stride = {1},
                                     .data = (const uint8_t *)t->biases[i]};
    op->weight = &t->weight[i];
    op->bias = &t->bias[i];
}

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    size_t count = elements(&t->values[0]) + (t->ops[1].residual >= 0 ? elements(&t->values[1]) : 0), scratch = 0;
    uint32_t state = 88172645u;
    for (int i = !t->pair; i < 2; i++) {
        const size_t dst = (size_t)t->values[t->ops[i].dst].channels, weights = count_weights(t, &t->ops[i]);
        count += weights + dst;
        scratch += weights / dst + 5 * dst; // as cdl_kernel_scratch has it
    }
    t->memory = malloc((count + scratch) * sizeof(float));
    if (!t->memory)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while testing kernels");
    fill(t->memory, count, &state);
    float *at = t->memory;
    for (int i = !t->pair; i < 2; i++)
        set_tensors(t, i, &at);
    t->data[0] = at;
    t->data[1] = t->data[0] + elements(&t->values[0]);
    t->scratch = t->memory + count;
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

// Packed beside, as what the mapped memory is may be slow to read.
static cdl_result pack(const struct trial *t, struct cdl_device *dev, const struct cdl_kernel *kernel,
                       const struct cdl_op *op, uint8_t *out) {
    uint8_t *packed = malloc(kernel->weight_bytes);
    if (!packed)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while testing kernels");
    cdl_kernel_pack(kernel, &t->graph, op, t->scratch, packed);
    memcpy(out, packed, kernel->weight_bytes);
    free(packed);
    return CDL_OK;
}

static cdl_result make_buffers(struct trial *t, struct cdl_device *dev) {
    const bool src_fp16 = t->kernel.fp16 && !t->values[0].fp32, dst_fp16 = t->kernel.fp16 && !t->values[2].fp32;
    const size_t src = cdl_align_up(stored_bytes(&t->values[0], src_fp16), 256);
    const size_t residual = t->ops[1].residual >= 0 ? cdl_align_up(stored_bytes(&t->values[1], dst_fp16), 256) : 0;
    t->residual_at = src;
    t->weights_at[0] = src + residual;
    t->weights_at[1] = t->weights_at[0] + (t->pair ? cdl_align_up(t->first.weight_bytes, 256) : 0);
    t->dst_bytes = stored_bytes(&t->values[2], dst_fp16);
    cdl_result r = cdl_buffer_create(&t->in, dev, t->weights_at[1] + t->kernel.weight_bytes, CDL_MEMORY_UPLOAD,
                                     "a kernel's self-test");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->out, dev, t->dst_bytes + GUARD_BYTES, CDL_MEMORY_READBACK, "a kernel's self-test");
    if (r != CDL_OK)
        return r;
    uint8_t *in = t->in.mapped;
    store(&t->values[0], src_fp16, t->data[0], in);
    if (residual)
        store(&t->values[1], dst_fp16, t->data[1], in + t->residual_at);
    if (t->pair)
        r = pack(t, dev, &t->first, &t->ops[0], in + t->weights_at[0]);
    if (r == CDL_OK)
        r = pack(t, dev, &t->kernel, &t->ops[1], in + t->weights_at[1]);
    memset(t->out.mapped, 0xff, t->out.size); // not a number, until the kernel writes
    if (r == CDL_OK)
        r = cdl_buffer_flush(&t->in, dev);
    return r == CDL_OK ? cdl_buffer_flush(&t->out, dev) : r;
}

// ---- reference

struct expected {
    double value, magnitude;
};

static double relu(double x) { return x > 0 ? x : 0; }

// One value of ops[which]'s sum. A pair's second operation reads what its first makes.
static struct expected convolve(const struct trial *t, int which, int image, int y, int x, int channel) {
    const struct cdl_op *op = &t->ops[which];
    const struct cdl_value *src = &t->values[op->src], *dst = &t->values[op->dst];
    const int group_src = src->channels / op->groups, group = channel / (dst->channels / op->groups);
    const double bias = (double)t->biases[which][channel];
    struct expected e = {bias, fabs(bias)};
    for (int ky = 0; ky < op->kernel_h; ky++)
        for (int kx = 0; kx < op->kernel_w; kx++) {
            const int sy = y * op->stride + ky - op->padding, sx = x * op->stride + kx - op->padding;
            if (sy < 0 || sy >= src->height || sx < 0 || sx >= src->width)
                continue;
            for (int c = 0; c < group_src; c++) {
                const size_t at =
                    ((size_t)(image * src->height + sy) * (size_t)src->width + (size_t)sx) * (size_t)src->channels;
                const size_t w =
                    (((size_t)channel * (size_t)group_src + (size_t)c) * (size_t)op->kernel_h + (size_t)ky) *
                        (size_t)op->kernel_w +
                    (size_t)kx;
                const double weight = (double)t->weights[which][w];
                struct expected in;
                if (which == 1 && t->pair) {
                    in = convolve(t, 0, image, sy, sx, c);
                    in.value = relu(in.value);
                } else {
                    in.value = (double)t->data[0][at + (size_t)(group * group_src + c)];
                    in.magnitude = fabs(in.value);
                }
                e.value += in.value * weight;
                e.magnitude += in.magnitude * fabs(weight);
            }
        }
    return e;
}

static struct expected reference(const struct trial *t, int image, int y, int x, int channel) {
    const struct cdl_op *op = &t->ops[1];
    const struct cdl_value *dst = &t->values[2];
    struct expected e = convolve(t, 1, image, y, x, channel);
    if (op->residual >= 0) {
        const size_t at = ((size_t)(image * dst->height + y) * (size_t)dst->width + (size_t)x) * (size_t)dst->channels +
                          (size_t)channel;
        e.value += (double)t->data[1][at];
        e.magnitude += fabs((double)t->data[1][at]);
    }
    if (op->relu)
        e.value = relu(e.value);
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
        const double got = fp16 ? (double)cdl_f16_to_f32(((const uint16_t *)(const void *)out)[at])
                                : (double)((const float *)(const void *)out)[at];
        const int channel = (int)(at % (size_t)padded);
        const size_t pixel = at / (size_t)padded;
        struct expected e = {0, 0}; // padding channels
        if (channel < dst->channels)
            e = reference(t, (int)(pixel / (size_t)(dst->height * dst->width)),
                          (int)(pixel / (size_t)dst->width % (size_t)dst->height), (int)(pixel % (size_t)dst->width),
                          channel);
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
        .src = t->in.address,
        .residual = t->ops[1].residual >= 0 ? t->in.address + t->residual_at : 0,
        .dst = t->out.address,
        .weights = t->in.address + t->weights_at[1],
        .first_weights = t->in.address + t->weights_at[0],
    };
    cdl_kernel_launch(&t->kernel, &t->graph, &t->ops[1], IMAGES, &at, &launch);
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
    struct trial t = {.pair = kernel->pair};
    *passed = false;
    if (!find_shape(&t, graph, op, kernel, &once->dev->caps))
        return cdl_fail(&once->dev->log, CDL_ERR_INVALID, "%s: %s is not among its own kernels", op->name,
                        kernel->shader);
    const cdl_result r = run(&t, once, passed);
    cdl_buffer_destroy(&t.in, once->dev);
    cdl_buffer_destroy(&t.out, once->dev);
    free(t.memory);
    return r;
}
