// conv_dw_tiled.comp - the gradient of a dense convolution's weights as a matrix product through shared memory.
//
//   dw[o][i][ky][kx] = sum over n, y, x of src[n][y S + ky - P][x S + kx - P][i] gradient[n][y][x][o]
//
// A workgroup makes, for one tap, TILE_I4 x TILE_O4 blocks of 4 x 4 weights, an invocation one of them, over `part`
// pixels, DEPTH at a time; a later pass adds the splits up.
//   partial: float4[splits][KERNEL_H][KERNEL_W][4 src_c4][dst_c4], span = src_c4
//   workgroups: splits * KERNEL_H * KERNEL_W * ceil(src_c4 / TILE_I4) * ceil(dst_c4 / TILE_O4)
// Preconditions: groups = 1; WORKGROUP = TILE_I4 * TILE_O4.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "conv_dw_tiled_constants.h"

layout(push_constant) uniform Params { train_dw_params p; };

shared vec4 staged_src[DEPTH * TILE_I4], staged_gradient[DEPTH * TILE_O4];

// Block `block` of the source pixel under output pixel m at a tap; zero beyond the picture.
vec4 load_src(int m, int block, int ky, int kx) {
    const int x = m % p.dst_w * STRIDE + kx - PADDING, line = m / p.dst_w;
    const int y = line % p.dst_h * STRIDE + ky - PADDING;
    if (block >= p.src_c4 || x < 0 || x >= p.src_w || y < 0 || y >= p.src_h)
        return vec4(0);
    return unpack4(Storage4(p.src).v[((line / p.dst_h * p.src_h + y) * p.src_w + x) * p.src_c4 + block]);
}

void main() {
    const int tiles_i = (p.src_c4 + TILE_I4 - 1) / TILE_I4, tiles_o = (p.dst_c4 + TILE_O4 - 1) / TILE_O4;
    int index = int(workgroup_index());
    const int o0 = index % tiles_o * TILE_O4;
    index /= tiles_o;
    const int i0 = index % tiles_i * TILE_I4;
    index /= tiles_i;
    const int tap = index % (KERNEL_H * KERNEL_W), split = index / (KERNEL_H * KERNEL_W);
    if (split >= p.splits)
        return;
    const int t = int(gl_LocalInvocationID.x), ti = t / TILE_O4, to = t % TILE_O4;
    const int end = min((split + 1) * p.part, p.images * p.dst_h * p.dst_w);
    vec4 sum[4];
    [[unroll]] for (int i = 0; i < 4; i++)
        sum[i] = vec4(0);
    for (int m = split * p.part; m < end; m += DEPTH) {
        for (int k = t; k < DEPTH * TILE_I4; k += WORKGROUP) {
            const int pixel = m + k / TILE_I4;
            staged_src[k] =
                pixel < end ? load_src(pixel, i0 + k % TILE_I4, tap / KERNEL_W, tap % KERNEL_W) : vec4(0);
        }
        for (int k = t; k < DEPTH * TILE_O4; k += WORKGROUP) {
            const int pixel = m + k / TILE_O4, block = o0 + k % TILE_O4;
            vec4 g = vec4(0);
            if (pixel < end && block < p.dst_c4)
                g = unpack_gradient4(Storage4(p.gradient).v[pixel * p.dst_c4 + block]);
            staged_gradient[k] = g;
        }
        barrier();
        [[unroll]] for (int d = 0; d < DEPTH; d++) {
            const vec4 v = staged_src[d * TILE_I4 + ti], g = staged_gradient[d * TILE_O4 + to];
            [[unroll]] for (int i = 0; i < 4; i++)
                sum[i] = fma(vec4(v[i]), g, sum[i]);
        }
        barrier();
    }
    if (i0 + ti >= p.src_c4 || o0 + to >= p.dst_c4)
        return;
    [[unroll]] for (int i = 0; i < 4; i++)
        Floats4(p.partial).v[((split * KERNEL_H * KERNEL_W + tap) * 4 * p.src_c4 + 4 * (i0 + ti) + i) * p.dst_c4 + o0 +
                             to] = sum[i];
}
