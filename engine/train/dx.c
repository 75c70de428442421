// dx.c - see dx.h.
#include "train/dx.h"

#include <string.h>

#include "train_params.h"

#define CONSTANTS "conv_dx_constants.h"
#include "kernels/constants.h"

struct cdl_shape cdl_dx_turned(const struct cdl_shape *s) {
    struct cdl_shape turned = *s;
    turned.src = s->dst;
    turned.dst = s->src;
    turned.src_c4 = s->dst_c4;
    turned.dst_c4 = s->src_c4;
    return turned;
}

struct cdl_kernel cdl_dx_kernel(const struct cdl_shape *s, bool adds) {
    // For CPU drivers, see WIDE_LOADS in common.glsl.
    static const struct cdl_shader plain = {"conv_dx", constants, NUM_CONSTANTS},
                                   wide = {"conv_dx_wide", constants, NUM_CONSTANTS};
    const struct cdl_shape turned = cdl_dx_turned(s);
    const int span = cdl_source_span(&turned);
    return (struct cdl_kernel){
        .program =
            {
                .shader = s->caps->software && s->caps->int64 ? &wide : &plain,
                .fp16 = s->fp16,
                .constants =
                    {
                        [WORKGROUP] = CDL_POINTWISE_SIZE,
                        CDL_KERNEL_SIDES(s->op),
                        [STRIDE] = (uint32_t)s->op->stride,
                        [PADDING] = (uint32_t)s->op->padding,
                        [SPAN] = (uint32_t)span,
                        [ADD] = adds,
                        [PIXELS] = s->caps->software ? 8 : 4,
                    },
            },
        .weights = {cdl_conv_weights(&turned, 8, span, 0, 0)},
    };
}

void cdl_dx_launch(const struct cdl_program *program, const struct cdl_shape *s, int images,
                   const struct cdl_dx_addresses *at, struct cdl_launch *out) {
    const struct train_dx_params p = {
        .gradient = at->gradient,
        .weights = at->weights,
        .added = at->added,
        .src_gradient = at->src_gradient,
        .images = images,
        .src_h = s->src->height,
        .src_w = s->src->width,
        .src_c4 = s->src_c4,
        .dst_h = s->dst->height,
        .dst_w = s->dst->width,
        .dst_c4 = s->dst_c4,
        .group_src = s->src->channels / s->op->groups,
        .group_dst = s->dst->channels / s->op->groups,
    };
    const uint32_t stride = program->constants[STRIDE], strip = stride * program->constants[PIXELS];
    memset(out, 0, sizeof *out);
    cdl_launch_invocations(out, (uint64_t)images * (uint64_t)p.src_h * stride * cdl_div_up((uint32_t)p.src_w, strip) *
                                    (uint64_t)p.src_c4);
    _Static_assert(sizeof p <= CDL_MAX_PUSH_BYTES, "push constants");
    memcpy(out->push.bytes, &p, sizeof p);
    out->push_bytes = sizeof p;
}
