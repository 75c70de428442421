// gradient_sums.comp - the sum of squares of a chunk of all gradients.
//
//   workgroups: chunks
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_gradient_params p; };

shared float sums[64]; // the workgroup's size

void main() {
    const int chunk = int(workgroup_index()), t = int(gl_LocalInvocationID.x);
    if (chunk >= p.chunks)
        return;
    const int end = min((chunk + 1) * p.chunk, p.count4);
    float sum = 0;
    for (int i = chunk * p.chunk + t; i < end; i += 64) {
        const vec4 g = load_floats4(p.gradients, i);
        sum += dot(g, g);
    }
    sums[t] = sum;
    for (int reach = 32; reach > 0; reach /= 2) {
        barrier();
        if (t < reach)
            sums[t] = sum += sums[t + reach];
    }
    if (t == 0)
        Floats(p.partial).v[chunk] = sum;
}
