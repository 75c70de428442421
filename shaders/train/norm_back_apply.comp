// norm_back_apply.comp - the gradient of batch norm's source (Ioffe & Szegedy, 2015, section 3).
//
//   src_gradient = weight / sqrt(variance + epsilon) * (g - sum(g) / n - x * sum(g x) / n),
//   x = (src - mean) / sqrt(variance + epsilon), g as in norm_back_sums.comp, n pixels
//
// FROZEN: the statistics are constants, so that only the first term is left. Without RELU, `gradient` is g.
// An invocation takes four pixels of a channel block, which share what is read of the block.
//   workgroups: ceil(pixels / 4) * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"

layout(push_constant) uniform Params { train_norm_back_params p; };

void main() {
    const int index = int(invocation_index()), block = index % p.c4, first = index / p.c4 * 4;
    if (first >= p.pixels)
        return;
    const vec4 mean = load_floats4(p.statistics, block), inverse = load_floats4(p.statistics, p.c4 + block);
    const vec4 weight = load_floats4(p.weight, block), scale = weight * inverse;
    const vec4 bias = RELU != 0 && FROM_SRC != 0 ? load_floats4(p.bias, block) : vec4(0);
    vec4 sum = vec4(0), product = vec4(0);
    if (FROZEN == 0) {
        sum = load_floats4(p.sums, block) / float(p.pixels);
        product = load_floats4(p.sums, p.c4 + block) / float(p.pixels);
    }
    vec4 g[4];
    [[unroll]] for (int k = 0; k < 4; k++) { // loads that do not wait for each other
        const int at = min(first + k, p.pixels - 1) * p.c4 + block;
        const bool reads_src = FROZEN == 0 || (RELU != 0 && FROM_SRC != 0);
        const vec4 src = reads_src ? unpack4(Storage4(p.src).v[at]) : vec4(0);
        g[k] = unpack_gradient4(Storage4(p.gradient).v[at]);
        if (RELU != 0) {
            const vec4 dst =
                FROM_SRC != 0 ? normalise(src, mean, inverse, weight, bias) : unpack4(Storage4(p.dst).v[at]);
            g[k] = mix(vec4(0), g[k], greaterThan(dst, vec4(0)));
        }
        if (FROZEN == 0)
            g[k] -= sum + (src - mean) * inverse * product;
    }
    [[unroll]] for (int k = 0; k < 4; k++)
        if (first + k < p.pixels)
            Storage4(p.src_gradient).v[(first + k) * p.c4 + block] = pack4(scale * g[k]);
}
