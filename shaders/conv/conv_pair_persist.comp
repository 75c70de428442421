// conv_pair_persist.comp - grouped 3x3 convolution and the 1x1 behind it on matrix units (VK_KHR_cooperative_matrix)
// whose workgroups live through many tiles, the weights of both in registers: fp16 products, fp32 sums; the middle is
// rounded to fp16, as it would be in memory.
//
//   middle[n][y][x][c] = max(0, bias1[c] + sum over ky, kx, i of src[n][y S + ky - P][x S + kx - P][i]
//   w1[c][i][ky][kx]) dst[n][y][x][o] = act(bias[o] + residual + sum over c of middle[n][y][x][c] w[o][c])
//
// A workgroup makes TILE_N channels of one tile of TILE_H x TILE_W pixels after the other, from all MIDDLE channels
// between the two. Windows, planes of the source and what lies where in them are conv_grouped_coop.comp's. The middle
// takes the source's place in shared memory, in the same rows: the 1x1 multiplies those between the tile's lines, too,
// whatever they hold, and nobody stores what comes of it. The sums, rounded to fp16, take the middle's place and leave
// in units of 16 bytes; a residual is added to them then. Meanwhile the next tile's source is on its way.
//   first_weights: half[windows][3][3][WINDOW in][WINDOW out]
//   weights: half[ceil(4 dst_c4 / TILE_N)][MIDDLE][TILE_N]
//   workgroups: column tiles * n, column tiles = ceil(4 dst_c4 / TILE_N), innermost; any n >= 1. WORKGROUPS, the most
//               of them, is for the caller.
// Preconditions: those of conv_grouped_coop.comp; MIDDLE = 4 src_c4, a multiple of WINDOW and MATRIX_K; MIDDLE /
// MATRIX_N a multiple of SUBGROUPS or a divisor; TILE_N a multiple of SUBGROUPS * MATRIX_N; WORKGROUP a multiple of
// MIDDLE / 8 and TILE_N / 8; the device has fp16 accumulators of MATRIX_M x MATRIX_N.
#version 460
#extension GL_GOOGLE_include_directive : require
#define PARAMS conv_pair_params
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_pair_persist_constants.h"

const int KERNEL = 3, TAPS = KERNEL * KERNEL;
const int IN_H = (TILE_H - 1) * STRIDE + KERNEL, IN_W = (TILE_W - 1) * STRIDE + KERNEL;
const int SHIFT = (KERNEL - 1) / STRIDE; // the farthest tap in a plane
const int PLANE_H = TILE_H + SHIFT, PLANE_W = TILE_W + SHIFT;
const int ROWS = (TILE_H * PLANE_W + MATRIX_M - 1) / MATRIX_M; // of matrices
const int PIXELS = (STRIDE * STRIDE - 1) * PLANE_H * PLANE_W + ROWS * MATRIX_M + SHIFT * (PLANE_W + 1);
const int UNITS = MIDDLE / 8, TILE_UNITS = TILE_N / 8;
// A unit of padding: the rows that a matrix load reads at a time lie in different banks.
const int PITCH = UNITS + 1, STAGE_PITCH = TILE_UNITS + 1;
const int SOURCE = PIXELS * PITCH, STAGE = ROWS * MATRIX_M * STAGE_PITCH;
const int BIAS = SOURCE > STAGE ? SOURCE : STAGE, FIRST_BIAS = BIAS + TILE_N / 4;
const int LOADS = (IN_H * IN_W * UNITS + WORKGROUP - 1) / WORKGROUP;
const int STORES = (TILE_H * TILE_W * TILE_UNITS + WORKGROUP - 1) / WORKGROUP;
// The first convolution: subgroups of a team share columns of matrices.
const int FIRST_COLUMNS = MIDDLE / MATRIX_N, FIRST_DEPTH = WINDOW / MATRIX_K;
const int TEAMS = FIRST_COLUMNS < SUBGROUPS ? FIRST_COLUMNS : SUBGROUPS;
const int MEMBERS = SUBGROUPS / TEAMS, FIRST_OWN = FIRST_COLUMNS / TEAMS;
const int FIRST_ROWS = (ROWS + MEMBERS - 1) / MEMBERS;
// The second: each subgroup has its columns, and all rows, TOGETHER of them at a time.
const int OWN = TILE_N / MATRIX_N / SUBGROUPS, DEPTH = MIDDLE / MATRIX_K, TOGETHER = 2;

