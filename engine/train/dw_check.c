// dw_check.c - the gradient of a small convolution's weights on the device beside plain C.
//
// Sources and gradients are multiples of 1/64 between -1 and 1: halves hold them exactly, and fp32 their sums. A
// weight's gradient is right when it lies within the rounding that any order of summation allows, measured by the sum
// of the magnitudes of its terms: a lost or misplaced term shows.
#include "train/dw_check.h"

#include <math.h>
#include <stdlib.h>

#include "tune/check_run.h"

enum { IMAGES = CDL_CHECK_IMAGES, ALIGN = 256 };
struct trial {
    struct cdl_check_shape of;
    struct cdl_dw_kernel kernel;
    float *source, *gradient; // [IMAGES][height][width][channels] each, one allocation
    size_t beyond;            // the gradient that is beyond half precision's range; SIZE_MAX: none is
    struct cdl_check_run run; // in: source, gradient; out: weights' gradients, guard, partial sums, guard
    size_t gradient_at, partial_at, count, partial_bytes;
};

// Whether the device's list for the trial's shape has the very kernel; then it is the one to check.
static bool listed(struct trial *t, const struct cdl_dw_kernel *kernel) {
    struct cdl_dw_kernel list[CDL_MAX_DW_KERNELS];
    const int count = cdl_dw_kernels(&t->of.shape, list);
    for (int i = 0; i < count; i++)
        if (cdl_program_equal(&list[i].program, &kernel->program)) {
            t->kernel = list[i];
            t->kernel.sum_rows = kernel->sum_rows; // the program that will add its sums up is checked with it
            return true;
        }
    return false;
}

static bool find_shape(struct trial *t, const struct cdl_shape *like, const struct cdl_dw_kernel *kernel) {
    for (int p = 1; p < CDL_CHECK_PIXELS; p++) // the fewest make too few partial sums
        for (int c = 0; c < CDL_CHECK_CHANNELS; c++)
            if (cdl_check_shape(&t->of, like, p, c) && listed(t, kernel))
                return true;
    return false;
}

// ---- data

static cdl_result make_data(struct trial *t, struct cdl_device *dev) {
    const size_t source = cdl_check_elements(&t->of.src), gradient = cdl_check_elements(&t->of.dst);
    t->source = malloc((source + gradient) * sizeof(float));
    if (!t->source)
        return cdl_check_no_memory(dev);
    t->gradient = t->source + source;
    cdl_check_fill(t->source, source + gradient);
    t->beyond = t->of.shape.fp16 ? cdl_check_set_beyond(&t->of.dst, t->gradient) : SIZE_MAX;
    return CDL_OK;
}

static cdl_result make_run(struct trial *t, struct cdl_device *dev) {
    const struct cdl_shape *s = &t->of.shape;
    t->gradient_at = cdl_align_up(cdl_check_bytes(s->src, s->fp16), ALIGN);
    const size_t end = t->gradient_at + cdl_align_up(cdl_check_bytes(s->dst, s->fp16), ALIGN);
    t->count = cdl_dw_taps(s->op) * (size_t)s->dst->channels * (size_t)(s->src->channels / s->op->groups);
    t->partial_at = cdl_align_up(t->count * sizeof(float) + CDL_CHECK_GUARD, ALIGN);
    t->partial_bytes = (size_t)t->kernel.parts * cdl_dw_bytes(s);
    uint8_t *inputs = calloc(1, end);
    if (!inputs)
        return cdl_check_no_memory(dev);
    cdl_check_store(s->src, s->fp16, t->source, inputs);
    cdl_check_store(s->dst, s->fp16, t->gradient, inputs + t->gradient_at);
    const cdl_result r =
        cdl_check_run_create(&t->run, dev, inputs, end, t->partial_at + t->partial_bytes + CDL_CHECK_GUARD);
    free(inputs);
    return r;
}

// ---- reference

struct expected {
    double value, magnitude;
    bool beyond; // one of its terms is
};

// Of weight `at` of [dst][src / groups][kernel_h][kernel_w].
static struct expected reference(const struct trial *t, size_t at) {
    const struct cdl_op *op = &t->of.op;
    const struct cdl_value *src = &t->of.src, *dst = &t->of.dst;
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

// Whether the device found the gradient of weight `at`.
static bool right(const struct trial *t, size_t at) {
    const struct expected e = reference(t, at);
    const double got = (double)((const float *)t->run.out.mapped)[at];
    // A kernel may multiply the largest gradient with the padding of another tap: no finite number there, either.
    const size_t of_channel = t->count / (size_t)t->of.dst.channels;
    const bool poisoned = t->beyond != SIZE_MAX && at / of_channel + 1 == (size_t)t->of.dst.channels;
    return e.beyond ? !isfinite(got) : fabs(got - e.value) <= 1e-5 * e.magnitude || (poisoned && !isfinite(got));
}

static bool check(const struct trial *t) {
    const uint8_t *out = t->run.out.mapped;
    const size_t last = t->count - cdl_dw_taps(&t->of.op) / 2 - 1; // of the middle tap, which reads what is beyond
    if (!cdl_check_guarded(out + t->count * sizeof(float)) ||
        !cdl_check_guarded(out + t->partial_at + t->partial_bytes) || !right(t, last))
        return false;
    for (size_t n = 0; n < CDL_CHECK_SAMPLES && n < t->count; n++)
        if (!right(t, cdl_check_sample(n, t->count)))
            return false;
    return true;
}

// ---- run

static cdl_result run(struct trial *t, struct cdl_once *once, bool *passed) {
    const struct cdl_program programs[] = {t->kernel.program, cdl_dw_sum(&t->kernel, &t->of.shape)};
    struct cdl_launch launches[2];
    cdl_result r = make_data(t, once->dev);
    if (r == CDL_OK)
        r = make_run(t, once->dev);
    if (r != CDL_OK)
        return r;
    const struct cdl_dw_addresses at = {
        .src = t->run.in.address,
        .gradient = t->run.in.address + t->gradient_at,
        .partial = t->run.out.address + t->partial_at,
        .weight_gradient = t->run.out.address,
    };
    for (int i = 0; i < 2; i++)
        cdl_dw_launch(&t->kernel, i == 1, &t->of.shape, IMAGES, &at, &launches[i]);
    r = cdl_check_run(&t->run, once, programs, launches, 2, passed);
    *passed = *passed && check(t);
    return r;
}

cdl_result cdl_dw_check(bool *passed, struct cdl_once *once, const struct cdl_shape *shape,
                        const struct cdl_dw_kernel *kernel) {
    struct trial t = {.source = NULL};
    *passed = false;
    if (!find_shape(&t, shape, kernel))
        return cdl_check_not_listed(once->dev, shape->op->name, &kernel->program);
    const cdl_result r = run(&t, once, passed);
    cdl_check_run_destroy(&t.run, once->dev);
    free(t.source);
    return r;
}
