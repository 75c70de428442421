// plan.h - a graph made ready for one device and batch: a kernel per operation, a place in the arena per
// value, the order of dispatches, and where barriers go. Plain data, no Vulkan.
#ifndef CDL_PLAN_H_
#define CDL_PLAN_H_

#include "kernels/kernels.h"

struct cdl_step { // runs graph->ops[same index]
    struct cdl_kernel kernel;
    size_t weights_at; // offset in the weights allocation
    bool in_next; // the next step's kernel does this one's work, too; this kernel tells how its weights lie, no more
    bool barrier_before; // an earlier step, since the last barrier, touches what this one touches
};

// The first steps, [0, steps), run for a few images after a few others: what they pass on among themselves stays in the
// device's cache and needs memory for so many images only. The steps behind run for the whole batch. steps 0: all do.
struct cdl_segment {
    int steps, images;
};

struct cdl_plan {
    struct cdl_graph graph;
    struct cdl_step *steps; // [graph.num_ops]
    size_t *value_at;       // [graph.num_values], offset in the arena
    int *
        value_images; // [graph.num_values], images that there is room for: max_batch or segment.images; 0: never stored
    size_t *value_bytes; // [graph.num_values], for those
    size_t arena_bytes;  // what the arena takes
    size_t live_bytes;   // the largest sum of values alive at one time: no placement takes less
    size_t weights_bytes;
    int *order; // [num_order], the steps that run
    int num_order;
    struct cdl_segment segment;
    int segment_order;    // so many of `order` are the segment's
    bool segment_barrier; // between the segment's last step and its first, for the next images
    int max_batch;
    bool fp16, keep_map, keep_values; // as in the parameters
};

struct cdl_plan_params {
    int max_batch, height, width;
    bool fp16, fold;
    bool keep_map;    // the last feature map keeps its place to the end, as the features and the logits do
    bool keep_values; // every value does
    const struct cdl_caps *caps;
    // Picks one of kernels[count], the legal ones of an operation, best guess first; -1: none will do, which fails
    // the plan with CDL_ERR_UNSUPPORTED. NULL: the first.
    int (*choose)(void *ctx, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernels,
                  int count);
    // Picks one of kernels[count] to do the work of the operation and of the one before it, or -1: each by itself, as
    // chosen before. NULL: always that.
    int (*choose_pair)(void *ctx, const struct cdl_graph *graph, const struct cdl_op *op,
                       const struct cdl_kernel *kernels, int count);
    // Told the graph before the first choice; NULL: nobody.
    void (*prepare)(void *ctx, const struct cdl_graph *graph);
    void *choose_ctx; // of all three
};

// CDL_ERR_UNSUPPORTED when a value or the arena would outgrow 32-bit indices.
cdl_result cdl_plan_create(struct cdl_plan *out, const struct cdl_model *model, const struct cdl_plan_params *params,
                           const cdl_log *log);
void cdl_plan_destroy(struct cdl_plan *plan);

// Lays the plan out anew, with this segment; without one where it would hold the whole batch. The results of a run do
// not depend on it. After a failure the plan can only be destroyed.
cdl_result cdl_plan_set_segment(struct cdl_plan *plan, struct cdl_segment segment, const cdl_log *log);

// Segments that may make runs faster or the arena smaller on such a device; the first is the one to use when nothing is
// measured. {0, 0}, no segment, is among them. Returns their number.
enum { CDL_MAX_SEGMENTS = 3 };
int cdl_plan_segments(const struct cdl_plan *plan, const struct cdl_caps *caps,
                      struct cdl_segment out[CDL_MAX_SEGMENTS]);

// A run of `images` images, 1 to max_batch, is a list of dispatches.
struct cdl_dispatch_entry {
    int step, first_image, images;
    bool barrier_before;
};
int cdl_plan_num_dispatches(const struct cdl_plan *plan, int images);
struct cdl_dispatch_entry cdl_plan_dispatch(const struct cdl_plan *plan, int images, int index);

struct cdl_addresses cdl_plan_addresses(const struct cdl_plan *plan, const struct cdl_dispatch_entry *dispatch,
                                        uint64_t arena, uint64_t weights);
// Sets steps[].barrier_before and segment_barrier; for cdl_plan_set_segment.
void cdl_plan_place_barriers(struct cdl_plan *plan);

// The value that a step reads besides a residual: a pair's kernel, what the step before would have read.
int cdl_plan_source(const struct cdl_plan *plan, int step);
size_t cdl_plan_image_bytes(const struct cdl_plan *plan, int value); // of one image
// Where the value of a dispatch's first image lies in the arena.
size_t cdl_plan_value_at(const struct cdl_plan *plan, int value, int first_image);

// One line a step and a summary of memory, at CDL_LOG_DEBUG.
void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log);

// Equal for two plans whose weights allocations hold the same bytes in the same places.
uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan);

#endif // CDL_PLAN_H_
