// max_pool_back.comp - the gradient of max-pool's source: of each window, to the pixel that was the largest.
//
// One invocation looks at all windows that a source pixel lies in, in row order: no two write the same place.
//   workgroups: images * src_h * src_w * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "max_pool_constants.h"

layout(push_constant) uniform Params { train_pool_params p; };

void main() {
    int index = int(invocation_index());
    if (index >= p.images * p.src_h * p.src_w * p.c4)
        return;
    const int at = index, block = index % p.c4;
    index /= p.c4;
    const int x = index % p.src_w + PADDING;
    index /= p.src_w;
    const int y = index % p.src_h + PADDING, n = index / p.src_h;
    vec4 sum = vec4(0);
    for (int dy = max(y - KERNEL + STRIDE, 0) / STRIDE; dy <= min(y / STRIDE, p.dst_h - 1); dy++)
    for (int dx = max(x - KERNEL + STRIDE, 0) / STRIDE; dx <= min(x / STRIDE, p.dst_w - 1); dx++) {
        const int from = ((n * p.dst_h + dy) * p.dst_w + dx) * p.c4 + block;
        const uint here = uint((y - dy * STRIDE) * KERNEL + x - dx * STRIDE), where = Uints(p.positions).v[from];
        const uvec4 positions = uvec4(where & 255, where >> 8 & 255, where >> 16 & 255, where >> 24);
        sum += mix(vec4(0), unpack_gradient4(Storage4(p.gradient).v[from]), equal(positions, uvec4(here)));
    }
    Storage4(p.src_gradient).v[at] = pack4(sum);
}
