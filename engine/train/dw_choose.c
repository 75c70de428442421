// dw_choose.c - see dw_check.h.
#include <string.h>

#include "train/dw_check.h"
#include "tune/race.h"
#include "tune/tuner.h"

enum { ALIGN = 256 };

struct choice {
    const struct cdl_shape *shape;
    const struct cdl_dw_kernel *kernels; // [rivals' count]
    struct cdl_device *dev;
};

static cdl_result check(void *ctx, int i, struct cdl_once *once, bool *passed) {
    const struct choice *c = ctx;
    return cdl_dw_check(passed, once, c->shape, &c->kernels[i]);
}

// Where a kernel's values lie from `base` on; returns what they take.
static size_t lay_out(const struct choice *c, int i, uint64_t base, struct cdl_dw_addresses *out) {
    const struct cdl_shape *s = c->shape;
    const size_t element = s->fp16 ? 2 : 4, images = (size_t)s->images;
    const size_t source = images * (size_t)(s->src->height * s->src->width) * (size_t)s->src_c4 * 4 * element;
    const size_t gradient = cdl_dw_pixels(s) * (size_t)s->dst_c4 * 4 * element;
    out->src = base;
    out->gradient = out->src + cdl_align_up(source, ALIGN);
    out->partial = out->gradient + cdl_align_up(gradient, ALIGN);
    out->weight_gradient = out->partial + cdl_align_up((size_t)c->kernels[i].parts * cdl_dw_bytes(s), ALIGN);
    const size_t weights = cdl_dw_taps(s->op) * (size_t)s->dst->channels * (size_t)(s->src->channels / s->op->groups);
    return (size_t)(out->weight_gradient - base) + weights * sizeof(float);
}

static cdl_result launch(void *ctx, int i, uint64_t scratch, struct cdl_racer *racer) {
    const struct choice *c = ctx;
    const struct cdl_program sum = cdl_dw_sum(&c->kernels[i], c->shape), *programs[] = {&c->kernels[i].program, &sum};
    struct cdl_dw_addresses at;
    cdl_result r = CDL_OK;
    lay_out(c, i, scratch, &at);
    racer->num_launches = 2;
    for (int k = 0; k < 2 && r == CDL_OK; k++) {
        cdl_dw_launch(&c->kernels[i], k == 1, c->shape, c->shape->images, &at, &racer->launches[k]);
        r = cdl_pipeline_get(&racer->pipelines[k], c->dev, programs[k]);
    }
    return r;
}

void cdl_dw_key(char out[CDL_FINDING_KEY], const struct cdl_shape *shape) {
    const struct cdl_value *src = shape->src, *dst = shape->dst;
    char text[48];
    cdl_op_text(shape->op, text, sizeof text);
    cdl_format_text(out, CDL_FINDING_KEY, "dW of %s stride %d padding %d, %dx%dx%d to %dx%dx%d, batch %d, %s", text,
                    shape->op->stride, shape->op->padding, src->height, src->width, src->channels, dst->height,
                    dst->width, dst->channels, shape->images, shape->fp16 ? "fp16" : "fp32");
}

int cdl_dw_choose(void *tuner, const struct cdl_shape *shape, const struct cdl_dw_kernel *kernels, int count) {
    struct cdl_tuner *t = tuner;
    struct choice choice = {shape, kernels, t->dev};
    struct cdl_program programs[CDL_MAX_DW_KERNELS];
    struct cdl_rivals rivals = {.name = shape->op->name,
                                .programs = programs,
                                .count = count,
                                .ctx = &choice,
                                .check = check,
                                .launch = launch};
    cdl_dw_key(rivals.key, shape);
    for (int i = 0; i < count; i++) {
        struct cdl_dw_addresses at;
        const size_t bytes = lay_out(&choice, i, 0, &at);
        programs[i] = kernels[i].program;
        rivals.scratch = bytes > rivals.scratch ? bytes : rivals.scratch;
    }
    return cdl_tuner_choose_rival(t, &rivals);
}
