// conv_dx.comp - the gradient of a convolution's source, for strides above 1 (else a forward kernel takes it).
//
//   src_gradient[n][y][x][i] = added + sum over o and those ky, kx that (y + P - ky) and (x + P - kx) are multiples of S
//                              of gradient[n][(y + P - ky) / S][(x + P - kx) / S][o] w[o][i][ky][kx]
//
// One invocation makes 4 channels of one pixel and looks at the taps of that pixel's phase alone: nothing is multiplied
// with the zeros that an upsampled gradient would have. Weights as conv_direct.comp has them, of the transposed
// convolution: its kernel is turned, its blocks of 4 outputs are the source's.
//   weights: float4[blocks / 8][KERNEL_H][KERNEL_W][SPAN][4 in][8 blocks][4 out]
//   workgroups: images * src_h * src_w * src_c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dx_constants.h"

layout(push_constant) uniform Params { train_dx_params p; };

void main() {
    int index = int(invocation_index());
    const int at = index, block = index % p.src_c4;
    index /= p.src_c4;
    const int x = index % p.src_w;
    index /= p.src_w;
    const int y = index % p.src_h, n = index / p.src_h;
    if (n >= p.images)
        return;
    const int first = first_source_block(block, p.group_dst, p.group_src, p.dst_c4, SPAN);
    vec4 sum = vec4(0);
    if (ADD != 0)
        sum = unpack4(Storage4(p.added).v[at]);
    for (int ky = (y + PADDING) % STRIDE; ky < KERNEL_H; ky += STRIDE) {
        const int gy = (y + PADDING - ky) / STRIDE;
        if (y + PADDING < ky || gy >= p.dst_h)
            continue;
        for (int kx = (x + PADDING) % STRIDE; kx < KERNEL_W; kx += STRIDE) {
            const int gx = (x + PADDING - kx) / STRIDE;
            if (x + PADDING < kx || gx >= p.dst_w)
                continue;
            const int tap = (KERNEL_H - 1 - ky) * KERNEL_W + KERNEL_W - 1 - kx;
            int w = (block / 8 * KERNEL_H * KERNEL_W + tap) * SPAN * 32 + block % 8;
            const int from = ((n * p.dst_h + gy) * p.dst_w + gx) * p.dst_c4 + first;
            for (int s = 0; s < SPAN; s++, w += 32) {
                const vec4 g = unpack4(Storage4(p.gradient).v[from + s]);
                sum += g.x * unpack4(Storage4(p.weights).v[w]) + g.y * unpack4(Storage4(p.weights).v[w + 8]) +
                       g.z * unpack4(Storage4(p.weights).v[w + 16]) + g.w * unpack4(Storage4(p.weights).v[w + 24]);
            }
        }
    }
    Storage4(p.src_gradient).v[at] = pack4(sum);
}
