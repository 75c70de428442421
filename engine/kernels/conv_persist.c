// conv_persist.c - conv_persist.comp: 1x1 convolutions and stems in fp16 on matrix units whose workgroups live through
// all pixels, their weights in registers.
#include "kernels/family.h"

#define CONSTANTS "conv_persist_constants.h"
#include "kernels/constants.h"

// A tile and how subgroups share it: see the shader. m and n count matrices here (of 16 on most GPUs), pixels and
// channels once scaled. depth: the most channels in. resident: workgroups a processor.
struct tile {
    uint32_t m, n, subgroups_m, subgroups_n, splits, depth, apart, resident;
};

// By sizes that were the fastest of many on an H200, and some for GPUs with fewer registers or less shared memory.
static const struct tile tiles[] = {
    {8, 8, 2, 4, 1, 64, 0, 4},    //
    {4, 8, 1, 4, 1, 64, 1, 4},    //
    {4, 16, 1, 8, 1, 128, 0, 2},  //
    {2, 16, 1, 8, 1, 256, 1, 1},  //
    {2, 16, 1, 16, 1, 256, 1, 1}, //
    {4, 4, 2, 4, 1, 256, 0, 2},   //
    {4, 8, 1, 8, 1, 256, 0, 2},   //
    {2, 8, 1, 8, 1, 256, 1, 1},   //
    {2, 8, 1, 4, 2, 512, 0, 1},   //
    {2, 4, 1, 4, 2, 512, 0, 2},
};

static struct tile scaled(const struct tile *t, const struct cdl_caps *caps) {
    struct tile out = *t;
    out.m *= caps->matrix_m;
    out.n *= caps->matrix_n;
    return out;
}

static uint32_t workgroup_size(const struct tile *t, const struct cdl_caps *caps) {
    return t->subgroups_m * t->subgroups_n * t->splits * caps->matrix_subgroup;
}

// Units of eight products of a sum: channels, or in a stem two taps of four.
static uint32_t source_units(const struct cdl_shape *s) {
    return cdl_is_narrow(s) ? (uint32_t)(s->op->kernel_h * ((s->op->kernel_w + 1) / 2)) : (uint32_t)s->src_c4 / 2;
}

// Products of a sum, as the tile takes them.
static uint32_t depth_of(const struct cdl_shape *s, const struct tile *t) {
    return (uint32_t)cdl_align_up((size_t)source_units(s) * 8, s->caps->matrix_k * t->splits);
}

static bool runs(const struct cdl_shape *s) {
    const struct cdl_op *op = s->op;
    const bool pointwise = op->kernel_h == 1 && op->kernel_w == 1 && op->padding == 0 && s->src_c4 % 2 == 0;
    return s->caps->matrix_m && cdl_is_dense_fp16(s) && (pointwise || cdl_is_narrow(s));
}

// As the shader counts it.
static size_t shared_bytes(const struct tile *t, uint32_t depth, bool narrow) {
    const size_t source = t->m * (depth / 8 + 1);
    const size_t stage = t->splits * t->m * ((narrow ? 1 : 2) * t->n / 8 + 1);
    return 16 * ((t->apart ? source + stage : source > stage ? source : stage) + (narrow ? t->n / 4 : 0));
}

// Whether an invocation has the registers for what stays in them over a tile: the factors, which are the weights and a
// step's source; sums; the next source; the residual.
static bool registers_fit(const struct tile *t, uint32_t depth, bool residual, const struct cdl_caps *caps) {
    const uint32_t part_m = t->m / t->subgroups_m, part_n = t->n / t->subgroups_n;
    const uint32_t workgroup = workgroup_size(t, caps), lanes = caps->matrix_subgroup;
    const uint32_t factors = (depth / t->splits * part_n + caps->matrix_k * part_m) / 2 / lanes;
    const uint32_t loads =
        cdl_div_up(t->m * depth / 8, workgroup) + (residual ? cdl_div_up(t->m * t->n / 8, workgroup) : 0);
    return cdl_matrix_registers_fit(caps, factors, part_m * part_n / lanes + 4 * loads);
}

