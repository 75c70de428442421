// conv_half.comp - dense convolution of any kernel size as an implicit matrix product with packed half precision
// multiply-adds: for GPUs without matrix units whose fp16 rate is above their fp32 rate.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// CHAIN products at a time are summed in fp16, those sums in fp32: the result is off by at most CHAIN * 2^-11 of the
// sum of the products' magnitudes, and CHAIN products must not exceed 65504. Otherwise as conv_tiled.comp, without
// splits: a workgroup makes TILE_M pixels x TILE_N channels, an invocation PART_M pixels x PART_N channels of them,
// from two steps in shared memory; pixels lie there as in memory, for halves are not written one by one.
//   weights: half[ceil(4 dst_c4 / TILE_N)][rows][TILE_N], rows = k's extent rounded up to DEPTH with zeros
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), channel tiles innermost: they share source pixels
// With NARROW the source has four channels and a unit of k is two taps side by side.
// Preconditions: groups = 1; every size a power of two; PART_N >= 8; workgroup size TILE_M / PART_M * TILE_N / PART_N;
// it divides TILE_M * UNITS, and UNITS divides it; THREADS_M >= 4, THREADS_N >= 8.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "units.glsl"

#include "constants.glsl"
#include "conv_half_constants.h"

const int THREADS_M = TILE_M / PART_M, THREADS_N = TILE_N / PART_N;
const int PART_UNITS = PART_N / 8, TILE_UNITS = TILE_N / 8;
const int UNITS = DEPTH / 8;
const int UNITS_B = DEPTH * TILE_UNITS; // of a step's weights
const int LOADS_A = TILE_M * UNITS / WORKGROUP, LOADS_B = (UNITS_B + WORKGROUP - 1) / WORKGROUP;
const int PITCH_A = UNITS + 1; // a unit of padding: pixels next to each other lie in different banks
const int TILE_B = TILE_M * PITCH_A; // where b begins
const int HALF2S = PART_N / 2;
const bool POINTWISE = KERNEL_H == 1 && KERNEL_W == 1 && PADDING == 0 && NARROW == 0;
const int TAP_COLUMNS = NARROW != 0 ? (KERNEL_W + 1) / 2 : KERNEL_W; // in units

const int STEP = TILE_B + UNITS_B;

shared uvec4 staged[2 * STEP];

uvec4 next_a[LOADS_A], next_b[LOADS_B];

#include "window_units.glsl"

// Whether this invocation loads a j-th unit of weights: of few, only the first invocations do.
bool has_weights(int j) {
    return UNITS_B % WORKGROUP == 0 || int(gl_LocalInvocationID.x) + WORKGROUP * j < UNITS_B;
}

// b: this invocation's first unit of the step's weights.
void load_step(int b) {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        next_a[j] = load_window(j);
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        if (has_weights(j))
            next_b[j] = Units(p.weights).v[b + WORKGROUP * j];
    advance_window();
}

// What load_step loaded, to `to` in shared memory.
void stage_step(int to) {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int at = t + WORKGROUP * j;
        staged[to + at / UNITS * PITCH_A + at % UNITS] = next_a[j];
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        if (has_weights(j))
            staged[to + TILE_B + t + WORKGROUP * j] = next_b[j];
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int column_tiles = (4 * p.dst_c4 + TILE_N - 1) / TILE_N;
    const int tile = workgroup_index();
    const int m0 = tile / column_tiles * TILE_M, n_tile = tile % column_tiles;
    if (m0 >= pixels)
        return;
    const int t = int(gl_LocalInvocationID.x);
    // As in conv_tiled.comp: four by eight invocations lie together, two of them in turn.
    const int tm = t % 2 + t / 16 % 2 * 2 + t / (4 * THREADS_N) * 4;
    const int tn = t / 2 % 8 + t / 32 % (THREADS_N / 8) * 8;
    const int steps = (KERNEL_H * TAP_COLUMNS * source_units() + UNITS - 1) / UNITS;

    vec2 sum[PART_M * HALF2S];
    [[unroll]] for (int i = 0; i < PART_M * HALF2S; i++)
        sum[i] = vec2(0);

    start_window(m0, pixels);
    int b = n_tile * steps * UNITS_B + t, from = 0;
    load_step(b);
    stage_step(0);
    barrier();
    for (int step = 0; step < steps; step++) {
        const bool more = step + 1 < steps;
        b += UNITS_B;
        if (more)
            load_step(b);
        [[dont_unroll]] for (int first = 0; first < UNITS; first += CHAIN / 8) {
            f16vec2 chain[PART_M * HALF2S];
            [[unroll]] for (int c = 0; c < CHAIN / 8; c++) {
                const int u = first + c;
                uvec4 a[PART_M];
                [[unroll]] for (int m = 0; m < PART_M; m++)
                    a[m] = staged[from + (tm + THREADS_M * m) * PITCH_A + u];
                [[unroll]] for (int i = 0; i < 8; i++)
                [[unroll]] for (int n = 0; n < PART_UNITS; n++) {
                    const uvec4 w = staged[from + TILE_B + (u * 8 + i) * TILE_UNITS + tn + THREADS_N * n];
                    [[unroll]] for (int m = 0; m < PART_M; m++)
                    [[unroll]] for (int i2 = 0; i2 < 4; i2++) {
                        const int at = m * HALF2S + n * 4 + i2;
                        const f16vec2 value = f16vec2(unpackFloat2x16(a[m][i / 2])[i % 2]);
                        const f16vec2 weight = unpackFloat2x16(w[i2]);
                        chain[at] = c == 0 && i == 0 ? value * weight : fma(value, weight, chain[at]);
                    }
                }
            }
            [[unroll]] for (int i = 0; i < PART_M * HALF2S; i++)
                sum[i] += vec2(chain[i]);
        }
        from = STEP - from;
        if (more)
            stage_step(from);
        barrier();
    }

    [[unroll]] for (int m = 0; m < PART_M; m++)
    [[unroll]] for (int n = 0; n < PART_UNITS; n++) {
        const int pixel = m0 + tm + THREADS_M * m, unit = n_tile * TILE_UNITS + tn + THREADS_N * n;
        const int at = m * HALF2S + n * 4;
        if (pixel < pixels && unit < p.dst_c4 / 2)
            store_unit(vec4(sum[at], sum[at + 1]), vec4(sum[at + 2], sum[at + 3]), pixel, unit, ADD_RESIDUAL != 0,
                       RELU != 0);
    }
}
