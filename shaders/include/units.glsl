// units.glsl - what the fp16 kernels share whose memory is read and written in units of eight channels, 16 bytes.
//
// Needs a source and a destination with a multiple of eight channels, unless the kernel says otherwise. This file and
// what it includes are compiled into spirv/, too: after a change run spirv/update.sh.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "conv_params.h"
#include "halves.glsl"

layout(buffer_reference, std430, buffer_reference_align = 16) buffer Units { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 8) buffer HalfUnits { uvec2 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 v[]; };

#ifndef PARAMS
#define PARAMS conv_params
#endif
layout(local_size_x_id = 0) in;
layout(push_constant) uniform Params { PARAMS p; };

// Dispatches that need more than 65535 workgroups use rows of them.
int workgroup_index() { return int(gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x); }

// Adds bias and, with add_residual, `residual` to a unit of sums of the channels from 8 * unit on; applies ReLU with
// relu; stores it at `place`.
void store_sums(vec4 low, vec4 high, uvec4 residual, int place, int unit, bool add_residual, bool relu) {
    low += Floats4(p.bias).v[2 * unit];
    high += Floats4(p.bias).v[2 * unit + 1];
    if (add_residual) {
        low += vec4(unpackHalf2x16(residual.x), unpackHalf2x16(residual.y));
        high += vec4(unpackHalf2x16(residual.z), unpackHalf2x16(residual.w));
    }
    if (relu) {
        low = max(low, vec4(0));
        high = max(high, vec4(0));
    }
    Units(p.dst).v[place] = uvec4(pack_halves(low), pack_halves(high));
}

// The same with the residual where it lies in memory.
void store_unit(vec4 low, vec4 high, int pixel, int unit, bool add_residual, bool relu) {
    const int place = pixel * (p.dst_c4 / 2) + unit;
    uvec4 residual = uvec4(0);
    if (add_residual)
        residual = Units(p.residual).v[place];
    store_sums(low, high, residual, place, unit, add_residual, relu);
}

// The sums of two units of halves; ReLU with relu.
uvec4 add_units(uvec4 a, uvec4 b, bool relu) {
    vec4 low = vec4(unpackHalf2x16(a.x), unpackHalf2x16(a.y)) + vec4(unpackHalf2x16(b.x), unpackHalf2x16(b.y));
    vec4 high = vec4(unpackHalf2x16(a.z), unpackHalf2x16(a.w)) + vec4(unpackHalf2x16(b.z), unpackHalf2x16(b.w));
    if (relu) {
        low = max(low, vec4(0));
        high = max(high, vec4(0));
    }
    return uvec4(pack_halves(low), pack_halves(high));
}
