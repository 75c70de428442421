// conv_pair_coop.comp - grouped 3x3 convolution and the 1x1 behind it on matrix units (VK_KHR_cooperative_matrix): what
// is between them stays in shared memory. fp16 products, fp32 sums; the middle is rounded to fp16, as it would be in
// memory.
//
//   middle[n][y][x][c] = max(0, bias1[c] + sum over ky, kx, i of src[n][y S + ky - P][x S + kx - P][i]
//   w1[c][i][ky][kx]) dst[n][y][x][o] = act(bias[o] + residual + sum over c of middle[n][y][x][c] w[o][c])
//
// A workgroup makes TILE_H x TILE_W pixels of all channels. The first convolution runs as in conv_grouped_coop.comp,
// CHUNK channels at a time. Then each subgroup multiplies all its pixels' middle by two columns of matrices of the
// second's weights at a time, which it reads right from memory: they are small and every workgroup reads the same.
//   first_weights: half[windows][3][3][WINDOW in][WINDOW out]
//   weights: half[ceil(4 dst_c4 / TILE_N)][4 * src_c4][TILE_N]
//   workgroups: images * ceil(dst_h / TILE_H) * ceil(dst_w / TILE_W)
// Preconditions: those of conv_grouped_coop.comp, with CHUNK for CHANNELS; MIDDLE = 4 * src_c4, a multiple of CHUNK and
// of MATRIX_K; TILE_N is a multiple of 2 * MATRIX_N; MATRIX_N a multiple of 8.
#version 460
#extension GL_GOOGLE_include_directive : require
#define PARAMS conv_pair_params
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_pair_coop_constants.h"

const int KERNEL = 3, TAPS = KERNEL * KERNEL;
const int IN_H = (TILE_H - 1) * STRIDE + KERNEL, IN_W = (TILE_W - 1) * STRIDE + KERNEL;
const int SHIFT = (KERNEL - 1) / STRIDE; // the farthest tap in a plane
const int PLANE_H = TILE_H + SHIFT, PLANE_W = TILE_W + SHIFT;
const int ROW_MATRICES = (TILE_H * PLANE_W + MATRIX_M - 1) / MATRIX_M;
const int PIXELS = (STRIDE * STRIDE - 1) * PLANE_H * PLANE_W + ROW_MATRICES * MATRIX_M + SHIFT * (PLANE_W + 1);
const int UNITS = CHUNK / 8;
// A unit of padding: the eight rows that a matrix load reads at a time lie in different banks.
const int PITCH = UNITS + 1;
const int COLUMNS = CHUNK / MATRIX_N;
const int TEAMS = COLUMNS < SUBGROUPS ? COLUMNS : SUBGROUPS; // subgroups of a team share a column of matrices
const int MEMBERS = SUBGROUPS / TEAMS;
const int DEPTH = WINDOW / MATRIX_K;
const int ROWS = 2; // matrices of sums that a subgroup works on at a time
const int TURNS = (ROW_MATRICES + MEMBERS * ROWS - 1) / (MEMBERS * ROWS);

const int TILE_MATRICES = (TILE_H * TILE_W + MATRIX_M - 1) / MATRIX_M; // of the second convolution
const int TWO = 2;                                                     // columns of it that a subgroup makes at a time
// Units of a matrix that an invocation stores. A loop over them is unrolled, and with it those around it: else the sums
// would not stay in registers (NVK).
const int LANES = WORKGROUP / SUBGROUPS, MATRIX_UNITS = MATRIX_M * MATRIX_N / 8;
const int STORES = (MATRIX_UNITS + LANES - 1) / LANES;
const int MIDDLE_PITCH = MIDDLE / 8 + 1;
// Shared memory: the source's window, then each subgroup's sums on their way out, in fp32, one matrix; then the middle.
const int STAGE = PIXELS * PITCH, STAGE_PITCH = MATRIX_N / 4 + 1;
const int MIDDLE_AT = STAGE + SUBGROUPS * MATRIX_M * STAGE_PITCH;
shared uvec4 staged[MIDDLE_AT + TILE_MATRICES * MATRIX_M * MIDDLE_PITCH];

