// peak_memory.comp - copies, 16 bytes an invocation at a time, neighbours side by side.
//
//   workgroups: count / (workgroup size * 8) or more
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#include "peak_params.h"

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Params { peak_params p; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Words { uvec4 v[]; };

void main() {
    const uint group = gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x;
    const uint first = group * gl_WorkGroupSize.x * 8 + gl_LocalInvocationID.x;
    Words src = Words(p.src), dst = Words(p.dst);
    uvec4 words[8];
    [[unroll]] for (int i = 0; i < 8; i++) {
        const uint at = first + uint(i) * gl_WorkGroupSize.x;
        words[i] = at < uint(p.count) ? src.v[at] : uvec4(0);
    }
    [[unroll]] for (int i = 0; i < 8; i++) {
        const uint at = first + uint(i) * gl_WorkGroupSize.x;
        if (at < uint(p.count))
            dst.v[at] = words[i];
    }
}
