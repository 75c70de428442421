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

#ifdef WIDE_LOADS
// For CPU drivers, whose every load of a vector's lanes is a gather of each component: 64-bit components
// halve the gathers. Needs shaderInt64.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif

#ifdef STORAGE_FP16
#include "halves.glsl"
vec4 unpack_halves(uvec2 s) { return vec4(unpackHalf2x16(s.x), unpackHalf2x16(s.y)); }
#ifdef WIDE_LOADS
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Storage4 { uint64_t v[]; };
vec4 unpack4(uint64_t s) { return unpack_halves(unpack32(s)); }
uint64_t pack4(vec4 x) { return pack64(pack_halves(x)); }
#else
layout(buffer_reference, std430, buffer_reference_align = 8) buffer Storage4 { uvec2 v[]; };
vec4 unpack4(uvec2 s) { return unpack_halves(s); }
uvec2 pack4(vec4 x) { return pack_halves(x); }
#endif
#else
#ifdef WIDE_LOADS
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Storage4 { u64vec2 v[]; };
vec4 unpack4(u64vec2 s) { return uintBitsToFloat(uvec4(unpack32(s.x), unpack32(s.y))); }
u64vec2 pack4(vec4 x) {
    const uvec4 bits = floatBitsToUint(x);
    return u64vec2(pack64(bits.xy), pack64(bits.zw));
}
#else
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Storage4 { vec4 v[]; };
#define unpack4(s) (s)
#define pack4(x) (x)
#endif
#endif

#include "params.h"

// Constant 0 of every kernel is its workgroup size.
layout(local_size_x_id = 0) in;

// Dispatches that need more than 65535 workgroups use rows of them.
uint workgroup_index() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint invocation_index() { return workgroup_index() * gl_WorkGroupSize.x + gl_LocalInvocationID.x; }
