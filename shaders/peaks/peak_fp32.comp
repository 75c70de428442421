// peak_fp32.comp - fp32 multiply-adds and nothing else: eight independent chains an invocation.
//
//   workgroups: any; each invocation does iterations * 8 * 32 multiply-adds
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#include "peak_params.h"

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Params { peak_params p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

void main() {
    const vec4 start = vec4(gl_LocalInvocationID.x, 1, 2, 3);
    vec4 a = start, b = start + 4.0;
    for (int i = 0; i < p.iterations; i++) {
        [[unroll]] for (int j = 0; j < 32; j++) {
            a = fma(a, vec4(p.scale), vec4(p.shift));
            b = fma(b, vec4(p.scale), vec4(p.shift));
        }
    }
    const vec4 sum = a + b;
    if (sum.x + sum.y + sum.z + sum.w == -1.0)
        Floats(p.dst).v[0] = sum.x;
}
