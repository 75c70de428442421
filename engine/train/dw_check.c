// dw_check.c - the gradient of a small convolution's weights on the device beside plain C.
//
// Sources and gradients are multiples of 1/64 between -1 and 1: halves hold them exactly, and fp32 their sums. A
// weight's gradient is right when it lies within the rounding that any order of summation allows, measured by the sum
// of the magnitudes of its terms: a lost or misplaced term shows.
#include "train/dw_check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "vulkan/upload.h"

enum { IMAGES = 2, MAX_SAMPLES = 768, GUARD_BYTES = 256, ALIGN = 256, DATA_SEED = 3, SAMPLE_SEED = 4 };
#define MOST_HALF 65504.0f // what a gradient beyond half precision's range is stored as

struct trial {
    struct cdl_op op;
    struct cdl_value src, dst;
    struct cdl_shape shape;
    struct cdl_dw_kernel kernel;
    float *source, *gradient;  // [IMAGES][height][width][channels] each, one allocation
    size_t beyond;             // the gradient that is beyond half precision's range; SIZE_MAX: none is
    struct cdl_buffer in, out; // in: source, gradient; out: weights' gradients, guard, partial sums, guard
    size_t gradient_at, partial_at, count, partial_bytes;
};

static int at_most(int a, int b) { return a < b ? a : b; }

static size_t elements(const struct cdl_value *v) {
    return (size_t)IMAGES * (size_t)v->height * (size_t)v->width * (size_t)v->channels;
}

// ---- which shape

// Sets the shape; true when the device's list for it has the kernel.
static bool try_shape(struct trial *t, const struct cdl_shape *like, const struct cdl_dw_kernel *kernel, int groups,
                      int src_channels, int dst_channels, int height, int width) {
    struct cdl_dw_kernel list[CDL_MAX_DW_KERNELS];
    t->op = *like->op;
    t->op.groups = groups;
    t->src = (struct cdl_value){(height - 1) * t->op.stride + t->op.kernel_h - 2 * t->op.padding,
                                (width - 1) * t->op.stride + t->op.kernel_w - 2 * t->op.padding, src_channels,
                                like->src->fp32};
    t->dst = (struct cdl_value){height, width, dst_channels, like->dst->fp32};
    if (t->src.height < 1 || t->src.width < 1)
        return false;
    t->shape = *like;
    t->shape.op = &t->op;
    t->shape.src = &t->src;
    t->shape.dst = &t->dst;
    t->shape.src_c4 = cdl_padded_channels(src_channels) / 4;
    t->shape.dst_c4 = cdl_padded_channels(dst_channels) / 4;
    t->shape.images = IMAGES;
    const int count = cdl_dw_kernels(&t->shape, list);
    for (int i = 0; i < count; i++)
        if (cdl_program_equal(&list[i].program, &kernel->program)) {
            t->kernel = list[i];
            return true;
        }
    return false;
}

// The cheapest shape of some: few channels first, then few pixels; at last the operation's own.
static bool find_shape(struct trial *t, const struct cdl_shape *like, const struct cdl_dw_kernel *kernel) {
    const struct cdl_value *src = like->src, *dst = like->dst;
    const int groups = like->op->groups, group_src = src->channels / groups, group_dst = dst->channels / groups;
    const int pixels[][2] = {{9, 19}, {dst->height, dst->width}};
    const int dense[][2] = {{20, 44}, {72, 136}, {72, 120}, {src->channels, dst->channels}};
    const int blocks[] = {3, 5, 16, groups}; // groups
    const size_t num_channels = groups == 1 ? CDL_COUNT(dense) : CDL_COUNT(blocks);
    for (size_t p = 0; p < CDL_COUNT(pixels); p++)
        for (size_t c = 0; c < num_channels; c++) {
            const int few = groups == 1 ? 1 : at_most(blocks[c], groups);
            if (try_shape(t, like, kernel, few, groups == 1 ? at_most(dense[c][0], src->channels) : few * group_src,
                          groups == 1 ? at_most(dense[c][1], dst->channels) : few * group_dst,
                          at_most(pixels[p][0], dst->height), at_most(pixels[p][1], dst->width)))
                return true;
        }
    return false;
}

