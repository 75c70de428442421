// dx_check.c - the gradient of a small convolution's source on the device beside plain C.
//
// Gradients and weights are multiples of 1/64 between -1 and 1: halves hold them exactly, and fp32 their sums. A
// source's gradient is right when it lies within the rounding of its storage, and of any order of summation, measured
// by the sum of the magnitudes of its terms: a lost or misplaced term shows.
#include "train/dx_check.h"

#include <math.h>
#include <stdlib.h>

#include "tune/check_run.h"
#include "tune/tuner.h"

enum { IMAGES = CDL_CHECK_IMAGES, ALIGN = 256 };

struct trial {
    struct cdl_check_shape of; // the forward convolution
    struct cdl_kernel kernel;
    bool adds;
    float *memory;   // all of the following
    float *weights;  // turned: [src][dst / groups][kernel_h][kernel_w]
    float *gradient; // [IMAGES][dst height][dst width][dst channels]
    float *added;    // [IMAGES][src height][src width][src channels]
    float *scratch;
    size_t beyond;            // the gradient that is beyond half precision's range; SIZE_MAX: none is
    struct cdl_check_run run; // in: gradient, added, packed weights; out: the source's gradient
    size_t added_at, weights_at;
};

static bool find_shape(struct trial *t, const struct cdl_shape *like, const struct cdl_program *program) {
    for (int p = 1; p < CDL_CHECK_PIXELS; p++) // the fewest fill no strip of pixels
        for (int c = 0; c < CDL_CHECK_CHANNELS; c++) {
            if (!cdl_check_shape(&t->of, like, p, c))
                continue;
            t->of.src.height += like->op->stride - 1; // what the last step of the stride passes over
            t->of.src.width += like->op->stride - 1;
            t->kernel = cdl_dx_kernel(&t->of.shape, t->adds);
            if (cdl_program_equal(&t->kernel.program, program))
                return true;
        }
    return false;
}

// ---- data

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    const struct cdl_check_shape *of = &t->of;
    const size_t row = (size_t)(of->dst.channels / of->op.groups * of->op.kernel_h * of->op.kernel_w);
    const size_t channels = (size_t)of->src.channels, weights = channels * row;
    const size_t gradient = cdl_check_elements(&of->dst), added = cdl_check_elements(&of->src);
    const size_t count = weights + gradient + added;
    t->memory = malloc((count + row + 6 * channels) * sizeof(float)); // and as cdl_weights_scratch has it
    if (!t->memory)
        return cdl_check_no_memory(dev);
    cdl_check_fill(t->memory, count);
    t->weights = t->memory;
    t->gradient = t->weights + weights;
    t->added = t->gradient + gradient;
    t->scratch = t->added + added;
    t->beyond = SIZE_MAX;
    if (of->shape.fp16)
        t->beyond = cdl_check_set_beyond(&of->dst, t->gradient);
    return CDL_OK;
}

static void pack_weights(const struct trial *t, uint8_t *out) {
    struct cdl_value values[] = {t->of.dst, t->of.src};
    struct cdl_op op = {.kind = CDL_OP_CONV,
                        .src = 0,
                        .residual = -1,
                        .dst = 1,
                        .kernel_h = t->of.op.kernel_h,
                        .kernel_w = t->of.op.kernel_w,
                        .stride = 1,
                        .groups = t->of.op.groups};
    const int area = op.kernel_h * op.kernel_w, group_dst = t->of.dst.channels / op.groups;
    const struct cdl_tensor weight = {.name = "kernel check",
                                      .dtype = CDL_DTYPE_F32,
                                      .num_dims = 4,
                                      .shape = {t->of.src.channels, group_dst, op.kernel_h, op.kernel_w},
                                      .stride = {group_dst * area, area, op.kernel_w, 1},
                                      .data = (const uint8_t *)t->weights};
    const struct cdl_graph graph = {.ops = &op, .values = values, .num_ops = 1, .num_values = 2};
    op.weight = &weight;
    cdl_weights_pack(&t->kernel.weights[0], &graph, &op, t->scratch, out);
}

