// conv_grouped_half.comp - grouped convolution of a small kernel from registers with packed half precision
// multiply-adds: for GPUs without matrix units whose fp16 rate is above their fp32 rate.
//
//   dst[n][y][x][o] = act(bias[o] + residual + sum over ky, kx, i of
//                         src[n][y S + ky - P][x S + kx - P][i] w[o][i][ky][kx])
//
// An invocation makes a unit of eight output channels, 16 bytes, of PIXELS neighbours in a row, from one row of the
// window and one unit of its input channels at a time: its weights and the pixels of that row are all that it holds
// besides the sums, so that a GPU keeps many invocations. Invocations run over units first, and so read and write
// memory side by side. SPAN 1 says that a group is four channels wide: a unit is two groups. Else it is SPAN / 2 units.
//   Products of a row (four channels by KERNEL taps) or of a tap (eight channels) are summed in fp16, those sums in
//   fp32: the result is off by at most so many times 2^-11 of the sum of the products' magnitudes.
//   weights: half[ceil(dst_c4 / 16)][KERNEL][KERNEL][SPAN][4 in][8 units][8 out]
//   workgroups: images * dst_h * ceil(dst_w / PIXELS) * dst_c4 / 2 invocations
// Preconditions: groups as wide in as out, of four channels or of whole units; SPAN 1 or even.
#version 460
#extension GL_GOOGLE_include_directive : require
#include "units.glsl"

#include "constants.glsl"
#include "conv_grouped_half_constants.h"

const int REACH = (PIXELS - 1) * STRIDE + KERNEL; // input columns that PIXELS outputs need
const bool TWO_GROUPS = SPAN == 1;
const int SOURCE_UNITS = TWO_GROUPS ? 1 : SPAN / 2, INPUTS = TWO_GROUPS ? 4 : 8; // of a group; of a unit's product
const int TAP_WEIGHTS = SPAN * 4 * 8;                                          // units of weights of a tap

uvec4 source[REACH];
f16vec2 chain[PIXELS * 4];
vec2 sum[PIXELS * 4];

// Channel i of a source unit, twice.
f16vec2 both(uvec4 unit, int i) { return f16vec2(unpackFloat2x16(unit[i / 2])[i % 2]); }

// The unit `index` of an array; what is read at constant places from there on needs no further arithmetic.
Units from(ADDRESS array, int index) {
    uint carry;
    const uint low = uaddCarry(array.x, uint(index) << 4, carry);
    return Units(uvec2(low, array.y + (uint(index) >> 28) + carry));
}

void add_tap(Units weights, int tap, int kx) {
    [[unroll]] for (int i = 0; i < INPUTS; i++) {
        const uvec4 weight = weights.v[tap + 8 * i];
        [[unroll]] for (int x = 0; x < PIXELS; x++)
        [[unroll]] for (int o = 0; o < 4; o++) {
            // The second group's channels are the unit's last four.
            const f16vec2 value = both(source[x * STRIDE + kx], TWO_GROUPS && o >= 2 ? 4 + i : i);
            chain[4 * x + o] = fma(value, unpackFloat2x16(weight[o]), chain[4 * x + o]);
        }
    }
}

void end_chain() {
    [[unroll]] for (int i = 0; i < PIXELS * 4; i++) {
        sum[i] += vec2(chain[i]);
        chain[i] = f16vec2(0);
    }
}

void main() {
    const int strips = (p.dst_w + PIXELS - 1) / PIXELS, units = p.dst_c4 / 2;
    int index = workgroup_index() * int(gl_WorkGroupSize.x) + int(gl_LocalInvocationID.x);
    const int unit = index % units;
    index /= units;
    const int x0 = index % strips * PIXELS;
    index /= strips;
    const int y = index % p.dst_h, n = index / p.dst_h;
    if (n >= p.images)
        return;

    [[unroll]] for (int i = 0; i < PIXELS * 4; i++) {
        sum[i] = vec2(0);
        chain[i] = f16vec2(0);
    }
    const int first = unit / SOURCE_UNITS * SOURCE_UNITS;
    const int w = unit / 8 * KERNEL * KERNEL * TAP_WEIGHTS + unit % 8;
    [[dont_unroll]] for (int step = 0; step < SOURCE_UNITS * KERNEL; step++) {
        const int u = step / KERNEL, ky = step % KERNEL, sy = y * STRIDE + ky - PADDING;
        if (sy < 0 || sy >= p.src_h)
            continue;
        const int row = (n * p.src_h + sy) * p.src_w;
        Units weights = from(p.weights, w + ky * KERNEL * TAP_WEIGHTS + u * 64);
        [[unroll]] for (int c = 0; c < REACH; c++) {
            const int sx = x0 * STRIDE + c - PADDING;
            source[c] = uvec4(0);
            if (sx >= 0 && sx < p.src_w)
                source[c] = Units(p.src).v[(row + sx) * (p.src_c4 / 2) + first + u];
        }
        [[unroll]] for (int kx = 0; kx < KERNEL; kx++) {
            add_tap(weights, kx * TAP_WEIGHTS, kx);
            if (!TWO_GROUPS || kx == KERNEL - 1)
                end_chain();
        }
    }

    [[unroll]] for (int x = 0; x < PIXELS; x++)
        if (x0 + x < p.dst_w)
            store_unit(vec4(sum[4 * x], sum[4 * x + 1]), vec4(sum[4 * x + 2], sum[4 * x + 3]),
                       (n * p.dst_h + y) * p.dst_w + x0 + x, unit, ADD_RESIDUAL != 0, RELU != 0);
}
