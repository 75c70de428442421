// gradient_mix.comp - gradients of several parts of a step, or of one process among several, as their shares of the
// step's average.
//
//   dst = of_sum * sum + of_gradient * gradient
//
// What has a factor of 0 is not read: there is none, or it is of an earlier step and may be no number. dst may be
// either of them.
//   workgroups: count4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_mix_params p; };

void main() {
    const int at = int(invocation_index());
    if (at >= p.count4)
        return;
    vec4 v = vec4(0);
    if (p.of_sum != 0.0)
        v = p.of_sum * Floats4(p.sum).v[at];
    if (p.of_gradient != 0.0)
        v += p.of_gradient * Floats4(p.gradient).v[at];
    Floats4(p.dst).v[at] = v;
}
