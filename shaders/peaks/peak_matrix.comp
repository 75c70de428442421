// peak_matrix.comp - matrix multiply-adds (VK_KHR_cooperative_matrix), fp16 products and fp32 sums, and nothing else.
//
//   workgroups: any; each subgroup does iterations * 8 * 4 products of MATRIX_M x MATRIX_K by MATRIX_K x MATRIX_N
// Compiled into spirv/: after a change run spirv/update.sh.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#include "peak_params.h"

layout(local_size_x_id = 0) in;
#include "constants.glsl"
#include "peak_matrix_constants.h"
layout(push_constant) uniform Params { peak_params p; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Units { uvec4 v[]; };
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats { float v[]; };

shared uvec4 operands[32]; // up to 16 x 16 halves: from memory, for a compiler would fold what it knows

void main() {
    if (gl_LocalInvocationID.x < 32)
        operands[gl_LocalInvocationID.x] = Units(p.src).v[gl_LocalInvocationID.x];
    barrier();
    coopmat<float16_t, gl_ScopeSubgroup, MATRIX_M, MATRIX_K, gl_MatrixUseA> a;
    coopmat<float16_t, gl_ScopeSubgroup, MATRIX_K, MATRIX_N, gl_MatrixUseB> b;
    coopMatLoad(a, operands, 0, MATRIX_K / 8, gl_CooperativeMatrixLayoutRowMajor);
    coopMatLoad(b, operands, 0, MATRIX_N / 8, gl_CooperativeMatrixLayoutRowMajor);
    coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> c[8];
    [[unroll]] for (int k = 0; k < 8; k++)
        c[k] =
            coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator>(float(gl_WorkGroupID.x + k));
    for (int i = 0; i < p.iterations; i++) {
        [[unroll]] for (int j = 0; j < 4; j++) {
            [[unroll]] for (int k = 0; k < 8; k++)
                c[k] = coopMatMulAdd(a, b, c[k]);
        }
    }
    coopmat<float, gl_ScopeSubgroup, MATRIX_M, MATRIX_N, gl_MatrixUseAccumulator> sum = c[0];
    [[unroll]] for (int k = 1; k < 8; k++)
        sum += c[k];
    float total = 0; // of every element: what is not asked for need not be computed
    for (int i = 0; i < sum.length(); i++)
        total += sum[i];
    if (total == -1.0)
        Floats(p.dst).v[0] = total;
}
