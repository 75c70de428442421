// conv_direct.c - conv_direct.comp: any convolution, on any device.
#include "kernels/family.h"

#define CONSTANTS "conv_direct_constants.h"
#include "kernels/constants.h"

enum { LANES = 8 }; // of the weights' layout

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const int span = cdl_source_span(s);
    const int longest = s->caps->software && s->op->kernel_h <= 3 ? 8 : 4; // pixels a strip: registers against reuse
    int n = 0;
    for (int pixels = longest; pixels >= 1 && n < cap; pixels /= 2) {
        if (pixels > s->dst->width && pixels > 1)
            continue; // a row shorter than a strip wastes the rest of it
        out[n] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = s->fp16,
                    .constants =
                        {
                            [WORKGROUP] = CDL_POINTWISE_SIZE,
                            CDL_KERNEL_SIDES(s->op),
                            CDL_OP_CONSTANTS(s->op),
                            [SPAN] = (uint32_t)span,
                            [PIXELS] = (uint32_t)pixels,
                        },
                },
            .weights = {cdl_conv_weights(s, LANES, span, 0, 0)},
            .cost = n, // longest first
        };
        n++;
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint64_t strips = cdl_div_up((uint32_t)s->dst->width, k->program.constants[PIXELS]);
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_invocations(out, (uint64_t)images * (uint64_t)s->dst->height * strips * (uint64_t)s->dst_c4);
}

const struct cdl_kernel_family cdl_conv_direct = {
    {"conv_direct", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
