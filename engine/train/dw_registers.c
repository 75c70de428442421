// dw_registers.c - conv_dw.comp: any convolution; each invocation keeps its sums, and reads all it needs from memory.
#include "train/dw.h"

#define CONSTANTS "conv_dw_constants.h"
#include "kernels/constants.h"

// For CPU drivers, see common.glsl.
static const struct cdl_shader wide = {"conv_dw_wide", constants, NUM_CONSTANTS};

static int list(const struct cdl_shape *s, struct cdl_dw_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    const int span = cdl_dw_span(s), kernel_w = op->kernel_w;
    // Sums fill the registers of a GPU; more would leave it too few invocations to switch between. A CPU's overflow
    // into its first-level cache.
    const bool software = s->caps->software;
    const int most = kernel_w == 1 ? 4 : kernel_w <= 3 && software ? 2 : 1;
    const uint32_t depth = software ? 4 : op->stride == 1 && kernel_w > 1 && kernel_w <= 3 ? 2 : 1;
    const uint32_t blocks = (uint32_t)(span < most ? span : most);
    const size_t lines = (size_t)s->images * (size_t)s->dst->height;
    int n = 0;
    // Fewer sums at a time read more often, and leave more processors something to do.
    const uint32_t columns = (uint32_t)(software || kernel_w <= 4 ? kernel_w : 4);
    for (uint32_t b = blocks; b > 0 && n < cap; b /= 2)
        out[n++] = (struct cdl_dw_kernel){
            .program =
                {
                    .shader = software && s->caps->int64 ? &wide : NULL,
                    .constants =
                        {
                            [WORKGROUP] = CDL_POINTWISE_SIZE,
                            CDL_KERNEL_SIDES(op),
                            [STRIDE] = (uint32_t)op->stride,
                            [PADDING] = (uint32_t)op->padding,
                            [BLOCKS] = b,
                            [COLUMNS] = columns,
                            [DEPTH] = depth,
                        },
                },
            .count = lines,
            .least = CDL_DW_LEAST / (size_t)s->dst->width + 1,
            .invocations = (size_t)op->kernel_h * cdl_div_up((uint32_t)span, b) *
                           cdl_div_up((uint32_t)kernel_w, columns) * (size_t)s->dst_c4,
        };
    return n;
}

static uint64_t launch(const struct cdl_dw_kernel *k, struct train_dw_params *p) {
    const uint32_t *c = k->program.constants;
    p->splits = (int)cdl_div_up((uint32_t)(p->images * p->dst_h), (uint32_t)p->part);
    const uint64_t sets = (uint64_t)cdl_div_up((uint32_t)p->span, c[BLOCKS]) * cdl_div_up(c[KERNEL_W], c[COLUMNS]);
    const uint64_t invocations = (uint64_t)p->splits * c[KERNEL_H] * sets * (uint64_t)p->dst_c4;
    return (invocations + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE;
}

const struct cdl_dw_family cdl_dw_registers = {{"conv_dw", constants, NUM_CONSTANTS}, list, launch};
