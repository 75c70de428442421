// norm_apply.comp - batch normalisation with the statistics of norm_finish.comp (Ioffe & Szegedy, 2015).
//
//   dst = act((src - mean) / sqrt(variance + epsilon) * weight + bias + residual)
//
//   workgroups: pixels * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_apply_constants.h"

layout(push_constant) uniform Params { train_norm_params p; };

void main() {
    const int at = int(invocation_index()), block = at % p.c4;
    if (at >= p.pixels * p.c4)
        return;
    const vec4 mean = Floats4(p.statistics).v[block], inverse = Floats4(p.statistics).v[p.c4 + block];
    vec4 v = (unpack4(Storage4(p.src).v[at]) - mean) * inverse * Floats4(p.weight).v[block] + Floats4(p.bias).v[block];
    if (ADD_RESIDUAL != 0)
        v += unpack4(Storage4(p.residual).v[at]);
    if (RELU != 0)
        v = max(v, vec4(0));
    Storage4(p.dst).v[at] = pack4(v);
}
