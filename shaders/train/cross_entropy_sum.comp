// cross_entropy_sum.comp - a batch's mean loss, and how many of its images were classified rightly.
//
//   workgroups: 1
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_loss_params p; };

shared vec2 parts[64]; // the workgroup's size

void main() {
    const int t = int(gl_LocalInvocationID.x);
    vec2 sum = vec2(0);
    for (int i = t; i < p.images; i += 64)
        sum += vec2(Floats(p.each).v[2 * i], Floats(p.each).v[2 * i + 1]);
    parts[t] = sum;
    for (int reach = 32; reach > 0; reach /= 2) {
        barrier();
        if (t < reach)
            parts[t] = sum += parts[t + reach];
    }
    if (t == 0) {
        Floats(p.result).v[0] = sum.x / float(p.images);
        Floats(p.result).v[1] = sum.y;
    }
}
