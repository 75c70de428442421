// conv_tiled.comp - dense convolution of any kernel size as an implicit matrix product through shared memory, in fp32.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// A workgroup makes TILE_M pixels x TILE_N channels, an invocation PART_M x PART_N of them, as blocks of 4 x 4 that lie
// 4 THREADS_M pixels and 4 THREADS_N channels apart. SPLITS invocations share each part: split s sums the s-th TILE_K
// rows of every step and the epilogue adds the splits up, so that a layer of few pixels keeps more invocations busy.
//   A step takes TILE_K * SPLITS rows of k. Two of them fit shared memory: while one is multiplied, the next comes,
// through registers, and there is one barrier a step. Both operands lie there as [k][pixels or channels], so that an
// invocation reads PART_M + PART_N values for PART_M PART_N products of a row, 16 bytes at a time, and has few
// registers beside its sums: as many workgroups as possible are to run side by side, for one that waits at its
// barrier does nothing.
//   weights: storage4[ceil(4 dst_c4 / TILE_N)][rows][TILE_N / 4], rows = KERNEL_H KERNEL_W 4 src_c4 rounded up to
//            TILE_K * SPLITS with zeros
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), channel tiles innermost: they share source pixels
// Preconditions: groups = 1; every size a power of two; TILE_K, PART_M, PART_N >= 4; THREADS_M >= 4, THREADS_N >= 8;
// workgroup size THREADS_M * THREADS_N * SPLITS; it divides both TILE_M * UNITS and DEPTH * TILE_N / 4, and UNITS
// divides it. WHOLE: UNITS divides src_c4.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

#include "constants.glsl"
#include "conv_tiled_constants.h"

const int THREADS_M = TILE_M / PART_M, THREADS_N = TILE_N / PART_N;
const int PART_M4 = PART_M / 4, PART_N4 = PART_N / 4, TILE_N4 = TILE_N / 4;
const int DEPTH = TILE_K * SPLITS; // rows of k a step
const int UNITS = DEPTH / 4;
const int LOADS_A = TILE_M * UNITS / WORKGROUP, LOADS_B = DEPTH * TILE_N4 / WORKGROUP;
const int PITCH_A = TILE_M / 4 + 1; // of a row of a; a unit of padding: units of a pixel go to different banks
const int TILE_B = DEPTH * PITCH_A; // where b begins
const int STEP = TILE_B + DEPTH * TILE_N4, SUMS = SPLITS > 1 ? SPLITS * TILE_M * TILE_N4 : 0;
const int TAP_COLUMNS = KERNEL_W;
const bool POINTWISE = KERNEL_H == 1 && KERNEL_W == 1 && PADDING == 0;

layout(push_constant) uniform Params { conv_params p; };

shared vec4 staged[2 * STEP > SUMS ? 2 * STEP : SUMS];

#ifdef STORAGE_FP16
#define UNIT uvec2
#else
#define UNIT vec4
#endif
UNIT next_a[LOADS_A], next_b[LOADS_B];
vec4 sum[PART_M * PART_N4];
#include "window.glsl"

int source_units() { return p.src_c4; }
UNIT load_unit(int pixel, int unit) { return Storage4(p.src).v[pixel * p.src_c4 + unit]; }
UNIT load_taps(int row, int x) { return load_tap(row, x); }

// b: this invocation's first weights of the step.
void load_step(int b) {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        next_a[j] = POINTWISE && WHOLE != 0 ? load_unit(origin[j], channel_unit) : load_window(j);
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        next_b[j] = Storage4(p.weights).v[b + WORKGROUP * j];
    advance_window();
}

// What load_step loaded, to `to` in shared memory.
void stage_step(int to) {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int pixel = (t + WORKGROUP * j) / UNITS, at = to + t % UNITS * 4 * PITCH_A + pixel / 4;
        const vec4 a = unpack4(next_a[j]);
        [[unroll]] for (int i = 0; i < 4; i++)
            staged[at + i * PITCH_A][pixel % 4] = a[i];
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        staged[to + TILE_B + t + WORKGROUP * j] = unpack4(next_b[j]);
}

