// conv_grouped_persist.comp - grouped 3x3 convolution on matrix units whose workgroups live through many tiles
// (VK_KHR_cooperative_matrix): fp16 products, fp32 sums.
//
//   dst[n][y][x][o] = act(bias[o] + residual + sum over ky, kx, i of src[n][y S + ky - P][x S + kx - P][i]
//   w[o][i][ky][kx])
//
// Windows of groups, planes of the source and what lies where in them are conv_grouped_coop.comp's. But a workgroup
// makes the same CHANNELS channels of one tile of TILE_H x TILE_W pixels after the other: its weights stay in
// registers, the next tile's source is on its way while this one is multiplied, and sums leave through shared memory,
// which they share with the source, as whole pixels of CHANNELS channels.
//   weights: half[windows][3][3][WINDOW in][WINDOW out]
//   workgroups: channel tiles * n, channel tiles = ceil(4 dst_c4 / CHANNELS), innermost; any n >= 1. WORKGROUPS, the
//               most of them, is for the caller.
// Preconditions: those of conv_grouped_coop.comp; CHANNELS / MATRIX_N is a multiple of SUBGROUPS or divides it;
// WORKGROUP a multiple of CHANNELS / 8.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_grouped_persist_constants.h"

const int KERNEL = 3, TAPS = KERNEL * KERNEL;
const int IN_H = (TILE_H - 1) * STRIDE + KERNEL, IN_W = (TILE_W - 1) * STRIDE + KERNEL;
const int SHIFT = (KERNEL - 1) / STRIDE; // the farthest tap in a plane
const int PLANE_H = TILE_H + SHIFT, PLANE_W = TILE_W + SHIFT;
const int ROW_MATRICES = (TILE_H * PLANE_W + MATRIX_M - 1) / MATRIX_M;
// The last matrices reach over a plane's end: into the next one, and beyond the last one into spare rows.
const int PIXELS = (STRIDE * STRIDE - 1) * PLANE_H * PLANE_W + ROW_MATRICES * MATRIX_M + SHIFT * (PLANE_W + 1);
const int UNITS = CHANNELS / 8;
// A unit of padding: the rows that a matrix load reads at a time lie in different banks.
const int PITCH = UNITS + 1, STAGE_PITCH = 2 * UNITS + 1;
const int SOURCE = PIXELS * PITCH, STAGE = ROW_MATRICES * MATRIX_M * STAGE_PITCH;
const int COLUMNS = CHANNELS / MATRIX_N;
const int TEAMS = COLUMNS < SUBGROUPS ? COLUMNS : SUBGROUPS; // subgroups of a team share columns of matrices
const int MEMBERS = SUBGROUPS / TEAMS, OWN = COLUMNS / TEAMS; // of them, and of its columns
const int ROWS = (ROW_MATRICES + MEMBERS - 1) / MEMBERS;      // rows of matrices of a member
const int DEPTH = WINDOW / MATRIX_K;
const int COUNT = IN_H * IN_W * UNITS, LOADS = (COUNT + WORKGROUP - 1) / WORKGROUP;

shared uvec4 staged[SOURCE > STAGE ? SOURCE : STAGE];

uvec4 next_source[LOADS];

#define SUMS coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>

struct tile_place {
    int image, y, x; // of the tile's first pixel
};

tile_place place_of(int tile) {
    const int tiles_x = (p.dst_w + TILE_W - 1) / TILE_W, tiles_y = (p.dst_h + TILE_H - 1) / TILE_H;
    return tile_place(tile / tiles_x / tiles_y, tile / tiles_x % tiles_y * TILE_H, tile % tiles_x * TILE_W);
}

// The pixel of the source's window whose unit t % UNITS this invocation loads j-th.
int pixel_of(int j) { return int(gl_LocalInvocationID.x) / UNITS + j * (WORKGROUP / UNITS); }