shared uvec4 staged[FIRST_BIAS + MIDDLE / 4];

uvec4 next_source[LOADS], residual[ADD_RESIDUAL != 0 ? STORES : 1];

#define SUMS coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>
#define HALF_SUMS coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>
#define FACTORS coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA>
#define WEIGHTS coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB>

struct tile_place {
    int image, y, x; // of the tile's first pixel
};

tile_place place_of(int tile) {
    const int tiles_x = (p.dst_w + TILE_W - 1) / TILE_W, tiles_y = (p.dst_h + TILE_H - 1) / TILE_H;
    return tile_place(tile / tiles_x / tiles_y, tile / tiles_x % tiles_y * TILE_H, tile % tiles_x * TILE_W);
}

// The pixel of the source's window whose unit t % UNITS this invocation loads j-th.
int pixel_of(int j) { return int(gl_LocalInvocationID.x) / UNITS + j * (WORKGROUP / UNITS); }

void load_source(tile_place at) {
    [[unroll]] for (int j = 0; j < LOADS; j++) {
        const int y = at.y * STRIDE - PADDING + pixel_of(j) / IN_W, x = at.x * STRIDE - PADDING + pixel_of(j) % IN_W;
        next_source[j] = uvec4(0);
        if (pixel_of(j) < IN_H * IN_W && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w)
            next_source[j] = Units(p.src).v[((at.image * p.src_h + y) * p.src_w + x) * UNITS +
                                            int(gl_LocalInvocationID.x) % UNITS];
    }
}

void stage_source() {
    [[unroll]] for (int j = 0; j < LOADS; j++) {
        const int y = pixel_of(j) / IN_W, x = pixel_of(j) % IN_W, plane = y % STRIDE * STRIDE + x % STRIDE;
        if (pixel_of(j) < IN_H * IN_W)
            staged[((plane * PLANE_H + y / STRIDE) * PLANE_W + x / STRIDE) * PITCH +
                   int(gl_LocalInvocationID.x) % UNITS] = next_source[j];
    }
}

// The tile's pixel whose unit t % TILE_UNITS this invocation stores j-th; where that lies, -1: it is not stored.
int result_of(int j) { return int(gl_LocalInvocationID.x) / TILE_UNITS + j * (WORKGROUP / TILE_UNITS); }
int result_place(int j, tile_place at, int first_unit) {
    const int y = at.y + result_of(j) / TILE_W, x = at.x + result_of(j) % TILE_W, units = p.dst_c4 / 2;
    const int unit = first_unit + int(gl_LocalInvocationID.x) % TILE_UNITS;
    return result_of(j) < TILE_H * TILE_W && y < p.dst_h && x < p.dst_w && unit < units
               ? ((at.image * p.dst_h + y) * p.dst_w + x) * units + unit
               : -1;
}

void load_residual(tile_place at, int first_unit) {
    [[unroll]] for (int j = 0; j < STORES; j++) {
        const int place = result_place(j, at, first_unit);
        residual[ADD_RESIDUAL != 0 ? j : 0] = uvec4(0);
        if (place >= 0)
            residual[ADD_RESIDUAL != 0 ? j : 0] = Units(p.residual).v[place];
    }
}