// ---- data

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    const size_t source = elements(&t->src), gradient = elements(&t->dst);
    t->source = malloc((source + gradient) * sizeof(float));
    if (!t->source)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while checking kernels");
    t->gradient = t->source + source;
    for (size_t i = 0; i < source + gradient; i++)
        t->source[i] = (float)((int)(cdl_random_bits(DATA_SEED, i) % 129) - 64) / 64;
    t->beyond = SIZE_MAX;
    if (t->shape.fp16) { // the last channel, near the middle of the last image
        const size_t pixel = (size_t)(IMAGES - 1) * (size_t)(t->dst.height * t->dst.width) +
                             (size_t)(t->dst.height / 2 * t->dst.width + t->dst.width / 2);
        t->beyond = (pixel + 1) * (size_t)t->dst.channels - 1;
        t->gradient[t->beyond] = MOST_HALF;
    }
    return CDL_OK;
}

static cdl_result make_buffers(struct trial *t, struct cdl_device *dev) {
    const struct cdl_value source = {t->src.height, t->src.width, t->src.channels, false},
                           gradient = {t->dst.height, t->dst.width, t->dst.channels, false};
    const bool fp16 = t->shape.fp16;
    t->gradient_at = cdl_align_up(IMAGES * cdl_value_bytes(&source, fp16), ALIGN);
    const size_t end = t->gradient_at + cdl_align_up(IMAGES * cdl_value_bytes(&gradient, fp16), ALIGN);
    t->count = cdl_dw_taps(&t->op) * (size_t)t->dst.channels * (size_t)(t->src.channels / t->op.groups);
    t->partial_at = cdl_align_up(t->count * sizeof(float) + GUARD_BYTES, ALIGN);
    t->partial_bytes = (size_t)t->kernel.parts * cdl_dw_bytes(&t->shape);
    cdl_result r = cdl_buffer_create(&t->in, dev, end, CDL_MEMORY_DEVICE, "a kernel's check");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->out, dev, t->partial_at + t->partial_bytes + GUARD_BYTES, CDL_MEMORY_READBACK,
                              "a kernel's check");
    if (r != CDL_OK)
        return r;
    uint8_t *inputs = calloc(1, end);
    if (!inputs)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while checking kernels");
    cdl_value_store(&source, fp16, IMAGES, t->source, inputs);
    cdl_value_store(&gradient, fp16, IMAGES, t->gradient, inputs + t->gradient_at);
    r = cdl_upload_now(dev, &t->in, 0, inputs, end);
    free(inputs);
    memset(t->out.mapped, 0xff, t->out.size); // not a number, until the kernel writes
    return r == CDL_OK ? cdl_buffer_flush(&t->out, dev) : r;
}

// ---- reference

struct expected {
    double value, magnitude;
    bool beyond; // one of its terms is
};

// Of weight `at` of [dst][src / groups][kernel_h][kernel_w].
static struct expected reference(const struct trial *t, size_t at) {
    const struct cdl_op *op = &t->op;
    const struct cdl_value *src = &t->src, *dst = &t->dst;
    const int group_src = src->channels / op->groups;
    const int kx = (int)(at % (size_t)op->kernel_w), ky = (int)(at / (size_t)op->kernel_w % (size_t)op->kernel_h);
    const size_t row = at / cdl_dw_taps(op);
    const int o = (int)(row / (size_t)group_src), group = o / (dst->channels / op->groups);
    const int c = group * group_src + (int)(row % (size_t)group_src);
    struct expected e = {0, 0, false};
    for (int pixel = 0; pixel < IMAGES * dst->height * dst->width; pixel++) {
        const int line = pixel / dst->width, image = line / dst->height;
        const int y = line % dst->height * op->stride + ky - op->padding;
        const int x = pixel % dst->width * op->stride + kx - op->padding;
        const size_t from = (size_t)pixel * (size_t)dst->channels + (size_t)o;
        if (y < 0 || y >= src->height || x < 0 || x >= src->width)
            continue;
        const size_t read = (size_t)((image * src->height + y) * src->width + x) * (size_t)src->channels + (size_t)c;
        const double term = (double)t->source[read] * (double)t->gradient[from];
        e.value += term;
        e.magnitude += fabs(term);
        e.beyond = e.beyond || from == t->beyond;
    }
    return e;
}

