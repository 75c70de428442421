// kernels.h - which programs may do an operation's work, how its weights lie for each, and how many workgroups it
// takes.
//
// Plain data, no Vulkan. The list of kernels for an operation depends on its shape and on the device's capabilities
// alone; the first is the best guess for the device (rank.c).
#ifndef CDL_KERNELS_H_
#define CDL_KERNELS_H_

#include "graph/graph.h"
#include "kernels/caps.h"
#include "kernels/launch.h"
#include "kernels/program.h"
#include "kernels/weight_layout.h"

enum { CDL_MAX_KERNELS = 48, CDL_MAX_FUSED = 2 };

// What one kernel does: consecutive operations of a graph. Of two, the second reads what the first makes, nobody else
// does, and that value is never in memory; but for a kernel that keeps it.
struct cdl_work {
    const struct cdl_graph *graph;
    const struct cdl_op *ops; // [num_ops], in graph->ops
    int num_ops;              // 1 to CDL_MAX_FUSED
};
int cdl_work_src(const struct cdl_work *work); // the values that it reads and writes; residual -1: none
int cdl_work_residual(const struct cdl_work *work);
int cdl_work_dst(const struct cdl_work *work);
uint64_t cdl_work_flops(const struct cdl_work *work, int images);
// "conv3x3 g32, conv1x1"
enum { CDL_WORK_TEXT = 64 };
void cdl_work_text(const struct cdl_work *work, char out[CDL_WORK_TEXT]);

struct cdl_kernel_family; // family.h

struct cdl_kernel {
    const struct cdl_kernel_family *family;
    struct cdl_program program;
    struct cdl_weight_layout weights[CDL_MAX_FUSED]; // of each operation of the work
    // So many products are summed in fp16 before fp32 takes over: the result is off by half_products * 2^-11 of the sum
    // of their magnitudes, at most; 0: fp32 all the way.
    int half_products;
    bool keeps_middle; // of two operations: writes the first one's result, too, for whoever else reads that
    bool beats_apart;  // of two operations: faster than their kernels one after the other, by a guess
    double cost;       // the guess at its time among its family's kernels, without a unit
    int rank;          // its place among all kernels for the work: lower is faster, by a guess
};

struct cdl_addresses {
    uint64_t src, residual, dst;
    uint64_t middle;                 // of two operations, where the kernel keeps that; else 0
    uint64_t weights[CDL_MAX_FUSED]; // of each operation of the work
};

// Writes up to CDL_MAX_KERNELS legal kernels, best guess for the device and so many images at a time first; returns
// their number: for one operation 1 or more, for two often 0. fp16: storage of values that are not marked fp32.
int cdl_kernels_for(const struct cdl_work *work, int images, const struct cdl_caps *caps, bool fp16,
                    struct cdl_kernel *out);

// Push constants and workgroup counts for `images` images.
void cdl_kernel_launch(const struct cdl_kernel *kernel, const struct cdl_work *work, int images,
                       const struct cdl_addresses *at, struct cdl_launch *out);

// The index of the kernel with this cdl_program_id; -1: none has it.
int cdl_kernel_by_id(const struct cdl_kernel *kernels, int count, uint64_t id);

// The programs around the network.
enum cdl_fixed_program {
    CDL_PREPROCESS,        // pixels in staging memory
    CDL_PREPROCESS_VIEW,   // a host's image
    CDL_PREPROCESS_NV12,   // a host's image in two planes
    CDL_PREPROCESS_BUFFER, // a host's buffer
    CDL_IMPORT,            // a tensor in staging memory
    CDL_CLASSIFY,          // one workgroup an image
    CDL_NUM_FIXED_PROGRAMS
};
struct cdl_program cdl_fixed_program(enum cdl_fixed_program which, bool fp16);

#endif // CDL_KERNELS_H_
