// conv_grouped.c - conv_grouped.comp: grouped convolution by register tiles.
#include "kernels/conv.h"

enum { LANES = 8 }; // of the weights' layout

static int list_as(const char *shader, int rank, const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    if (op->groups == 1 || op->kernel_h != op->kernel_w || op->kernel_h > 3)
        return 0;
    // The small register files of mobile GPUs, told by their shared memory, do not hold a tile's weights.
    if (!s->caps->software && s->caps->max_shared_bytes <= 32768)
        return 0;
    const int span = cdl_source_span(s);
    static const struct {
        uint32_t lines, pixels;
    } gpu_tiles[] = {{1, 4}, {2, 4}, {1, 7}}, cpu_tiles[] = {{2, 7}, {1, 7}, {1, 4}};
    int n = 0;
    for (size_t i = 0; i < 3 && n < cap; i++) {
        const uint32_t lines = (s->caps->software ? cpu_tiles : gpu_tiles)[i].lines,
                       pixels = (s->caps->software ? cpu_tiles : gpu_tiles)[i].pixels;
        struct cdl_kernel *k = &out[n];
        *k = (struct cdl_kernel){.shader = shader, .fp16 = s->fp16, .rank = rank + n};
        cdl_set_constants(k, 9,
                          (const uint32_t[]){CDL_POINTWISE_SIZE, (uint32_t)op->kernel_h, (uint32_t)op->stride,
                                             (uint32_t)op->padding, (uint32_t)span, lines, pixels, op->relu,
                                             op->residual >= 0});
        cdl_set_weights(k, s, LANES, span);
        n++;
    }
    return n;
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    return list_as("conv_grouped", s->caps->subgroup_size < 8 ? 26 : 16, s, out, cap); // SwiftShader: conv_direct first
}

static int list_wide(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    return s->caps->software && s->caps->int64 ? list_as("conv_grouped_wide", 10, s, out, cap) : 0;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t tiles =
        (uint64_t)cdl_div_up((uint32_t)p->dst_h, k->constants[5]) * cdl_div_up((uint32_t)p->dst_w, k->constants[6]);
    cdl_launch_invocations(out, (uint64_t)p->images * tiles * (uint64_t)p->dst_c4);
}

const struct cdl_conv_family cdl_conv_grouped = {"conv_grouped", list, launch};
const struct cdl_conv_family cdl_conv_grouped_wide = {"conv_grouped_wide", list_wide, launch};
