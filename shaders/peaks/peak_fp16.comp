// peak_fp16.comp - fp16 multiply-adds in pairs and nothing else: eight independent pairs an invocation.
//
//   workgroups: any; each invocation does iterations * 16 * 32 multiply-adds
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "peak_params.h"

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Params { peak_params p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

void main() {
    const f16vec2 scale = f16vec2(p.scale), shift = f16vec2(p.shift);
    f16vec2 a[8];
    [[unroll]] for (int k = 0; k < 8; k++)
        a[k] = f16vec2(gl_LocalInvocationID.x, k);
    for (int i = 0; i < p.iterations; i++) {
        [[unroll]] for (int j = 0; j < 32; j++) {
            [[unroll]] for (int k = 0; k < 8; k++)
                a[k] = fma(a[k], scale, shift);
        }
    }
    f16vec2 sum = f16vec2(0);
    [[unroll]] for (int k = 0; k < 8; k++)
        sum += a[k];
    if (sum.x + sum.y == float16_t(-1))
        Floats(p.dst).v[0] = float(sum.x);
}
