// dw_tiled.c - conv_dw_tiled.comp: dense convolutions, through shared memory.
#include "train/dw.h"

#define CONSTANTS "conv_dw_tiled_constants.h"
#include "kernels/constants.h"

static int list(const struct cdl_shape *s, struct cdl_dw_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    const uint32_t sides[] = {16, 8}; // blocks of four channels
    int n = 0;
    if (op->groups != 1 || s->src_c4 < 4 || s->dst_c4 < 4)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(sides) && n < cap; i++) {
        const uint32_t side = sides[i];
        const bool empty = side > 8 && (s->src_c4 < (int)side || s->dst_c4 < (int)side); // much of it
        if (empty || side * side > s->caps->max_workgroup_size)
            continue;
        out[n++] = (struct cdl_dw_kernel){
            .program.constants =
                {
                    [WORKGROUP] = side * side,
                    CDL_KERNEL_SIDES(op),
                    [STRIDE] = (uint32_t)op->stride,
                    [PADDING] = (uint32_t)op->padding,
                    [TILE_I4] = side,
                    [TILE_O4] = side,
                    [DEPTH] = 16,
                },
            .count = cdl_dw_pixels(s),
            .least = CDL_DW_LEAST,
            .invocations = cdl_dw_taps(op) * (size_t)s->src_c4 * (size_t)s->dst_c4,
        };
    }
    return n;
}

static uint64_t launch(const struct cdl_dw_kernel *k, struct train_dw_params *p) {
    const uint32_t *c = k->program.constants;
    p->splits = (int)cdl_div_up((uint32_t)(p->images * p->dst_h * p->dst_w), (uint32_t)p->part);
    return (uint64_t)p->splits * c[KERNEL_H] * c[KERNEL_W] * cdl_div_up((uint32_t)p->src_c4, c[TILE_I4]) *
           cdl_div_up((uint32_t)p->dst_c4, c[TILE_O4]);
}

const struct cdl_dw_family cdl_dw_tiled = {{"conv_dw_tiled", constants, NUM_CONSTANTS}, list, launch};
