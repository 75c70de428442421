// conv_persist.comp - dense convolution of few products a sum and many pixels, a 1x1 or a stem of four channels, on
// matrix units (VK_KHR_cooperative_matrix): fp16 products, fp32 sums.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// Such a layer is bound by memory, and a workgroup that makes one tile and ends leaves memory idle while it starts and
// while it stores. Here a few workgroups live through all tiles of TILE_M pixels. Each makes TILE_N channels; its
// subgroups stand in SUBGROUPS_M x SUBGROUPS_N parts of the tile and hold their weights in registers from the first
// tile to the last. Meanwhile the next tile's pixels, and this tile's residual, are on their way. Where the weights
// would not fit registers, SPLITS subgroups share a part, each with its share of the channels in; the sums are added up
// at the end. What is stored goes through shared memory and leaves it in whole units of 16 bytes, pixel by pixel.
//
// k runs over SOURCE_UNITS units of eight: of channels; in a stem, of two taps side by side, row by row of the kernel.
// Sums pass through shared memory in fp32; with NARROW_STAGE in fp16, half as many bytes: then a residual is added to a
// rounded sum. With STAGE_APART they have memory of their own, and a tile takes two barriers; else the source's, and
// four.
//   weights: half[ceil(4 dst_c4 / TILE_N)][rows][TILE_N], rows = 8 SOURCE_UNITS rounded up to MATRIX_K * SPLITS, zeros
//   workgroups: column tiles * n, column tiles = ceil(4 dst_c4 / TILE_N), innermost; any n >= 1. WORKGROUPS, the most
//               of them, is for the caller.
// Preconditions: groups = 1; kernel 1x1, padding 0 and SOURCE_UNITS = src_c4 / 2, or with STEM src_c4 = 1 and
// SOURCE_UNITS = KERNEL_H * ceil(KERNEL_W / 2); TILE_M / SUBGROUPS_M and TILE_N / SUBGROUPS_N multiples of MATRIX_M and
// MATRIX_N; workgroup size SUBGROUPS_M * SUBGROUPS_N * SPLITS subgroups, all full. With NARROW_STAGE: SPLITS = 1, and
// the device has fp16 accumulators of MATRIX_M x MATRIX_N.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_persist_constants.h"

const int PARTS = SUBGROUPS_M * SUBGROUPS_N;
const int PART_M = TILE_M / SUBGROUPS_M, PART_N = TILE_N / SUBGROUPS_N;
const int ROWS = PART_M / MATRIX_M, COLUMNS = PART_N / MATRIX_N; // matrices of a subgroup
const int GRAIN = MATRIX_K * SPLITS;
const int CHUNKS = (8 * SOURCE_UNITS + GRAIN - 1) / GRAIN; // products of matrices that a sum takes
const int UNITS = CHUNKS * GRAIN / 8, TILE_UNITS = TILE_N / 8;
const int COUNT_A = TILE_M * UNITS, COUNT_C = TILE_M * TILE_UNITS;
const int LOADS_A = (COUNT_A + WORKGROUP - 1) / WORKGROUP, LOADS_C = (COUNT_C + WORKGROUP - 1) / WORKGROUP;
const bool EVEN_A = COUNT_A % WORKGROUP == 0, EVEN_C = COUNT_C % WORKGROUP == 0;
// A unit of padding after each row: rows below one another then lie in different banks.
const int PITCH_A = UNITS + 1;
#ifdef NARROW_STAGE
const int PITCH_C = TILE_UNITS + 1, BIAS_UNITS = TILE_N / 4;
#else
const int PITCH_C = 2 * TILE_UNITS + 1, BIAS_UNITS = 0;
#endif
const int SIZE_A = TILE_M * PITCH_A, SIZE_C = SPLITS * TILE_M * PITCH_C;
const int STAGE = STAGE_APART != 0 ? SIZE_A : 0; // where sums on their way out begin
const int BIAS = STAGE_APART != 0 ? SIZE_A + SIZE_C : SIZE_A > SIZE_C ? SIZE_A : SIZE_C;

shared uvec4 staged[BIAS + BIAS_UNITS];

uvec4 next_a[LOADS_A], residual[ADD_RESIDUAL != 0 ? LOADS_C : 1];

#define SUMS coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>

