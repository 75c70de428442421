// conv_lanes.c - conv_lanes.comp: dense convolution within a subgroup, for CPU drivers alone: where a register is a
// register, its many sums overflow into memory.
#include "kernels/conv.h"

enum { LANES, ROWS, COLUMNS, NUM_CONSTANTS = 10 };

struct tile {
    uint32_t rows, columns;
    uint64_t cost;
}; // pixels, blocks of channels per lane

// The guess at a run's cost: a workgroup's multiply-adds, and its loads and shuffles, which on llvmpipe equal three
// tenths of a pixel's multiply-adds for each pixel and ten pixels' for each column. SwiftShader, told by its subgroups
// of 4, does not profit from many sums.
static uint64_t cost(const struct cdl_conv_shape *s, uint32_t rows, uint32_t columns) {
    const uint32_t lanes = s->caps->subgroup_size, pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    const uint32_t loads = lanes < 8 ? 0 : 3 * rows + 100 * columns;
    return (uint64_t)cdl_div_up(pixels, rows) * cdl_div_up((uint32_t)s->dst_c4, lanes * columns) *
           (10 * rows * columns + loads);
}

static int list_as(const char *shader, int rank, const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t lanes = s->caps->subgroup_size;
    if (!s->caps->software || !s->caps->subgroup_shuffle || s->op->groups != 1 || lanes < 2 || lanes > 32)
        return 0;
    // More sums a workgroup share each load; fewer waste less of the last workgroup.
    struct tile tiles[6];
    int n = 0;
    const bool pairs = s->op->kernel_h == 1 && cdl_div_up((uint32_t)s->dst_c4, lanes) % 2 == 0; // of columns
    for (uint32_t columns = 1; columns <= (pairs ? 2 : 1); columns++)
        for (uint32_t rows = 8; rows <= 32; rows *= 2) {
            if (rows < lanes)
                continue;
            const struct tile tile = {rows, columns, cost(s, rows, columns)};
            int at = n++;
            for (; at > 0 && tiles[at - 1].cost > tile.cost; at--)
                tiles[at] = tiles[at - 1];
            tiles[at] = tile;
        }
    n = n < cap ? n : cap;
    for (int i = 0; i < n; i++) {
        out[i] = (struct cdl_kernel){.shader = shader, .fp16 = s->fp16, .subgroup_size = lanes, .rank = rank + i};
        cdl_set_constants(&out[i], NUM_CONSTANTS,
                          (const uint32_t[]){lanes, tiles[i].rows, tiles[i].columns, (uint32_t)s->op->kernel_h,
                                             (uint32_t)s->op->kernel_w, (uint32_t)s->op->stride,
                                             (uint32_t)s->op->padding, s->op->relu, s->op->residual >= 0,
                                             s->src->channels == 3});
        cdl_set_weights(&out[i], s, (int)lanes, s->src_c4);
    }
    return n;
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    return list_as("conv_lanes", 16, s, out, cap);
}

static int list_wide(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    return s->caps->int64 ? list_as("conv_lanes_wide", 10, s, out, cap) : 0;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    const uint64_t row_tiles = (pixels + k->constants[ROWS] - 1) / k->constants[ROWS];
    cdl_launch_workgroups(out,
                          row_tiles * cdl_div_up((uint32_t)p->dst_c4, k->constants[LANES] * k->constants[COLUMNS]));
}

const struct cdl_conv_family cdl_conv_lanes = {"conv_lanes", list, launch};
const struct cdl_conv_family cdl_conv_lanes_wide = {"conv_lanes_wide", list_wide, launch};
