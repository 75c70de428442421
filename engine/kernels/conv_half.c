// conv_half.c - conv_half.comp: dense convolution with packed fp16 multiply-adds, for GPUs without matrix units.
#include "kernels/family.h"

#define CONSTANTS "conv_half_constants.h"
#include "kernels/constants.h"

// See the shader.
struct tile {
    uint32_t m, n, depth, part_m, part_n, chain;
};

static const struct tile tiles[] = {
    {128, 64, 16, 4, 8, 8},  //
    {128, 64, 16, 4, 8, 16}, // fewer conversions, larger errors: never the first choice
    {128, 128, 16, 8, 8, 8}, // fewer loads, few invocations at a time
    {64, 64, 16, 4, 8, 8},   //
    {32, 64, 16, 4, 8, 8},
};

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t workgroup = t->m / t->part_m * (t->n / t->part_n);
    const size_t shared = 2 * 16 * (size_t)(t->m * (t->depth / 8 + 1) + t->depth * t->n / 8);
    return workgroup <= caps->max_workgroup_size && shared <= caps->max_shared_bytes &&
           !(t->part_m * t->part_n >= 64 && cdl_few_registers(caps));
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    int n = 0;
    // Matrix units round less and are faster.
    if (!caps->fp16_arithmetic || caps->matrix_m || !cdl_is_dense_fp16(s))
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile *t = &tiles[i];
        const uint32_t workgroup = t->m / t->part_m * (t->n / t->part_n);
        if (!fits(t, caps))
            continue;
        out[n++] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = true,
                    .constants =
                        {
                            [WORKGROUP] = workgroup,
                            CDL_KERNEL_SIDES(s->op),
                            CDL_OP_CONSTANTS(s->op),
                            [NARROW] = cdl_is_narrow(s),
                            [TILE_M] = t->m,
                            [TILE_N] = t->n,
                            [DEPTH] = t->depth,
                            [PART_M] = t->part_m,
                            [PART_N] = t->part_n,
                            [CHAIN] = t->chain,
                        },
                },
            .half_products = (int)t->chain,
            .weights = {cdl_matrix_weights(s, t->n, t->depth, cdl_is_narrow(s))},
            .cost = cdl_tile_cost(s, t->m, t->n, workgroup) * (t->chain > 8 ? 100 : 1) *
                    (t->part_m * t->part_n >= 64 ? 1.25 : 1),
        };
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_tiles(out, k->program.constants[TILE_M], k->program.constants[TILE_N]);
}

const struct cdl_kernel_family cdl_conv_half = {{"conv_half", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
