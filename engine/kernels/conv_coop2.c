// conv_coop2.c - conv_coop2.comp: dense convolution in fp16 on matrix units, with matrices as large as a tile.
#include "kernels/family.h"

#define CONSTANTS "conv_coop2_constants.h"
#include "kernels/constants.h"

// In the device's matrix_m, _n and _k (16 on most GPUs). subgroups 1: matrices of a subgroup; else of the workgroup.
struct tile {
    uint32_t m, n, k, subgroups;
};

static const struct tile tiles[] = {
    {8, 16, 2, 8}, // a workgroup's
    {8, 8, 2, 8},  //
    {4, 4, 4, 4},  //
    {4, 8, 2, 4},  //
    {2, 4, 4, 4},  //
    {4, 4, 2, 1},  // a subgroup's
    {2, 4, 2, 1},
};

enum { SCOPE_WORKGROUP = 2, SCOPE_SUBGROUP = 3 }; // SPIR-V's numbers

// Whether the device has matrices of this tile, and memory for it.
static bool fits(const struct cdl_caps *caps, uint32_t m, uint32_t n, uint32_t depth, uint32_t subgroups) {
    const uint32_t workgroup = subgroups * caps->matrix_subgroup, units = depth / 8;
    const size_t shared = 16 * (size_t)m * (units + 1) + (subgroups > 1 ? caps->matrix_reserved_bytes : 0);
    bool listed = false;
    for (int i = 0; i < caps->num_matrix_grains; i++) {
        const struct cdl_matrix_grain *g = &caps->matrix_grains[i];
        listed = listed || (g->invocations == (subgroups > 1 ? workgroup : 0) && m % g->m == 0 && n % g->n == 0 &&
                            depth % g->k == 0);
    }
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

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    int n = 0;
    if (!caps->num_matrix_grains || !cdl_is_dense_fp16(s))
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile *t = &tiles[i];
        const uint32_t m = t->m * caps->matrix_m, width = t->n * caps->matrix_n, depth = t->k * caps->matrix_k;
        const uint32_t workgroup = t->subgroups * caps->matrix_subgroup;
        if ((t->subgroups > 1) != has_workgroup_matrices(caps) || !fits(caps, m, width, depth, t->subgroups))
            continue;
        out[n++] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = true,
                    .subgroup_size = caps->matrix_subgroup,
                    .constants =
                        {
                            [WORKGROUP] = workgroup,
                            CDL_KERNEL_SIDES(s->op),
                            CDL_OP_CONSTANTS(s->op),
                            [NARROW] = cdl_is_narrow(s),
                            [TILE_M] = m,
                            [TILE_N] = width,
                            [DEPTH] = depth,
                            [SCOPE] = t->subgroups > 1 ? SCOPE_WORKGROUP : SCOPE_SUBGROUP,
                        },
                },
            .weights = {cdl_matrix_weights(s, width, depth, cdl_is_narrow(s))},
            .cost = cdl_tile_cost(s, m, width, workgroup),
        };
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_tiles(out, k->program.constants[TILE_M], k->program.constants[TILE_N]);
}

const struct cdl_kernel_family cdl_conv_coop2 = {
    {"conv_coop2", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
