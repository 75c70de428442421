// conv_coop.comp - dense convolution of any kernel size as an implicit matrix product on matrix units
// (VK_KHR_cooperative_matrix): fp16 products, fp32 sums.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// A workgroup makes TILE_M pixels x TILE_N channels. Its subgroups stand in SUBGROUPS_M x SUBGROUPS_N parts of the
// tile, SPLITS of them on each part: split s sums the s-th TILE_K rows of every step, and the epilogue adds the splits
// up. (So a layer of few pixels keeps more matrix units busy without a second dispatch.) A step stages
// TILE_K * SPLITS rows of both operands in shared memory; the next step's loads are in flight meanwhile.
// k runs over units of eight: channel units innermost, then taps. With NARROW the source has four channels and a unit
// is two taps side by side.
//   weights: half[ceil(4 dst_c4 / TILE_N)][rows][TILE_N], rows = k's extent rounded up to TILE_K * SPLITS with zeros
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), channel tiles innermost: they share source pixels
// Preconditions: groups = 1; every size a power of two; TILE_M / SUBGROUPS_M and TILE_N / SUBGROUPS_N multiples of
// MATRIX_M and MATRIX_N; workgroup size SUBGROUPS_M * SUBGROUPS_N * SPLITS subgroups, all full; it divides both
// TILE_M * UNITS and DEPTH * TILE_N / 8, and UNITS divides it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_coop_constants.h"

const int PARTS = SUBGROUPS_M * SUBGROUPS_N;
const int PART_M = TILE_M / SUBGROUPS_M, PART_N = TILE_N / SUBGROUPS_N;
const int ROWS = PART_M / MATRIX_M, COLUMNS = PART_N / MATRIX_N; // matrices of a subgroup
const int DEPTH = TILE_K * SPLITS;                               // rows of k a step
const int UNITS = DEPTH / 8;
const int LOADS_A = TILE_M * UNITS / WORKGROUP, LOADS_B = DEPTH * (TILE_N / 8) / WORKGROUP;
// A unit of padding after each row: the eight rows that a matrix load reads at a time then lie in different banks.
const int PITCH_A = UNITS + 1, PITCH_B = TILE_N / 8 + 1;
const int TILE_B = TILE_M * PITCH_A; // where b begins
// The epilogue takes STAGE_COLUMNS matrices of each subgroup at a time through the same memory, in fp32.
const int STAGE_COLUMNS = COLUMNS > 1 ? 2 : 1;
const int STAGE_UNITS = STAGE_COLUMNS * MATRIX_N / 8;
const int STAGE_PITCH = 2 * STAGE_UNITS + 1; // in vec4
const int STAGE = MATRIX_M * STAGE_PITCH;
const int STAGES = PARTS * SPLITS * STAGE, TILES = TILE_B + DEPTH * PITCH_B;

const bool POINTWISE = KERNEL_H == 1 && KERNEL_W == 1 && PADDING == 0 && NARROW == 0;
const int TAP_COLUMNS = NARROW != 0 ? (KERNEL_W + 1) / 2 : KERNEL_W; // in units

shared uvec4 staged[TILES > STAGES ? TILES : STAGES];

uvec4 next_a[LOADS_A], next_b[LOADS_B];

#include "window_units.glsl"

// b: this invocation's first unit of the step's weights.
void load_step(int b) {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        next_a[j] = load_window(j);
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        next_b[j] = Units(p.weights).v[b + WORKGROUP * j];
    advance_window();
}

void stage_step() {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int at = t + WORKGROUP * j;
        staged[at / UNITS * PITCH_A + at % UNITS] = next_a[j];
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++) {
        const int at = t + WORKGROUP * j;
        staged[TILE_B + at / (TILE_N / 8) * PITCH_B + at % (TILE_N / 8)] = next_b[j];
    }
}

// Stores the strip that the subgroups just staged: STAGE_COLUMNS matrices of each, the first part's at pixel m0,
// channel n0.
void finish_strip(int m0, int n0, int pixels) {
    for (int i = int(gl_LocalInvocationID.x); i < PARTS * MATRIX_M * STAGE_UNITS; i += WORKGROUP) {
        const int part = i / (MATRIX_M * STAGE_UNITS), row = i / STAGE_UNITS % MATRIX_M, unit = i % STAGE_UNITS;
        const int pixel = m0 + part / SUBGROUPS_N * PART_M + row;
        const int dst_unit = (n0 + part % SUBGROUPS_N * PART_N) / 8 + unit;
        if (pixel >= pixels || dst_unit >= p.dst_c4 / 2)
            continue;
        vec4 low = vec4(0), high = vec4(0);
        [[unroll]] for (int s = 0; s < SPLITS; s++) {
            const int at = (s * PARTS + part) * STAGE + row * STAGE_PITCH + 2 * unit;
            low += uintBitsToFloat(staged[at]);
            high += uintBitsToFloat(staged[at + 1]);
        }
        store_unit(low, high, pixel, dst_unit, ADD_RESIDUAL != 0, RELU != 0);
    }
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int column_tiles = (4 * p.dst_c4 + TILE_N - 1) / TILE_N;
    const int tile = workgroup_index();
    const int m0 = tile / column_tiles * TILE_M, n_tile = tile % column_tiles;
    if (m0 >= pixels)
        return;
    const int t = int(gl_LocalInvocationID.x);
    const int subgroup = int(gl_SubgroupID);
    const int part = subgroup % PARTS, split = subgroup / PARTS;
    const int steps = (KERNEL_H * TAP_COLUMNS * source_units() + UNITS - 1) / UNITS;

    coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[ROWS * COLUMNS];
    [[unroll]] for (int i = 0; i < ROWS * COLUMNS; i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0.0);

    start_window(m0, pixels);
    int b = n_tile * steps * (DEPTH * (TILE_N / 8)) + t;
    load_step(b);
    const int a_at = part / SUBGROUPS_N * PART_M * PITCH_A + split * (TILE_K / 8);
    const int b_at = TILE_B + split * TILE_K * PITCH_B + part % SUBGROUPS_N * (PART_N / 8);
    for (int step = 0; step < steps; step++) {
        stage_step();
        barrier();
        b += DEPTH * (TILE_N / 8);
        if (step + 1 < steps)
            load_step(b);
        [[unroll]] for (int k = 0; k < TILE_K; k += MATRIX_K) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> rows[ROWS];
            [[unroll]] for (int r = 0; r < ROWS; r++)
                coopMatLoad(rows[r], staged, a_at + r * MATRIX_M * PITCH_A + k / 8, PITCH_A,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int c = 0; c < COLUMNS; c++) {
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> column;
                coopMatLoad(column, staged, b_at + k * PITCH_B + c * (MATRIX_N / 8), PITCH_B,
                            gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (int r = 0; r < ROWS; r++)
                    sum[r * COLUMNS + c] = coopMatMulAdd(rows[r], column, sum[r * COLUMNS + c]);
            }
        }
        barrier();
    }

    [[unroll]] for (int r = 0; r < ROWS; r++)
    [[unroll]] for (int c = 0; c < COLUMNS; c += STAGE_COLUMNS) {
        [[unroll]] for (int i = 0; i < STAGE_COLUMNS; i++)
            coopMatStore(sum[r * COLUMNS + c + i], staged, subgroup * STAGE + i * (MATRIX_N / 4), STAGE_PITCH,
                         gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        finish_strip(m0 + r * MATRIX_M, n_tile * TILE_N + c * MATRIX_N, pixels);
        barrier();
    }
}
