// conv_coop2.c - conv_coop2.comp: dense convolution in fp16 on matrix units, with matrices as large as a tile.
#include "kernels/conv.h"

// In the device's matrix_m, _n and _k (16 on most GPUs). subgroups 1: matrices of a subgroup; else of the workgroup.
struct tile {
    uint32_t m, n, k, subgroups;
};

static const struct tile tiles[] = {
    {8, 16, 2, 8}, {8, 8, 2, 8}, {4, 4, 4, 4}, {4, 8, 2, 4}, {2, 4, 4, 4}, // a workgroup's
    {4, 4, 2, 1},  {2, 4, 2, 1},                                           // a subgroup's
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
    SCOPE,
    NUM_CONSTANTS
};

enum { SCOPE_WORKGROUP = 2, SCOPE_SUBGROUP = 3 }; // SPIR-V's numbers

// Whether the device has matrices of this tile, and memory for it.
static bool fits(const struct cdl_caps *caps, uint32_t m, uint32_t n, uint32_t depth, uint32_t subgroups) {
    const uint32_t workgroup = subgroups * caps->matrix_subgroup, units = depth / 8;
    const size_t shared = 16 * (size_t)m * (units + 1) + (subgroups > 1 ? caps->matrix_reserved_bytes : 0);
    bool listed = false;
    for (int i = 0; i < caps->num_matrix_grains; i++)
        listed = listed || (caps->matrix_grains[i].invocations == (subgroups > 1 ? workgroup : 0) &&
                            m % caps->matrix_grains[i].m == 0 && n % caps->matrix_grains[i].n == 0 &&
                            depth % caps->matrix_grains[i].k == 0);
    return listed && workgroup <= caps->max_workgroup_size && shared <= caps->max_shared_bytes &&
           m * units % workgroup == 0 && workgroup % units == 0;
}

// A subgroup's matrices are for devices that have no larger ones.
static bool has_workgroup_matrices(const struct cdl_caps *caps) {
    for (int i = 0; i < caps->num_matrix_grains; i++)
        if (caps->matrix_grains[i].invocations)
            return true;
    return false;
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const bool narrow = s->src_c4 == 1;
    double cost[CDL_COUNT(tiles)];
    int n = 0;
    if (!s->fp16 || !caps->num_matrix_grains || s->op->groups != 1 || s->dst_c4 % 2 || s->dst->fp32)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile *t = &tiles[i];
        const uint32_t m = t->m * caps->matrix_m, width = t->n * caps->matrix_n, depth = t->k * caps->matrix_k;
        const uint32_t workgroup = t->subgroups * caps->matrix_subgroup;
        if ((t->subgroups > 1) != has_workgroup_matrices(caps) || !fits(caps, m, width, depth, t->subgroups))
            continue;
        const uint32_t columns = (uint32_t)(narrow ? (s->op->kernel_w + 1) / 2 * 2 : s->op->kernel_w);
        const uint32_t rows = (uint32_t)(s->op->kernel_h * s->src_c4 * 4) * columns;
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){.shader = "conv_coop2",
                                 .fp16 = true,
                                 .subgroup_size = caps->matrix_subgroup,
                                 .tap_columns = (int)columns,
                                 .rows = (int)(cdl_div_up(rows, depth) * depth)};
        const uint32_t constants[NUM_CONSTANTS] = {
            [WORKGROUP] = workgroup,
            [KERNEL_H] = (uint32_t)s->op->kernel_h,
            [KERNEL_W] = (uint32_t)s->op->kernel_w,
            [STRIDE] = (uint32_t)s->op->stride,
            [PADDING] = (uint32_t)s->op->padding,
            [RELU] = s->op->relu,
            [RESIDUAL] = s->op->residual >= 0,
            [NARROW] = narrow,
            [TILE_M] = m,
            [TILE_N] = width,
            [DEPTH] = depth,
            [SCOPE] = t->subgroups > 1 ? SCOPE_WORKGROUP : SCOPE_SUBGROUP,
        };
        cdl_set_constants(k, NUM_CONSTANTS, constants);
        cdl_set_weights(k, s, (int)(width / 4), s->src_c4);
        cost[n++] = cdl_tile_cost(s, m, width, workgroup);
    }
    // Behind conv_coop until a GPU says otherwise: its stores are of single halves.
    cdl_rank_by_cost(out, cost, n, caps->software ? 70 : 8);
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    cdl_launch_tiles(out, p, k->constants[TILE_M], k->constants[TILE_N]);
}

const struct cdl_conv_family cdl_conv_coop2 = {"conv_coop2", list, launch};