void store_tile(tile_place at, int first_unit) {
    [[unroll]] for (int j = 0; j < STORES; j++) {
        const int place = result_place(j, at, first_unit);
        if (place < 0)
            continue;
        const int row = result_of(j) / TILE_W * PLANE_W + result_of(j) % TILE_W;
        uvec4 x = staged[row * STAGE_PITCH + int(gl_LocalInvocationID.x) % TILE_UNITS];
        if (ADD_RESIDUAL != 0)
            x = add_units(x, residual[ADD_RESIDUAL != 0 ? j : 0], RELU != 0);
        Units(p.dst).v[place] = x;
    }
}

void stage_biases(int first_unit) {
    for (int i = int(gl_LocalInvocationID.x); i < (TILE_N + MIDDLE) / 4; i += WORKGROUP) {
        const int second = 2 * first_unit + i;
        vec4 bias = vec4(0);
        if (i >= TILE_N / 4)
            bias = Floats4(p.first_bias).v[i - TILE_N / 4];
        else if (second < p.dst_c4)
            bias = Floats4(p.bias).v[second];
        staged[BIAS + i] = floatBitsToUint(bias);
    }
}

HALF_SUMS rounded(SUMS sum, float least) {
    [[unroll]] for (int i = 0; i < sum.length(); i++)
        sum[i] = clamp(sum[i], least, 65504.0);
    return HALF_SUMS(sum);
}

WEIGHTS first_weights[FIRST_OWN * FIRST_DEPTH * TAPS], weights[OWN * DEPTH];
int window_unit[FIRST_OWN]; // of the source in shared memory

void load_weights(int team, int subgroup, int column_tile) {
    Units first = Units(p.first_weights), second = Units(p.weights);
    [[unroll]] for (int c = 0; c < FIRST_OWN; c++) {
        const int channel = (c * TEAMS + team) * MATRIX_N, window = channel / WINDOW;
        const int w = window * TAPS * WINDOW * (WINDOW / 8) + channel % WINDOW / 8;
        window_unit[c] = window * WINDOW / 8;
        [[unroll]] for (int d = 0; d < FIRST_DEPTH; d++)
        [[unroll]] for (int i = 0; i < TAPS; i++)
            coopMatLoad(first_weights[(c * FIRST_DEPTH + d) * TAPS + i], first.v,
                        w + (i * WINDOW + d * MATRIX_K) * (WINDOW / 8), WINDOW / 8,
                        gl_CooperativeMatrixLayoutRowMajor);
    }
    [[unroll]] for (int k = 0; k < DEPTH; k++)
    [[unroll]] for (int c = 0; c < OWN; c++)
        coopMatLoad(weights[k * OWN + c], second.v,
                    (column_tile * MIDDLE + k * MATRIX_K) * TILE_UNITS + (c * SUBGROUPS + subgroup) * (MATRIX_N / 8),
                    TILE_UNITS, gl_CooperativeMatrixLayoutRowMajor);
}

