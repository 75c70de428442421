// conv_dw.comp - the gradient of a convolution's weights from registers: any groups, kernels of up to 15 columns.
//
//   dw[o][i][ky][kx] = sum over n, y, x of src[n][y S + ky - P][x S + kx - P][i] gradient[n][y][x][o]
//
// One invocation makes, for one row ky of the kernel and BLOCKS blocks of 4 input channels (of the `span` that its
// outputs read), COLUMNS columns kx of 4 x 4 weights each, over `part` lines of pixels; a later pass adds the splits
// up.
// Products across groups that share a block are made and not used.
//   partial: float4[splits][KERNEL_H][KERNEL_W][4 span][dst_c4]
//   workgroups: splits * KERNEL_H * ceil(KERNEL_W / COLUMNS) * ceil(span / BLOCKS) * dst_c4 invocations, output blocks
//               innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dw_constants.h"

layout(push_constant) uniform Params { train_dw_params p; };

void main() {
    const int sets = (p.span + BLOCKS - 1) / BLOCKS;
    int index = int(invocation_index());
    const int block = index % p.dst_c4;
    index /= p.dst_c4;
    const int s = index % sets * BLOCKS;
    index /= sets;
    const int column_sets = (KERNEL_W + COLUMNS - 1) / COLUMNS, kx0 = index % column_sets * COLUMNS;
    index /= column_sets;
    const int ky = index % KERNEL_H, split = index / KERNEL_H;
    if (split >= p.splits)
        return;
    const int first = first_source_block(block, p.group_src, p.group_dst, p.src_c4, p.span);
    vec4 sum[BLOCKS * COLUMNS * 4];
    [[unroll]] for (int i = 0; i < BLOCKS * COLUMNS * 4; i++)
        sum[i] = vec4(0);
    const int end = min((split + 1) * p.part, p.images * p.dst_h);
    for (int line = split * p.part; line < end; line++) {
        const int n = line / p.dst_h, sy = line % p.dst_h * STRIDE + ky - PADDING;
        if (sy < 0 || sy >= p.src_h)
            continue;
        const int row = (n * p.src_h + sy) * p.src_w;
        for (int x = 0; x < p.dst_w; x++) {
            const vec4 g = unpack_gradient4(Storage4(p.gradient).v[(line * p.dst_w + x) * p.dst_c4 + block]);
            [[unroll]] for (int kx = 0; kx < COLUMNS; kx++) {
                const int sx = x * STRIDE + kx0 + kx - PADDING;
                if (sx < 0 || sx >= p.src_w || kx0 + kx >= KERNEL_W)
                    continue;
                [[unroll]] for (int b = 0; b < BLOCKS; b++) {
                    const int from = first + min(s + b, p.span - 1);
                    const vec4 v = unpack4(Storage4(p.src).v[(row + sx) * p.src_c4 + from]);
                    [[unroll]] for (int i = 0; i < 4; i++)
                        sum[4 * (b * COLUMNS + kx) + i] += v[i] * g;
                }
            }
        }
    }
    [[unroll]] for (int b = 0; b < BLOCKS; b++) {
        [[unroll]] for (int kx = 0; kx < COLUMNS; kx++) {
            if (s + b >= p.span || kx0 + kx >= KERNEL_W)
                continue;
            const int tap = (split * KERNEL_H + ky) * KERNEL_W + kx0 + kx;
            [[unroll]] for (int i = 0; i < 4; i++)
                store_floats4(p.partial, (tap * 4 * p.span + 4 * (s + b) + i) * p.dst_c4 + block, sum[4 * (b * COLUMNS + kx) + i]);
        }
    }
}
