// conv_dw_sum.comp - adds up the splits of conv_dw*.comp, in a fixed order, into PyTorch's order of weights.
//
// An invocation makes the weights from 4 input channels of a group to a block of 4 output channels, at one tap. Four
// blocks of outputs lie side by side in what is read, and inputs in what is written: both are walked in runs of 64
// bytes.
// WHOLE_BLOCKS: the 4 outputs are of one group.
//   weight_gradient: float[dst_channels][group_src][KERNEL_H][KERNEL_W]
//   workgroups: KERNEL_H * KERNEL_W * ceil(dst_c4 / 4) * ceil(group_src / 4) * 4 columns as in rows.glsl
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dw_sum_constants.h"
#include "rows.glsl"

layout(push_constant) uniform Params { train_dw_params p; };

void main() {
    const int taps = KERNEL_H * KERNEL_W, quads = (p.group_src + 3) / 4;
    int index = column();
    const int low = index % 4;
    index /= 4;
    const int c = index % quads * 4;
    index /= quads;
    const int sets = (p.dst_c4 + 3) / 4, block = index % sets * 4 + low, tap = index / sets;
    const bool inside = tap < taps && block < p.dst_c4;
    const int first = first_source_block(block, p.group_src, p.group_dst, p.src_c4, p.span);
    const int pitch = taps * p.span * p.dst_c4 * 4; // of a split, in blocks
    const int splits = inside ? p.splits : 0;
    mat4 sum = mat4(0); // [in][out]
    if (WHOLE_BLOCKS != 0) {
        const int from = tap * 4 * p.span + 4 * block / p.group_dst * p.group_src + c - 4 * first;
        for (int split = row(); split < splits; split += ROWS)
            [[unroll]] for (int i = 0; i < 4; i++)
                if (c + i < p.group_src)
                    sum[i] += load_floats4(p.partial, split * pitch + (from + i) * p.dst_c4 + block);
    } else {
        [[unroll]] for (int o = 0; o < 4; o++) {
            const int from = tap * 4 * p.span + (4 * block + o) / p.group_dst * p.group_src + c - 4 * first;
            for (int split = row(); split < splits; split += ROWS)
                [[unroll]] for (int i = 0; i < 4; i++)
                    if (c + i < p.group_src && 4 * block + o < p.dst_channels)
                        sum[i][o] += Floats(p.partial).v[(split * pitch + (from + i) * p.dst_c4 + block) * 4 + o];
        }
    }
    sum = mat4(add_rows(sum[0]), add_rows(sum[1]), add_rows(sum[2]), add_rows(sum[3]));
    if (row() > 0 || !inside)
        return;
    sum = transpose(sum);
    [[unroll]] for (int o = 0; o < 4; o++) {
        const int at = ((4 * block + o) * p.group_src + c) * taps + tap;
        if (4 * block + o >= p.dst_channels)
            return;
        if (taps == 1 && FOURS != 0)
            store_floats4(p.weight_gradient, at / 4, sum[o]);
        else
            [[unroll]] for (int i = 0; i < 4; i++)
                if (c + i < p.group_src)
                    Floats(p.weight_gradient).v[at + i * taps] = sum[o][i];
    }
}
