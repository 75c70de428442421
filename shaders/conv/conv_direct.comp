// conv_direct.comp - convolution of any kernel size, stride, padding and groups, from registers.
//
//   dst[n][y][x][o] = act(bias[o] + residual + sum over ky, kx, i of
//                         src[n][y S + ky - P][x S + kx - P][i] w[o][i][ky][kx])
//
// One invocation makes 4 output channels of PIXELS neighbours in a row; invocations run over channel
// blocks first, so that they read and write memory side by side. A block of 4 output channels reads SPAN
// blocks of 4 input channels, from the first that its groups touch: a grouped convolution reads its own
// groups only, whatever their width; weights between groups that share a block are zero.
//   weights: storage4[blocks / 8][KERNEL_H][KERNEL_W][SPAN][4 in][8 blocks][4 out]
//   workgroups: images * dst_h * ceil(dst_w / PIXELS) * dst_c4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

#include "constants.glsl"
#include "conv_direct_constants.h"
const int REACH = (PIXELS - 1) * STRIDE + KERNEL_W; // input columns that PIXELS outputs need

layout(push_constant) uniform Params { conv_params p; };

void main() {
    const int strips = (p.dst_w + PIXELS - 1) / PIXELS;
    int index = int(invocation_index());
    const int block = index % p.dst_c4;
    index /= p.dst_c4;
    const int x0 = index % strips * PIXELS;
    index /= strips;
    const int y = index % p.dst_h;
    const int n = index / p.dst_h;
    if (n >= p.images)
        return;

    const int first = min(4 * block / p.group_dst * p.group_src / 4, p.src_c4 - SPAN);
    Storage4 src = Storage4(p.src);
    Storage4 weights = Storage4(p.weights);

    vec4 sum[PIXELS];
    for (int i = 0; i < PIXELS; i++)
        sum[i] = Floats4(p.bias).v[block];

    int w = block / 8 * KERNEL_H * KERNEL_W * SPAN * 32 + block % 8;
    for (int ky = 0; ky < KERNEL_H; ky++, w += KERNEL_W * SPAN * 32) {
        const int sy = y * STRIDE + ky - PADDING;
        if (sy < 0 || sy >= p.src_h)
            continue;
        const int row = (n * p.src_h + sy) * p.src_w;
        for (int s = 0; s < SPAN; s++) {
            vec4 pixel[REACH];
            for (int i = 0; i < REACH; i++) {
                const int sx = x0 * STRIDE + i - PADDING;
                pixel[i] = vec4(0);
                if (sx >= 0 && sx < p.src_w)
                    pixel[i] = unpack4(src.v[(row + sx) * p.src_c4 + first + s]);
            }
            for (int kx = 0; kx < KERNEL_W; kx++) {
                const int at = w + (kx * SPAN + s) * 32;
                const vec4 w0 = unpack4(weights.v[at]), w1 = unpack4(weights.v[at + 8]);
                const vec4 w2 = unpack4(weights.v[at + 16]), w3 = unpack4(weights.v[at + 24]);
                for (int i = 0; i < PIXELS; i++) {
                    const vec4 v = pixel[i * STRIDE + kx];
                    sum[i] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
                }
            }
        }
    }

    for (int i = 0; i < PIXELS; i++) {
        if (x0 + i >= p.dst_w)
            break;
        const int at = ((n * p.dst_h + y) * p.dst_w + x0 + i) * p.dst_c4 + block;
        vec4 v = sum[i];
        if (ADD_RESIDUAL != 0)
            v += unpack4(Storage4(p.residual).v[at]);
        if (RELU != 0)
            v = max(v, vec4(0));
        Storage4(p.dst).v[at] = pack4(v);
    }
}
