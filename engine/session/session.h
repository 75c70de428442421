// session.h - a model ready to run on a device: pipelines, weights, arena, and slots for runs in flight.
//
// session.c creates one, with weights.h for the weights that sessions share. The way of a run: pixels.h stages its
// pictures, with the geometry of preprocess.h; record.h turns it into commands; submit.h submits them and waits;
// results.h lets the host read what came out. host_run.h goes the same way in a host's own terms: its images, command
// buffers and semaphores.
#ifndef CDL_SESSION_H_
#define CDL_SESSION_H_

#include "plan/plan.h"
#include "session/weights.h"
#include "vulkan/device.h"
#include "vulkan/upload.h"

enum cdl_slot_state {
    CDL_SLOT_IDLE,
    CDL_SLOT_SUBMITTED, // by us: cdl_session_wait ends it
    CDL_SLOT_RECORDING, // into the host's command buffers, slices are missing
    CDL_SLOT_RECORDED,  // all of it: cdl_vk_retire ends it
};

enum { CDL_QUERY_BEGIN, CDL_QUERY_PREPROCESSED, CDL_QUERY_END, CDL_NUM_RUN_QUERIES };

// One run in flight.
struct cdl_slot {
    struct cdl_upload *staging; // job table, then coefficient tables and pixels
    struct cdl_buffer readback; // copy of the session's results
    VkCommandBuffer preprocess; // recorded for every run: a dispatch
    VkCommandBuffer network;    // recorded when the number of images changes
    int recorded_images;
    VkFence done;   // of the last submission of ours
    bool in_flight; // it was not waited for yet
    // Counts what was recorded into a host's commands; these write it to the readback buffer's `progress`. Where that
    // has it, the device is done with all of them. Where not, they may be under way or never be submitted, unless a
    // wait for the queue has settled it.
    uint32_t recordings, settled;
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
    size_t progress;                    // uint32_t, see cdl_slot
    size_t readback_size;
    int sort_size;
};

struct cdl_step_text { // of struct cdl_timing
    char operation[CDL_WORK_TEXT], kernel[CDL_PROGRAM_NAME];
};

struct cdl_session {
    struct cdl_device *dev;
    struct cdl_model *model;
    struct cdl_plan plan;
    struct cdl_session_info info;
    int resize_size;
    cdl_interpolation interpolation; // the recipe's
    bool timings;
    int32_t *tables;                          // room to make coefficient tables in: info.staging_bytes
    float *class_weights;                     // [2][num_features], scratch of cdl_session_cam; NULL: without `cam`
    struct cdl_step_text *texts;              // [plan.num_steps]; NULL without timings
    VkPipeline *pipelines;                    // [plan.num_steps]; equal programs share one
    VkPipeline fixed[CDL_NUM_FIXED_PROGRAMS]; // around the network; those for a host's pictures only with `inputs`
    VkDescriptorPool inputs; // of the slots' descriptor sets; VK_NULL_HANDLE: the session takes no host's pictures
    struct cdl_weights *weights;
    struct cdl_buffer arena; // values, then results
    size_t results_at;       // offset of the results in the arena
    struct cdl_results_layout results;
    VkCommandPool pool;
    struct cdl_slot *slots; // [info.num_slots]
    struct cdl_session *next_kept;
};

// cdl_session_create, with the choice to keep every value until the next run; see inspect.h.
cdl_result cdl_session_create_with(cdl_session **out, cdl_device *dev, cdl_model *model,
                                   const struct cdl_session_params *params, bool keep_values);

#endif // CDL_SESSION_H_
