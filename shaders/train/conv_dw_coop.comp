// conv_dw_coop.comp - the gradient of a dense convolution's weights as a matrix product on matrix units
// (VK_KHR_cooperative_matrix): fp16 products, fp32 sums.
//
//   dw[m = (ky, kx, i)][o] = sum over pixels k = (n, y, x) of src[n][y S + ky - P][x S + kx - P][i] gradient[k][o]
//
// A workgroup makes TILE_M rows x TILE_N output channels over `part` pixels, which SUBGROUPS_M x SUBGROUPS_N subgroups
// share; a later pass adds the splits up. Both operands lie pixel by pixel in memory, and so in shared memory: the left
// one is read from there by columns. A step stages TILE_K pixels of both; the next step's loads are in flight
// meanwhile. m runs over units of eight channels of a tap, then over taps: a tile may span some of them, which then
// share the gradient that was loaded. With NARROW the source has four channels, and a unit is two taps one after the
// other.
//   partial: float4[splits][KERNEL_H][KERNEL_W][4 src_c4][dst_c4], span = src_c4
//   workgroups: splits * ceil(KERNEL_H * KERNEL_W * 4 src_c4 / TILE_M) * ceil(4 dst_c4 / TILE_N), output channels
//               innermost: they share source pixels
// Preconditions: groups = 1; src_c4 even, or 1 with NARROW; dst_c4 even; every size of a tile a power of two; TILE_M /
// SUBGROUPS_M and TILE_N / SUBGROUPS_N multiples of MATRIX_M and MATRIX_N; MATRIX_K divides TILE_K; PASSES divides
// TILE_M / SUBGROUPS_M / MATRIX_M; workgroup size SUBGROUPS_M * SUBGROUPS_N subgroups, all full; TILE_M / 8 and TILE_N
// / 8 divide it, and it divides TILE_K times either.
// Compiled into spirv/: after a change run spirv/update.sh.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "train_dw_params.h"
#include "gradient_units.glsl"

