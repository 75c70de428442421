// kernels_lanes.c - conv_lanes.comp: dense convolution within a subgroup, for CPU drivers alone: where a register is a
// register, its many sums overflow into memory.
#include "kernels_conv.h"

// The guess at a run's cost, in pixels: each workgroup takes as long as its pixels and the loads of its weights,
// which on llvmpipe equal ten pixels. SwiftShader, told by its subgroups of 4, does not profit from many sums.
static int cost(const struct cdl_conv_shape *s, uint32_t rows) {
    const uint32_t pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    return (int)(cdl_div_up(pixels, rows) * (rows + (s->caps->subgroup_size < 8 ? 0 : 10)));
}

static int list_as(const char *shader, int rank, const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t lanes = s->caps->subgroup_size;
    if (!s->caps->software || !s->caps->subgroup_broadcast || s->op->groups != 1 || lanes < 2 || lanes > 32)
        return 0;
    // More pixels a workgroup share each weight; fewer waste less of the last one.
    uint32_t rows[] = {8, 16, 32};
    for (size_t i = 1; i < CDL_COUNT(rows); i++)
        for (size_t j = i; j > 0 && cost(s, rows[j]) < cost(s, rows[j - 1]); j--) {
            const uint32_t swapped = rows[j];
            rows[j] = rows[j - 1];
            rows[j - 1] = swapped;
        }
    int n = 0;
    for (size_t i = 0; i < CDL_COUNT(rows) && n < cap; i++) {
        if (rows[i] < lanes)
            continue;
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){.shader = shader, .fp16 = s->fp16, .subgroup_size = lanes, .rank = rank + n};
        cdl_set_constants(k, 9, (const uint32_t[]){
            lanes, rows[i], (uint32_t)s->op->kernel_h, (uint32_t)s->op->kernel_w, (uint32_t)s->op->stride,
            (uint32_t)s->op->padding, s->op->relu, s->op->residual >= 0, s->src->channels == 3});
        cdl_set_weights(k, s, (int)lanes, s->src_c4);
        n++;
    }
    return n;
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) { return list_as("conv_lanes", 16, s, out, cap); }

static int list_wide(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    return s->caps->int64 ? list_as("conv_lanes_wide", 10, s, out, cap) : 0;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    const uint64_t row_tiles = (pixels + k->constants[1] - 1) / k->constants[1];
    cdl_launch_workgroups(out, row_tiles * cdl_div_up((uint32_t)p->dst_c4, k->constants[0]));
}

const struct cdl_conv_family cdl_conv_lanes = {"conv_lanes", list, launch};
const struct cdl_conv_family cdl_conv_lanes_wide = {"conv_lanes_wide", list_wide, launch};
