// plan.h - a graph made ready for one device and batch: a kernel per operation, a place in the arena per
// value, and where barriers go. Plain data, no Vulkan.
#ifndef CDL_PLAN_H_
#define CDL_PLAN_H_

#include "kernels.h"

struct cdl_step { // runs graph->ops[same index]
    struct cdl_kernel kernel;
    size_t weights_at;   // offset in the weights allocation
    bool barrier_before; // an earlier step, since the last barrier, touches what this one touches
};

struct cdl_plan {
    struct cdl_graph graph;
    struct cdl_step *steps;   // [graph.num_ops]
    size_t *value_at;         // [graph.num_values], offset in the arena
    size_t *value_bytes;      // [graph.num_values], for max_batch images
    size_t arena_bytes;       // what the arena takes
    size_t live_bytes;        // the largest sum of values alive at one time: no plan takes less
    size_t weights_bytes;
    int max_batch;
    bool fp16;
};

struct cdl_plan_params {
    int max_batch, height, width;
    bool fp16, fold;
    bool keep_map;    // the last feature map keeps its place to the end, as the features and the logits do
    bool keep_values; // every value does
    const struct cdl_caps *caps;
    // Picks one of kernels[count], the legal ones of an operation, best guess first; -1: none will do, which fails
    // the plan with CDL_ERR_UNSUPPORTED. NULL: the first.
    int (*choose)(void *ctx, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernels, int count);
    // Told the graph before the first choice; NULL: nobody.
    void (*prepare)(void *ctx, const struct cdl_graph *graph);
    void *choose_ctx; // of both
};

// CDL_ERR_UNSUPPORTED when a value or the arena would outgrow 32-bit indices.
cdl_result cdl_plan_create(struct cdl_plan *out, const struct cdl_model *model, const struct cdl_plan_params *params,
                           const cdl_log *log);
void cdl_plan_destroy(struct cdl_plan *plan);

// One line a step and a summary of memory, at CDL_LOG_DEBUG.
void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log);

// Equal for two plans whose weights allocations hold the same bytes in the same places.
uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan);

#endif // CDL_PLAN_H_
