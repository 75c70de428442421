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
    int from = at / p.c4 * pixels * p.c4 + at % p.c4;
    vec4 sum = vec4(0);
    for (int y = 0; y < p.src_h; y++) {
        // Line by line: one sum over a map of 224 x 224 would lose the last eight bits of each pixel.
        vec4 line = vec4(0);
        for (int x = 0; x < p.src_w; x++, from += p.c4)
            line += unpack4(Storage4(p.src).v[from]);
        sum += line;
    }
    Floats4(p.dst).v[at] = sum / float(pixels);
}