// Unit `unit` of k of pixel m.
uvec4 load_unit(int m, int unit) {
    const int area = p.dst_h * p.dst_w;
    if (STEM != 0) {
        const int tap_units = (KERNEL_W + 1) / 2;
        const int y = m % area / p.dst_w * STRIDE - PADDING + unit / tap_units;
        const int x = m % p.dst_w * STRIDE - PADDING + unit % tap_units * 2;
        const int row = (m / area * p.src_h + y) * p.src_w;
        const bool inside = y >= 0 && y < p.src_h;
        HalfUnits src = HalfUnits(p.src);
        const uvec2 first = inside && x >= 0 && x < p.src_w ? src.v[row + x] : uvec2(0);
        const uvec2 second = inside && x + 1 >= 0 && x + 1 < p.src_w ? src.v[row + x + 1] : uvec2(0);
        return uvec4(first, second);
    }
    int pixel = m;
    if (STRIDE != 1)
        pixel = (m / area * p.src_h + m % area / p.dst_w * STRIDE) * p.src_w + m % p.dst_w * STRIDE;
    return Units(p.src).v[pixel * SOURCE_UNITS + unit];
}

// The row and the unit of it that this invocation takes j-th of a table with so many units a row: the same unit of rows
// that lie equally far apart where an invocation never changes the unit, which saves registers.
int row_of(int j, int units) {
    const int t = int(gl_LocalInvocationID.x);
    return WORKGROUP % units == 0 ? t / units + j * (WORKGROUP / units) : (t + WORKGROUP * j) / units;
}
int unit_of(int j, int units) {
    const int t = int(gl_LocalInvocationID.x);
    return WORKGROUP % units == 0 ? t % units : (t + WORKGROUP * j) % units;
}

// Pixels beyond the last are loaded as the last.
void load_source(int m0, int pixels) {
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int unit = unit_of(j, UNITS), m = min(m0 + row_of(j, UNITS), pixels - 1);
        next_a[j] = uvec4(0);
        if (SOURCE_UNITS == UNITS || unit < SOURCE_UNITS)
            next_a[j] = load_unit(m, unit);
    }
}

void stage_source() {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        if (EVEN_A || row_of(j, UNITS) < TILE_M)
            staged[row_of(j, UNITS) * PITCH_A + unit_of(j, UNITS)] = next_a[j];
}

// Whether the invocation's j-th unit of the tile is stored.
bool is_stored(int j, int m0, int first_unit, int pixels) {
    const int row = row_of(j, TILE_UNITS);
    return m0 + row < pixels && first_unit + unit_of(j, TILE_UNITS) < p.dst_c4 / 2 && (EVEN_C || row < TILE_M);
}
int place_of(int j, int m0, int first_unit) {
    return (m0 + row_of(j, TILE_UNITS)) * (p.dst_c4 / 2) + first_unit + unit_of(j, TILE_UNITS);
}

void load_residual(int m0, int first_unit, int pixels) {
    [[unroll]] for (int j = 0; j < LOADS_C; j++) {
        residual[ADD_RESIDUAL != 0 ? j : 0] = uvec4(0);
        if (is_stored(j, m0, first_unit, pixels))
            residual[ADD_RESIDUAL != 0 ? j : 0] = Units(p.residual).v[place_of(j, m0, first_unit)];
    }
}

void store_tile(int m0, int first_unit, int pixels) {
    [[unroll]] for (int j = 0; j < LOADS_C; j++) {
        if (!is_stored(j, m0, first_unit, pixels))
            continue;
        const int row = row_of(j, TILE_UNITS), unit = unit_of(j, TILE_UNITS), place = place_of(j, m0, first_unit);
#ifdef NARROW_STAGE
        uvec4 x = staged[STAGE + row * PITCH_C + unit];
        if (ADD_RESIDUAL != 0)
            x = add_units(x, residual[ADD_RESIDUAL != 0 ? j : 0], RELU != 0);
        Units(p.dst).v[place] = x;
#else
        vec4 low = vec4(0), high = vec4(0);
        [[unroll]] for (int s = 0; s < SPLITS; s++) {
            const int from = STAGE + (s * TILE_M + row) * PITCH_C + 2 * unit;
            low += uintBitsToFloat(staged[from]);
            high += uintBitsToFloat(staged[from + 1]);
        }
        store_sums(low, high, residual[ADD_RESIDUAL != 0 ? j : 0], place, first_unit + unit, ADD_RESIDUAL != 0,
                   RELU != 0);
#endif
    }
}

