// norm_back_finish.comp - adds up the chunks of norm_back_sums.comp, in a fixed order: two runs agree to the bit.
//
// The two sums are the gradients of batch norm's bias and weight.
//   workgroups: c4
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"

layout(push_constant) uniform Params { train_norm_back_params p; };

shared vec4 sums[WORKGROUP], products[WORKGROUP];

void main() {
    const int block = int(workgroup_index()), t = int(gl_LocalInvocationID.x);
    if (block >= p.c4)
        return;
    vec4 sum = vec4(0), product = vec4(0);
    for (int i = t; i < p.chunks; i += WORKGROUP) {
        sum += Floats4(p.partial).v[2 * i * p.c4 + block];
        product += Floats4(p.partial).v[(2 * i + 1) * p.c4 + block];
    }
    sums[t] = sum;
    products[t] = product;
    for (int reach = WORKGROUP / 2; reach > 0; reach /= 2) {
        barrier();
        if (t < reach) {
            sums[t] = sum += sums[t + reach];
            products[t] = product += products[t + reach];
        }
    }
    if (t != 0)
        return;
    Floats4(p.sums).v[block] = sum;
    Floats4(p.sums).v[p.c4 + block] = product;
    if (WRITE_GRADIENTS != 0) {
        Floats4(p.bias_gradient).v[block] = sum;
        Floats4(p.weight_gradient).v[block] = product;
    }
}
