// conv_lanes.c - conv_lanes.comp: dense convolution within a subgroup, for CPU drivers alone: where a register is a
// register, its many sums overflow into memory.
#include "kernels/family.h"

#define CONSTANTS "conv_lanes_constants.h"
#include "kernels/constants.h"

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t lanes = s->caps->subgroup_size;
    if (!s->caps->software || !s->caps->subgroup_shuffle || s->op->groups != 1 || lanes < 2 || lanes > 32)
        return 0;
    // More sums a workgroup share each load; fewer waste less of the last workgroup.
    const bool two_columns = s->op->kernel_h == 1 && cdl_div_up((uint32_t)s->dst_c4, lanes) % 2 == 0;
    int n = 0;
    for (uint32_t columns = 1; columns <= (two_columns ? 2 : 1); columns++)
        for (uint32_t rows = lanes > 8 ? lanes : 8; rows <= 32 && n < cap; rows *= 2)
            out[n++] = (struct cdl_kernel){
                .program =
                    {
                        .fp16 = s->fp16,
                        .subgroup_size = lanes,
                        .constants =
                            {
                                [LANES] = lanes,
                                [ROWS] = rows,
                                [COLUMNS] = columns,
                                CDL_KERNEL_SIDES(s->op),
                                CDL_OP_CONSTANTS(s->op),
                                [THREE_CHANNELS] = s->src->channels == 3,
                            },
                    },
                .weights = {cdl_conv_weights(s, (int)lanes, s->src_c4, 0, 0)},
                .cost = cdl_lanes_cost(s, rows, columns),
            };
    return n;
}

// With 64-bit loads, see WIDE_LOADS in common.glsl.
static int list_wide(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    return s->caps->int64 ? list(s, out, cap) : 0;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint32_t *c = k->program.constants;
    const uint64_t pixels = (uint64_t)images * (uint64_t)s->dst->height * (uint64_t)s->dst->width;
    const uint64_t row_tiles = (pixels + c[ROWS] - 1) / c[ROWS];
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_workgroups(out, row_tiles * cdl_div_up((uint32_t)s->dst_c4, c[LANES] * c[COLUMNS]));
}

const struct cdl_kernel_family cdl_conv_lanes = {
    {"conv_lanes", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
const struct cdl_kernel_family cdl_conv_lanes_wide = {
    {"conv_lanes_wide", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list_wide, launch};
