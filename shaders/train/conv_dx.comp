// conv_dx.comp - the gradient of a convolution's source where no forward kernel gives it, as at strides above 1.
//
//   src_gradient[n][y][x][i] = added + sum over o, and ky, kx such that S divides y + P - ky and x + P - kx,
//                              of gradient[n][(y + P - ky) / S][(x + P - kx) / S][o] w[o][i][ky][kx]
//
// One invocation makes 4 channels of PIXELS pixels of a row that lie STRIDE apart, which is one phase: all read the
// same taps, and nothing is multiplied with the zeros that an upsampled gradient would have. Weights are as
// conv_direct.comp has them, of the transposed convolution: its kernel is turned, its blocks of 4 outputs are the
// source's.
//   weights: float4[blocks / 8][KERNEL_H][KERNEL_W][SPAN][4 in][8 blocks][4 out]
//   workgroups: images * src_h * ceil(src_w / (STRIDE * PIXELS)) * STRIDE * src_c4 invocations, channel blocks
//               innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dx_constants.h"

layout(push_constant) uniform Params { train_dx_params p; };

void main() {
    const int strips = (p.src_w + STRIDE * PIXELS - 1) / (STRIDE * PIXELS);
    int index = int(invocation_index());
    const int block = index % p.src_c4;
    index /= p.src_c4;
    const int phase = index % STRIDE;
    index /= STRIDE;
    const int x0 = index % strips * STRIDE * PIXELS + phase;
    index /= strips;
    const int y = index % p.src_h, n = index / p.src_h;
    if (n >= p.images || x0 >= p.src_w)
        return;
    const int first = first_source_block(block, p.group_dst, p.group_src, p.dst_c4, SPAN);
    const int at = ((n * p.src_h + y) * p.src_w + x0) * p.src_c4 + block;
    vec4 sum[PIXELS];
    [[unroll]] for (int i = 0; i < PIXELS; i++) {
        sum[i] = vec4(0);
        if (ADD != 0 && x0 + i * STRIDE < p.src_w)
            sum[i] = unpack_gradient4(Storage4(p.added).v[at + i * STRIDE * p.src_c4]);
    }
    for (int ky = (y + PADDING) % STRIDE; ky < KERNEL_H && ky <= y + PADDING; ky += STRIDE) {
        const int gy = (y + PADDING - ky) / STRIDE;
        if (gy >= p.dst_h)
            continue;
        for (int kx = (x0 + PADDING) % STRIDE; kx < KERNEL_W; kx += STRIDE) {
            // Of the strip's first pixel; it may lie left of the first gradient, but is a whole number of strides away.
            const int gx = (x0 + PADDING + STRIDE * KERNEL_W - kx) / STRIDE - KERNEL_W;
            const int tap = (KERNEL_H - 1 - ky) * KERNEL_W + KERNEL_W - 1 - kx;
            int w = (block / 8 * KERNEL_H * KERNEL_W + tap) * SPAN * 32 + block % 8;
            const int from = (n * p.dst_h + gy) * p.dst_w * p.dst_c4 + first;
            for (int s = 0; s < SPAN; s++, w += 32) {
                const vec4 w0 = unpack4(Storage4(p.weights).v[w]), w1 = unpack4(Storage4(p.weights).v[w + 8]);
                const vec4 w2 = unpack4(Storage4(p.weights).v[w + 16]), w3 = unpack4(Storage4(p.weights).v[w + 24]);
                [[unroll]] for (int i = 0; i < PIXELS; i++) {
                    const int x = clamp(gx + i, 0, p.dst_w - 1); // read in any case: a branch costs more
                    vec4 g = unpack_gradient4(Storage4(p.gradient).v[from + x * p.dst_c4 + s]);
                    g = x == gx + i ? g : vec4(0);
                    sum[i] += g.x * w0 + g.y * w1 + g.z * w2 + g.w * w3;
                }
            }
        }
    }
    [[unroll]] for (int i = 0; i < PIXELS; i++)
        if (x0 + i * STRIDE < p.src_w)
            Storage4(p.src_gradient).v[at + i * STRIDE * p.src_c4] = pack4(sum[i]);
}