void stage_source(int image, int y0, int x0, int first_unit) {
    const int count = IN_H * IN_W * UNITS, together = 4;
    const int src_units = p.src_c4 / 2;
    for (int base = int(gl_LocalInvocationID.x); base < count; base += WORKGROUP * together) {
        uvec4 value[together];
        [[unroll]] for (int j = 0; j < together; j++) {
            const int i = base + WORKGROUP * j;
            const int unit = first_unit + i % UNITS, y = y0 + i / UNITS / IN_W, x = x0 + i / UNITS % IN_W;
            value[j] = uvec4(0);
            if (i < count && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w)
                value[j] = Units(p.src).v[((image * p.src_h + y) * p.src_w + x) * src_units + unit];
        }
        [[unroll]] for (int j = 0; j < together; j++) {
            const int i = base + WORKGROUP * j;
            const int y = i / UNITS / IN_W, x = i / UNITS % IN_W;
            const int plane = y % STRIDE * STRIDE + x % STRIDE;
            if (i < count)
                staged[((plane * PLANE_H + y / STRIDE) * PLANE_W + x / STRIDE) * PITCH + i % UNITS] = value[j];
        }
    }
}

// Keeps a matrix of the first convolution's sums, which its subgroup put into the staging area, as middle.
void keep_matrix(int stage, int row_matrix, int first_unit) {
    Floats4 bias = Floats4(p.first_bias);
    [[unroll]] for (int j = 0; j < STORES; j++) {
        const int i = int(gl_SubgroupInvocationID) + j * LANES;
        const int row = i / (MATRIX_N / 8), unit = i % (MATRIX_N / 8);
        const int pixel = row_matrix * MATRIX_M + row;
        const int y = pixel / PLANE_W, x = pixel % PLANE_W;
        if (i >= MATRIX_UNITS || y >= TILE_H || x >= TILE_W)
            continue;
        const int at = stage + row * STAGE_PITCH + 2 * unit, b = 2 * (first_unit + unit);
        const vec4 low = max(uintBitsToFloat(staged[at]) + bias.v[b], vec4(0));
        const vec4 high = max(uintBitsToFloat(staged[at + 1]) + bias.v[b + 1], vec4(0));
        const int to = MIDDLE_AT + (y * TILE_W + x) * MIDDLE_PITCH + first_unit + unit;
        staged[to] = uvec4(pack_halves(low), pack_halves(high));
    }
}

// Stores a matrix of the second convolution's sums that its subgroup put into the staging area.
void finish_matrix(int stage, int row_matrix, int image, int y0, int x0, int first_unit) {
    [[unroll]] for (int j = 0; j < STORES; j++) {
        const int i = int(gl_SubgroupInvocationID) + j * LANES;
        const int row = i / (MATRIX_N / 8), unit = i % (MATRIX_N / 8);
        const int pixel = row_matrix * MATRIX_M + row;
        const int y = pixel / TILE_W, x = pixel % TILE_W;
        if (i >= MATRIX_UNITS || y >= TILE_H || y0 + y >= p.dst_h || x0 + x >= p.dst_w ||
            first_unit + unit >= p.dst_c4 / 2)
            continue;
        const int at = stage + row * STAGE_PITCH + 2 * unit;
        store_unit(uintBitsToFloat(staged[at]), uintBitsToFloat(staged[at + 1]),
                   (image * p.dst_h + y0 + y) * p.dst_w + x0 + x, first_unit + unit, ADD_RESIDUAL != 0, RELU != 0);
    }
}

