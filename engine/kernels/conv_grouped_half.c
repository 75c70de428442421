// conv_grouped_half.c - conv_grouped_half.comp: grouped convolution with packed fp16 multiply-adds, for GPUs without
// matrix units.
#include "kernels/family.h"

#define CONSTANTS "conv_grouped_half_constants.h"
#include "kernels/constants.h"

enum { LANES = 16, UNIT = 8 }; // blocks of the weights' layout; channels

// Whether groups are as the shader wants them.
static bool fits(const struct cdl_shape *s) {
    const struct cdl_op *op = s->op;
    const int width = s->src->channels / op->groups;
    // Matrix units round less and are faster.
    return s->caps->fp16_arithmetic && !s->caps->matrix_m && s->fp16 && !s->dst->fp32 && op->groups > 1 &&
           op->kernel_h == op->kernel_w && op->kernel_h <= 3 && s->src->channels == s->dst->channels &&
           (width == UNIT / 2 || width % UNIT == 0) && s->src_c4 % 2 == 0;
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    static const uint32_t pixels[] = {4, 2, 7};
    const struct cdl_op *op = s->op;
    int n = 0;
    if (!fits(s))
        return 0;
    const int span = s->src->channels / op->groups / 4;
    for (size_t i = 0; i < CDL_COUNT(pixels) && n < cap; i++) {
        if (pixels[i] > 4 && cdl_few_registers(s->caps))
            continue;
        out[n++] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = true,
                    .constants =
                        {
                            [WORKGROUP] = CDL_POINTWISE_SIZE,
                            [KERNEL] = (uint32_t)op->kernel_h,
                            CDL_OP_CONSTANTS(op),
                            [SPAN] = (uint32_t)span,
                            [PIXELS] = pixels[i],
                        },
                },
            .half_products = span == 1 ? 4 * op->kernel_w : UNIT,
            .weights = {cdl_conv_weights(s, LANES, span, 0, 0)},
            .cost = cdl_grouped_strip_cost(s, UNIT, pixels[i]),
        };
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint32_t strips = cdl_div_up((uint32_t)s->dst->width, k->program.constants[PIXELS]);
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_invocations(out, (uint64_t)images * (uint64_t)s->dst->height * strips * (uint64_t)s->dst_c4 / 2);
}

const struct cdl_kernel_family cdl_conv_grouped_half = {
    {"conv_grouped_half", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
