// session.h - a model ready to run on a device: pipelines, weights, arena, and slots for runs in flight.
#ifndef CDL_SESSION_H_
#define CDL_SESSION_H_

#include "plan/plan.h"
#include "vulkan/vk.h"

// Packed weights in device memory, shared by the sessions of one device whose plans want the same bytes.
struct cdl_weights {
    struct cdl_weights *next;
    struct cdl_model *model; // retained: its address identifies the content
    uint64_t hash;           // cdl_plan_weights_hash
    struct cdl_buffer buffer;
    int references; // under the device's lock
};
// All that the device's sessions use now, a list under the device's lock. NULL: no memory.
struct cdl_weights **cdl_weights_of(struct cdl_device *dev);
cdl_result cdl_weights_acquire(struct cdl_weights **out, struct cdl_device *dev, struct cdl_model *model,
                               const struct cdl_plan *plan);
void cdl_weights_release(struct cdl_weights **weights, struct cdl_device *dev);

enum cdl_slot_state {
    CDL_SLOT_IDLE,
    CDL_SLOT_SUBMITTED, // by us: cdl_session_wait ends it
    CDL_SLOT_RECORDING, // into the host's command buffers, slices are missing
    CDL_SLOT_RECORDED,  // all of it: cdl_vk_retire ends it
};

enum { CDL_QUERY_BEGIN, CDL_QUERY_PREPROCESSED, CDL_QUERY_END, CDL_NUM_RUN_QUERIES };

// One run in flight.
struct cdl_slot {
    struct cdl_buffer staging;  // job table, then coefficient tables and pixels
    struct cdl_buffer readback; // copy of the session's results
    VkCommandBuffer preprocess; // recorded for every run: a dispatch
    VkCommandBuffer network;    // recorded when the number of images changes
    int recorded_images;
    VkSemaphore done;    // timeline
    uint64_t submitted;  // value that the last submission signals
    VkQueryPool queries; // CDL_QUERY_...; with timings, then the end of every dispatch
    enum cdl_slot_state state;
    int num_images;             // of the run in flight or, idle, of the last; 0: none finished
    int next_slice, num_slices; // while recording
    VkDescriptorSet *inputs;    // [max_batch][2], the host's views and buffers; NULL: the session takes none
    uint64_t *ticks;            // as queries, of the last finished run
};

// Where a run's results lie in the readback buffer; the first three alike in the arena's tail, the others are values.
struct cdl_results_layout {
    size_t logits, probs, order;        // float[batch][classes] twice, uint32_t[batch][sort_size]
    size_t size;                        // of these three
    size_t features, map;               // as the values are stored
    size_t features_stride, map_stride; // bytes of an image; map_stride 0: the map is not read back
    size_t readback_size;
    int sort_size;
};

struct cdl_step_text {
    char operation[64], kernel[128];
}; // for people, see struct cdl_timing

struct cdl_session {
    struct cdl_device *dev;
    struct cdl_model *model;
    struct cdl_plan plan;
    struct cdl_session_info info;
    int resize_size;
    bool timings;
    float *class_weights;        // [num_features], scratch of cdl_session_cam; NULL: without `cam`
    struct cdl_step_text *texts; // [plan.graph.num_ops]; NULL without timings
    VkPipeline *pipelines;       // [plan.graph.num_ops]; equal kernels share one
    VkPipeline preprocess, import, softmax, top_k;
    VkPipeline from_view, from_nv12, from_buffer; // preprocess, of a host's pictures
    VkDescriptorPool inputs; // of the slots' descriptor sets; VK_NULL_HANDLE: the session takes no host's pictures
    struct cdl_weights *weights;
    struct cdl_buffer arena; // values, then results
    size_t results_at;       // offset of the results in the arena
    struct cdl_results_layout results;
    VkCommandPool pool;
    struct cdl_slot *slots; // [info.num_slots]
};

// For tests: keeps every value, so that cdl_session_read_value can look at it.
cdl_result cdl_session_create_keeping(cdl_session **out, cdl_device *dev, cdl_model *model,
                                      const struct cdl_session_params *params);

// A value of slot 0's last run as float[height][width][channels]; blocks, allocates. The session keeps values.
cdl_result cdl_session_read_value(cdl_session *s, int value, int image, float *out);

// run.c: a run is what cdl_record_begin records, then preprocessing, the steps in one or more parts, and the results.
void cdl_record_begin(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands,
                      bool first); // first: of the run
void cdl_record_steps(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images, int first,
                      int end); // of its dispatches
void cdl_record_results(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images);
// Steps and results for `images` images into slot->network.
cdl_result cdl_record_network(struct cdl_session *s, struct cdl_slot *slot, int images);
int cdl_num_queries(const struct cdl_session *s, int images); // that a run of so many images writes
// NULL: out of range or busy, or another slot's run is half recorded.
struct cdl_slot *cdl_idle_slot(struct cdl_session *s, int index);
cdl_result cdl_take_results(struct cdl_session *s, struct cdl_slot *slot); // the run is done
// host_run.c: what a session needs to take a host's pictures.
cdl_result cdl_create_inputs(struct cdl_session *s);
// pixels.c: stages pictures, submits their preprocessing (in several parts when they outgrow the staging
// buffer) and, with the last part, the network.
cdl_result cdl_submit_images(struct cdl_session *s, struct cdl_slot *slot, const struct cdl_pixels *images, int count);
// Waits for everything submitted on the slot.
cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns);
void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access);
void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline,
                  const struct cdl_launch *launch);

#endif // CDL_SESSION_H_