// Products of matrices that a subgroup makes of a tile, all of them unrolled.
static uint32_t products(const struct tile *t, uint32_t depth, const struct cdl_caps *caps) {
    return t->m / t->subgroups_m / caps->matrix_m * (t->n / t->subgroups_n / caps->matrix_n) *
           (depth / t->splits / caps->matrix_k);
}

static bool fits(const struct cdl_shape *s, const struct tile *t, bool narrow) {
    enum { MOST_PRODUCTS_SOFTWARE = 16 }; // a CPU driver compiles each for a tenth of a second, and runs other kernels
    const struct cdl_caps *caps = s->caps;
    const uint32_t depth = depth_of(s, t);
    if (caps->software && products(t, depth, caps) > MOST_PRODUCTS_SOFTWARE)
        return false;
    return depth <= t->depth && workgroup_size(t, caps) <= caps->max_workgroup_size &&
           t->n / t->subgroups_n >= caps->matrix_n && shared_bytes(t, depth, narrow) <= caps->max_shared_bytes &&
           registers_fit(t, depth, s->op->residual >= 0, caps);
}

static int list_stage(const struct cdl_shape *s, bool narrow, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const struct cdl_op *op = s->op;
    int n = 0;
    for (size_t i = 0; runs(s) && i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile t = scaled(&tiles[i], caps);
        // In fp16 where the device can and a sum is whole.
        if (narrow != (caps->matrix_half_sums && t.splits == 1) || !fits(s, &t, narrow))
            continue;
        if (t.n >= 2 * (uint32_t)s->dst_c4 * 4)
            continue; // half of it would be empty
        if (!caps->software && n > 0 && 4 * depth_of(s, &t) <= t.depth)
            continue; // made for much more, and others fit
        out[n] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = true,
                    .subgroup_size = caps->matrix_subgroup,
                    .constants =
                        {
                            [WORKGROUP] = workgroup_size(&t, caps),
                            CDL_KERNEL_SIDES(op),
                            CDL_OP_CONSTANTS(op),
                            [STEM] = cdl_is_narrow(s),
                            [MATRIX_M] = caps->matrix_m,
                            [MATRIX_N] = caps->matrix_n,
                            [MATRIX_K] = caps->matrix_k,
                            [SOURCE_UNITS] = source_units(s),
                            [TILE_M] = t.m,
                            [TILE_N] = t.n,
                            [SUBGROUPS_M] = t.subgroups_m,
                            [SUBGROUPS_N] = t.subgroups_n,
                            [SPLITS] = t.splits,
                            [STAGE_APART] = t.apart,
                            [WORKGROUPS] = t.resident * caps->processors,
                        },
                },
            .half_products = narrow && op->residual >= 0, // a rounded sum is what the residual is added to
            .weights = {cdl_matrix_weights(s, t.n, depth_of(s, &t), cdl_is_narrow(s))},
            .cost = cdl_persistent_cost(s, &(struct cdl_matrix_tile){t.m, t.n, t.subgroups_m, t.subgroups_n, t.splits},
                                        t.resident),
        };
        n++;
    }
    return n;
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) { return list_stage(s, false, out, cap); }

static int list_narrow(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    return list_stage(s, true, out, cap);
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint32_t *c = k->program.constants;
    const uint64_t pixels = (uint64_t)images * (uint64_t)s->dst->height * (uint64_t)s->dst->width;
    const uint64_t tiles = (pixels + c[TILE_M] - 1) / c[TILE_M];
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_persistent(out, tiles, cdl_div_up((uint32_t)s->dst_c4 * 4, c[TILE_N]), c[WORKGROUPS]);
}

const struct cdl_kernel_family cdl_conv_persist = {
    {"conv_persist", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
const struct cdl_kernel_family cdl_conv_persist_narrow = {
    {"conv_persist_narrow", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list_narrow, launch};
