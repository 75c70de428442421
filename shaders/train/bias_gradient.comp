// bias_gradient.comp - the gradient of a bias: the sum over all pixels, in a fixed order.
//
//   workgroups: c4
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_bias_params p; };

shared vec4 sums[64]; // the workgroup's size

void main() {
    const int block = int(workgroup_index()), t = int(gl_LocalInvocationID.x);
    if (block >= p.c4)
        return;
    vec4 sum = vec4(0);
    for (int i = t; i < p.pixels; i += 64)
        sum += unpack_gradient4(Storage4(p.gradient).v[i * p.c4 + block]);
    sums[t] = sum;
    for (int reach = 32; reach > 0; reach /= 2) {
        barrier();
        if (t < reach)
            sums[t] = sum += sums[t + reach];
    }
    if (t == 0)
        Floats4(p.bias_gradient).v[block] = sum;
}
