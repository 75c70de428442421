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
// MATRIX_M and MATRIX_N; PASSES divides TILE_M / SUBGROUPS_M / MATRIX_M; workgroup size SUBGROUPS_M * SUBGROUPS_N *
// SPLITS subgroups, all full; it divides both TILE_M * UNITS and DEPTH * TILE_N / 8, and UNITS divides it.
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
// Sums leave through the same memory, in fp32, the tile's rows in PASSES parts: of each subgroup as many.
const int PASS_ROWS = ROWS / PASSES, PASS_M = TILE_M / PASSES;
const int STAGE_PITCH = TILE_N / 4 + 1; // in vec4
const int STAGES = SPLITS * PASS_M * STAGE_PITCH, TILES = TILE_B + DEPTH * PITCH_B;
const int PASS_UNITS = PASS_M * (TILE_N / 8);
const int TOGETHER = PASS_UNITS >= 4 * WORKGROUP ? 4 : 1; // units that an invocation stores at a time

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

// The pixel of unit i of a pass.
int pass_pixel(int i, int pass, int m0) {
    const int row = i / (TILE_N / 8), rows = PASS_ROWS * MATRIX_M;
    return m0 + row / rows * PART_M + pass * rows + row % rows;
}

// Stores what the subgroups staged of the tile whose first pixel and unit of channels are m0 and first_unit.
void finish_pass(int pass, int m0, int first_unit, int pixels) {
    for (int base = int(gl_LocalInvocationID.x); base < PASS_UNITS; base += WORKGROUP * TOGETHER) {
        uvec4 residual[TOGETHER];
        bool stored[TOGETHER];
        [[unroll]] for (int j = 0; j < TOGETHER; j++) {
            const int i = base + WORKGROUP * j, unit = first_unit + i % (TILE_N / 8), pixel = pass_pixel(i, pass, m0);
            stored[j] = i < PASS_UNITS && pixel < pixels && unit < p.dst_c4 / 2;
            residual[j] = uvec4(0);
            if (ADD_RESIDUAL != 0 && stored[j])
                residual[j] = Units(p.residual).v[pixel * (p.dst_c4 / 2) + unit];
        }
        [[unroll]] for (int j = 0; j < TOGETHER; j++) {
            const int i = base + WORKGROUP * j, column = i % (TILE_N / 8), pixel = pass_pixel(i, pass, m0);
            if (!stored[j])
                continue;
            vec4 low = vec4(0), high = vec4(0);
            [[unroll]] for (int s = 0; s < SPLITS; s++) {
                const int at = (s * PASS_M + i / (TILE_N / 8)) * STAGE_PITCH + 2 * column;
                low += uintBitsToFloat(staged[at]);
                high += uintBitsToFloat(staged[at + 1]);
            }
            store_sums(low, high, residual[j], pixel * (p.dst_c4 / 2) + first_unit + column, first_unit + column,
                       ADD_RESIDUAL != 0, RELU != 0);
        }
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

    const int stage = (split * PASS_M + part / SUBGROUPS_N * PASS_ROWS * MATRIX_M) * STAGE_PITCH +
                      part % SUBGROUPS_N * (PART_N / 4);
    for (int pass = 0; pass < PASSES; pass++) {
        if (pass > 0)
            barrier();
        // The pass picks its sums by branches: an index would put all of them into memory, where a compiler does not
        // unroll a loop around barriers (NVIDIA's).
        [[unroll]] for (int r = 0; r < ROWS; r++)
            if (r / PASS_ROWS == pass)
                [[unroll]] for (int c = 0; c < COLUMNS; c++)
                    coopMatStore(sum[r * COLUMNS + c], staged,
                                 stage + r % PASS_ROWS * MATRIX_M * STAGE_PITCH + c * (MATRIX_N / 4), STAGE_PITCH,
                                 gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        finish_pass(pass, m0, n_tile * (TILE_N / 8), pixels);
    }
}
