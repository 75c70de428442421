// launch.h - one dispatch of a program: its push constants and how many workgroups.
#ifndef CDL_LAUNCH_H_
#define CDL_LAUNCH_H_

#include "params.h"

enum { CDL_MAX_PUSH_BYTES = 128 };                       // Vulkan's guaranteed limit
enum { CDL_POINTWISE_SIZE = 64, CDL_REDUCE_SIZE = 128 }; // workgroup sizes of programs that need no other

struct cdl_launch {
    uint32_t groups[2];
    uint32_t push_bytes;
    union {
        uint8_t bytes[CDL_MAX_PUSH_BYTES];
        struct conv_params conv;
        struct conv_pair_params conv_pair;
        struct batch_norm_params batch_norm;
        struct pool_params pool;
        struct avg_pool_linear_params avg_pool_linear;
        struct classify_params classify;
        struct preprocess_params preprocess;
        struct import_params import;
    } push;
};

// Workgroups for `count` workgroups or more, in rows of at most 65535 (Vulkan's guaranteed limit).
void cdl_launch_workgroups(struct cdl_launch *launch, uint64_t count);
// For a shader whose workgroups pass through `tiles` tiles of each of `columns`: not many more than `most`, as many for
// each column, and none that has nothing to do. In one row.
void cdl_launch_persistent(struct cdl_launch *launch, uint64_t tiles, uint32_t columns, uint32_t most);
// Workgroups for `count` invocations or more, in workgroups of CDL_POINTWISE_SIZE.
void cdl_launch_invocations(struct cdl_launch *launch, uint64_t count);
// For a shader with rows.glsl.
static inline void cdl_launch_columns(struct cdl_launch *launch, uint64_t count, uint32_t workgroup, uint32_t rows) {
    cdl_launch_workgroups(launch, (count * rows + workgroup - 1) / workgroup);
}

#endif // CDL_LAUNCH_H_
