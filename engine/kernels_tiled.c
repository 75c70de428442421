// kernels_tiled.c - conv_tiled.comp: dense convolution through shared memory in fp32, for GPUs without matrix units.
#include "kernels_conv.h"

enum { WORKGROUP = 256 };

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t tile_m = 64, tile_n = 64;
    const size_t shared = 16 * (size_t)(tile_m + 1 + tile_n) * 4;
    if (cap < 1 || s->op->groups != 1 || s->caps->max_workgroup_size < WORKGROUP || s->caps->max_shared_bytes < shared)
        return 0;
    // A lone block of input channels (the stem) leaves three quarters of its steps empty.
    *out = (struct cdl_kernel){.shader = "conv_tiled", .fp16 = s->fp16, .rank = s->caps->software || s->src_c4 == 1 ? 40 : 10};
    cdl_set_constants(out, 9, (const uint32_t[]){WORKGROUP, (uint32_t)s->op->kernel_h, (uint32_t)s->op->kernel_w, (uint32_t)s->op->stride,
                                                 (uint32_t)s->op->padding, tile_m, tile_n, s->op->relu, s->op->residual >= 0});
    cdl_set_weights(out, s, (int)(cdl_div_up((uint32_t)s->dst_c4 * 4, tile_n) * (tile_n / 4)), s->src_c4);
    return 1;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    const uint64_t row_tiles = (pixels + k->constants[5] - 1) / k->constants[5];
    cdl_launch_workgroups(out, row_tiles * cdl_div_up((uint32_t)p->dst_c4 * 4, k->constants[6]));
}

const struct cdl_conv_family cdl_conv_tiled = {"conv_tiled", list, launch};
