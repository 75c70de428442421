// max_pool_keep.comp - max_pool.comp, which also stores where in its window the largest value lies: the first in row
// order, as PyTorch has it.
//
//   positions: a byte a channel, ky * KERNEL + kx
//   workgroups: images * dst_h * dst_w * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "max_pool_constants.h"

layout(push_constant) uniform Params { train_pool_params p; };

void main() {
    int index = int(invocation_index());
    if (index >= p.images * p.dst_h * p.dst_w * p.c4)
        return;
    const int at = index, block = index % p.c4;
    index /= p.c4;
    const int x0 = index % p.dst_w * STRIDE - PADDING;
    index /= p.dst_w;
    const int y0 = index % p.dst_h * STRIDE - PADDING, n = index / p.dst_h;
    vec4 best = vec4(-3.402823466e38);
    uvec4 where = uvec4(0);
    for (int ky = 0; ky < KERNEL; ky++)
    for (int kx = 0; kx < KERNEL; kx++) {
        const int y = y0 + ky, x = x0 + kx;
        if (y < 0 || y >= p.src_h || x < 0 || x >= p.src_w)
            continue;
        const vec4 v = unpack4(Storage4(p.src).v[((n * p.src_h + y) * p.src_w + x) * p.c4 + block]);
        const bvec4 larger = greaterThan(v, best);
        best = mix(best, v, larger);
        where = mix(where, uvec4(ky * KERNEL + kx), larger);
    }
    Storage4(p.dst).v[at] = pack4(best);
    Uints(p.positions).v[at] = where.x | where.y << 8 | where.z << 16 | where.w << 24;
}
