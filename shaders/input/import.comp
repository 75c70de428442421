// import.comp - a planar float tensor [3][h][w], resized and normalised by the caller, to the network's input.
//
//   workgroups: images * dst_h * dst_w invocations
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(push_constant) uniform Params { import_params p; };

void main() {
    const int at = int(invocation_index());
    const int pixels = p.dst_h * p.dst_w;
    if (at >= p.images * pixels)
        return;
    const int from = at / pixels * 3 * pixels + at % pixels;
    Floats src = Floats(p.src);
    Storage4(p.dst).v[at] = pack4(vec4(src.v[from], src.v[from + pixels], src.v[from + 2 * pixels], 0));
}