layout(local_size_x_id = 0) in;
#include "constants.glsl"
#include "conv_dw_coop_constants.h"
layout(push_constant) uniform Params { train_dw_params p; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Units { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer HalfUnits { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 v[]; };

const int TAPS = KERNEL_H * KERNEL_W;
const int PART_M = TILE_M / SUBGROUPS_M, PART_N = TILE_N / SUBGROUPS_N;
const int ROWS = PART_M / MATRIX_M, COLUMNS = PART_N / MATRIX_N; // matrices of a subgroup
const int UNITS_A = TILE_M / 8, UNITS_B = TILE_N / 8;            // of a pixel
const int STRIP_A = WORKGROUP / UNITS_A, STRIP_B = WORKGROUP / UNITS_B; // pixels that are loaded at a time
const int LOADS_A = TILE_K / STRIP_A, LOADS_B = TILE_K / STRIP_B;
// A unit of padding after each pixel: the eight that a matrix load reads at a time then lie in different banks.
const int PITCH_A = UNITS_A + 1, PITCH_B = UNITS_B + 1;
const int TILE_B = TILE_K * PITCH_A; // where b begins
// Sums leave through the same memory, in fp32, the tile's rows in PASSES parts: of each subgroup as many.
const int PASS_ROWS = ROWS / PASSES, PASS_M = TILE_M / PASSES;
const int STAGE_PITCH = TILE_N / 4 + 1; // in vec4
const int STAGES = PASS_M * STAGE_PITCH, TILES = TILE_B + TILE_K * PITCH_B;
const bool AS_IT_LIES = TAPS == 1 && PADDING == 0 && STRIDE == 1 && NARROW == 0; // source pixel k is output pixel k

shared uvec4 staged[TILES > STAGES ? TILES : STAGES];

uvec4 next_a[LOADS_A], next_b[LOADS_B];
// The output pixels of this invocation's next loads of a; AS_IT_LIES: not needed.
int image[LOADS_A], line[LOADS_A], column[LOADS_A];
int tap_y, tap_x, channel_unit; // of its unit of a
int tap_2_y, tap_2_x;           // NARROW: the second tap

// The pixel that a tap reads for output pixel j; -1: beyond the picture.
int source_pixel(int j, int ky, int kx) {
    const int y = line[j] * STRIDE + ky - PADDING, x = column[j] * STRIDE + kx - PADDING;
    return ky < KERNEL_H && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w ? (image[j] * p.src_h + y) * p.src_w + x
                                                                          : -1;
}

// pixel: the output pixel j is, which lies before the split's end.
uvec4 load_source(int j, int pixel) {
    if (NARROW != 0) {
        const int first = source_pixel(j, tap_y, tap_x), second = source_pixel(j, tap_2_y, tap_2_x);
        return uvec4(first >= 0 ? HalfUnits(p.src).v[first] : uvec2(0),
                     second >= 0 ? HalfUnits(p.src).v[second] : uvec2(0));
    }
    const int from = AS_IT_LIES ? (tap_y == 0 ? pixel : -1) : source_pixel(j, tap_y, tap_x);
    return from >= 0 ? Units(p.src).v[from * (p.src_c4 / 2) + channel_unit] : uvec4(0);
}

void start(int first, int m_unit) {
    const int unit = m_unit + int(gl_LocalInvocationID.x) % UNITS_A;
    const int per_tap = NARROW != 0 ? 1 : p.src_c4 / 2, tap = NARROW != 0 ? 2 * unit : unit / per_tap;
    channel_unit = unit % per_tap;
    tap_y = tap / KERNEL_W;
    tap_x = tap % KERNEL_W;
    tap_2_y = (tap + 1) / KERNEL_W;
    tap_2_x = (tap + 1) % KERNEL_W;
    if (!AS_IT_LIES) {
        [[unroll]] for (int j = 0; j < LOADS_A; j++) {
            const int pixel = first + int(gl_LocalInvocationID.x) / UNITS_A + STRIP_A * j;
            image[j] = pixel / (p.dst_h * p.dst_w);
            line[j] = pixel / p.dst_w % p.dst_h;
            column[j] = pixel % p.dst_w;
        }
    }
}

// TILE_K pixels on; `by`: that many as images, lines and columns.
void advance(ivec3 by) {
    if (!AS_IT_LIES) {
        [[unroll]] for (int j = 0; j < LOADS_A; j++) {
            column[j] += by.z;
            line[j] += by.y + (column[j] >= p.dst_w ? 1 : 0);
            column[j] -= column[j] >= p.dst_w ? p.dst_w : 0;
            image[j] += by.x + (line[j] >= p.dst_h ? 1 : 0);
            line[j] -= line[j] >= p.dst_h ? p.dst_h : 0;
        }
    }
}

// The pixels from `first` on; zero from `end` on.
void load_step(int first, int end, int n_unit) {
    const int t = int(gl_LocalInvocationID.x), unit = n_unit + t % UNITS_B;
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int pixel = first + t / UNITS_A + STRIP_A * j;
        next_a[j] = uvec4(0);
        if (pixel < end)
            next_a[j] = load_source(j, pixel);
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++) {
        const int pixel = first + t / UNITS_B + STRIP_B * j;
        next_b[j] = uvec4(0);
        if (pixel < end && unit < p.dst_c4 / 2)
            next_b[j] = Units(p.gradient).v[pixel * (p.dst_c4 / 2) + unit];
    }
}

void stage_step() {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        staged[(t / UNITS_A + STRIP_A * j) * PITCH_A + t % UNITS_A] = next_a[j];
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        staged[TILE_B + (t / UNITS_B + STRIP_B * j) * PITCH_B + t % UNITS_B] = beyond_range(next_b[j]);
}

// Stores what the subgroups staged of the tile that begins at row m0 and block n0 of four channels.
void finish_pass(int pass, int m0, int n0, int split) {
    const int all = TAPS * 4 * p.src_c4, rows = PASS_ROWS * MATRIX_M;
    for (int i = int(gl_LocalInvocationID.x); i < PASS_M * (TILE_N / 4); i += WORKGROUP) {
        const int row = i / (TILE_N / 4), block = i % (TILE_N / 4);
        const int m = m0 + row / rows * PART_M + pass * rows + row % rows;
        if (m < all && n0 + block < p.dst_c4)
            Floats4(p.partial).v[(split * all + m) * p.dst_c4 + n0 + block] =
                uintBitsToFloat(staged[row * STAGE_PITCH + block]);
    }
}

void main() {
    const int tiles_n = (4 * p.dst_c4 + TILE_N - 1) / TILE_N, tiles_m = (TAPS * 4 * p.src_c4 + TILE_M - 1) / TILE_M;
    const int tile = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x);
    const int split = tile / tiles_n / tiles_m;
    if (split >= p.splits)
        return;
    const int m0 = tile / tiles_n % tiles_m * TILE_M, n0 = tile % tiles_n * TILE_N;
    const int first = split * p.part, end = min(first + p.part, p.images * p.dst_h * p.dst_w);
    const ivec3 by = ivec3(TILE_K / (p.dst_h * p.dst_w), TILE_K / p.dst_w % p.dst_h, TILE_K % p.dst_w);
    const int subgroup = int(gl_SubgroupID), part_m = subgroup / SUBGROUPS_N, part_n = subgroup % SUBGROUPS_N;

    coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[ROWS * COLUMNS];
    [[unroll]] for (int i = 0; i < ROWS * COLUMNS; i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0.0);

    start(first, m0 / 8);
    load_step(first, end, n0 / 8);
    const int a_at = part_m * (PART_M / 8), b_at = TILE_B + part_n * (PART_N / 8);
    for (int at = first; at < end; at += TILE_K) {
        stage_step();
        barrier();
        advance(by);
        if (at + TILE_K < end)
            load_step(at + TILE_K, end, n0 / 8);
        [[unroll]] for (int k = 0; k < TILE_K; k += MATRIX_K) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> rows[ROWS];
            [[unroll]] for (int r = 0; r < ROWS; r++)
                coopMatLoad(rows[r], staged, a_at + k * PITCH_A + r * (MATRIX_M / 8), PITCH_A,
                            gl_CooperativeMatrixLayoutColumnMajor);
            [[unroll]] for (int c = 0; c < COLUMNS; c++) {
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> columns;
                coopMatLoad(columns, staged, b_at + k * PITCH_B + c * (MATRIX_N / 8), PITCH_B,
                            gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (int r = 0; r < ROWS; r++)
                    sum[r * COLUMNS + c] = coopMatMulAdd(rows[r], columns, sum[r * COLUMNS + c]);
            }
        }
        barrier();
    }

    const int stage = part_m * PASS_ROWS * MATRIX_M * STAGE_PITCH + part_n * (PART_N / 4);
    for (int pass = 0; pass < PASSES; pass++) {
        if (pass > 0)
            barrier();
        // The pass picks its sums by branches: see conv_coop.comp.
        [[unroll]] for (int r = 0; r < ROWS; r++)
            if (r / PASS_ROWS == pass)
                [[unroll]] for (int c = 0; c < COLUMNS; c++)
                    coopMatStore(sum[r * COLUMNS + c], staged,
                                 stage + r % PASS_ROWS * MATRIX_M * STAGE_PITCH + c * (MATRIX_N / 4), STAGE_PITCH,
                                 gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        finish_pass(pass, m0, n0 / 4, split);
    }
}
