// softmax.comp - probs[i] = exp(x[i] - max x) / sum exp(x - max x); also copies the logits out.
//
//   workgroups: one of SIZE invocations per image
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(constant_id = 0) const int SIZE = 128;

layout(push_constant) uniform Params { classify_params p; };

shared float scratch[SIZE];

void main() {
    const int t = int(gl_LocalInvocationID.x);
    const int n = int(workgroup_index());
    if (n >= p.images)
        return;
    Floats src = Floats(p.src);
    const int from = n * p.src_stride, to = n * p.classes;

    float best = -3.402823466e38;
    for (int i = t; i < p.classes; i += SIZE)
        best = max(best, src.v[from + i]);
    scratch[t] = best;
    for (int half_size = SIZE / 2; half_size > 0; half_size /= 2) {
        barrier();
        if (t < half_size)
            scratch[t] = max(scratch[t], scratch[t + half_size]);
    }
    barrier();
    best = scratch[0];
    barrier();

    float sum = 0.0;
    for (int i = t; i < p.classes; i += SIZE)
        sum += exp(src.v[from + i] - best);
    scratch[t] = sum;
    for (int half_size = SIZE / 2; half_size > 0; half_size /= 2) {
        barrier();
        if (t < half_size)
            scratch[t] += scratch[t + half_size];
    }
    barrier();
    sum = scratch[0];

    for (int i = t; i < p.classes; i += SIZE) {
        const float x = src.v[from + i];
        Floats(p.logits).v[to + i] = x;
        Floats(p.probs).v[to + i] = exp(x - best) / sum;
    }
}
