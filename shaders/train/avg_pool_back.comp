// avg_pool_back.comp - the gradient of the global average's source: the same for all pixels of an image.
//
//   gradient: float4[images][c4], fp32 whatever the storage
//   workgroups: images * src_h * src_w * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_pool_params p; };

void main() {
    const int at = int(invocation_index()), pixels = p.src_h * p.src_w;
    if (at >= p.images * pixels * p.c4)
        return;
    const vec4 g = Floats4(p.gradient).v[at / p.c4 / pixels * p.c4 + at % p.c4];
    Storage4(p.src_gradient).v[at] = pack4(g / float(pixels));
}