static cdl_result make_run(struct trial *t, struct cdl_device *dev) {
    const struct cdl_shape *s = &t->of.shape;
    const size_t result = cdl_check_bytes(s->src, s->fp16);
    t->added_at = cdl_align_up(cdl_check_bytes(s->dst, s->fp16), ALIGN);
    t->weights_at = t->added_at + cdl_align_up(result, ALIGN);
    const size_t end = t->weights_at + (size_t)t->kernel.weights[0].bytes;
    uint8_t *inputs = calloc(1, end);
    if (!inputs)
        return cdl_check_no_memory(dev);
    cdl_check_store(s->dst, s->fp16, t->gradient, inputs);
    cdl_check_store(s->src, s->fp16, t->added, inputs + t->added_at);
    pack_weights(t, inputs + t->weights_at);
    const cdl_result r = cdl_check_run_create(&t->run, dev, inputs, end, result + CDL_CHECK_GUARD);
    free(inputs);
    return r;
}

// ---- reference

struct expected {
    double value, magnitude;
    bool beyond;   // one of its terms is
    bool poisoned; // it may be: a kernel may multiply the largest gradient with a zero of another group's weights
};

// Adds what the pixel at gradients[from], through one tap of the turned kernel, is to a channel of the source.
static void add_pixel(struct expected *e, const struct trial *t, size_t from, int tap, int channel) {
    const struct cdl_op *op = &t->of.op;
    const int dst = t->of.dst.channels, group_dst = dst / op->groups, area = op->kernel_h * op->kernel_w;
    const int first = channel / (t->of.src.channels / op->groups) * group_dst;
    e->poisoned = e->poisoned || t->beyond / (size_t)dst == from / (size_t)dst;
    for (int c = 0; c < group_dst && channel < t->of.src.channels; c++) {
        const size_t g = from + (size_t)(first + c);
        const double term =
            (double)t->gradient[g] * (double)t->weights[(size_t)((channel * group_dst + c) * area + tap)];
        e->value += term;
        e->magnitude += fabs(term);
        e->beyond = e->beyond || g == t->beyond;
    }
}

// Of element `at` of [IMAGES][src height][src width][padded channels].
static struct expected reference(const struct trial *t, size_t at) {
    const struct cdl_op *op = &t->of.op;
    const struct cdl_value *src = &t->of.src, *dst = &t->of.dst;
    const size_t padded = (size_t)t->of.shape.src_c4 * 4;
    const int channel = (int)(at % padded), pixel = (int)(at / padded);
    const int line = pixel / src->width, image = line / src->height;
    struct expected e = {0, 0, false, false};
    for (int ky = 0; ky < op->kernel_h; ky++)
        for (int kx = 0; kx < op->kernel_w; kx++) {
            // The pixel that read this one through tap (ky, kx), where there is one.
            const int y = line % src->height + op->padding - ky, x = pixel % src->width + op->padding - kx;
            if (y < 0 || x < 0 || y % op->stride || x % op->stride || y / op->stride >= dst->height ||
                x / op->stride >= dst->width)
                continue;
            const int from = (image * dst->height + y / op->stride) * dst->width + x / op->stride;
            const int turned = (op->kernel_h - 1 - ky) * op->kernel_w + op->kernel_w - 1 - kx;
            add_pixel(&e, t, (size_t)from * (size_t)dst->channels, turned, channel);
        }
    if (t->adds && channel < src->channels) {
        const double added = (double)t->added[(size_t)pixel * (size_t)src->channels + (size_t)channel];
        e.value += added;
        e.magnitude += fabs(added);
    }
    return e;
}

static bool right(const struct trial *t, size_t at) {
    const struct expected e = reference(t, at);
    const bool fp16 = t->of.shape.fp16;
    const void *out = t->run.out.mapped;
    const double got = fp16 ? (double)cdl_f16_to_f32(((const uint16_t *)out)[at]) : (double)((const float *)out)[at];
    const bool beyond = fp16 && !(fabs(got) < (double)CDL_CHECK_MOST_HALF); // as it is stored, or no number
    const double tolerance = (fp16 ? 1e-3 * fabs(e.value) : 0) + 1e-5 * e.magnitude;
    return e.beyond ? beyond : fabs(got - e.value) <= tolerance || (e.poisoned && beyond);
}

