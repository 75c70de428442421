// max_pool.comp - maximum over windows; what lies outside the picture does not take part.
//
//   workgroups: images * dst_h * dst_w * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

#include "constants.glsl"
#include "max_pool_constants.h"

layout(push_constant) uniform Params { pool_params p; };

void main() {
    int index = int(invocation_index());
    if (index >= p.images * p.dst_h * p.dst_w * p.c4)
        return;
    const int at = index;
    const int c = index % p.c4;
    index /= p.c4;
    const int x0 = index % p.dst_w * STRIDE - PADDING;
    index /= p.dst_w;
    const int y0 = index % p.dst_h * STRIDE - PADDING;
    const int n = index / p.dst_h;

    vec4 best = vec4(-3.402823466e38);
    for (int ky = 0; ky < KERNEL; ky++)
    for (int kx = 0; kx < KERNEL; kx++) {
        const int y = y0 + ky, x = x0 + kx;
        if (y >= 0 && y < p.src_h && x >= 0 && x < p.src_w)
            best = max(best, unpack4(Storage4(p.src).v[((n * p.src_h + y) * p.src_w + x) * p.c4 + c]));
    }
    Storage4(p.dst).v[at] = pack4(best);
}
