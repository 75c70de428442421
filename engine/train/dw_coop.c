// dw_coop.c - conv_dw_coop.comp: dense convolutions in fp16 on matrix units.
#include <math.h>

#include "train/dw.h"

#define CONSTANTS "conv_dw_coop_constants.h"
#include "kernels/constants.h"

// A tile and how subgroups share it: see the shader. m, n and k count matrices here (of 16 on most GPUs), rows,
// channels and pixels once scaled.
struct tile {
    uint32_t m, n, k, subgroups_m, subgroups_n;
};

static const struct tile tiles[] = {
    {8, 8, 2, 2, 2}, //
    {8, 8, 2, 2, 4}, //
    {4, 8, 2, 2, 2}, //
    {8, 4, 2, 2, 2}, //
    {4, 4, 2, 2, 2}, //
    {4, 4, 4, 2, 2}, //
    {2, 4, 2, 1, 2}, //
    {2, 2, 2, 1, 1},
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
    return 16 * (size_t)(t->m / passes * (t->n / 4 + 1));
}

static size_t tile_bytes(const struct tile *t) { return 16 * (size_t)(t->k * (t->m / 8 + 1 + t->n / 8 + 1)); }

// In how few parts the sums can leave; 0: there is no room.
static uint32_t passes_of(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t rows = t->m / t->subgroups_m / caps->matrix_m;
    uint32_t passes = 1;
    while (passes <= rows && stage_bytes(t, passes) > caps->max_shared_bytes)
        passes *= 2;
    return passes <= rows && tile_bytes(t) <= caps->max_shared_bytes ? passes : 0;
}

static uint32_t workgroup_size(const struct tile *t, const struct cdl_caps *caps) {
    return t->subgroups_m * t->subgroups_n * caps->matrix_subgroup;
}

static bool fits(const struct tile *t, const struct cdl_caps *caps) {
    const uint32_t workgroup = workgroup_size(t, caps), units_a = t->m / 8, units_b = t->n / 8;
    return workgroup <= caps->max_workgroup_size && workgroup % units_a == 0 && workgroup % units_b == 0 &&
           t->k * units_a % workgroup == 0 && t->k * units_b % workgroup == 0 && passes_of(t, caps);
}

// A guess at the time of the whole sum, without a unit: products and loads of all tiles, much of the last ones empty.
static double cost(const struct cdl_shape *s, const struct tile *t) {
    const double tiles_m = ceil((double)cdl_dw_taps(s->op) * s->src_c4 * 4 / t->m),
                 tiles_n = ceil(s->dst_c4 * 4.0 / t->n);
    const double loads = (double)t->subgroups_n * t->m + (double)t->subgroups_m * t->n + t->m + t->n;
    return tiles_m * tiles_n * ((double)t->m * t->n / 128 + loads);
}

static int list(const struct cdl_shape *s, struct cdl_dw_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const struct cdl_op *op = s->op;
    double costs[CDL_COUNT(tiles)];
    int n = 0;
    if (!caps->matrix_m || !cdl_is_dense_fp16(s))
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile t = scaled(&tiles[i], caps);
        if (!fits(&t, caps))
            continue;
        const double price = cost(s, &t);
        const uint32_t workgroup = workgroup_size(&t, caps);
        const size_t rows = cdl_dw_taps(op) * (size_t)s->src_c4 * 4, columns = (size_t)s->dst_c4 * 4;
        int at = n++;
        for (; at > 0 && costs[at - 1] > price; at--) { // the cheapest first
            out[at] = out[at - 1];
            costs[at] = costs[at - 1];
        }
        costs[at] = price;
        out[at] = (struct cdl_dw_kernel){
            .program =
                {
                    .subgroup_size = caps->matrix_subgroup,
                    .constants =
                        {
                            [WORKGROUP] = workgroup,
                            CDL_KERNEL_SIDES(op),
                            [STRIDE] = (uint32_t)op->stride,
                            [PADDING] = (uint32_t)op->padding,
                            [NARROW] = cdl_is_narrow(s),
                            [MATRIX_M] = caps->matrix_m,
                            [MATRIX_N] = caps->matrix_n,
                            [MATRIX_K] = caps->matrix_k,
                            [TILE_M] = t.m,
                            [TILE_N] = t.n,
                            [TILE_K] = t.k,
                            [SUBGROUPS_M] = t.subgroups_m,
                            [SUBGROUPS_N] = t.subgroups_n,
                            [PASSES] = passes_of(&t, caps),
                        },
                },
            .count = cdl_dw_pixels(s),
            .least = CDL_DW_LEAST > 4 * t.k ? CDL_DW_LEAST : 4 * t.k,
            .invocations = (rows + t.m - 1) / t.m * ((columns + t.n - 1) / t.n) * workgroup,
        };
    }
    return n;
}

static uint64_t launch(const struct cdl_dw_kernel *k, struct train_dw_params *p) {
    const uint32_t *c = k->program.constants;
    const uint32_t rows = c[KERNEL_H] * c[KERNEL_W] * (uint32_t)p->src_c4 * 4, columns = (uint32_t)p->dst_c4 * 4;
    p->splits = (int)cdl_div_up((uint32_t)(p->images * p->dst_h * p->dst_w), (uint32_t)p->part);
    return (uint64_t)p->splits * cdl_div_up(rows, c[TILE_M]) * cdl_div_up(columns, c[TILE_N]);
}

const struct cdl_dw_family cdl_dw_coop = {{"conv_dw_coop", constants, NUM_CONSTANTS}, list, launch};
