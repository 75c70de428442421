// conv_tiled.c - conv_tiled.comp: dense convolution through shared memory in fp32, for GPUs without matrix units.
#include "kernels/family.h"

#define CONSTANTS "conv_tiled_constants.h"
#include "kernels/constants.h"

// See the shader.
struct tile {
    uint32_t m, n, k, part_m, part_n, splits;
};

static const struct tile tiles[] = {
    {128, 128, 8, 8, 8, 1}, //
    {128, 64, 8, 8, 8, 1},  //
    {128, 64, 16, 8, 4, 1}, //
    {64, 64, 16, 4, 4, 1},  //
    {32, 32, 8, 4, 4, 4},
};

static uint32_t workgroup_size(const struct tile *t) { return t->m / t->part_m * (t->n / t->part_n) * t->splits; }

// As the shader counts it.
static size_t shared_bytes(const struct tile *t) {
    const size_t depth = t->k * t->splits, columns = t->n / 4;
    const size_t steps = 2 * depth * (t->m / 4 + 1 + columns), sums = t->splits > 1 ? t->splits * t->m * columns : 0;
    return 16 * (steps > sums ? steps : sums);
}

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    return workgroup_size(t) <= caps->max_workgroup_size && shared_bytes(t) <= caps->max_shared_bytes &&
           !(t->part_m * t->part_n >= 64 && cdl_few_registers(caps));
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    int n = 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap && s->op->groups == 1; i++) {
        const struct tile *t = &tiles[i];
        if (!fits(t, s->caps))
            continue;
        out[n++] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = s->fp16,
                    .constants =
                        {
                            [WORKGROUP] = workgroup_size(t),
                            CDL_KERNEL_SIDES(s->op),
                            CDL_OP_CONSTANTS(s->op),
                            [TILE_M] = t->m,
                            [TILE_N] = t->n,
                            [TILE_K] = t->k,
                            [PART_M] = t->part_m,
                            [PART_N] = t->part_n,
                            [SPLITS] = t->splits,
                            [WHOLE] = (uint32_t)s->src_c4 % (t->k * t->splits / 4) == 0,
                        },
                },
            .weights = {cdl_matrix_weights(s, t->n, t->k * t->splits, false)},
            .cost = cdl_tile_cost(s, t->m, t->n, workgroup_size(t)),
        };
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_tiles(out, k->program.constants[TILE_M], k->program.constants[TILE_N]);
}

const struct cdl_kernel_family cdl_conv_tiled = {
    {"conv_tiled", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
