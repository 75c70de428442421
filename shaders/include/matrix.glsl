// matrix.glsl - what the kernels for matrix units (cooperative matrices) share: units.glsl, and the extensions.
//
// Compiled into spirv/: after a change run spirv/update.sh.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#include "units.glsl"

// Until the subgroup's writes to shared memory can be read by it.
void subgroup_barrier() {
    controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared, gl_SemanticsAcquireRelease);
}
