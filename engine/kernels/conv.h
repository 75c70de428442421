// conv.h - what a family of convolution kernels provides, and what it can build on.
#ifndef CDL_KERNELS_CONV_H_
#define CDL_KERNELS_CONV_H_

#include "kernels/kernels.h"

struct cdl_conv_shape {
    const struct cdl_op *op;
    const struct cdl_value *src, *dst;
    int src_c4, dst_c4; // padded channels / 4
    const struct cdl_caps *caps;
    bool fp16; // storage
};

struct cdl_conv_family {
    const char *shader;
    // Writes up to cap kernels that may run this shape on this device, with their rank; returns how many. NULL: none,
    // as they run two operations, see cdl_pair_kernels_for.
    int (*list)(const struct cdl_conv_shape *shape, struct cdl_kernel *out, int cap);
    // Sets out->groups, and what the family changes in out->push.conv (= *p).
    void (*launch)(const struct cdl_kernel *kernel, const struct conv_params *p, struct cdl_launch *out);
};
extern const struct cdl_conv_family cdl_conv_coop, cdl_conv_coop2, cdl_conv_direct, cdl_conv_grouped,
    cdl_conv_grouped_coop, cdl_conv_grouped_wide, cdl_conv_half, cdl_conv_lanes, cdl_conv_lanes_wide,
    cdl_conv_pair_coop, cdl_conv_tiled;

struct cdl_conv_shape cdl_conv_shape_of(const struct cdl_graph *g, const struct cdl_op *op, const struct cdl_caps *caps,
                                        bool fp16);
void cdl_set_constants(struct cdl_kernel *k, int count, const uint32_t *values);
// k->tap_columns, rows and shared_window come first where they are not 0.
int cdl_weight_rows(const struct cdl_kernel *k, const struct cdl_op *op); // of one column block
void cdl_set_weights(struct cdl_kernel *k, const struct cdl_conv_shape *shape, int lanes, int span);
// The most input blocks that any block of four output channels reads.
int cdl_source_span(const struct cdl_conv_shape *shape);
// Whether 64 fp32 sums an invocation outgrow the device's registers: so on mobile GPUs (Apple's, by Mesa's compiler),
// which are told by no more than twice the guaranteed shared memory.
bool cdl_few_registers(const struct cdl_caps *caps);
// For kernels whose workgroups make m pixels x n channels each.
void cdl_launch_tiles(struct cdl_launch *launch, const struct conv_params *p, uint32_t m, uint32_t n);
// About how long one image takes in such tiles of `invocations`, to compare tiles with.
double cdl_tile_cost(const struct cdl_conv_shape *shape, uint32_t m, uint32_t n, uint32_t invocations);
// Ranks kernels from `base` on, those of lower cost first.
void cdl_rank_by_cost(struct cdl_kernel *kernels, const double *cost, int count, int base);

#endif // CDL_KERNELS_CONV_H_
