// conv_grouped.comp - grouped convolution of a small kernel from registers, for any group width.
//
//   dst[n][y][x][o] = act(bias[o] + residual + sum over ky, kx, i of
//                         src[n][y S + ky - P][x S + kx - P][i] w[o][i][ky][kx])
//
// Like conv_direct, but an invocation makes 4 output channels of a tile of LINES x PIXELS neighbours: weights of an
// input block are loaded once for the whole tile, HELD of the kernel's rows at a time. Holding all of them, it loads
// every input pixel once, too, and takes 144 registers for a 3x3's weights alone; a GPU hides the latency of loads
// behind other invocations, of which it keeps the more the fewer registers each takes, and finds pixels of the row
// before in its cache. A block of 4 output channels reads SPAN blocks of 4 input channels, from the first that its
// groups touch; weights between groups that share a block are zero. Invocations run over channel blocks first.
//   weights: storage4[ceil(dst_c4 / 8)][KERNEL][KERNEL][SPAN][4 in][8 blocks][4 out]
//   workgroups: images * ceil(dst_h / LINES) * ceil(dst_w / PIXELS) * dst_c4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

#include "constants.glsl"
#include "conv_grouped_constants.h"
const int REACH_X = (PIXELS - 1) * STRIDE + KERNEL; // input columns and rows that the tile needs
const int REACH_Y = (LINES - 1) * STRIDE + HELD;

layout(push_constant) uniform Params { conv_params p; };

void main() {
    const int strips_x = (p.dst_w + PIXELS - 1) / PIXELS, strips_y = (p.dst_h + LINES - 1) / LINES;
    int index = int(invocation_index());
    const int block = index % p.dst_c4;
    index /= p.dst_c4;
    const int x0 = index % strips_x * PIXELS;
    index /= strips_x;
    const int y0 = index % strips_y * LINES;
    const int n = index / strips_y;
    if (n >= p.images)
        return;

    const int first = min(4 * block / p.group_dst * p.group_src / 4, p.src_c4 - SPAN);
    Storage4 src = Storage4(p.src);
    Storage4 weights = Storage4(p.weights);

    vec4 sum[LINES * PIXELS];
    const vec4 bias = Floats4(p.bias).v[block];
    [[unroll]] for (int i = 0; i < LINES * PIXELS; i++)
        sum[i] = bias;

    const int w = block / 8 * KERNEL * KERNEL * SPAN * 32 + block % 8;
    for (int step = 0; step < SPAN * (KERNEL / HELD); step++) {
        const int s = step / (KERNEL / HELD), first_row = step % (KERNEL / HELD) * HELD;
        vec4 weight[HELD * KERNEL * 4];
        [[unroll]] for (int tap = 0; tap < HELD * KERNEL; tap++)
            [[unroll]] for (int i = 0; i < 4; i++)
                weight[4 * tap + i] = unpack4(weights.v[w + ((first_row * KERNEL + tap) * SPAN + s) * 32 + 8 * i]);
        [[unroll]] for (int r = 0; r < REACH_Y; r++) {
            const int sy = y0 * STRIDE + first_row + r - PADDING;
            const bool row_inside = sy >= 0 && sy < p.src_h;
            const int row = (n * p.src_h + sy) * p.src_w;
            [[unroll]] for (int c = 0; c < REACH_X; c++) {
                const int sx = x0 * STRIDE + c - PADDING;
                vec4 v = vec4(0);
                if (row_inside && sx >= 0 && sx < p.src_w)
                    v = unpack4(src.v[(row + sx) * p.src_c4 + first + s]);
                // Each output of the tile whose window holds this pixel.
                [[unroll]] for (int l = 0; l < LINES; l++)
                [[unroll]] for (int i = 0; i < PIXELS; i++) {
                    const int ky = r - l * STRIDE, kx = c - i * STRIDE;
                    if (ky >= 0 && ky < HELD && kx >= 0 && kx < KERNEL) {
                        const int t = 4 * (ky * KERNEL + kx);
                        sum[l * PIXELS + i] +=
                            v.x * weight[t] + v.y * weight[t + 1] + v.z * weight[t + 2] + v.w * weight[t + 3];
                    }
                }
            }
        }
    }

    [[unroll]] for (int l = 0; l < LINES; l++)
    [[unroll]] for (int i = 0; i < PIXELS; i++) {
        if (y0 + l < p.dst_h && x0 + i < p.dst_w) {
            const int at = ((n * p.dst_h + y0 + l) * p.dst_w + x0 + i) * p.dst_c4 + block;
            vec4 v = sum[l * PIXELS + i];
            if (ADD_RESIDUAL != 0)
                v += unpack4(Storage4(p.residual).v[at]);
            if (RELU != 0)
                v = max(v, vec4(0));
            Storage4(p.dst).v[at] = pack4(v);
        }
    }
}
