// conv_coop.c - conv_coop.comp: dense convolution in fp16 on matrix units.
#include "kernels/conv.h"

// A tile and how subgroups share it: see the shader. m, n and k count matrices here (of 16 on most GPUs), pixels and
// channels once scaled.
struct tile {
    uint32_t m, n, k, subgroups_m, subgroups_n, splits;
};

static const struct tile tiles[] = {
    {8, 8, 2, 4, 2, 1}, {8, 4, 2, 4, 1, 1}, {4, 4, 2, 2, 2, 1},
    {4, 2, 2, 2, 1, 2}, {2, 2, 2, 1, 1, 4}, {1, 2, 2, 1, 1, 4},
};

static struct tile scaled(const struct tile *t, const struct cdl_caps *caps) {
    struct tile out = *t;
    out.m *= caps->matrix_m;
    out.n *= caps->matrix_n;
    out.k *= caps->matrix_k;
    return out;
}

enum { // constants
    WORKGROUP,
    KERNEL_H,
    KERNEL_W,
    STRIDE,
    PADDING,
    RELU,
    RESIDUAL,
    NARROW,
    MATRIX_M,
    MATRIX_N,
    MATRIX_K,
    TILE_M,
    TILE_N,
    TILE_K,
    SUBGROUPS_M,
    SUBGROUPS_N,
    SPLITS,
    NUM_CONSTANTS
};

static size_t shared_bytes(const struct tile *t, const struct cdl_caps *caps) {
    const size_t depth = t->k * t->splits;
    const size_t tiles_units = t->m * (depth / 8 + 1) + depth * (t->n / 8 + 1);
    const uint32_t columns = t->n / t->subgroups_n / caps->matrix_n > 1 ? 2 : 1;
    const size_t stage = (size_t)caps->matrix_m * (columns * caps->matrix_n / 4 + 1);
    const size_t stages = t->subgroups_m * t->subgroups_n * t->splits * stage;
    return 16 * (tiles_units > stages ? tiles_units : stages);
}

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t subgroups = t->subgroups_m * t->subgroups_n * t->splits,
                   workgroup = subgroups * caps->matrix_subgroup;
    const uint32_t units = t->k * t->splits / 8;
    return workgroup <= caps->max_workgroup_size && t->m * units % workgroup == 0 &&
           t->k * t->splits * t->n / 8 % workgroup == 0 && workgroup % units == 0 &&
           shared_bytes(t, caps) <= caps->max_shared_bytes;
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const bool narrow = s->src_c4 == 1;
    double cost[CDL_COUNT(tiles)];
    int n = 0;
    if (!s->fp16 || !caps->matrix_m || s->op->groups != 1 || s->dst_c4 % 2 || s->dst->fp32)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile size = scaled(&tiles[i], caps), *t = &size;
        if (!fits(t, caps))
            continue;
        const uint32_t depth = t->k * t->splits,
                       columns = (uint32_t)(narrow ? (s->op->kernel_w + 1) / 2 * 2 : s->op->kernel_w);
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){
            .shader = "conv_coop",
            .fp16 = true,
            .subgroup_size = caps->matrix_subgroup,
            .tap_columns = (int)columns,
            .rows = (int)(cdl_div_up((uint32_t)(s->op->kernel_h * s->src_c4 * 4) * columns, depth) * depth),
        };
        const uint32_t constants[NUM_CONSTANTS] = {
            [WORKGROUP] = t->subgroups_m * t->subgroups_n * t->splits * caps->matrix_subgroup,
            [KERNEL_H] = (uint32_t)s->op->kernel_h,
            [KERNEL_W] = (uint32_t)s->op->kernel_w,
            [STRIDE] = (uint32_t)s->op->stride,
            [PADDING] = (uint32_t)s->op->padding,
            [RELU] = s->op->relu,
            [RESIDUAL] = s->op->residual >= 0,
            [NARROW] = narrow,
            [MATRIX_M] = caps->matrix_m,
            [MATRIX_N] = caps->matrix_n,
            [MATRIX_K] = caps->matrix_k,
            [TILE_M] = t->m,
            [TILE_N] = t->n,
            [TILE_K] = t->k,
            [SUBGROUPS_M] = t->subgroups_m,
            [SUBGROUPS_N] = t->subgroups_n,
            [SPLITS] = t->splits,
        };
        cdl_set_constants(k, NUM_CONSTANTS, constants);
        cdl_set_weights(k, s, (int)(t->n / 4), s->src_c4);
        cost[n++] = cdl_tile_cost(s, t->m, t->n, constants[WORKGROUP]);
    }
    cdl_rank_by_cost(out, cost, n, caps->software ? 60 : 1);
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    cdl_launch_tiles(out, p, k->constants[TILE_M], k->constants[TILE_N]);
}

const struct cdl_conv_family cdl_conv_coop = {"conv_coop", list, launch};
