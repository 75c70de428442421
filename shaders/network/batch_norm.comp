// batch_norm.comp - batch normalisation with running statistics (Ioffe & Szegedy, 2015), for --no-fold.
//
//   dst = act((src - mean) / sqrt(variance + epsilon) * weight + bias + residual)
//
//   workgroups: pixels * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

#include "constants.glsl"
#include "batch_norm_constants.h"

layout(push_constant) uniform Params { batch_norm_params p; };

void main() {
    const int at = int(invocation_index());
    if (at >= p.pixels * p.c4)
        return;
    const int c = at % p.c4;
    Floats4 s = Floats4(p.statistics);
    const vec4 weight = s.v[c], bias = s.v[p.c4 + c], mean = s.v[2 * p.c4 + c], variance = s.v[3 * p.c4 + c];
    vec4 v = (unpack4(Storage4(p.src).v[at]) - mean) / sqrt(variance + p.epsilon) * weight + bias;
    if (ADD_RESIDUAL != 0)
        v += unpack4(Storage4(p.residual).v[at]);
    if (RELU != 0)
        v = max(v, vec4(0));
    Storage4(p.dst).v[at] = pack4(v);
}
