// conv_coop2.comp - dense convolution of any kernel size as an implicit matrix product on matrix units, with matrices
// as large as a tile (VK_NV_cooperative_matrix2): fp16 products, fp32 sums.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// The matrices belong to SCOPE: a whole workgroup, or one subgroup that is the workgroup. How they spread over
// registers and which instructions multiply them is the driver's affair. The source is staged in shared memory, DEPTH
// rows of k a step, for its pixels lie in windows; weights come from memory, where they lie in the order they are
// wanted. The next step's source is on its way meanwhile. Bias, residual and ReLU are applied to the sums where they
// are.
//   weights: half[ceil(4 dst_c4 / TILE_N)][rows][TILE_N], rows = k's extent rounded up to DEPTH with zeros
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), channel tiles innermost: they share source pixels
// With NARROW the source has four channels and a unit of k is two taps side by side.
// Preconditions: groups = 1; every size a power of two; TILE_M, TILE_N and DEPTH multiples of the device's granularity
// for SCOPE and this workgroup size, which divides TILE_M * UNITS; UNITS divides it.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_NV_cooperative_matrix2 : require
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_coop2_constants.h"

const int UNITS = DEPTH / 8;
const int LOADS_A = TILE_M * UNITS / WORKGROUP;
const int PITCH_A = UNITS + 1; // a unit of padding: pixels next to each other lie in different banks
const bool POINTWISE = KERNEL_H == 1 && KERNEL_W == 1 && PADDING == 0 && NARROW == 0;
const int TAP_COLUMNS = NARROW != 0 ? (KERNEL_W + 1) / 2 : KERNEL_W; // in units

layout(buffer_reference, std430, buffer_reference_align = 2) buffer Halves { float16_t v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

shared uvec4 staged[TILE_M * PITCH_A];

uvec4 next_a[LOADS_A];

#include "window_units.glsl"

void load_step() {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        next_a[j] = load_window(j);
    advance_window();
}

void stage_step() {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int at = t + WORKGROUP * j;
        staged[at / UNITS * PITCH_A + at % UNITS] = next_a[j];
    }
}

// The address of a unit. Single halves may be too many for a signed index.
uvec2 address_of(uvec2 base, uint unit) {
    uint carry;
    const uint low = uaddCarry(base.x, unit << 4, carry);
    return uvec2(low, base.y + (unit >> 28) + carry);
}

// Finishes and stores the sum of pixel m0 + row and channel n0 + column; its value does not matter any more.
float finish(const in uint row, const in uint column, const in float sum, const in int m0, const in int n0) {
    float value = sum;
    const int pixel = m0 + int(row), channel = n0 + int(column);
    if (pixel < p.images * p.dst_h * p.dst_w && channel < 4 * p.dst_c4) {
        const uint unit = uint(pixel * (p.dst_c4 / 2) + channel / 8);
        value += Floats(p.bias).v[channel];
        if (ADD_RESIDUAL != 0)
            value += float(Halves(address_of(p.residual, unit)).v[channel % 8]);
        if (RELU != 0)
            value = max(value, 0.0);
        Halves(address_of(p.dst, unit)).v[channel % 8] = float16_t(clamp(value, -65504.0, 65504.0));
    }
    return value;
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int column_tiles = (4 * p.dst_c4 + TILE_N - 1) / TILE_N;
    const int tile = workgroup_index();
    const int m0 = tile / column_tiles * TILE_M, n_tile = tile % column_tiles;
    if (m0 >= pixels)
        return;
    const int steps = (KERNEL_H * TAP_COLUMNS * source_units() + UNITS - 1) / UNITS;
    Units weights = Units(p.weights);

    coopmat<float, SCOPE, TILE_M, TILE_N, gl_MatrixUseAccumulator> sum;
    sum = coopmat<float, SCOPE, TILE_M, TILE_N, gl_MatrixUseAccumulator>(0.0);
    start_window(m0, pixels);
    load_step();
    int b = n_tile * steps * (DEPTH * TILE_N / 8);
    for (int step = 0; step < steps; step++, b += DEPTH * TILE_N / 8) {
        stage_step();
        barrier();
        if (step + 1 < steps)
            load_step();
        coopmat<float16_t, SCOPE, TILE_M, DEPTH, gl_MatrixUseA> source;
        coopmat<float16_t, SCOPE, DEPTH, TILE_N, gl_MatrixUseB> w;
        coopMatLoad(source, staged, 0, PITCH_A, gl_CooperativeMatrixLayoutRowMajor);
        coopMatLoad(w, weights.v, b, TILE_N / 8, gl_CooperativeMatrixLayoutRowMajor);
        sum = coopMatMulAdd(source, w, sum);
        barrier();
    }
    coopMatPerElementNV(sum, sum, finish, m0, n_tile * TILE_N);
}