// From the staged source to the middle in its place.
void make_middle(int team, int member) {
    SUMS sum[FIRST_OWN * FIRST_ROWS];
    [[unroll]] for (int c = 0; c < FIRST_OWN; c++) {
        SUMS first;
        coopMatLoad(first, staged, FIRST_BIAS + (c * TEAMS + team) * (MATRIX_N / 4), 0,
                    gl_CooperativeMatrixLayoutRowMajor);
        [[unroll]] for (int r = 0; r < FIRST_ROWS; r++)
            sum[c * FIRST_ROWS + r] = first;
        [[unroll]] for (int d = 0; d < FIRST_DEPTH; d++)
        [[unroll]] for (int i = 0; i < TAPS; i++) {
            const int ky = i / KERNEL, kx = i % KERNEL, plane = ky % STRIDE * STRIDE + kx % STRIDE;
            const int shift = (plane * PLANE_H + ky / STRIDE) * PLANE_W + kx / STRIDE;
            [[unroll]] for (int r = 0; r < FIRST_ROWS; r++) {
                FACTORS source;
                // A row too many is the last one again: both write the same.
                const int row = shift + min(r * MEMBERS + member, ROWS - 1) * MATRIX_M;
                coopMatLoad(source, staged, row * PITCH + window_unit[c] + d * (MATRIX_K / 8), PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
                sum[c * FIRST_ROWS + r] = coopMatMulAdd(source, first_weights[(c * FIRST_DEPTH + d) * TAPS + i],
                                                        sum[c * FIRST_ROWS + r]);
            }
        }
    }
    barrier(); // the source has been read
    [[unroll]] for (int c = 0; c < FIRST_OWN; c++)
    [[unroll]] for (int r = 0; r < FIRST_ROWS; r++)
        coopMatStore(rounded(sum[c * FIRST_ROWS + r], 0.0), staged,
                     min(r * MEMBERS + member, ROWS - 1) * MATRIX_M * PITCH + (c * TEAMS + team) * (MATRIX_N / 8),
                     PITCH, gl_CooperativeMatrixLayoutRowMajor);
}

// From the middle to the sums of the second convolution in its place.
void make_sums(int subgroup) {
    HALF_SUMS result[ROWS * OWN];
    [[unroll]] for (int first_row = 0; first_row < ROWS; first_row += TOGETHER) {
        SUMS sum[TOGETHER * OWN];
        [[unroll]] for (int c = 0; c < OWN; c++) {
            SUMS first;
            coopMatLoad(first, staged, BIAS + (c * SUBGROUPS + subgroup) * (MATRIX_N / 4), 0,
                        gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int r = 0; r < TOGETHER; r++)
                sum[r * OWN + c] = first;
        }
        [[unroll]] for (int k = 0; k < DEPTH; k++)
        [[unroll]] for (int r = 0; r < TOGETHER; r++)
            if (first_row + r < ROWS) {
                FACTORS source;
                coopMatLoad(source, staged, (first_row + r) * MATRIX_M * PITCH + k * (MATRIX_K / 8), PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (int c = 0; c < OWN; c++)
                    sum[r * OWN + c] = coopMatMulAdd(source, weights[k * OWN + c], sum[r * OWN + c]);
            }
        [[unroll]] for (int r = 0; r < TOGETHER; r++)
        [[unroll]] for (int c = 0; c < OWN; c++)
            if (first_row + r < ROWS)
                result[(first_row + r) * OWN + c] =
                    rounded(sum[r * OWN + c], RELU != 0 && ADD_RESIDUAL == 0 ? 0.0 : -65504.0);
    }
    barrier(); // the middle has been read
    [[unroll]] for (int r = 0; r < ROWS; r++)
    [[unroll]] for (int c = 0; c < OWN; c++)
        coopMatStore(result[r * OWN + c], staged,
                     r * MATRIX_M * STAGE_PITCH + (c * SUBGROUPS + subgroup) * (MATRIX_N / 8), STAGE_PITCH,
                     gl_CooperativeMatrixLayoutRowMajor);
}

void main() {
    const int column_tiles = (4 * p.dst_c4 + TILE_N - 1) / TILE_N;
    const int tiles = p.images * ((p.dst_h + TILE_H - 1) / TILE_H) * ((p.dst_w + TILE_W - 1) / TILE_W);
    const int stride = int(gl_NumWorkGroups.x) / column_tiles;
    const int column_tile = int(gl_WorkGroupID.x) % column_tiles, first_unit = column_tile * TILE_UNITS;
    int tile = int(gl_WorkGroupID.x) / column_tiles;
    if (tile >= tiles)
        return;
    const int subgroup = int(gl_SubgroupID), team = subgroup % TEAMS, member = subgroup / TEAMS;

    load_source(place_of(tile));
    load_weights(team, subgroup, column_tile);
    stage_biases(first_unit);
    for (; tile < tiles; tile += stride) {
        stage_source();
        barrier();
        if (tile + stride < tiles)
            load_source(place_of(tile + stride));
        make_middle(team, member);
        if (ADD_RESIDUAL != 0)
            load_residual(place_of(tile), first_unit);
        barrier();
        make_sums(subgroup);
        barrier();
        store_tile(place_of(tile), first_unit);
        barrier(); // the next source may come
    }
}
