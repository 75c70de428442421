// conv_lanes.comp - dense convolution (and linear layer) as a matrix product within one subgroup.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over ky, kx, i of src[pixel(m, ky, kx)][i] w[o][i][ky][kx])
//
// A workgroup is one subgroup of LANES. Lane l makes the channel blocks LANES * column + l of COLUMNS columns for ROWS
// pixels, in groups of LANES pixels. Each pixel's input is loaded by one lane and handed to the others, each weight is
// loaded once by the lane that needs it: 4 input channels take ROWS / LANES + 4 * COLUMNS loads and feed
// 16 * ROWS * COLUMNS multiply-adds. Made for drivers that run a subgroup as one CPU vector: there a load is a gather
// that costs as much as ten multiply-adds, while sums that overflow the registers live in the first-level cache at
// little cost. WIDE_LOADS (see common.glsl) halves the gathers again. Shuffles, not broadcasts: with a constant lane
// llvmpipe makes one instruction of either, but in Mesa 22 a broadcast looks for the first active lane each time and
// the whole kernel takes four times as long.
//   weights: storage4[ceil(dst_c4 / LANES)][KERNEL_H][KERNEL_W][4 * src_c4][LANES][4 out]
//   workgroups: ceil(pixels / ROWS) * ceil(dst_c4 / LANES / COLUMNS), channel columns outermost
// Precondition: groups = 1; LANES is the subgroup size; ROWS is a multiple of LANES; COLUMNS divides ceil(dst_c4 /
// LANES).
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require
#include "common.glsl"

#include "constants.glsl"
#include "conv_lanes_constants.h"
const int GROUPS = ROWS / LANES;

layout(push_constant) uniform Params { conv_params p; };

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int row_tiles = (pixels + ROWS - 1) / ROWS;
    const int tile = int(workgroup_index());
    const int m0 = tile % row_tiles * ROWS;
    const int column = tile / row_tiles * COLUMNS;
    if (column >= (p.dst_c4 + LANES - 1) / LANES)
        return;
    const int lane = int(gl_SubgroupInvocationID);
    const int block = column * LANES + lane;

    Storage4 src = Storage4(p.src);
    Storage4 weights = Storage4(p.weights);

    int image[GROUPS], y0[GROUPS], x0[GROUPS]; // of the pixels this lane loads
    [[unroll]] for (int g = 0; g < GROUPS; g++) {
        const int m = min(m0 + g * LANES + lane, pixels - 1);
        const int rest = m % (p.dst_h * p.dst_w);
        image[g] = m / (p.dst_h * p.dst_w) * p.src_h;
        y0[g] = rest / p.dst_w * STRIDE - PADDING;
        x0[g] = rest % p.dst_w * STRIDE - PADDING;
    }

    vec4 sum[COLUMNS * ROWS];
    [[unroll]] for (int c = 0; c < COLUMNS; c++) {
        const vec4 bias = Floats4(p.bias).v[min(block + c * LANES, p.dst_c4 - 1)];
        [[unroll]] for (int i = 0; i < ROWS; i++)
            sum[c * ROWS + i] = bias;
    }

    const int column_weights = KERNEL_H * KERNEL_W * p.src_c4 * 4 * LANES;
    int w = column * column_weights + lane;
    for (int ky = 0; ky < KERNEL_H; ky++)
    for (int kx = 0; kx < KERNEL_W; kx++) {
        int source[GROUPS];
        bool inside[GROUPS];
        [[unroll]] for (int g = 0; g < GROUPS; g++) {
            const int y = y0[g] + ky, x = x0[g] + kx;
            inside[g] = PADDING == 0 || (y >= 0 && y < p.src_h && x >= 0 && x < p.src_w);
            source[g] = inside[g] ? ((image[g] + y) * p.src_w + x) * p.src_c4 : 0;
        }
        for (int k = 0; k < p.src_c4; k++, w += 4 * LANES) {
            vec4 weight[COLUMNS * 4];
            [[unroll]] for (int c = 0; c < COLUMNS; c++)
            [[unroll]] for (int j = 0; j < 4; j++)
                weight[c * 4 + j] = THREE_CHANNELS != 0 && j == 3
                                        ? vec4(0) : unpack4(weights.v[w + c * column_weights + j * LANES]);
            [[unroll]] for (int g = 0; g < GROUPS; g++) {
                const vec4 mine = inside[g] ? unpack4(src.v[source[g] + k]) : vec4(0);
                [[unroll]] for (int i = 0; i < LANES; i++) {
                    const vec4 v = subgroupShuffle(mine, uint(i));
                    [[unroll]] for (int c = 0; c < COLUMNS; c++) {
                        vec4 add = v.x * weight[c * 4] + v.y * weight[c * 4 + 1] + v.z * weight[c * 4 + 2];
                        if (THREE_CHANNELS == 0)
                            add += v.w * weight[c * 4 + 3];
                        sum[c * ROWS + g * LANES + i] += add;
                    }
                }
            }
        }
    }

    [[unroll]] for (int c = 0; c < COLUMNS; c++) {
        if (block + c * LANES >= p.dst_c4)
            return;
        [[unroll]] for (int i = 0; i < ROWS; i++) {
            if (m0 + i >= pixels)
                break;
            const int at = (m0 + i) * p.dst_c4 + block + c * LANES;
            vec4 v = sum[c * ROWS + i];
            if (ADD_RESIDUAL != 0)
                v += unpack4(Storage4(p.residual).v[at]);
            if (RELU != 0)
                v = max(v, vec4(0));
            Storage4(p.dst).v[at] = pack4(v);
        }
    }
}