// The middle's channels [first_channel, first_channel + CHUNK) from the staged source. Every subgroup makes the same
// number of turns, those without work too: lavapipe takes a subgroup's barrier for the workgroup's (Mesa 26.2). What
// they compute twice is kept twice.
void make_middle(int first_channel, int subgroup, int stage) {
    const int team = subgroup % TEAMS, member = subgroup / TEAMS;
    Units weights = Units(p.first_weights);
    [[dont_unroll]] for (int column = team; column < COLUMNS; column += TEAMS) {
        const int channel = first_channel + column * MATRIX_N;
        const int window = channel / WINDOW;
        const int w = window * TAPS * WINDOW * (WINDOW / 8) + channel % WINDOW / 8;
        const int window_unit = (window * WINDOW - first_channel) / 8;
        coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> taps[TAPS];
        if (DEPTH == 1) // one block of weights stays for all rows
            [[unroll]] for (int i = 0; i < TAPS; i++)
                coopMatLoad(taps[i], weights.v, w + i * WINDOW * (WINDOW / 8), WINDOW / 8,
                            gl_CooperativeMatrixLayoutRowMajor);
        [[dont_unroll]] for (int turn = 0; turn < TURNS; turn++) {
            const int row = (turn * MEMBERS + member) * ROWS;
            coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[ROWS];
            [[unroll]] for (int r = 0; r < ROWS; r++)
                sum[r] = coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0.0);
            [[dont_unroll]] for (int d = 0; d < DEPTH; d++) {
                if (DEPTH > 1)
                    [[unroll]] for (int i = 0; i < TAPS; i++)
                        coopMatLoad(taps[i], weights.v, w + (i * WINDOW + d * MATRIX_K) * (WINDOW / 8), WINDOW / 8,
                                    gl_CooperativeMatrixLayoutRowMajor);
                const int a = window_unit + d * (MATRIX_K / 8);
                [[unroll]] for (int ky = 0; ky < KERNEL; ky++)
                [[unroll]] for (int kx = 0; kx < KERNEL; kx++) {
                    const int plane = ky % STRIDE * STRIDE + kx % STRIDE;
                    const int shift = (plane * PLANE_H + ky / STRIDE) * PLANE_W + kx / STRIDE;
                    [[unroll]] for (int r = 0; r < ROWS; r++) {
                        coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> source;
                        const int first = shift + min(row + r, ROW_MATRICES - 1) * MATRIX_M;
                        coopMatLoad(source, staged, a + first * PITCH, PITCH, gl_CooperativeMatrixLayoutRowMajor);
                        sum[r] = coopMatMulAdd(source, taps[ky * KERNEL + kx], sum[r]);
                    }
                }
            }
            [[unroll]] for (int r = 0; r < ROWS; r++) {
                coopMatStore(sum[r], staged, stage, STAGE_PITCH, gl_CooperativeMatrixLayoutRowMajor);
                subgroup_barrier();
                if (row + r < ROW_MATRICES)
                    keep_matrix(stage, row + r, channel / 8);
                subgroup_barrier();
            }
        }
    }
}

void main() {
    const int tiles_x = (p.dst_w + TILE_W - 1) / TILE_W, tiles_y = (p.dst_h + TILE_H - 1) / TILE_H;
    int tile = workgroup_index();
    const int x0 = tile % tiles_x * TILE_W;
    tile /= tiles_x;
    const int y0 = tile % tiles_y * TILE_H, image = tile / tiles_y;
    if (image >= p.images)
        return;
    const int subgroup = int(gl_SubgroupID);
    const int stage = STAGE + subgroup * MATRIX_M * STAGE_PITCH;
    [[dont_unroll]] for (int channel = 0; channel < MIDDLE; channel += CHUNK) {
        stage_source(image, y0 * STRIDE - PADDING, x0 * STRIDE - PADDING, channel / 8);
        barrier();
        make_middle(channel, subgroup, stage);
        barrier();
    }

    // Rows of the middle behind the last pixel hold what happens to lie there: they make sums that are not stored.
    const int columns = (4 * p.dst_c4 + MATRIX_N - 1) / MATRIX_N;
    const int turns = (columns + SUBGROUPS * TWO - 1) / (SUBGROUPS * TWO);
    Units weights = Units(p.weights);
    [[dont_unroll]] for (int turn = 0; turn < turns; turn++) {
        const int column = (turn * SUBGROUPS + subgroup) * TWO, n = min(column, columns - 1) / TWO * TWO * MATRIX_N;
        int w = n / TILE_N * MIDDLE * (TILE_N / 8) + n % TILE_N / 8;
        coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[TILE_MATRICES * TWO];
        [[unroll]] for (int i = 0; i < TILE_MATRICES * TWO; i++)
            sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0.0);
        [[dont_unroll]] for (int k = 0; k < MIDDLE / 8; k += MATRIX_K / 8, w += MATRIX_K * (TILE_N / 8)) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> right[TWO];
            [[unroll]] for (int c = 0; c < TWO; c++)
                coopMatLoad(right[c], weights.v, w + c * (MATRIX_N / 8), TILE_N / 8,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int r = 0; r < TILE_MATRICES; r++) {
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> left;
                coopMatLoad(left, staged, MIDDLE_AT + r * MATRIX_M * MIDDLE_PITCH + k, MIDDLE_PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (int c = 0; c < TWO; c++)
                    sum[r * TWO + c] = coopMatMulAdd(left, right[c], sum[r * TWO + c]);
            }
        }
        [[unroll]] for (int r = 0; r < TILE_MATRICES; r++)
        [[unroll]] for (int c = 0; c < TWO; c++) {
            coopMatStore(sum[r * TWO + c], staged, stage, STAGE_PITCH, gl_CooperativeMatrixLayoutRowMajor);
            subgroup_barrier();
            if (column < columns)
                finish_matrix(stage, r, image, y0, x0, n / 8 + c * (MATRIX_N / 8));
            subgroup_barrier();
        }
    }
}