static bool guarded(const uint8_t *guard) {
    for (size_t i = 0; i < GUARD_BYTES; i++)
        if (guard[i] != 0xff)
            return false;
    return true;
}

static bool check(const struct trial *t) {
    const uint8_t *out = t->out.mapped;
    const float *found = (const float *)(const void *)out;
    const size_t last = t->beyond == SIZE_MAX ? 0 : t->count - cdl_dw_taps(&t->op) / 2 - 1; // of the middle tap
    const size_t always[] = {0, t->count - 1, last};
    if (!guarded(out + t->count * sizeof(float)) || !guarded(out + t->partial_at + t->partial_bytes))
        return false;
    for (size_t n = 0; n < MAX_SAMPLES && n < t->count; n++) {
        // All of them when there are few.
        const size_t at = t->count <= MAX_SAMPLES ? n
                          : n < CDL_COUNT(always) ? always[n]
                                                  : (size_t)(cdl_random_bits(SAMPLE_SEED, n) % t->count);
        const struct expected e = reference(t, at);
        const double got = (double)found[at];
        // A kernel may multiply the largest gradient with the padding of another tap: no finite number there, either.
        const bool poisoned =
            t->beyond != SIZE_MAX && at / (t->count / (size_t)t->dst.channels) + 1 == (size_t)t->dst.channels;
        if (e.beyond ? isfinite(got) : !(fabs(got - e.value) <= 1e-5 * e.magnitude || (poisoned && !isfinite(got))))
            return false;
    }
    return true;
}

// ---- run

static cdl_result run(struct trial *t, struct cdl_once *once, bool *passed) {
    struct cdl_device *dev = once->dev;
    const struct cdl_program sum = cdl_dw_sum(&t->kernel, &t->shape);
    VkPipeline pipelines[2];
    cdl_result r = cdl_pipeline_get(&pipelines[0], dev, &t->kernel.program);
    if (r == CDL_ERR_UNSUPPORTED)
        return CDL_OK; // the driver cannot compile it
    if (r == CDL_OK)
        r = cdl_pipeline_get(&pipelines[1], dev, &sum);
    if (r == CDL_OK)
        r = make_data(t, dev);
    if (r == CDL_OK)
        r = make_buffers(t, dev);
    if (r == CDL_OK)
        r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    const struct cdl_dw_addresses at = {
        .src = t->in.address,
        .gradient = t->in.address + t->gradient_at,
        .partial = t->out.address + t->partial_at,
        .weight_gradient = t->out.address,
    };
    for (int i = 0; i < 2; i++) {
        struct cdl_launch launch;
        cdl_dw_launch(&t->kernel, i == 1, &t->shape, IMAGES, &at, &launch);
        cdl_once_dispatch(once, pipelines[i], &launch);
        cdl_once_barrier(once);
    }
    r = cdl_once_run(once, 0);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&t->out, dev);
    if (r == CDL_OK)
        *passed = check(t);
    return r;
}

cdl_result cdl_dw_check(bool *passed, struct cdl_once *once, const struct cdl_shape *shape,
                        const struct cdl_dw_kernel *kernel) {
    struct trial t = {.source = NULL};
    *passed = false;
    if (!find_shape(&t, shape, kernel))
        return cdl_fail(&once->dev->log, CDL_ERR_INVALID, "%s: %s is not among its own kernels", shape->op->name,
                        kernel->program.shader->name);
    const cdl_result r = run(&t, once, passed);
    cdl_buffer_destroy(&t.in, once->dev);
    cdl_buffer_destroy(&t.out, once->dev);
    free(t.source);
    return r;
}
