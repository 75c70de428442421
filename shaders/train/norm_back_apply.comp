// norm_back_apply.comp - the gradient of batch norm's source (Ioffe & Szegedy, 2015, section 3).
//
//   src_gradient = weight / sqrt(variance + epsilon) * (g - sum(g) / n - x * sum(g x) / n),
//   x = (src - mean) / sqrt(variance + epsilon), g as in norm_back_sums.comp, n pixels
//
// FROZEN: the statistics are constants, so that only the first term is left. Without RELU, `gradient` is g.
//   workgroups: pixels * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"

layout(push_constant) uniform Params { train_norm_back_params p; };

void main() {
    const int at = int(invocation_index()), block = at % p.c4;
    if (at >= p.pixels * p.c4)
        return;
    const vec4 mean = Floats4(p.statistics).v[block], inverse = Floats4(p.statistics).v[p.c4 + block];
    vec4 g = unpack4(Storage4(p.gradient).v[at]);
    if (RELU != 0)
        g = mix(vec4(0), g, greaterThan(unpack4(Storage4(p.dst).v[at]), vec4(0)));
    if (FROZEN == 0) {
        const vec4 x = (unpack4(Storage4(p.src).v[at]) - mean) * inverse;
        g -= (Floats4(p.sums).v[block] + x * Floats4(p.sums).v[p.c4 + block]) / float(p.pixels);
    }
    Storage4(p.src_gradient).v[at] = pack4(Floats4(p.weight).v[block] * inverse * g);
}
