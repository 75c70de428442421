// dx_spread.comp - the gradient of a 1x1 convolution's source at a stride, from that of the pixels that it read.
//
//   src_gradient[n][y][x] = added + (S divides y and x ? gradient[n][y / S][x / S] : 0)
//
//   workgroups: images * src_h * src_w * src_c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "dx_spread_constants.h"

layout(push_constant) uniform Params { train_dx_params p; };

void main() {
    int index = int(invocation_index());
    const int at = index, block = index % p.src_c4;
    index /= p.src_c4;
    const int x = index % p.src_w;
    index /= p.src_w;
    const int y = index % p.src_h, n = index / p.src_h;
    if (n >= p.images)
        return;
    const int from = ((n * p.dst_h + y / STRIDE) * p.dst_w + x / STRIDE) * p.src_c4 + block;
    vec4 v = vec4(0);
    if (y % STRIDE == 0 && x % STRIDE == 0)
        v = unpack_gradient4(Storage4(p.gradient).v[from]);
    if (ADD != 0)
        v += unpack_gradient4(Storage4(p.added).v[at]);
    Storage4(p.src_gradient).v[at] = pack4(v);
}
