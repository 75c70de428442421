// conv_lanes.comp - 1x1 convolution (and linear layer) as a matrix product within one subgroup.
//
//   dst[m][o] = act(bias[o] + residual[m][o] + sum over i of src[row(m)][i] w[o][i])
//
// A workgroup is one subgroup of LANES. Lane l makes channel block LANES * column + l for ROWS pixels.
// Each pixel's input is loaded by one lane and broadcast to the others, each weight is loaded once by
// the lane that needs it: per 4 input channels, ROWS / LANES + 4 loads feed 16 * ROWS multiply-adds. Made
// for drivers that run a subgroup as one CPU vector, where a load costs more than many multiply-adds.
//   weights: storage4[ceil(dst_c4 / LANES)][4 * src_c4][LANES][4 out]
//   workgroups: ceil(pixels / ROWS) * ceil(dst_c4 / LANES), channel columns outermost
// Precondition: LANES is the subgroup size; ROWS and LANES are powers of two.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "common.glsl"

layout(constant_id = 0) const int LANES = 8;
layout(constant_id = 1) const int ROWS = 8;
layout(constant_id = 2) const int STRIDE = 1;
layout(constant_id = 3) const int RELU = 0;
layout(constant_id = 4) const int ADD_RESIDUAL = 0;
const int LOADS = ROWS > LANES ? ROWS / LANES : 1; // pixels each lane loads per 4 input channels

layout(push_constant) uniform Params { conv_params p; };

int source_row(int m) { // the input pixel under output pixel m
    const int pixels = p.dst_h * p.dst_w;
    const int rest = m % pixels;
    return (m / pixels * p.src_h + rest / p.dst_w * STRIDE) * p.src_w + rest % p.dst_w * STRIDE;
}

void main() {
    const int pixels = p.images * p.dst_h * p.dst_w;
    const int row_tiles = (pixels + ROWS - 1) / ROWS;
    const int tile = int(workgroup_index());
    const int m0 = tile % row_tiles * ROWS;
    const int column = tile / row_tiles;
    const int columns = (p.dst_c4 + LANES - 1) / LANES;
    if (column >= columns)
        return;
    const int lane = int(gl_SubgroupInvocationID);
    const int block = column * LANES + lane;

    Storage4 src = Storage4(p.src);
    Storage4 weights = Storage4(p.weights);

    int source[LOADS];
    for (int j = 0; j < LOADS; j++)
        source[j] = source_row(min(m0 + j * LANES + lane % ROWS, pixels - 1)) * p.src_c4;

    vec4 sum[ROWS];
    const vec4 bias = Floats4(p.bias).v[min(block, p.dst_c4 - 1)];
    for (int i = 0; i < ROWS; i++)
        sum[i] = bias;

    int w = column * p.src_c4 * 4 * LANES + lane;
    for (int k = 0; k < p.src_c4; k++, w += 4 * LANES) {
        vec4 mine[LOADS];
        for (int j = 0; j < LOADS; j++)
            mine[j] = unpack4(src.v[source[j] + k]);
        const vec4 w0 = unpack4(weights.v[w]), w1 = unpack4(weights.v[w + LANES]);
        const vec4 w2 = unpack4(weights.v[w + 2 * LANES]), w3 = unpack4(weights.v[w + 3 * LANES]);
        for (int i = 0; i < ROWS; i++) {
            const vec4 v = subgroupBroadcast(mine[i / LANES], uint(i % LANES));
            sum[i] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
        }
    }

    if (block >= p.dst_c4)
        return;
    for (int i = 0; i < ROWS; i++) {
        if (m0 + i >= pixels)
            break;
        const int at = (m0 + i) * p.dst_c4 + block;
        vec4 v = sum[i];
        if (ADD_RESIDUAL != 0)
            v += unpack4(Storage4(p.residual).v[at]);
        if (RELU != 0)
            v = max(v, vec4(0));
        Storage4(p.dst).v[at] = pack4(v);
    }
}
