// avg_pool.comp - global average; the sum and the result are fp32 whatever the storage.
//
//   dst: float4[images][c4]
//   workgroups: images * c4 invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant) uniform Params { pool_params p; };

void main() {
    const int at = int(invocation_index());
    if (at >= p.images * p.c4)
        return;
    const int pixels = p.src_h * p.src_w;
    const int first = at / p.c4 * pixels * p.c4 + at % p.c4;
    vec4 sum = vec4(0);
    for (int i = 0; i < pixels; i++)
        sum += unpack4(Storage4(p.src).v[first + i * p.c4]);
    Floats4(p.dst).v[at] = sum / float(pixels);
}
