// caps.h - what a choice of kernels needs to know of a device. Plain data, filled by vulkan/features.c.
#ifndef CDL_CAPS_H_
#define CDL_CAPS_H_

#include <stdbool.h>
#include <stdint.h>

// VK_NV_cooperative_matrix2: the sizes of a matrix are multiples of m, n and k.
struct cdl_matrix_grain {
    uint32_t invocations; // of the workgroup that shares a matrix; 0: a subgroup does
    uint32_t m, n, k;
};

struct cdl_caps {
    // Whose behaviour workarounds.h knows; driver_id is a VkDriverId.
    uint32_t vendor_id, driver_id, driver_version;
    uint32_t subgroup_size;
    bool subgroup_shuffle; // subgroup basic + shuffle in compute, and the size above can be relied on
    bool software;         // a CPU driver: a subgroup is one vector register, loads are dear
    bool int64;            // 64-bit integers in shaders, and enabled
    bool fp16_arithmetic;  // fp16 in registers, not only in storage
    uint32_t max_workgroup_size;
    uint32_t max_shared_bytes;
    // Matrix units (VK_KHR_cooperative_matrix): C[m][n] += A[m][k] B[k][n] by a subgroup of matrix_subgroup, A and B
    // fp16, C fp32. matrix_m 0: none.
    uint32_t matrix_m, matrix_n, matrix_k, matrix_subgroup;
    bool matrix_half_sums; // C may be fp16, too
    struct cdl_matrix_grain matrix_grains[4];
    int num_matrix_grains;          // 0: no VK_NV_cooperative_matrix2
    uint32_t matrix_reserved_bytes; // of shared memory that a workgroup's matrices take
    // That run workgroups at a time, each some of them: multiprocessors, compute units, cores. By class of device where
    // the driver does not tell.
    uint32_t processors;
    // By class of device, as Vulkan does not tell; 0: unknown. See plan/segment.c.
    uint32_t cache_bytes;  // of memory that stays near the processors from one dispatch to the next
    uint32_t fill_outputs; // a convolution with so many outputs gives every processor something to do
};

#endif // CDL_CAPS_H_
