// trainer.h - a network that learns on a device: trainer.c makes one, step.c runs its steps on what stage.c put into
// staging memory, exchange.c averages gradients with other processes, weights.c moves parameters between host and
// device, and to and from files, timings.c tells where a step's time went.
#ifndef CDL_TRAINER_H_
#define CDL_TRAINER_H_

#include "cdl/cdl_train.h"
#include "train/augment.h"
#include "train/buckets.h"
#include "vulkan/device.h"
#include "vulkan/one_shot.h"
#include "vulkan/upload.h"

enum { CDL_TRAIN_SLOTS = 2, CDL_READBACK_SCALING = 16 };

// What a step's average takes of the gradients that were accumulated and of those that were just computed.
struct cdl_train_mix {
    float of_sum, of_gradient;
};

// One step in flight, or a part of one.
struct cdl_train_slot {
    struct cdl_upload *staging; // the room CDL_ROOM_INPUT, the job table, then coefficients and pixels
    struct cdl_buffer readback; // float[2]: mean loss, how many are right; at CDL_READBACK_SCALING cdl_train_scaling
    // Recorded once: the program up to the gradients, and its update. For each submission: what brings the pictures to
    // the network; what becomes of the gradients of a part.
    VkCommandBuffer gradients, update, preprocess, mix;
    VkFence done;        // of the last submission
    VkQueryPool queries; // 2: around the step; with `timings` see cdl_train_query. VK_NULL_HANDLE: the device has none
    bool timed;          // all of them were written
    bool in_flight;      // it was not waited for yet
    bool update_recorded;
    int recorded_images; // of `gradients`; -1: none
    int images;          // whose result was not added to its step's; -1: none
    uint64_t step;       // that it is a part of
    // With an exchange, in place of `gradients`: up to the copy of each bucket into host memory.
    VkCommandBuffer *segments; // [exchange.buckets.count]
    int recorded_segments;     // images of them; -1: none
    struct cdl_train_mix recorded_mix;
};

// The result of a step so far.
struct cdl_train_tally {
    uint64_t step; // 0: none, or it was taken
    bool whole;    // all parts were submitted
    int images, correct;
    double loss;                      // sum over images
    uint64_t gpu_ns;                  // 0: unknown
    struct cdl_train_scaling scaling; // behind the update
};

// exchange.c: gradients on their way to other processes.
struct cdl_train_link {
    struct cdl_train_exchange calls;
    struct cdl_train_buckets buckets; // empty: this process is alone
    struct cdl_buffer host;           // all of them
    VkCommandBuffer back;             // from there into the gradients
    VkFence *done;                    // [buckets.count], of the segments
};

struct cdl_trainer {
    struct cdl_device *dev;
    struct cdl_model *model; // its weights' memory is filled from the device when they are asked for
    struct cdl_train_program program;
    struct cdl_train_sight sight;
    cdl_interpolation interpolation;
    VkPipeline *pipelines; // [program.num_steps]
    VkPipeline preprocess, import, mix;
    VkPipeline jitter, mixup; // VK_NULL_HANDLE: not asked for
    float mixup_alpha;
    struct cdl_buffer parameters, momentum, gradients, scaling, arena;
    struct cdl_buffer sum;      // of the gradients of a step's parts, with params.accumulate
    struct cdl_buffer averages; // size 0: none are kept
    float ema_decay;
    int ema_steps, ema_warmup;
    uint64_t averaged; // how often the averages were moved since they began
    struct cdl_train_link exchange;
    struct cdl_buffer bounce; // on the way back to the host
    struct cdl_once once;
    VkCommandPool pool;
    int32_t *tables; // room to make a picture's coefficient tables in: staging_bytes
    struct cdl_train_slot slots[CDL_TRAIN_SLOTS];
    struct cdl_train_tally tallies[CDL_TRAIN_SLOTS];      // of the last two steps, by their number
    size_t staging_bytes, jobs_at, jitters_at, pixels_at; // of each slot
    uint64_t step;                                        // so far
    uint64_t submissions;
    int accumulated;                        // images in `sum`; 0: it holds nothing
    uint64_t *ticks;                        // as many as a slot's queries, of the step that was timed last
    int timed_images;                       // of that step; 0: there was none
    char (*kernel_names)[CDL_PROGRAM_NAME]; // [num_steps]; NULL: without `timings`
};

