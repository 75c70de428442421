// kernels.h - which shader runs an operation, with which constants, weights layout and dispatch size.
//
// Plain data, no Vulkan. The list of kernels an operation may use depends on its shape and on the device's
// capabilities alone; the first is the default.
#ifndef CDL_KERNELS_H_
#define CDL_KERNELS_H_

#include "params.h"
#include "graph/graph.h"

enum { CDL_MAX_CONSTANTS = 20, CDL_MAX_PUSH_BYTES = 128, CDL_MAX_KERNELS = 32 };

// What a choice of kernels needs to know of a device.
struct cdl_caps {
    uint32_t vendor_id, driver_id /* VkDriverId */, driver_version; // whose behaviour workarounds.h knows
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
    // VK_NV_cooperative_matrix2: matrices whose sizes are multiples of a grain, with functions of each element. A grain
    // of 0 invocations is a subgroup's, the others those of workgroups of that size, which lose reserved_bytes of
    // shared memory.
    struct {
        uint32_t invocations, m, n, k;
    } matrix_grains[4];
    int num_matrix_grains;
    uint32_t matrix_reserved_bytes;
    // By class of device, as Vulkan does not tell; 0: unknown. See segment.c.
    uint32_t cache_bytes;  // of memory that stays near the processors from one dispatch to the next
    uint32_t fill_outputs; // a convolution with so many outputs gives every processor something to do
};

struct cdl_kernel {
    const char *shader;     // GLSL file without .comp
    int rank;               // the guess at its place among the kernels of an operation: lower is faster
    bool fp16;              // storage
    uint32_t subgroup_size; // subgroups must have this size and be full; 0: as the driver likes
    // So many products are summed in fp16 before fp32 takes over: the result is off by half_products * 2^-11
    // of the sum of their magnitudes, at most; 0: fp32 all the way
    int half_products;
    uint32_t constants[CDL_MAX_CONSTANTS]; // specialization constants 0..num_constants-1; 0 is the workgroup size
    int num_constants;
    bool host_input; // reads a host's buffer or image through descriptor set 0, see host_run.c
    // convolution: storage4 weights[ceil(dst_c4 / lanes)][rows][lanes][4 out], rows = [kernel_h][tap_columns][span][4
    // in]
    int lanes, span;
    int tap_columns;     // kernel_w, or more: zero weights behind it; 0: kernel_w
    int rows;            // zero rows behind those above; 0: none
    bool shared_window;  // all lanes' blocks read the same span blocks of input, the first lane's
    bool pair;           // does the work of the operation before its own, too; that one's weights are another kernel's
    size_t weight_bytes; // weights, then float bias[4 * dst_c4] at bias_offset
    size_t bias_offset;
};

struct cdl_launch {
    uint32_t groups[2];
    uint32_t push_bytes;
    union {
        uint8_t bytes[CDL_MAX_PUSH_BYTES];
        struct conv_params conv;
        struct batch_norm_params batch_norm;
        struct pool_params pool;
        struct classify_params classify;
        struct preprocess_params preprocess;
        struct import_params import;
    } push;
};

struct cdl_addresses {
    uint64_t src, residual, dst, weights;
    uint64_t first_weights; // of a pair's first operation, before `weights`
};

// Writes up to CDL_MAX_KERNELS legal kernels, best guess for the device first; returns their number, >= 1.
int cdl_kernels_for(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps, bool fp16,
                    struct cdl_kernel *out);

// Writes up to CDL_MAX_KERNELS legal kernels that do the operation's work and that of the one before it in graph->ops,
// whose value nobody else reads, and to *first the kernel that tells how the latter's weights lie; returns their
// number, often 0.
int cdl_pair_kernels_for(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps, bool fp16,
                         struct cdl_kernel *out, struct cdl_kernel *first);

// Push constants and workgroup counts for `images` images.
void cdl_kernel_launch(const struct cdl_kernel *kernel, const struct cdl_graph *graph, const struct cdl_op *op,
                       int images, const struct cdl_addresses *at, struct cdl_launch *out);

// Floats of scratch that cdl_kernel_pack needs for this operation.
size_t cdl_kernel_scratch(const struct cdl_op *op);

// Writes the operation's weights, batch norm folded in, to dst[kernel->weight_bytes].
void cdl_kernel_pack(const struct cdl_kernel *kernel, const struct cdl_graph *graph, const struct cdl_op *op,
                     float *scratch, uint8_t *dst);

// Whether one pipeline serves both: they may differ in rank and in the layout of weights alone.
bool cdl_same_pipeline(const struct cdl_kernel *a, const struct cdl_kernel *b);

// "conv_lanes 8,8,1,1,0 fp32": shader, constants, storage.
void cdl_kernel_name(const struct cdl_kernel *kernel, char *out, size_t size);
int cdl_kernel_named(const struct cdl_kernel *kernels, int count, const char *name); // its index; -1: none is called so

// Workgroups for `count` invocations of a pointwise kernel or more.
void cdl_launch_invocations(struct cdl_launch *launch, uint64_t count);

// Workgroups for `count` workgroups or more, in rows of at most 65535 (Vulkan's guaranteed limit).
void cdl_launch_workgroups(struct cdl_launch *launch, uint64_t count);

// The fixed kernels around the network.
enum { CDL_POINTWISE_SIZE = 64, CDL_REDUCE_SIZE = 128 };
void cdl_pointwise_kernel(struct cdl_kernel *out, const char *shader, bool fp16);
void cdl_reduce_kernel(struct cdl_kernel *out, const char *shader);

#endif // CDL_KERNELS_H_