void stage_bias(int first_unit) {
    for (int i = int(gl_LocalInvocationID.x); i < BIAS_UNITS; i += WORKGROUP)
        staged[BIAS + i] =
            2 * first_unit + i < p.dst_c4 ? floatBitsToUint(Floats4(p.bias).v[2 * first_unit + i]) : uvec4(0);
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int column_tiles = (4 * p.dst_c4 + TILE_N - 1) / TILE_N;
    const int tiles = (pixels + TILE_M - 1) / TILE_M, stride = int(gl_NumWorkGroups.x) / column_tiles;
    const int column_tile = int(gl_WorkGroupID.x) % column_tiles;
    int tile = int(gl_WorkGroupID.x) / column_tiles;
    if (tile >= tiles)
        return;
    const int subgroup = int(gl_SubgroupID), part = subgroup % PARTS, split = subgroup / PARTS;
    const int part_m = part / SUBGROUPS_N * PART_M, part_n = part % SUBGROUPS_N * PART_N;
    const int first_unit = column_tile * TILE_UNITS;

    load_source(tile * TILE_M, pixels);
    Units units = Units(p.weights);
    coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> weights[CHUNKS * COLUMNS];
    const int w = (column_tile * SPLITS + split) * CHUNKS * MATRIX_K * TILE_UNITS + part_n / 8;
    [[unroll]] for (int k = 0; k < CHUNKS; k++)
    [[unroll]] for (int c = 0; c < COLUMNS; c++)
        coopMatLoad(weights[k * COLUMNS + c], units.v, w + k * MATRIX_K * TILE_UNITS + c * (MATRIX_N / 8), TILE_UNITS,
                    gl_CooperativeMatrixLayoutRowMajor);
    stage_bias(first_unit);

    for (; tile < tiles; tile += stride) {
        const int m0 = tile * TILE_M;
        stage_source();
        barrier();
        if (tile + stride < tiles)
            load_source((tile + stride) * TILE_M, pixels);
        if (ADD_RESIDUAL != 0)
            load_residual(m0, first_unit, pixels);
        SUMS sum[ROWS * COLUMNS];
        [[unroll]] for (int c = 0; c < COLUMNS; c++) {
            SUMS first = SUMS(0.0);
#ifdef NARROW_STAGE
            coopMatLoad(first, staged, BIAS + (part_n + c * MATRIX_N) / 4, 0, gl_CooperativeMatrixLayoutRowMajor);
#endif
            [[unroll]] for (int r = 0; r < ROWS; r++)
                sum[r * COLUMNS + c] = first;
        }
        [[unroll]] for (int k = 0; k < CHUNKS; k++) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> rows[ROWS];
            [[unroll]] for (int r = 0; r < ROWS; r++)
                coopMatLoad(rows[r], staged,
                            (part_m + r * MATRIX_M) * PITCH_A + (split * CHUNKS + k) * (MATRIX_K / 8), PITCH_A,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int c = 0; c < COLUMNS; c++)
            [[unroll]] for (int r = 0; r < ROWS; r++)
                sum[r * COLUMNS + c] = coopMatMulAdd(rows[r], weights[k * COLUMNS + c], sum[r * COLUMNS + c]);
        }
        if (STAGE_APART == 0)
            barrier(); // the source has been read
        [[unroll]] for (int r = 0; r < ROWS; r++)
        [[unroll]] for (int c = 0; c < COLUMNS; c++) {
            const int row = STAGE + (split * TILE_M + part_m + r * MATRIX_M) * PITCH_C;
#ifdef NARROW_STAGE
            [[unroll]] for (int i = 0; i < sum[r * COLUMNS + c].length(); i++)
                sum[r * COLUMNS + c][i] =
                    clamp(sum[r * COLUMNS + c][i], RELU != 0 && ADD_RESIDUAL == 0 ? 0.0 : -65504.0, 65504.0);
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> narrow =
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(sum[r * COLUMNS + c]);
            coopMatStore(narrow, staged, row + (part_n + c * MATRIX_N) / 8, PITCH_C,
                         gl_CooperativeMatrixLayoutRowMajor);
#else
            coopMatStore(sum[r * COLUMNS + c], staged, row + (part_n + c * MATRIX_N) / 4, PITCH_C,
                         gl_CooperativeMatrixLayoutRowMajor);
#endif
        }
        barrier();
        store_tile(m0, first_unit, pixels);
        if (STAGE_APART == 0)
            barrier(); // the next source may come
    }
}