// An element that the gradient beyond half precision's range is a term of: through the kernel's middle, the last
// channel of the last group.
static size_t middle(const struct trial *t) {
    const struct cdl_op *op = &t->of.op;
    const struct cdl_value *src = &t->of.src, *dst = &t->of.dst;
    const int y = dst->height / 2 * op->stride + op->kernel_h / 2 - op->padding;
    const int x = dst->width / 2 * op->stride + op->kernel_w / 2 - op->padding;
    const size_t pixel = (size_t)(((IMAGES - 1) * src->height + y) * src->width + x);
    return y < 0 || y >= src->height || x < 0 || x >= src->width
               ? 0
               : pixel * (size_t)t->of.shape.src_c4 * 4 + (size_t)src->channels - 1;
}

static bool check(const struct trial *t) {
    const size_t bytes = cdl_check_bytes(&t->of.src, t->of.shape.fp16), total = bytes / (t->of.shape.fp16 ? 2 : 4);
    if (!cdl_check_guarded((const uint8_t *)t->run.out.mapped + bytes) || !right(t, middle(t)))
        return false;
    for (size_t n = 0; n < CDL_CHECK_SAMPLES && n < total; n++)
        if (!right(t, cdl_check_sample(n, total)))
            return false;
    return true;
}

// ---- run

static cdl_result run(struct trial *t, struct cdl_once *once, bool *passed) {
    struct cdl_launch launch;
    cdl_result r = make_data(t, once->dev);
    if (r == CDL_OK)
        r = make_run(t, once->dev);
    if (r != CDL_OK)
        return r;
    const struct cdl_dx_addresses at = {
        .gradient = t->run.in.address,
        .weights = t->run.in.address + t->weights_at,
        .added = t->adds ? t->run.in.address + t->added_at : 0,
        .src_gradient = t->run.out.address,
    };
    cdl_dx_launch(&t->kernel.program, &t->of.shape, IMAGES, &at, &launch);
    r = cdl_check_run(&t->run, once, &t->kernel.program, &launch, 1, passed);
    *passed = *passed && check(t);
    return r;
}

cdl_result cdl_dx_check(bool *passed, struct cdl_once *once, const struct cdl_shape *shape, bool adds) {
    const struct cdl_kernel kernel = cdl_dx_kernel(shape, adds);
    struct trial t = {.adds = adds};
    *passed = false;
    if (!find_shape(&t, shape, &kernel.program))
        return cdl_check_not_listed(once->dev, shape->op->name, &kernel.program);
    const cdl_result r = run(&t, once, passed);
    cdl_check_run_destroy(&t.run, once->dev);
    free(t.memory);
    return r;
}

// ---- trust

struct question {
    const struct cdl_shape *shape;
    bool adds;
};

static cdl_result check_one(void *ctx, int index, struct cdl_once *once, bool *passed) {
    const struct question *q = ctx;
    (void)index;
    return cdl_dx_check(passed, once, q->shape, q->adds);
}

cdl_result cdl_dx_trust(void *tuner, const struct cdl_shape *shape, bool adds) {
    struct cdl_tuner *t = tuner;
    struct question question = {shape, adds};
    const struct cdl_kernel kernel = cdl_dx_kernel(shape, adds);
    const struct cdl_trial trial = {check_one, &question, 0};
    char name[CDL_PROGRAM_NAME];
    if (t->result != CDL_OK || cdl_tuner_trusts_program(t, &kernel.program, &trial) || t->result != CDL_OK)
        return t->result;
    cdl_program_name(&kernel.program, name);
    return cdl_fail(&t->dev->log, CDL_ERR_UNSUPPORTED,
                    "%s: the kernel %s, the only one for the gradient of what it reads, does not work on %s [%s] in "
                    "%s; take %s",
                    shape->op->name, name, t->dev->info.name, t->dev->info.driver, shape->fp16 ? "fp16" : "fp32",
                    shape->fp16 ? "fp32, or a newer driver" : "a newer driver");
}