void load_source(tile_place at, int first_unit) {
    const int src_units = p.src_c4 / 2, unit = first_unit + int(gl_LocalInvocationID.x) % UNITS;
    [[unroll]] for (int j = 0; j < LOADS; j++) {
        const int y = at.y * STRIDE - PADDING + pixel_of(j) / IN_W, x = at.x * STRIDE - PADDING + pixel_of(j) % IN_W;
        next_source[j] = uvec4(0);
        if (pixel_of(j) < IN_H * IN_W && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w && unit < src_units)
            next_source[j] = Units(p.src).v[((at.image * p.src_h + y) * p.src_w + x) * src_units + unit];
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

void store_tile(tile_place at, int first_unit) {
    for (int i = int(gl_LocalInvocationID.x); i < TILE_H * TILE_W * UNITS; i += WORKGROUP) {
        const int unit = i % UNITS, y = i / UNITS / TILE_W, x = i / UNITS % TILE_W;
        if (at.y + y >= p.dst_h || at.x + x >= p.dst_w || first_unit + unit >= p.dst_c4 / 2)
            continue;
        const int from = (y * PLANE_W + x) * STAGE_PITCH + 2 * unit;
        store_unit(uintBitsToFloat(staged[from]), uintBitsToFloat(staged[from + 1]),
                   (at.image * p.dst_h + at.y + y) * p.dst_w + at.x + x, first_unit + unit, ADD_RESIDUAL != 0,
                   RELU != 0);
    }
}

void main() {
    const int channel_tiles = (4 * p.dst_c4 + CHANNELS - 1) / CHANNELS;
    const int tiles = p.images * ((p.dst_h + TILE_H - 1) / TILE_H) * ((p.dst_w + TILE_W - 1) / TILE_W);
    const int stride = int(gl_NumWorkGroups.x) / channel_tiles;
    const int first_channel = int(gl_WorkGroupID.x) % channel_tiles * CHANNELS, first_unit = first_channel / 8;
    int tile = int(gl_WorkGroupID.x) / channel_tiles;
    if (tile >= tiles)
        return;
    const int subgroup = int(gl_SubgroupID), team = subgroup % TEAMS, member = subgroup / TEAMS;

    load_source(place_of(tile), first_unit);
    Units units = Units(p.weights);
    coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> weights[OWN * DEPTH * TAPS];
    int window_unit[OWN]; // of the source in shared memory
    [[unroll]] for (int c = 0; c < OWN; c++) {
        const int channel = first_channel + (c * TEAMS + team) * MATRIX_N;
        const int window = min(channel, 4 * p.dst_c4 - 1) / WINDOW;
        const int w = window * TAPS * WINDOW * (WINDOW / 8) + channel % WINDOW / 8;
        window_unit[c] = (window * WINDOW - first_channel) / 8;
        [[unroll]] for (int d = 0; d < DEPTH; d++)
        [[unroll]] for (int i = 0; i < TAPS; i++)
            coopMatLoad(weights[(c * DEPTH + d) * TAPS + i], units.v, w + (i * WINDOW + d * MATRIX_K) * (WINDOW / 8),
                        WINDOW / 8, gl_CooperativeMatrixLayoutRowMajor);
    }

    for (; tile < tiles; tile += stride) {
        stage_source();
        barrier();
        if (tile + stride < tiles)
            load_source(place_of(tile + stride), first_unit);
        SUMS sum[OWN * ROWS];
        [[unroll]] for (int i = 0; i < OWN * ROWS; i++)
            sum[i] = SUMS(0.0);
        [[unroll]] for (int c = 0; c < OWN; c++)
        [[unroll]] for (int d = 0; d < DEPTH; d++)
        [[unroll]] for (int ky = 0; ky < KERNEL; ky++)
        [[unroll]] for (int kx = 0; kx < KERNEL; kx++) {
            const int plane = ky % STRIDE * STRIDE + kx % STRIDE;
            const int shift = (plane * PLANE_H + ky / STRIDE) * PLANE_W + kx / STRIDE;
            [[unroll]] for (int r = 0; r < ROWS; r++) {
                coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> source;
                // A row too many is the last one again, which is not stored.
                const int first = shift + min(r * MEMBERS + member, ROW_MATRICES - 1) * MATRIX_M;
                coopMatLoad(source, staged, first * PITCH + window_unit[c] + d * (MATRIX_K / 8), PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
                sum[c * ROWS + r] =
                    coopMatMulAdd(source, weights[(c * DEPTH + d) * TAPS + ky * KERNEL + kx], sum[c * ROWS + r]);
            }
        }
        barrier(); // the source has been read
        [[unroll]] for (int c = 0; c < OWN; c++)
        [[unroll]] for (int r = 0; r < ROWS; r++)
            if (r * MEMBERS + member < ROW_MATRICES)
                coopMatStore(sum[c * ROWS + r], staged,
                             (r * MEMBERS + member) * MATRIX_M * STAGE_PITCH + (c * TEAMS + team) * (MATRIX_N / 4),
                             STAGE_PITCH, gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        store_tile(place_of(tile), first_unit);
        barrier(); // the next source may come
    }
}
