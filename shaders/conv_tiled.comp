// conv_tiled.comp - dense convolution of any kernel size as an implicit matrix product through shared memory.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[o][k])
//
// A workgroup of 256 makes TILE_M pixels x TILE_N channels; each invocation a TILE_M/16 x TILE_N/16 part
// of it. Per step of 16 input channels at one tap, both operands are staged in shared memory as fp32.
//   weights: storage4[KERNEL_H][KERNEL_W][4 * src_c4][columns][4 out], columns = TILE_N / 4 * ceil(4 dst_c4 / TILE_N)
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), pixel tiles innermost
// Precondition: groups = 1, workgroup size 256, TILE_M and TILE_N in {64, 128}.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 1) const int KERNEL_H = 1;
layout(constant_id = 2) const int KERNEL_W = 1;
layout(constant_id = 3) const int STRIDE = 1;
layout(constant_id = 4) const int PADDING = 0;
layout(constant_id = 5) const int TILE_M = 64;
layout(constant_id = 6) const int TILE_N = 64;
layout(constant_id = 7) const int RELU = 0;
layout(constant_id = 8) const int ADD_RESIDUAL = 0;
const int DEPTH4 = 4;                    // input channels per step, in fours
const int PART_M = TILE_M / 16;          // pixels of one invocation
const int PART_N4 = TILE_N / 64;         // channel blocks of one invocation
const int LOADS_A = TILE_M * DEPTH4 / 256;
const int LOADS_B = DEPTH4 * 4 * TILE_N / 4 / 256;
const int PITCH_A = TILE_M + 1;          // odd: the four rows that a vec4 store touches lie in different banks

layout(push_constant) uniform Params { conv_params p; };

shared float tile_a[DEPTH4 * 4 * PITCH_A];      // [k][m]
shared vec4 tile_b[DEPTH4 * 4 * TILE_N / 4];    // [k][n / 4]

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int row_tiles = (pixels + TILE_M - 1) / TILE_M;
    const int columns4 = (4 * p.dst_c4 + TILE_N - 1) / TILE_N * (TILE_N / 4);
    const int tile = int(workgroup_index());
    const int m0 = tile % row_tiles * TILE_M;
    const int n0 = tile / row_tiles * (TILE_N / 4);
    if (n0 >= columns4)
        return;
    const int t = int(gl_LocalInvocationID.x);
    const int tm = t / 16, tn = t % 16;

    Storage4 src = Storage4(p.src);
    Storage4 weights = Storage4(p.weights);

    // The pixels this invocation stages: image base, top-left input coordinates.
    int image[LOADS_A], y0[LOADS_A], x0[LOADS_A];
    for (int j = 0; j < LOADS_A; j++) {
        const int m = min(m0 + (t + 256 * j) / DEPTH4, pixels - 1);
        const int rest = m % (p.dst_h * p.dst_w);
        image[j] = m / (p.dst_h * p.dst_w) * p.src_h;
        y0[j] = rest / p.dst_w * STRIDE - PADDING;
        x0[j] = rest % p.dst_w * STRIDE - PADDING;
    }

    vec4 sum[PART_M * PART_N4];
    for (int i = 0; i < PART_M * PART_N4; i++)
        sum[i] = vec4(0);

    for (int ky = 0; ky < KERNEL_H; ky++)
    for (int kx = 0; kx < KERNEL_W; kx++)
    for (int k = 0; k < p.src_c4; k += DEPTH4) {
        for (int j = 0; j < LOADS_A; j++) {
            const int at = t + 256 * j;
            const int c = at % DEPTH4;
            const int y = y0[j] + ky, x = x0[j] + kx;
            vec4 v = vec4(0);
            if (y >= 0 && y < p.src_h && x >= 0 && x < p.src_w && k + c < p.src_c4)
                v = unpack4(src.v[((image[j] + y) * p.src_w + x) * p.src_c4 + k + c]);
            for (int i = 0; i < 4; i++)
                tile_a[(c * 4 + i) * PITCH_A + at / DEPTH4] = v[i];
        }
        for (int j = 0; j < LOADS_B; j++) {
            const int at = t + 256 * j;
            const int row = k * 4 + at / (TILE_N / 4);
            vec4 v = vec4(0);
            if (row < p.src_c4 * 4)
                v = unpack4(weights.v[((ky * KERNEL_W + kx) * p.src_c4 * 4 + row) * columns4 + n0 + at % (TILE_N / 4)]);
            tile_b[at] = v;
        }
        barrier();
        for (int i = 0; i < DEPTH4 * 4; i++) {
            vec4 b[PART_N4];
            for (int j = 0; j < PART_N4; j++)
                b[j] = tile_b[i * (TILE_N / 4) + tn + 16 * j];
            for (int m = 0; m < PART_M; m++) {
                const float a = tile_a[i * PITCH_A + tm * PART_M + m];
                for (int j = 0; j < PART_N4; j++)
                    sum[m * PART_N4 + j] += a * b[j];
            }
        }
        barrier();
    }

    for (int m = 0; m < PART_M; m++)
    for (int j = 0; j < PART_N4; j++) {
        const int pixel = m0 + tm * PART_M + m, block = n0 + tn + 16 * j;
        if (pixel >= pixels || block >= p.dst_c4)
            continue;
        const int at = pixel * p.dst_c4 + block;
        vec4 v = sum[m * PART_N4 + j] + Floats4(p.bias).v[block];
        if (ADD_RESIDUAL != 0)
            v += unpack4(Storage4(p.residual).v[at]);
        if (RELU != 0)
            v = max(v, vec4(0));
        Storage4(p.dst).v[at] = pack4(v);
    }
}
