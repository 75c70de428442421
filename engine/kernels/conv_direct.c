// conv_direct.c - conv_direct.comp: any convolution; grouped ones and the stem by default.
#include "kernels/conv.h"

enum { LANES = 8 }; // of the weights' layout

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const int span = cdl_source_span(s);
    const int longest = s->caps->software && s->op->kernel_h <= 3 ? 8 : 4; // pixels a strip: registers against reuse
    int n = 0;
    for (int pixels = longest; pixels >= 1 && n < cap; pixels /= 2) {
        if (pixels > s->dst->width && pixels > 1)
            continue; // a row shorter than a strip wastes the rest of it
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){.shader = "conv_direct", .fp16 = s->fp16, .rank = 20 + n};
        cdl_set_constants(k, 9,
                          (const uint32_t[]){CDL_POINTWISE_SIZE, (uint32_t)s->op->kernel_h, (uint32_t)s->op->kernel_w,
                                             (uint32_t)s->op->stride, (uint32_t)s->op->padding, (uint32_t)span,
                                             (uint32_t)pixels, s->op->relu, s->op->residual >= 0});
        cdl_set_weights(k, s, LANES, span);
        n++;
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t strips = cdl_div_up((uint32_t)p->dst_w, k->constants[6]);
    cdl_launch_invocations(out, (uint64_t)p->images * (uint64_t)p->dst_h * strips * (uint64_t)p->dst_c4);
}

const struct cdl_conv_family cdl_conv_direct = {"conv_direct", list, launch};
