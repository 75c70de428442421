// conv_coop.c - conv_coop.comp: dense convolution in fp16 on matrix units.
#include "kernels/family.h"

#define CONSTANTS "conv_coop_constants.h"
#include "kernels/constants.h"

// A tile and how subgroups share it: see the shader. m, n and k count matrices here (of 16 on most GPUs), pixels and
// channels once scaled.
struct tile {
    uint32_t m, n, k, subgroups_m, subgroups_n, splits;
};

// Large ones for many pixels; splits for few, where there are more processors than tiles.
static const struct tile tiles[] = {
    {8, 8, 2, 2, 2, 1}, //
    {8, 8, 2, 2, 4, 1}, //
    {8, 4, 2, 2, 2, 1}, //
    {4, 8, 2, 2, 2, 1}, //
    {4, 4, 2, 2, 2, 1}, //
    {4, 2, 2, 2, 1, 4}, //
    {2, 2, 2, 1, 1, 4}, //
    {1, 4, 2, 1, 2, 4}, //
    {2, 2, 2, 1, 1, 8}, //
    {1, 2, 2, 1, 1, 8},
};

static struct tile scaled(const struct tile *t, const struct cdl_caps *caps) {
    struct tile out = *t;
    out.m *= caps->matrix_m;
    out.n *= caps->matrix_n;
    out.k *= caps->matrix_k;
    return out;
}

// As the shader counts it, as is the next.
static size_t stage_bytes(const struct tile *t, uint32_t passes) {
    return 16 * (size_t)(t->splits * t->m / passes * (t->n / 4 + 1));
}

static size_t tile_bytes(const struct tile *t) {
    const size_t depth = t->k * t->splits;
    return 16 * (t->m * (depth / 8 + 1) + depth * (t->n / 8 + 1));
}

// In how few parts the sums can leave; 0: there is no room.
static uint32_t passes_of(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t rows = t->m / t->subgroups_m / caps->matrix_m;
    uint32_t passes = 1;
    while (passes <= rows && stage_bytes(t, passes) > caps->max_shared_bytes)
        passes *= 2;
    return passes <= rows && tile_bytes(t) <= caps->max_shared_bytes ? passes : 0;
}

static uint32_t workgroup_size(const struct tile *t, const struct cdl_caps *caps) {
    return t->subgroups_m * t->subgroups_n * t->splits * caps->matrix_subgroup;
}

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t workgroup = workgroup_size(t, caps), units = t->k * t->splits / 8;
    return workgroup <= caps->max_workgroup_size && t->m * units % workgroup == 0 &&
           t->k * t->splits * t->n / 8 % workgroup == 0 && workgroup % units == 0 && passes_of(t, caps);
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    int n = 0;
    if (!caps->matrix_m || !cdl_is_dense_fp16(s))
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile t = scaled(&tiles[i], caps);
        if (!fits(&t, caps))
            continue;
        const uint32_t workgroup = workgroup_size(&t, caps);
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
                            [MATRIX_M] = caps->matrix_m,
                            [MATRIX_N] = caps->matrix_n,
                            [MATRIX_K] = caps->matrix_k,
                            [TILE_M] = t.m,
                            [TILE_N] = t.n,
                            [TILE_K] = t.k,
                            [SUBGROUPS_M] = t.subgroups_m,
                            [SUBGROUPS_N] = t.subgroups_n,
                            [SPLITS] = t.splits,
                            [PASSES] = passes_of(&t, caps),
                        },
                },
            .weights = {cdl_matrix_weights(s, t.n, t.k * t.splits, cdl_is_narrow(s))},
            .cost = cdl_matrix_cost(s, &(struct cdl_matrix_tile){t.m, t.n, t.subgroups_m, t.subgroups_n, t.splits},
                                    t.k * t.splits),
        };
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_tiles(out, k->program.constants[TILE_M], k->program.constants[TILE_N]);
}

const struct cdl_kernel_family cdl_conv_coop = {{"conv_coop", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
