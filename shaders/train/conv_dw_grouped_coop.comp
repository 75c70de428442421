// conv_dw_grouped_coop.comp - the gradient of a grouped 3x3 convolution's weights on matrix units
// (VK_KHR_cooperative_matrix): fp16 products, fp32 sums.
//
//   dw[o][i][ky][kx] = sum over pixels k = (n, y, x) of src[n][y S + ky - 1][x S + kx - 1][i] gradient[k][o]
//
// Channels are taken in windows of whole groups, WINDOW of them: of the products of a window's inputs and outputs,
// those within a group are kept. A workgroup makes CHANNELS channels over `part` tiles of TILE_H x TILE_W pixels; each
// of its subgroups makes one row ky of the kernel for one window. A later pass adds the splits up.
// Both operands lie pixel by pixel in shared memory, the left one is read from there by columns. Lines of a tile are
// PITCH pixels apart, as are those of its source, and the gradient is zero behind TILE_W: so a run of MATRIX_K pixels
// may pass from line to line, and its source at a tap is as long a run. At stride 2 the source is kept as four planes,
// of even and odd lines and columns, in each of which a tap's pixels are neighbours. The next tile's loads are in
// flight meanwhile.
//   partial: float4[splits][3][3][4 span][dst_c4]
//   workgroups: splits * ceil(channels / CHANNELS), channels innermost
// Preconditions: as many channels out as in, a multiple of 8; padding 1; STRIDE 1 or 2; GROUP divides WINDOW, and so do
// MATRIX_M and MATRIX_N; WINDOW divides CHANNELS; workgroup size 3 * CHANNELS / WINDOW subgroups, all full.
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
#include "conv_dw_grouped_coop_constants.h"
layout(push_constant) uniform Params { train_dw_params p; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Units { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 v[]; };

const int SHIFT = 2 / STRIDE; // lines and columns of a plane beyond the tile's
const int PITCH = TILE_W + SHIFT;
const int PIXELS = (TILE_H * PITCH + MATRIX_K - 1) / MATRIX_K * MATRIX_K; // of the gradient, those behind lines too
const int PLANE = PIXELS + SHIFT * PITCH + SHIFT, PLANES = STRIDE * STRIDE;
const int UNITS = CHANNELS / 8, UNIT_PITCH = UNITS + 1; // a unit of padding: loads then lie in different banks
const int LOADS_A = (PLANES * PLANE * UNITS + WORKGROUP - 1) / WORKGROUP;
const int LOADS_B = (PIXELS * UNITS + WORKGROUP - 1) / WORKGROUP;
const int TILE_B = PLANES * PLANE * UNIT_PITCH; // where the gradient begins
const int TILES = TILE_B + PIXELS * UNIT_PITCH;
const int ROWS = WINDOW / MATRIX_M, COLUMNS = WINDOW / MATRIX_N;
// Sums leave through the same memory, in fp32, of one tap of each subgroup at a time.
const int SUBGROUPS = 3 * CHANNELS / WINDOW, STAGE_PITCH = WINDOW / 4 + 1, STAGE = WINDOW * STAGE_PITCH;

shared uvec4 staged[TILES > SUBGROUPS * STAGE ? TILES : SUBGROUPS * STAGE];

uvec4 next_a[LOADS_A], next_b[LOADS_B];

// Whether a matrix of sums has some of a group.
bool kept(int row, int column) {
    return row * MATRIX_M / GROUP <= ((column + 1) * MATRIX_N - 1) / GROUP &&
           column * MATRIX_N / GROUP <= ((row + 1) * MATRIX_M - 1) / GROUP;
}

// Where a tap's plane begins, and the tap's pixels in it.
int tap_pixel(int ky, int kx) {
    if (STRIDE == 1)
        return ky * PITCH + kx;
    const int plane = (ky + 1) % 2 * 2 + (kx + 1) % 2;
    return plane * PLANE + ky / 2 * PITCH + kx / 2;
}

// Tile `tile` of all images; zero beyond the picture.
void load_tile(int tile, int first_unit) {
    const int tiles_x = (p.dst_w + TILE_W - 1) / TILE_W, tiles_y = (p.dst_h + TILE_H - 1) / TILE_H;
    const int x0 = tile % tiles_x * TILE_W, y0 = tile / tiles_x % tiles_y * TILE_H, image = tile / tiles_x / tiles_y;
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int index = t + j * WORKGROUP, unit = first_unit + index % UNITS, plane = index / UNITS / PLANE;
        const int pixel = index / UNITS % PLANE, row = pixel / PITCH, column = pixel % PITCH;
        const int back_y = STRIDE == 1 ? 1 : plane / 2, back_x = STRIDE == 1 ? 1 : plane % 2;
        const int y = STRIDE * (y0 + row) - back_y, x = STRIDE * (x0 + column) - back_x;
        next_a[j] = uvec4(0);
        if (plane < PLANES && row < TILE_H + SHIFT && y >= 0 && y < p.src_h && x >= 0 && x < p.src_w &&
            unit < p.src_c4 / 2)
            next_a[j] = Units(p.src).v[((image * p.src_h + y) * p.src_w + x) * (p.src_c4 / 2) + unit];
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++) {
        const int index = t + j * WORKGROUP, unit = first_unit + index % UNITS, pixel = index / UNITS;
        const int row = pixel / PITCH, column = pixel % PITCH, y = y0 + row, x = x0 + column;
        next_b[j] = uvec4(0);
        if (row < TILE_H && column < TILE_W && y < p.dst_h && x < p.dst_w && unit < p.dst_c4 / 2)
            next_b[j] = Units(p.gradient).v[((image * p.dst_h + y) * p.dst_w + x) * (p.dst_c4 / 2) + unit];
    }
}

