// pack_weights.comp - a convolution's weights from PyTorch's order into the layout that its kernel reads.
//
// What engine/kernels/weight_layout.c does on the host, without batch norm; and, with TRANSPOSED, the weights of the
// convolution that takes the gradient of the result to that of the source: channels in and out exchanged within each
// group, the kernel turned by half a turn.
//   dst: float4[blocks / lanes][rows][lanes], then float4 bias[dst_c4] at bias_offset
// An invocation makes the weights of a block of 4 outputs in 4 rows, which are of 4 inputs at one tap. VECTORS: these
// 16 lie in PyTorch's order as four times four that touch, as in a dense 1x1 convolution.
//   workgroups: blocks * ceil(rows / 4) + dst_c4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "pack_weights_constants.h"

layout(push_constant) uniform Params { train_pack_params p; };

// The weight from input channel `from` to output channel `to` at a tap of the kernel that will read it.
float weight_of(int to, int from, int ky, int kx) {
    const int group = to / p.group_dst, c = from - group * p.group_src;
    if (to >= p.dst_channels || c < 0 || c >= p.group_src)
        return 0;
    if (TRANSPOSED != 0) // [from][group_dst], the other way round
        return Floats(p.weight).v[((from * p.group_dst + to - group * p.group_dst) * p.kernel_h + p.kernel_h - 1 - ky) *
                                      p.kernel_w + p.kernel_w - 1 - kx];
    return Floats(p.weight).v[((to * p.group_src + c) * p.kernel_h + ky) * p.kernel_w + kx];
}

void main() {
    const int quads = (p.rows + 3) / 4, weights = p.blocks * quads;
    const int index = int(invocation_index());
    if (index >= weights + p.dst_c4)
        return;
    if (index >= weights) {
        const int block = index - weights;
        vec4 bias = vec4(0);
        if (HAS_BIAS != 0)
            bias = load_floats4(p.bias, block);
        store_floats4(p.dst, p.bias_offset / 16 + block, bias);
        return;
    }
    const int lane = index % p.lanes, quad = index / p.lanes % quads, group = index / p.lanes / quads;
    const int block = group * p.lanes + lane, row = 4 * quad, to = 4 * block;
    const int column = row / (4 * p.span), ky = column / p.tap_columns, kx = column - ky * p.tap_columns;
    int first = first_source_block(block, p.group_src, p.group_dst, p.src_c4, p.span);
    if (SHARED_WINDOW != 0)
        first = group * p.lanes;
    else if (p.span == p.src_c4)
        first = 0;
    const int from = 4 * first + row - column * 4 * p.span;
    mat4 w = mat4(0); // [in][out]
    if (ky < p.kernel_h && kx < p.kernel_w) {
        if (VECTORS == 0) {
            [[unroll]] for (int i = 0; i < 4; i++)
            [[unroll]] for (int o = 0; o < 4; o++)
                w[i][o] = weight_of(to + o, from + i, ky, kx);
        } else if (TRANSPOSED != 0) {
            [[unroll]] for (int i = 0; i < 4; i++)
                if (to < p.dst_channels)
                    w[i] = load_floats4(p.weight, ((from + i) * p.group_dst + to) / 4);
        } else {
            [[unroll]] for (int o = 0; o < 4; o++)
                if (to + o < p.dst_channels)
                    w[o] = load_floats4(p.weight, ((to + o) * p.group_src + from) / 4);
            w = transpose(w);
        }
    }
    const int at = (group * p.rows + row) * p.lanes + lane;
    [[unroll]] for (int i = 0; i < 4; i++)
        if (row + i < p.rows)
            Storage4(p.dst).v[at + i * p.lanes] = pack4(w[i]);
}
