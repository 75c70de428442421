// plan.h - a graph made ready for one device and batch: a list of steps, each with its kernel, a place in the arena for
// each value, the order of dispatches, and where barriers go. Plain data, no Vulkan.
#ifndef CDL_PLAN_H_
#define CDL_PLAN_H_

#include "kernels/kernels.h"

// One kernel's part of the network. What it costs and what it depends on follows from this alone.
struct cdl_step {
    struct cdl_kernel kernel;
    int first_op, num_ops;            // does graph.ops[first_op, first_op + num_ops)
    int src, residual, dst;           // the values that it reads, residual -1: none, and the one that it writes
    int kept;                         // the value between its two operations, where it writes that, too; else -1
    size_t weights_at[CDL_MAX_FUSED]; // of each of its operations, offset in the weights allocation
    bool barrier_before;              // an earlier step, since the last barrier, touches what this one touches
};

// The first steps, [0, steps), run for a few images after a few others: what they pass on among themselves stays in the
// device's cache and needs memory for so many images only. The steps behind run for the whole batch. steps 0: all do.
struct cdl_segment {
    int steps, images;
};

struct cdl_plan {
    struct cdl_graph graph;
    struct cdl_step *steps; // [num_steps], in the order in which they run
    int num_steps;
    // Of each value, [graph.num_values]: its offset in the arena; the images that there is room for, max_batch,
    // segment.images, or 0: it is never stored; and bytes for those.
    size_t *value_at;
    int *value_images;
    size_t *value_bytes;
    size_t arena_bytes; // what the arena takes
    size_t live_bytes;  // the largest sum of values alive at one time: no placement takes less
    size_t weights_bytes;
    struct cdl_segment segment;
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
    // Picks one of kernels[count], the legal ones for this work, best guess first. For one operation -1 says that none
    // will do, which fails the plan with CDL_ERR_UNSUPPORTED; for two, asked after each was chosen for alone, that they
    // stay apart. NULL: the first kernel for each operation, and for two the one that is guessed to beat these.
    int (*choose)(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count);
    // Told the graph before the first choice; NULL: nobody.
    void (*prepare)(void *ctx, const struct cdl_graph *graph);
    void *choose_ctx; // of both
};

// CDL_ERR_UNSUPPORTED when a value or the arena would outgrow 32-bit indices.
cdl_result cdl_plan_create(struct cdl_plan *out, const struct cdl_model *model, const struct cdl_plan_params *params,
                           const cdl_log *log);
void cdl_plan_destroy(struct cdl_plan *plan);

// ---- steps: step.c

struct cdl_work cdl_step_work(const struct cdl_plan *plan, int step);
const char *cdl_step_name(const struct cdl_plan *plan, int step);           // of the layer that its result belongs to
uint64_t cdl_step_flops(const struct cdl_plan *plan, int step, int images); // 2 per multiply-add
uint64_t cdl_step_value_bytes(const struct cdl_plan *plan, int step);       // read and written for one image
uint64_t cdl_step_weight_bytes(const struct cdl_plan *plan, int step);      // read
uint64_t cdl_step_bytes(const struct cdl_plan *plan, int step, int images); // both: the least that it moves

// ---- memory: arena.c

// Lays the plan out anew, with this segment; without one where it would hold the whole batch. The results of a run do
// not depend on it. After a failure the plan can only be destroyed.
cdl_result cdl_plan_set_segment(struct cdl_plan *plan, struct cdl_segment segment, const cdl_log *log);
size_t cdl_plan_image_bytes(const struct cdl_plan *plan, int value); // of one image
// Where the value of a dispatch's first image lies in the arena.
size_t cdl_plan_value_at(const struct cdl_plan *plan, int value, int first_image);

// A place for each of values[n], so that those that live at the same time do not overlap: sets `at`. `least`: what no
// placement can undercut, as soon as it is reached the search ends.
struct cdl_arena_value {
    size_t bytes;
    int first, last; // of the steps that it lives in
    size_t at;       // from the arena's beginning
};
cdl_result cdl_arena_place(struct cdl_arena_value *values, int n, size_t least, size_t *arena_bytes,
                           const cdl_log *log);

// ---- order: order.c

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
// The first dispatch behind slice `slice` of `count`: so that the slices take about equal time, and one each at least.
int cdl_plan_slice_end(const struct cdl_plan *plan, int images, int slice, int count);

// ---- segments: segment.c

// Segments that may make runs faster or the arena smaller on such a device; the first is the one to use when nothing is
// measured. {0, 0}, no segment, is among them. Returns their number.
enum { CDL_MAX_SEGMENTS = 3 };
int cdl_plan_segments(const struct cdl_plan *plan, const struct cdl_caps *caps,
                      struct cdl_segment out[CDL_MAX_SEGMENTS]);

// One line a step and a summary of memory, at CDL_LOG_DEBUG.
void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log);

// Equal for two plans of one model whose weights allocations hold the same bytes in the same places.
uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan);

#endif // CDL_PLAN_H_
