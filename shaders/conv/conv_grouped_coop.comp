// conv_grouped_coop.comp - grouped 3x3 convolution on matrix units (VK_KHR_cooperative_matrix): fp16 products, fp32
// sums.
//
//   dst[n][y][x][o] = act(bias[o] + residual + sum over ky, kx, i of src[n][y S + ky - P][x S + kx - P][i]
//   w[o][i][ky][kx])
//
// Groups are narrower than the matrix units, so WINDOW neighbouring channels, whole groups, are taken as one dense
// convolution of WINDOW to WINDOW channels whose weights are zero between groups. A workgroup makes TILE_H x TILE_W
// pixels of CHANNELS channels. Their source window with its halo is loaded once, as STRIDE x STRIDE planes: plane (a,
// b) holds rows a, a + S ... and columns b, b + S .... In a plane, a tap of the kernel is a shift, and numbering pixels
// along rows of PLANE_W makes the shift the same for all of them: each tap is one product of MATRIX_M consecutive rows
// by MATRIX_K channels. The sums of the PLANE_W - TILE_W pixels at a row's end are discarded.
//   weights: half[windows][3][3][WINDOW in][WINDOW out]
//   workgroups: images * ceil(dst_h / TILE_H) * ceil(dst_w / TILE_W) * ceil(4 dst_c4 / CHANNELS), channels innermost
// Preconditions: channels in = channels out; their number per group divides WINDOW; MATRIX_N and MATRIX_K divide
// WINDOW; WINDOW divides CHANNELS; STRIDE 1 or 2; subgroups are full; the number of subgroups divides CHANNELS /
// MATRIX_N or is a multiple of it.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "matrix.glsl"

#include "constants.glsl"
#include "conv_grouped_coop_constants.h"

const int KERNEL = 3, TAPS = KERNEL * KERNEL;
const int IN_H = (TILE_H - 1) * STRIDE + KERNEL, IN_W = (TILE_W - 1) * STRIDE + KERNEL;
const int SHIFT = (KERNEL - 1) / STRIDE; // the farthest tap in a plane
const int PLANE_H = TILE_H + SHIFT, PLANE_W = TILE_W + SHIFT;
const int ROW_MATRICES = (TILE_H * PLANE_W + MATRIX_M - 1) / MATRIX_M;
// The last matrices reach over a plane's end: into the next one, and beyond the last one into spare rows.
const int PIXELS = (STRIDE * STRIDE - 1) * PLANE_H * PLANE_W + ROW_MATRICES * MATRIX_M + SHIFT * (PLANE_W + 1);
const int UNITS = CHANNELS / 8;
// A unit of padding: the eight rows that a matrix load reads at a time lie in different banks.
const int PITCH = UNITS + 1;
// Behind the source, sums on their way out, in fp32, one matrix a subgroup.
const int STAGE = PIXELS * PITCH, STAGE_PITCH = MATRIX_N / 4 + 1;
const int COLUMNS = CHANNELS / MATRIX_N;
const int TEAMS = COLUMNS < SUBGROUPS ? COLUMNS : SUBGROUPS; // subgroups of a team share a column of matrices
const int MEMBERS = SUBGROUPS / TEAMS;
const int DEPTH = WINDOW / MATRIX_K;
const int ROWS = 2; // matrices of sums that a subgroup works on at a time
const int TURNS = (ROW_MATRICES + MEMBERS * ROWS - 1) / (MEMBERS * ROWS);

shared uvec4 staged[STAGE + SUBGROUPS * MATRIX_M * STAGE_PITCH];

void stage_source(int image, int y0, int x0, int first_unit) {
    const int count = IN_H * IN_W * UNITS, together = 4;
    const int src_units = p.src_c4 / 2;
    for (int base = int(gl_LocalInvocationID.x); base < count; base += WORKGROUP * together) {
        uvec4 value[together];
        [[unroll]] for (int j = 0; j < together; j++) {
            const int i = base + WORKGROUP * j;
            const int unit = first_unit + i % UNITS, y = y0 + i / UNITS / IN_W, x = x0 + i / UNITS % IN_W;
            value[j] = uvec4(0);
            if (i < count && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w && unit < src_units)
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

// Stores a matrix of sums that its subgroup put into the staging area at `stage`.
void finish_matrix(int stage, int row_matrix, int image, int y0, int x0, int first_unit) {
    for (int i = int(gl_SubgroupInvocationID); i < MATRIX_M * MATRIX_N / 8; i += int(gl_SubgroupSize)) {
        const int row = i / (MATRIX_N / 8), unit = i % (MATRIX_N / 8);
        const int pixel = row_matrix * MATRIX_M + row;
        const int y = pixel / PLANE_W, x = pixel % PLANE_W;
        if (y >= TILE_H || x >= TILE_W || y0 + y >= p.dst_h || x0 + x >= p.dst_w || first_unit + unit >= p.dst_c4 / 2)
            continue;
        const int at = stage + row * STAGE_PITCH + 2 * unit;
        store_unit(uintBitsToFloat(staged[at]), uintBitsToFloat(staged[at + 1]),
                   (image * p.dst_h + y0 + y) * p.dst_w + x0 + x,
                   first_unit + unit, ADD_RESIDUAL != 0, RELU != 0);
    }
}

void main() {
    const int channel_tiles = (4 * p.dst_c4 + CHANNELS - 1) / CHANNELS;
    const int tiles_x = (p.dst_w + TILE_W - 1) / TILE_W, tiles_y = (p.dst_h + TILE_H - 1) / TILE_H;
    int tile = workgroup_index();
    const int first_channel = tile % channel_tiles * CHANNELS;
    tile /= channel_tiles;
    const int x0 = tile % tiles_x * TILE_W;
    tile /= tiles_x;
    const int y0 = tile % tiles_y * TILE_H, image = tile / tiles_y;
    if (image >= p.images)
        return;
    stage_source(image, y0 * STRIDE - PADDING, x0 * STRIDE - PADDING, first_channel / 8);
    barrier();

    const int subgroup = int(gl_SubgroupID), team = subgroup % TEAMS, member = subgroup / TEAMS;
    const int stage = STAGE + subgroup * MATRIX_M * STAGE_PITCH;
    Units weights = Units(p.weights);
    // Every subgroup makes the same number of turns, those without work too: lavapipe takes a subgroup's barrier for
    // the workgroup's (Mesa 26.2). What they compute twice or beyond the tile is not stored.
    for (int column = team; column < COLUMNS; column += TEAMS) {
        const int channel = first_channel + column * MATRIX_N;
        const int window = min(channel, 4 * p.dst_c4 - 1) / WINDOW;
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
            // Unrolled, it keeps more weights than there are registers (NVK on Turing).
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
                finish_matrix(stage, row + r, image, y0, x0, channel / 8);
                subgroup_barrier();
            }
        }
    }
}
