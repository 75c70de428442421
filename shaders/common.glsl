// common.glsl - storage types, addresses and indices that every kernel uses.
//
// STORAGE_FP16 selects half precision storage. Halves travel packed in 32-bit words
// (unpackHalf2x16), so no 16-bit storage feature is needed; all arithmetic is fp32.
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require

layout(buffer_reference, std430, buffer_reference_align = 4) buffer Uints { uint v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Ints { int v[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Floats4 { vec4 v[]; };

#ifdef STORAGE_FP16
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Storage4 { uvec2 v[]; };
vec4 unpack4(uvec2 s) { return vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y)); }
// Values beyond half precision's range become its largest finite number, not infinity.
uvec2 pack4(vec4 x) {
    x = clamp(x, -65504.0, 65504.0);
    return uvec2(packHalf2x16(x.xy), packHalf2x16(x.zw));
}
#define STORED4 uvec2
#else
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Storage4 { vec4 v[]; };
#define unpack4(s) (s)
#define pack4(x) (x)
#define STORED4 vec4
#endif

#include "params.h"

// Constant 0 of every kernel is its workgroup size.
layout(local_size_x_id = 0) in;

// Dispatches that need more than 65535 workgroups use rows of them.
uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint invocation_index() { return workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }
