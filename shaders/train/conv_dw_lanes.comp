// conv_dw_lanes.comp - the gradient of a dense convolution's weights as a matrix product within one subgroup.
//
//   dw[o][i][ky][kx] = sum over n, y, x of src[n][y S + ky - P][x S + kx - P][i] gradient[n][y][x][o]
//
// A workgroup is one subgroup of LANES. For one tap it makes the weights from LANES blocks of 4 input channels to
// LANES * COLUMNS blocks of 4 output channels, over `part` lines of pixels, DEPTH pixels at a time: lane l loads block
// l of a pixel's input and hands it to all, and the gradients of its own output blocks. What conv_lanes.comp says of
// gathers and of sums holds here, too. A later pass adds the splits up.
//   partial: float4[splits][KERNEL_H][KERNEL_W][4 src_c4][dst_c4], span = src_c4
//   workgroups: splits * KERNEL_H * KERNEL_W * ceil(src_c4 / LANES) * ceil(dst_c4 / (LANES * COLUMNS)), output blocks
//               innermost
// Precondition: groups = 1; LANES is the subgroup size.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dw_lanes_constants.h"

layout(push_constant) uniform Params { train_dw_params p; };

void main() {
    const int sets_i = (p.src_c4 + LANES - 1) / LANES, sets_o = (p.dst_c4 + LANES * COLUMNS - 1) / (LANES * COLUMNS);
    int index = int(workgroup_index());
    const int o0 = index % sets_o * LANES * COLUMNS;
    index /= sets_o;
    const int i0 = index % sets_i * LANES;
    index /= sets_i;
    const int tap = index % (KERNEL_H * KERNEL_W), split = index / (KERNEL_H * KERNEL_W);
    if (split >= p.splits)
        return;
    const int lane = int(gl_SubgroupInvocationID), from = min(i0 + lane, p.src_c4 - 1);
    const int shift_y = tap / KERNEL_W - PADDING, shift_x = tap % KERNEL_W - PADDING;
    // The pixels of a line whose tap lies within the source.
    const int first = shift_x < 0 ? (STRIDE - 1 - shift_x) / STRIDE : 0;
    const int last = min(p.dst_w, (p.src_w + STRIDE - 1 - shift_x) / STRIDE);
    int block[COLUMNS];
    [[unroll]] for (int c = 0; c < COLUMNS; c++)
        block[c] = min(o0 + c * LANES + lane, p.dst_c4 - 1);
    vec4 sum[COLUMNS * LANES * 4];
    [[unroll]] for (int i = 0; i < COLUMNS * LANES * 4; i++)
        sum[i] = vec4(0);
    const int end_line = min((split + 1) * p.part, p.images * p.dst_h);
    for (int line = split * p.part; line < end_line; line++) {
        const int y = line % p.dst_h * STRIDE + shift_y;
        if (y < 0 || y >= p.src_h)
            continue;
        const int row = (line / p.dst_h * p.src_h + y) * p.src_w + shift_x;
        const int end = min(last, p.pixels - line * p.dst_w);
        for (int x = first; x < end; x += DEPTH) {
            vec4 v[DEPTH], g[COLUMNS * DEPTH];
            [[unroll]] for (int d = 0; d < DEPTH; d++) {
                const int read = min(x + d, end - 1); // in any case: a branch costs more
                v[d] = unpack4(Storage4(p.src).v[(row + read * STRIDE) * p.src_c4 + from]);
                [[unroll]] for (int c = 0; c < COLUMNS; c++) {
                    const int at = (line * p.dst_w + read) * p.dst_c4 + block[c];
                    const vec4 all = unpack_gradient4(Storage4(p.gradient).v[at]);
                    g[c * DEPTH + d] = x + d < end ? all : vec4(0);
                }
            }
            [[unroll]] for (int l = 0; l < LANES; l++) {
                vec4 u[DEPTH];
                [[unroll]] for (int d = 0; d < DEPTH; d++)
                    u[d] = subgroupShuffle(v[d], uint(l));
                [[unroll]] for (int c = 0; c < COLUMNS; c++)
                [[unroll]] for (int i = 0; i < 4; i++) {
                    vec4 add = u[0][i] * g[c * DEPTH];
                    [[unroll]] for (int d = 1; d < DEPTH; d++)
                        add += u[d][i] * g[c * DEPTH + d];
                    sum[(c * LANES + l) * 4 + i] += add;
                }
            }
        }
    }
    [[unroll]] for (int c = 0; c < COLUMNS; c++) {
        if (o0 + c * LANES + lane >= p.dst_c4)
            return;
        [[unroll]] for (int l = 0; l < LANES; l++) {
            if (i0 + l >= p.src_c4)
                break;
            const int row = ((split * KERNEL_H * KERNEL_W + tap) * p.src_c4 + i0 + l) * 4;
            [[unroll]] for (int i = 0; i < 4; i++)
                store_floats4(p.partial, (row + i) * p.dst_c4 + block[c], sum[(c * LANES + l) * 4 + i]);
        }
    }
}