void stage_tile() {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int index = t + j * WORKGROUP;
        if (index < PLANES * PLANE * UNITS)
            staged[index / UNITS * UNIT_PITCH + index % UNITS] = next_a[j];
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++) {
        const int index = t + j * WORKGROUP;
        if (index < PIXELS * UNITS)
            staged[TILE_B + index / UNITS * UNIT_PITCH + index % UNITS] = beyond_range(next_b[j]);
    }
}

// Stores what a subgroup staged at `stage` of a tap: of each block of outputs, the inputs of its groups.
void finish_tap(int stage, int window, int tap, int split) {
    const int blocks = WINDOW / 4, items = 4 * p.span * blocks;
    for (int i = int(gl_SubgroupInvocationID); i < items; i += int(gl_SubgroupSize)) {
        const int block = window / 4 + i % blocks, row = i / blocks;
        if (block >= p.dst_c4)
            continue;
        // As first_source_block in train.glsl.
        const int first = min(4 * block / p.group_dst * p.group_src / 4, p.src_c4 - p.span);
        Floats4(p.partial).v[((split * 9 + tap) * 4 * p.span + row) * p.dst_c4 + block] =
            uintBitsToFloat(staged[stage + (4 * first + row - window) * STAGE_PITCH + i % blocks]);
    }
}

void main() {
    const int sets = (4 * p.dst_c4 + CHANNELS - 1) / CHANNELS;
    const int workgroup = int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x);
    const int split = workgroup / sets, channel = workgroup % sets * CHANNELS;
    if (split >= p.splits)
        return;
    const int tiles = p.images * ((p.dst_w + TILE_W - 1) / TILE_W) * ((p.dst_h + TILE_H - 1) / TILE_H);
    const int first = split * p.part, end = min(first + p.part, tiles);
    const int subgroup = int(gl_SubgroupID), ky = subgroup % 3, part = subgroup / 3; // window of the workgroup's

    coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum[3 * ROWS * COLUMNS];
    [[unroll]] for (int i = 0; i < 3 * ROWS * COLUMNS; i++)
        sum[i] = coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(0.0);

    load_tile(first, channel / 8);
    const int a_at = tap_pixel(ky, 0) * UNIT_PITCH + part * (WINDOW / 8), b_at = TILE_B + part * (WINDOW / 8);
    for (int tile = first; tile < end; tile++) {
        stage_tile();
        barrier();
        if (tile + 1 < end)
            load_tile(tile + 1, channel / 8);
        for (int k = 0; k < PIXELS; k += MATRIX_K) {
            coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> columns[COLUMNS];
            [[unroll]] for (int c = 0; c < COLUMNS; c++)
                coopMatLoad(columns[c], staged, b_at + k * UNIT_PITCH + c * (MATRIX_N / 8), UNIT_PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (int kx = 0; kx < 3; kx++) {
                const int tap = tap_pixel(0, kx) - tap_pixel(0, 0);
                [[unroll]] for (int r = 0; r < ROWS; r++) {
                    coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> rows;
                    coopMatLoad(rows, staged, a_at + (k + tap) * UNIT_PITCH + r * (MATRIX_M / 8), UNIT_PITCH,
                                gl_CooperativeMatrixLayoutColumnMajor);
                    [[unroll]] for (int c = 0; c < COLUMNS; c++)
                        if (kept(r, c))
                            sum[(kx * ROWS + r) * COLUMNS + c] =
                                coopMatMulAdd(rows, columns[c], sum[(kx * ROWS + r) * COLUMNS + c]);
                }
            }
        }
        barrier();
    }

    const int stage = subgroup * STAGE;
    for (int tap = 0; tap < 3; tap++) {
        // The tap picks its sums by branches: a loop around barriers is not unrolled, see conv_coop.comp.
        [[unroll]] for (int kx = 0; kx < 3; kx++)
            if (kx == tap)
                [[unroll]] for (int r = 0; r < ROWS; r++)
                [[unroll]] for (int c = 0; c < COLUMNS; c++)
                    if (kept(r, c))
                        coopMatStore(sum[(kx * ROWS + r) * COLUMNS + c], staged,
                                     stage + r * MATRIX_M * STAGE_PITCH + c * (MATRIX_N / 4), STAGE_PITCH,
                                     gl_CooperativeMatrixLayoutRowMajor);
        barrier();
        finish_tap(stage, channel + part * WINDOW, ky * 3 + tap, split);
        barrier();
    }
}
