// conv_dw.comp - the gradient of a convolution's weights from registers: any groups, kernels of up to 15 columns.
//
//   dw[o][i][ky][kx] = sum over n, y, x of src[n][y S + ky - P][x S + kx - P][i] gradient[n][y][x][o]
//
// One invocation makes, for one row ky of the kernel and BLOCKS blocks of 4 input channels (of the `span` that its
// outputs read), COLUMNS columns kx of 4 x 4 weights each, over `part` lines of pixels, DEPTH pixels at a time, which
// share what they read of the source; a later pass adds the splits up.
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

const int WINDOW = (DEPTH - 1) * STRIDE + COLUMNS; // pixels that DEPTH read

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
        for (int x = 0; x < p.dst_w; x += DEPTH) {
            vec4 g[DEPTH];
            [[unroll]] for (int d = 0; d < DEPTH; d++) {
                const int read = min(x + d, p.dst_w - 1); // in any case: a branch costs more
                g[d] = unpack_gradient4(Storage4(p.gradient).v[(line * p.dst_w + read) * p.dst_c4 + block]);
                g[d] = x + d < p.dst_w ? g[d] : vec4(0);
            }
            [[unroll]] for (int b = 0; b < BLOCKS; b++) {
                const int from = first + min(s + b, p.span - 1);
                vec4 v[WINDOW];
                [[unroll]] for (int j = 0; j < WINDOW; j++) {
                    const int sx = x * STRIDE + kx0 - PADDING + j, read = clamp(sx, 0, p.src_w - 1);
                    v[j] = vec4(0);
                    if (j % STRIDE < COLUMNS) // else between the columns of a strided 1x1
                        v[j] = unpack4(Storage4(p.src).v[(row + read) * p.src_c4 + from]);
                    v[j] = sx == read ? v[j] : vec4(0);
                }
                [[unroll]] for (int kx = 0; kx < COLUMNS; kx++) {
                    [[unroll]] for (int i = 0; i < 4; i++) {
                        vec4 add = v[kx][i] * g[0];
                        [[unroll]] for (int d = 1; d < DEPTH; d++)
                            add += v[d * STRIDE + kx][i] * g[d];
                        sum[4 * (b * COLUMNS + kx) + i] += add;
                    }
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
                store_floats4(p.partial, (tap * 4 * p.span + 4 * (s + b) + i) * p.dst_c4 + block,
                              sum[4 * (b * COLUMNS + kx) + i]);
        }
    }
}