// TILE_K rows, a's from `row_a` on, b's from `row_b` on. m, n: this invocation's first block of pixels and of channels.
void multiply_step(int row_a, int row_b, int m, int n) {
    [[unroll]] for (int k = 0; k < TILE_K; k++) {
        vec4 a[PART_M4];
        [[unroll]] for (int i = 0; i < PART_M4; i++)
            a[i] = staged[row_a + k * PITCH_A + m + THREADS_M * i];
        [[unroll]] for (int j = 0; j < PART_N4; j++) {
            const vec4 w = staged[row_b + k * TILE_N4 + n + THREADS_N * j];
            [[unroll]] for (int i = 0; i < PART_M; i++)
                sum[i * PART_N4 + j] = fma(vec4(a[i / 4][i % 4]), w, sum[i * PART_N4 + j]);
        }
    }
}

// Pixel i of an invocation's, of the tile's.
int pixel_of(int i, int tm) { return (tm + THREADS_M * (i / 4)) * 4 + i % 4; }

void finish(vec4 v, int pixel, int block) {
    if (pixel >= p.images * p.dst_h * p.dst_w || block >= p.dst_c4)
        return;
    const int at = pixel * p.dst_c4 + block;
    v += Floats4(p.bias).v[block];
    if (ADD_RESIDUAL != 0)
        v += unpack4(Storage4(p.residual).v[at]);
    if (RELU != 0)
        v = max(v, vec4(0));
    Storage4(p.dst).v[at] = pack4(v);
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int column_tiles = (p.dst_c4 + TILE_N4 - 1) / TILE_N4;
    const int tile = int(workgroup_index());
    const int m0 = tile / column_tiles * TILE_M, n_tile = tile % column_tiles;
    if (m0 >= pixels)
        return;
    const int t = int(gl_LocalInvocationID.x);
    // Four by eight invocations lie together, two of them in turn: neighbours read the same values of both operands,
    // which shared memory delivers to all of them at once.
    const int tm = t % 2 + t / 16 % 2 * 2 + t / (4 * THREADS_N) % (THREADS_M / 4) * 4;
    const int tn = t / 2 % 8 + t / 32 % (THREADS_N / 8) * 8, split = t / (THREADS_N * THREADS_M);
    const int steps = (KERNEL_H * KERNEL_W * p.src_c4 + UNITS - 1) / UNITS;

    [[unroll]] for (int i = 0; i < PART_M * PART_N4; i++)
        sum[i] = vec4(0);

    start_window(m0, pixels);
    const int row_a = split * TILE_K * PITCH_A, row_b = TILE_B + split * TILE_K * TILE_N4; // of a step
    int b = n_tile * steps * (DEPTH * TILE_N4) + t, from = 0;
    load_step(b);
    stage_step(0);
    barrier();
    for (int step = 0; step < steps; step++) {
        const bool more = step + 1 < steps;
        b += DEPTH * TILE_N4;
        if (more)
            load_step(b);
        multiply_step(from + row_a, from + row_b, tm, tn);
        from = STEP - from;
        if (more)
            stage_step(from);
        barrier();
    }

    if (SPLITS == 1) {
        [[unroll]] for (int m = 0; m < PART_M; m++)
        [[unroll]] for (int n = 0; n < PART_N4; n++)
            finish(sum[m * PART_N4 + n], m0 + pixel_of(m, tm), n_tile * TILE_N4 + tn + THREADS_N * n);
        return;
    }
    [[unroll]] for (int m = 0; m < PART_M; m++)
    [[unroll]] for (int n = 0; n < PART_N4; n++)
        staged[(split * TILE_M + pixel_of(m, tm)) * TILE_N4 + tn + THREADS_N * n] = sum[m * PART_N4 + n];
    barrier();
    for (int i = t; i < TILE_M * TILE_N4; i += WORKGROUP) {
        vec4 v = staged[i];
        for (int s = 1; s < SPLITS; s++)
            v += staged[s * TILE_M * TILE_N4 + i];
        finish(v, m0 + i / TILE_N4, n_tile * TILE_N4 + i % TILE_N4);
    }
}
