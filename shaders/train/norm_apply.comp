// norm_apply.comp - batch normalisation with the statistics of norm_finish.comp.
//
//   dst = act((src - mean) / sqrt(variance + epsilon) * weight + bias + residual)
//
// An invocation takes four pixels of a channel block, which share what is read of the block.
//   workgroups: ceil(pixels / 4) * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_apply_constants.h"

layout(push_constant) uniform Params { train_norm_params p; };

void main() {
    const int index = int(invocation_index()), block = index % p.c4, first = index / p.c4 * 4;
    if (first >= p.pixels)
        return;
    const vec4 mean = load_floats4(p.statistics, block), inverse = load_floats4(p.statistics, p.c4 + block);
    const vec4 weight = load_floats4(p.weight, block), bias = load_floats4(p.bias, block);
    vec4 v[4];
    [[unroll]] for (int k = 0; k < 4; k++) { // loads that do not wait for each other
        const int at = min(first + k, p.pixels - 1) * p.c4 + block;
        v[k] = normalise(unpack4(Storage4(p.src).v[at]), mean, inverse, weight, bias);
        if (ADD_RESIDUAL != 0)
            v[k] += unpack4(Storage4(p.residual).v[at]);
    }
    [[unroll]] for (int k = 0; k < 4; k++)
        if (first + k < p.pixels)
            Storage4(p.dst).v[(first + k) * p.c4 + block] = pack4(RELU != 0 ? max(v[k], vec4(0)) : v[k]);
}
