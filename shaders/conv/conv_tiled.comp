// conv_tiled.comp - dense convolution of any kernel size as an implicit matrix product through shared memory, in fp32.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over k = (ky, kx, i) of src[pixel(m, ky, kx)][i] w[k][o])
//
// A workgroup makes TILE_M pixels x TILE_N channels, an invocation PART_M x PART_N of them: pixels and blocks of four
// channels that lie THREADS_M and THREADS_N apart. SPLITS invocations share each part: split s sums the s-th TILE_K
// rows of every step and the epilogue adds the splits up, so that a layer of few pixels keeps more invocations busy.
// A step stages TILE_K * SPLITS rows of both operands in shared memory; the next step's loads are in flight meanwhile.
//   weights: storage4[ceil(4 dst_c4 / TILE_N)][rows][TILE_N / 4], rows = KERNEL_H KERNEL_W 4 src_c4 rounded up to
//            TILE_K * SPLITS with zeros
//   workgroups: ceil(pixels / TILE_M) * ceil(4 dst_c4 / TILE_N), channel tiles innermost: they share source pixels
// Preconditions: groups = 1; every size a power of two; TILE_K >= 4, PART_N >= 4; workgroup size THREADS_M * THREADS_N
// * SPLITS; it divides both TILE_M * UNITS and DEPTH * TILE_N / 4, and UNITS divides it.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

#include "constants.glsl"
#include "conv_tiled_constants.h"

const int THREADS_M = TILE_M / PART_M, THREADS_N = TILE_N / PART_N;
const int PART_N4 = PART_N / 4, TILE_N4 = TILE_N / 4;
const int DEPTH = TILE_K * SPLITS; // rows of k a step
const int UNITS = DEPTH / 4;
const int LOADS_A = TILE_M * UNITS / WORKGROUP, LOADS_B = DEPTH * TILE_N4 / WORKGROUP;
const int PITCH_A = UNITS + 1; // a unit of padding: pixels next to each other lie in different banks
// Four rows of b, likewise padded where splits next to each other read them at a time.
const int PITCH_B = 4 * TILE_N4 + (SPLITS > 1 && TILE_N4 < 8 ? TILE_N4 : 0);
const int TILE_B = TILE_M * PITCH_A; // where b begins
const int TILES = TILE_B + UNITS * PITCH_B, SUMS = SPLITS > 1 ? SPLITS * TILE_M * TILE_N4 : 0;
const int TAP_COLUMNS = KERNEL_W;
const bool POINTWISE = KERNEL_H == 1 && KERNEL_W == 1 && PADDING == 0;

layout(push_constant) uniform Params { conv_params p; };

shared vec4 staged[TILES > SUMS ? TILES : SUMS];

#ifdef STORAGE_FP16
#define UNIT uvec2
#else
#define UNIT vec4
#endif
UNIT next_a[LOADS_A], next_b[LOADS_B];
#include "window.glsl"

int source_units() { return p.src_c4; }
UNIT load_unit(int pixel, int unit) { return Storage4(p.src).v[pixel * p.src_c4 + unit]; }
UNIT load_taps(int row, int x) { return load_tap(row, x); }

// b: this invocation's first weights of the step.
void load_step(int b) {
    [[unroll]] for (int j = 0; j < LOADS_A; j++)
        next_a[j] = load_window(j);
    [[unroll]] for (int j = 0; j < LOADS_B; j++)
        next_b[j] = Storage4(p.weights).v[b + WORKGROUP * j];
    advance_window();
}

void stage_step() {
    const int t = int(gl_LocalInvocationID.x);
    [[unroll]] for (int j = 0; j < LOADS_A; j++) {
        const int at = t + WORKGROUP * j;
        staged[at / UNITS * PITCH_A + at % UNITS] = unpack4(next_a[j]);
    }
    [[unroll]] for (int j = 0; j < LOADS_B; j++) {
        const int at = t + WORKGROUP * j;
        staged[TILE_B + at / (4 * TILE_N4) * PITCH_B + at % (4 * TILE_N4)] = unpack4(next_b[j]);
    }
}

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
    const int tn = t % THREADS_N, tm = t / THREADS_N % THREADS_M, split = t / (THREADS_N * THREADS_M);
    const int steps = (KERNEL_H * KERNEL_W * p.src_c4 + UNITS - 1) / UNITS;

    vec4 sum[PART_M * PART_N4];
    [[unroll]] for (int i = 0; i < PART_M * PART_N4; i++)
        sum[i] = vec4(0);

    start_window(m0, pixels);
    int b = n_tile * steps * (DEPTH * TILE_N4) + t;
    load_step(b);
    for (int step = 0; step < steps; step++) {
        stage_step();
        barrier();
        b += DEPTH * TILE_N4;
        if (step + 1 < steps)
            load_step(b);
        for (int u = split * (TILE_K / 4); u < (split + 1) * (TILE_K / 4); u++) {
            vec4 a[PART_M];
            [[unroll]] for (int m = 0; m < PART_M; m++)
                a[m] = staged[(tm + THREADS_M * m) * PITCH_A + u];
            [[unroll]] for (int i = 0; i < 4; i++)
            [[unroll]] for (int n = 0; n < PART_N4; n++) {
                const vec4 w = staged[TILE_B + u * PITCH_B + i * TILE_N4 + tn + THREADS_N * n];
                [[unroll]] for (int m = 0; m < PART_M; m++)
                    sum[m * PART_N4 + n] = fma(vec4(a[m][i]), w, sum[m * PART_N4 + n]);
            }
        }
        barrier();
    }

    if (SPLITS == 1) {
        [[unroll]] for (int m = 0; m < PART_M; m++)
        [[unroll]] for (int n = 0; n < PART_N4; n++)
            finish(sum[m * PART_N4 + n], m0 + tm + THREADS_M * m, n_tile * TILE_N4 + tn + THREADS_N * n);
        return;
    }
    [[unroll]] for (int m = 0; m < PART_M; m++)
    [[unroll]] for (int n = 0; n < PART_N4; n++)
        staged[(split * TILE_M + tm + THREADS_M * m) * TILE_N4 + tn + THREADS_N * n] = sum[m * PART_N4 + n];
    barrier();
    for (int i = t; i < TILE_M * TILE_N4; i += WORKGROUP) {
        vec4 v = staged[i];
        for (int s = 1; s < SPLITS; s++)
            v += staged[s * TILE_M * TILE_N4 + i];
        finish(v, m0 + i / TILE_N4, n_tile * TILE_N4 + i % TILE_N4);
    }
}