// ---- stage.c

// How far a slot's staging buffer is filled.
struct cdl_train_stage {
    struct cdl_trainer *t;
    struct cdl_train_slot *slot;
    size_t used;
    int num_jobs, max_rows;
};
// Stages pictures[*next ... count) as far as they fit, and moves *next to the first that did not. Not even one:
// CDL_ERR_NOMEM.
cdl_result cdl_train_stage_pictures(struct cdl_train_stage *stage, const struct cdl_train_picture *pictures, int count,
                                    int epoch, int *next);
// The dispatch that brings what is staged to the network's input.
void cdl_train_stage_launch(const struct cdl_train_stage *stage, struct cdl_launch *out);
// The dispatches behind the last of them: colours; each picture with the one before it.
void cdl_train_jitter_launch(const struct cdl_trainer *t, const struct cdl_train_slot *slot, int images,
                             struct cdl_launch *out);
void cdl_train_mixup_launch(const struct cdl_trainer *t, int images, float share, struct cdl_launch *out);
// The same as cdl_train_stage_pictures and cdl_train_stage_launch for tensors.
void cdl_train_stage_tensors(struct cdl_train_stage *stage, const struct cdl_train_picture *pictures, int count,
                             int *next, struct cdl_launch *out);

// ---- step.c

cdl_result cdl_train_wait(struct cdl_trainer *t); // for all steps
void cdl_train_forget(struct cdl_trainer *t);     // results not taken, parts of a step that has not ended
// Records dispatches of the program's steps [from, to).
void cdl_train_record_steps(struct cdl_trainer *t, const struct cdl_train_slot *slot, VkCommandBuffer commands,
                            int from, int to, int images);
// Records gradient_mix.comp over a range of the gradients, behind a barrier of the caller's; into `sum` rather than
// themselves.
void cdl_train_record_mix(struct cdl_trainer *t, VkCommandBuffer commands, const struct cdl_train_range *range,
                          struct cdl_train_mix mix, bool into_sum);
bool cdl_train_mix_changes(struct cdl_train_mix mix); // anything in the gradients

// ---- exchange.c

cdl_result cdl_train_link_create(struct cdl_trainer *t, const struct cdl_train_exchange *exchange);
void cdl_train_link_destroy(struct cdl_trainer *t);
// The segments of a slot, for so many images, 0 for none; nothing where they are recorded already.
cdl_result cdl_train_link_record(struct cdl_trainer *t, struct cdl_train_slot *slot, int images,
                                 struct cdl_train_mix mix);
// Behind the first segment's submission: submits the others, has each bucket summed as soon as it is there, and submits
// the update. Returns when that is submitted, or all that was begun has ended.
cdl_result cdl_train_link_run(struct cdl_trainer *t, struct cdl_train_slot *slot);

// ---- timings.c

// The timestamp behind a step of the program; the one before it in number is in front.
uint32_t cdl_train_query(const struct cdl_train_program *program, int step);
cdl_result cdl_train_timings_create(struct cdl_trainer *t, bool of_dispatches);
void cdl_train_timings_destroy(struct cdl_trainer *t);
// Of a finished step; *gpu_ns: of all of it.
cdl_result cdl_train_timings_take(struct cdl_trainer *t, const struct cdl_train_slot *slot, uint64_t *gpu_ns);

// ---- weights.c: waits for all steps and blocks

// Between host memory and a device buffer; offsets and sizes in bytes.
cdl_result cdl_train_upload(struct cdl_trainer *t, const struct cdl_buffer *to, const void *data, size_t size);
cdl_result cdl_train_download(struct cdl_trainer *t, const struct cdl_buffer *from, void *data, size_t size);

#endif // CDL_TRAINER_H_
