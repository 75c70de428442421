// conv_dw_sum.comp - adds up the splits of conv_dw*.comp, in a fixed order, into PyTorch's order of weights.
//
//   weight_gradient: float[dst_channels][group_src][KERNEL_H][KERNEL_W]
//   workgroups: as many invocations, output channels innermost: they lie side by side in what is read
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dw_sum_constants.h"

layout(push_constant) uniform Params { train_dw_params p; };

void main() {
    int index = int(invocation_index());
    const int o = index % p.dst_channels;
    index /= p.dst_channels;
    const int tap = index % (KERNEL_H * KERNEL_W), c = index / (KERNEL_H * KERNEL_W);
    if (c >= p.group_src)
        return;
    const int first = first_source_block(o / 4, p.group_src, p.group_dst, p.src_c4, p.span);
    const int row = o / p.group_dst * p.group_src + c - 4 * first, pitch = KERNEL_H * KERNEL_W * p.span * p.dst_c4 * 16;
    int at = ((tap * 4 * p.span) + row) * p.dst_c4 * 4 + o;
    float sum = 0;
    for (int split = 0; split < p.splits; split++, at += pitch)
        sum += Floats(p.partial).v[at];
    Floats(p.weight_gradient).v[(o * p.group_src + c) * KERNEL_H * KERNEL_W + tap] = sum;
}
