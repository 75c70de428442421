// trainer.h - a network that learns on a device: trainer.c makes one, step.c runs its steps on what stage.c put into
// staging memory, weights.c moves parameters between host and device, and to and from files.
#ifndef CDL_TRAINER_H_
#define CDL_TRAINER_H_

#include "cdl/cdl_train.h"
#include "train/augment.h"
#include "train/program.h"
#include "vulkan/device.h"
#include "vulkan/one_shot.h"
#include "vulkan/upload.h"

enum { CDL_TRAIN_SLOTS = 2, CDL_READBACK_SCALING = 16 };

// One step in flight.
struct cdl_train_slot {
    struct cdl_upload *staging; // the room CDL_ROOM_INPUT, the job table, then coefficients and pixels
    struct cdl_buffer readback; // float[2]: mean loss, how many are right; at CDL_READBACK_SCALING cdl_train_scaling
    VkCommandBuffer preprocess, network;
    VkFence done;        // of the last submission
    bool in_flight;      // it was not waited for yet
    int recorded_images; // of `network`
    int images;          // of the step whose result was not taken; 0: there is none
    uint64_t step;
};

struct cdl_trainer {
    struct cdl_device *dev;
    struct cdl_model *model; // its weights' memory is filled from the device when they are asked for
    struct cdl_train_program program;
    struct cdl_train_sight sight;
    cdl_interpolation interpolation;
    VkPipeline *pipelines; // [program.num_steps]
    VkPipeline preprocess, import;
    struct cdl_buffer parameters, momentum, gradients, scaling, arena;
    struct cdl_buffer bounce; // on the way back to the host
    struct cdl_once once;
    VkCommandPool pool;
    int32_t *tables; // room to make a picture's coefficient tables in: staging_bytes
    struct cdl_train_slot slots[CDL_TRAIN_SLOTS];
    size_t staging_bytes, jobs_at, pixels_at; // of each slot
    uint64_t step;                            // so far
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
// The same for tensors.
void cdl_train_stage_tensors(struct cdl_train_stage *stage, const struct cdl_train_picture *pictures, int count,
                             int *next, struct cdl_launch *out);

// ---- step.c

cdl_result cdl_train_wait(struct cdl_trainer *t); // for all steps

// ---- weights.c: waits for all steps and blocks

// Between host memory and a device buffer; offsets and sizes in bytes.
cdl_result cdl_train_upload(struct cdl_trainer *t, const struct cdl_buffer *to, const void *data, size_t size);
cdl_result cdl_train_download(struct cdl_trainer *t, const struct cdl_buffer *from, void *data, size_t size);

#endif // CDL_TRAINER_H_
