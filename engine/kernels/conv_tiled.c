// conv_tiled.c - conv_tiled.comp: dense convolution through shared memory in fp32, for GPUs without matrix units.
#include "kernels/conv.h"

// See the shader.
struct tile {
    uint32_t m, n, k, part_m, part_n, splits;
};

static const struct tile tiles[] = {
    {128, 128, 16, 8, 8, 1}, {128, 64, 16, 8, 4, 1}, {64, 64, 16, 4, 4, 1},
    {32, 32, 16, 4, 4, 4},   {4, 16, 4, 4, 4, 64}, // the linear layer: one row of pixels an image
};

enum { // constants
    WORKGROUP,
    KERNEL_H,
    KERNEL_W,
    STRIDE,
    PADDING,
    RELU,
    RESIDUAL,
    TILE_M,
    TILE_N,
    TILE_K,
    PART_M,
    PART_N,
    SPLITS,
    NUM_CONSTANTS
};

static uint32_t workgroup_size(const struct tile *t) { return t->m / t->part_m * (t->n / t->part_n) * t->splits; }

// As the shader counts it.
static size_t shared_bytes(const struct tile *t) {
    const size_t units = t->k * t->splits / 4, columns = t->n / 4;
    const size_t pitch_b = 4 * columns + (t->splits > 1 && columns < 8 ? columns : 0);
    const size_t staged = t->m * (units + 1) + units * pitch_b, sums = t->splits > 1 ? t->splits * t->m * columns : 0;
    return 16 * (staged > sums ? staged : sums);
}

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    return workgroup_size(t) <= caps->max_workgroup_size && shared_bytes(t) <= caps->max_shared_bytes &&
           !(t->part_m * t->part_n >= 64 && cdl_few_registers(caps));
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    double cost[CDL_COUNT(tiles)];
    int n = 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap && s->op->groups == 1; i++) {
        const struct tile *t = &tiles[i];
        const uint32_t depth = t->k * t->splits, workgroup = workgroup_size(t);
        if (!fits(t, s->caps))
            continue;
        struct cdl_kernel *k = &out[n];
        const uint32_t rows = (uint32_t)(s->op->kernel_h * s->op->kernel_w * s->src_c4 * 4);
        *k = (struct cdl_kernel){
            .shader = "conv_tiled", .fp16 = s->fp16, .rows = (int)(cdl_div_up(rows, depth) * depth)};
        const uint32_t constants[NUM_CONSTANTS] = {
            [WORKGROUP] = workgroup,
            [KERNEL_H] = (uint32_t)s->op->kernel_h,
            [KERNEL_W] = (uint32_t)s->op->kernel_w,
            [STRIDE] = (uint32_t)s->op->stride,
            [PADDING] = (uint32_t)s->op->padding,
            [RELU] = s->op->relu,
            [RESIDUAL] = s->op->residual >= 0,
            [TILE_M] = t->m,
            [TILE_N] = t->n,
            [TILE_K] = t->k,
            [PART_M] = t->part_m,
            [PART_N] = t->part_n,
            [SPLITS] = t->splits,
        };
        cdl_set_constants(k, NUM_CONSTANTS, constants);
        cdl_set_weights(k, s, (int)(t->n / 4), s->src_c4);
        cost[n++] = cdl_tile_cost(s, t->m, t->n, workgroup);
    }
    cdl_rank_by_cost(out, cost, n, s->caps->software ? 40 : 10);
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    cdl_launch_tiles(out, p, k->constants[TILE_M], k->constants[TILE_N]);
}

const struct cdl_conv_family cdl_conv_tiled = {"conv_tiled", list, launch};
