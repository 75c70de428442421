// What a host's own compute shader may do between Cardinal's: v[i] = value + i. Invocations: 64 a workgroup.
#version 460
layout(local_size_x = 64) in;
layout(set = 0, binding = 0, std430) buffer Out { uint v[]; };
layout(push_constant) uniform Params { uint value; };

void main() { v[gl_GlobalInvocationID.x] = value + gl_GlobalInvocationID.x; }
