// kernels_lanes.c - conv_lanes.comp: 1x1 convolution within a subgroup, for CPU drivers by default.
#include "kernels_conv.h"

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t lanes = s->caps->subgroup_size;
    if (cap < 1 || !s->caps->subgroup_broadcast || s->op->kernel_h != 1 || s->op->kernel_w != 1 || s->op->groups != 1 ||
        s->op->padding != 0 || lanes > 64 || lanes > s->caps->max_workgroup_size)
        return 0;
    *out = (struct cdl_kernel){.shader = "conv_lanes", .fp16 = s->fp16, .pins_subgroup = true, .rank = s->caps->software ? 10 : 30};
    cdl_set_constants(out, 5, (const uint32_t[]){lanes, 8, (uint32_t)s->op->stride, s->op->relu, s->op->residual >= 0});
    cdl_set_weights(out, s, (int)lanes, s->src_c4);
    return 1;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    const uint64_t row_tiles = (pixels + k->constants[1] - 1) / k->constants[1];
    cdl_launch_workgroups(out, row_tiles * cdl_div_up((uint32_t)p->dst_c4, k->constants[0]));
}

const struct cdl_conv_family cdl_conv_lanes = {"conv_lanes", list, launch};
