// conv_half.c - conv_half.comp: dense convolution with packed fp16 multiply-adds, for GPUs without matrix units.
#include "kernels/conv.h"

// See the shader.
struct tile {
    uint32_t m, n, depth, part_m, part_n, chain;
};

static const struct tile tiles[] = {
    {128, 128, 32, 8, 8, 8}, {128, 128, 32, 8, 8, 16}, // fewer conversions, larger errors: never the first choice
    {64, 128, 32, 8, 8, 8},  {64, 64, 32, 4, 8, 8},    {32, 64, 32, 4, 8, 8},
};

enum { // constants
    WORKGROUP,
    KERNEL_H,
    KERNEL_W,
    STRIDE,
    PADDING,
    RELU,
    RESIDUAL,
    NARROW,
    TILE_M,
    TILE_N,
    DEPTH,
    PART_M,
    PART_N,
    CHAIN,
    NUM_CONSTANTS
};

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const bool narrow = s->src_c4 == 1;
    double cost[CDL_COUNT(tiles)];
    int n = 0;
    // Matrix units round less and are faster.
    if (!s->fp16 || !s->caps->fp16_arithmetic || s->caps->matrix_m || s->op->groups != 1 || s->dst_c4 % 2 ||
        s->dst->fp32)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile *t = &tiles[i];
        const uint32_t workgroup = t->m / t->part_m * (t->n / t->part_n);
        const size_t shared = 16 * (size_t)(t->m * (t->depth / 8 + 1) + t->depth * t->n / 8);
        if (workgroup > s->caps->max_workgroup_size || shared > s->caps->max_shared_bytes ||
            (t->part_m * t->part_n >= 64 && cdl_few_registers(s->caps)))
            continue;
        const uint32_t columns = (uint32_t)(narrow ? (s->op->kernel_w + 1) / 2 * 2 : s->op->kernel_w);
        const uint32_t rows = (uint32_t)(s->op->kernel_h * s->src_c4 * 4) * columns;
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){.shader = "conv_half",
                                 .fp16 = true,
                                 .half_products = (int)t->chain,
                                 .tap_columns = (int)columns,
                                 .rows = (int)(cdl_div_up(rows, t->depth) * t->depth)};
        const uint32_t constants[NUM_CONSTANTS] = {
            [WORKGROUP] = workgroup,
            [KERNEL_H] = (uint32_t)s->op->kernel_h,
            [KERNEL_W] = (uint32_t)s->op->kernel_w,
            [STRIDE] = (uint32_t)s->op->stride,
            [PADDING] = (uint32_t)s->op->padding,
            [RELU] = s->op->relu,
            [RESIDUAL] = s->op->residual >= 0,
            [NARROW] = narrow,
            [TILE_M] = t->m,
            [TILE_N] = t->n,
            [DEPTH] = t->depth,
            [PART_M] = t->part_m,
            [PART_N] = t->part_n,
            [CHAIN] = t->chain,
        };
        cdl_set_constants(k, NUM_CONSTANTS, constants);
        cdl_set_weights(k, s, (int)(t->n / 4), s->src_c4);
        cost[n++] = cdl_tile_cost(s, t->m, t->n, workgroup) * (t->chain > 8 ? 100 : 1);
    }
    cdl_rank_by_cost(out, cost, n, s->caps->software ? 60 : 5);
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    cdl_launch_tiles(out, p, k->constants[TILE_M], k->constants[TILE_N]);
}

const struct cdl_conv_family cdl_conv_half = {"conv_half", list, launch};
