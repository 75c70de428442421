// pack_weights.comp - a convolution's weights from PyTorch's order into the layout that its kernel reads.
//
// What engine/kernels/weight_layout.c does on the host, without batch norm; and, with TRANSPOSED, the weights of the
// convolution that takes the gradient of the result to that of the source: channels in and out exchanged within each
// group, the kernel turned by half a turn.
//   dst: float4[blocks / lanes][rows][lanes], then float4 bias[dst_c4] at bias_offset
//   workgroups: blocks * rows + dst_c4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
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
    const int at = int(invocation_index()), weights = p.blocks * p.rows;
    if (at >= weights + p.dst_c4)
        return;
    if (at >= weights) {
        const int block = at - weights;
        vec4 bias = vec4(0);
        if (HAS_BIAS != 0)
            bias = Floats4(p.bias).v[block];
        Floats4(p.dst).v[p.bias_offset / 16 + block] = bias;
        return;
    }
    const int row = at / p.lanes % p.rows, block = at / p.lanes / p.rows * p.lanes + at % p.lanes;
    const int column = row / (4 * p.span), ky = column / p.tap_columns, kx = column % p.tap_columns;
    int first = first_source_block(block, p.group_src, p.group_dst, p.src_c4, p.span);
    if (SHARED_WINDOW != 0)
        first = block / p.lanes * p.lanes;
    else if (p.span == p.src_c4)
        first = 0;
    vec4 w = vec4(0);
    if (ky < p.kernel_h && kx < p.kernel_w) {
        const int from = 4 * first + row % (4 * p.span), to = 4 * block;
        w = vec4(weight_of(to, from, ky, kx), weight_of(to + 1, from, ky, kx), weight_of(to + 2, from, ky, kx),
                 weight_of(to + 3, from, ky, kx));
    }
    Storage4(p.dst).v[at] = pack4(w);
}
