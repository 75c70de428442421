// peak_int8.comp - dot products of four packed int8 (SPV_KHR_integer_dot_product) and nothing else.
//
//   workgroups: any; each invocation does iterations * 8 * 32 dot products, each 4 multiply-adds
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_spirv_intrinsics : require
#include "peak_params.h"

// OpSDot with operands in the packed vector format 0, PackedVectorFormat4x8Bit (GL_EXT_integer_dot_product is newer
// than the glslang of older distributions). Capabilities: DotProductInput4x8BitPacked, DotProduct.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6018, 6019], id = 4450)
int dot_packed(int a, int b, spirv_literal int format);

layout(local_size_x_id = 0) in;
layout(push_constant) uniform Params { peak_params p; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

void main() {
    const int factor = floatBitsToInt(p.scale);
    int a[8];
    [[unroll]] for (int k = 0; k < 8; k++)
        a[k] = int(gl_LocalInvocationID.x) + k;
    for (int i = 0; i < p.iterations; i++) {
        [[unroll]] for (int j = 0; j < 32; j++) {
            [[unroll]] for (int k = 0; k < 8; k++)
                a[k] += dot_packed(a[k], factor, 0);
        }
    }
    int sum = 0;
    [[unroll]] for (int k = 0; k < 8; k++)
        sum += a[k];
    if (sum == 0x12345678)
        Floats(p.dst).v[0] = float(sum);
}
