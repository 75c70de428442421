// cdl_train.h - train and fine-tune classifiers on any Vulkan GPU, by torchvision's reference recipe: SGD with momentum
// and weight decay, batch norm with the batch's statistics, softmax cross-entropy; in 32 bits or in mixed precision.
// What holds for every function of cdl.h holds here.
//
// Training is deterministic: the same pictures in the same order on the same device and driver give the same weights,
// to the bit; also when it was interrupted, saved and loaded.
#ifndef CDL_TRAIN_H_
#define CDL_TRAIN_H_

#include "cdl/cdl.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- trainer: a network that learns on a device. Thread-safety: one thread at a time
typedef struct cdl_trainer cdl_trainer; // weights, momentum, and the recording of a step

// How a picture is changed before the network sees it, so that it never sees the same twice. Chosen by the seed, the
// epoch and the picture's index alone: the same on every machine.
typedef enum cdl_augment {
    CDL_AUGMENT_NONE,  // resized and cropped as for classifying
    CDL_AUGMENT_SMALL, // shifted by up to an eighth of the input's side, black beyond it, and flipped: CIFAR's recipe
    CDL_AUGMENT_IMAGENET, // torchvision's RandomResizedCrop and RandomHorizontalFlip
} cdl_augment;

// How several processes, each with a trainer of the same network that learns from pictures of its own, take the average
// of their gradients in every step, over whatever connects them (the program does it through MPI). All of them make
// the same calls, in the same order. The callbacks run in the thread that called the trainer; `ctx` is their first
// argument. false, or a negative share, ends the trainer's call with CDL_ERR_IO: that process has missed a step, and
// the training is over.
struct cdl_train_exchange {
    void *ctx; // the caller's own
    // This process's part of the pictures that all have in this step, where it has `images`; the parts are 1 together.
    float (*share)(void *ctx, int images);
    // Begins to replace data[count] by the sum of all processes', which have the same count: called for one bucket of
    // gradients after another in the order that backward finishes them, while it goes on. data stays until `finish`.
    bool (*reduce)(void *ctx, float *data, size_t count);
    void (*progress)(void *ctx); // called about every millisecond while the GPU computes; may be NULL
    bool (*finish)(void *ctx);   // waits for the oldest sum that was begun and not finished
    bool (*broadcast)(void *ctx, void *data, size_t bytes); // replaces data[bytes] by the first process's; blocks
    size_t bucket_bytes;                                    // of gradients; 0: 25 MB
};

struct cdl_trainer_params {                     // of cdl_trainer_create
    size_t CDL_STRUCT_SIZE(cdl_trainer_params); // set by the macro
    int batch;                                  // the most pictures of a step; 0: 32
    int width, height;                          // the network's input; 0: the model's own
    cdl_augment augment;                        // see cdl_augment
    uint64_t seed;                              // of augmentation and new weights
    float momentum;                             // 0: 0.9; below 0: none
    float weight_decay;                         // 0: 1e-4; below 0: none
    float norm_weight_decay;                    // of batch norm's weights and biases. 0: as weight_decay; below 0: none
    float label_smoothing;                      // 0 ... 1
    // Module paths separated by commas, "stem" for the first layer: these keep their weights, and their batch norms the
    // running statistics. NULL: everything learns.
    const char *freeze;
    // Classes to learn, where these are not the model's own: its last layer begins anew. 0: the model's.
    int num_classes;
    const char *const *labels; // [num_classes or the model's]; NULL: the model's own, none where the number differs
    bool initialise;           // all weights begin anew, as torchvision's do, rather than with the model's
    size_t staging_bytes;      // pixels under way to the device, twice; 0: 64 MiB. One picture's crop must fit.
    // FP16 is mixed precision: activations, their gradients and a copy of the weights in 16 bits; sums, statistics,
    // gradients of weights and the weights themselves in 32, and a loss scale that follows what happens, as PyTorch's
    // GradScaler does. FP32, and AUTO: all in 32 bits.
    cdl_precision precision;
    float clip_grad_norm; // the most that the norm of all gradients may be: longer ones are shortened; 0: anything
    // An exponential moving average of all weights and running statistics, which takes 1 - ema_decay of them every
    // ema_steps steps: torchvision's model-ema, by the decay that it adjusts. 0: none; below 1
    float ema_decay;
    int ema_steps;  // 0: 32
    int ema_warmup; // epochs, in which the average is the weights themselves as they last were
    // Less memory for more time: of each stage of the network only the result is kept, and what lies in it is computed
    // again on the way back. The same results, to the bit.
    bool recompute;
    // How far brightness, contrast and saturation of pictures are changed, in any order: by factors of 1 - x to 1 + x,
    // as by torchvision's ColorJitter. 0: not at all. Tensors stay as they are.
    float brightness, contrast, saturation;
    // Above 0, at most 1: each picture is mixed with the one before it in its batch, and learned as both, by a share
    // that is drawn for every batch from the symmetric beta distribution of this parameter (Zhang et al. 2018).
    float mixup;
    bool accumulate; // cdl_trainer_accumulate will be called: device memory for a second set of gradients
    const struct cdl_train_exchange *exchange; // copied; NULL: this process is alone
    // Time every dispatch, for cdl_trainer_timings; keeps them apart, so that a step is slower. Not with an exchange.
    bool timings;
    cdl_tune tune; // tuning lengthens the creation, by seconds on a GPU
};
#ifndef __cplusplus
// Parameters written in the call: cdl_trainer_params(.batch = 64)
#define cdl_trainer_params(...) \
    (&(struct cdl_trainer_params){.struct_size = sizeof(struct cdl_trainer_params), __VA_ARGS__})
#endif

// Plans, allocates all memory and records; blocks; submits. The model may be destroyed afterwards. CDL_ERR_NOMEM names
// what a step of this batch needs, and the largest batch that fits.
CDL_API cdl_result cdl_trainer_create(cdl_trainer **out, cdl_device *dev, cdl_model *model,
                                      const struct cdl_trainer_params *params);
CDL_API void cdl_trainer_destroy(cdl_trainer **trainer); // waits for its steps; before its device

struct cdl_train_picture {    // one of a step
    struct cdl_pixels pixels; // 8-bit; or, for all of a step, tensors, which are not augmented
    int label;                // 0 ... number of classes - 1
    uint64_t index;           // of the picture in its set: with seed and epoch it chooses the augmentation
};

// Learns from `count` pictures, 1 ... batch: forward, loss, backward, update. Does not wait for the GPU, but for the
// step before the last; with an exchange, for the gradients. `pictures` may be reused on return. Allocates nothing.
// count may be 0 where the step has pictures all the same: accumulated ones, or other processes'.
CDL_API cdl_result cdl_trainer_step(cdl_trainer *trainer, const struct cdl_train_picture *pictures, int count,
                                    int epoch, float learning_rate);

// A part of the step that cdl_trainer_step ends: forward, loss, backward, and no update, which then takes the average
// over the pictures of all parts. So a step may have more pictures than fit into memory; but for batch norm, whose
// statistics are each part's own, its gradients are those of one large batch, summed in fp32 in the order of the parts.
// Waits for the part before the last. CDL_ERR_INVALID without params.accumulate.
CDL_API cdl_result cdl_trainer_accumulate(cdl_trainer *trainer, const struct cdl_train_picture *pictures, int count,
                                          int epoch);

// Called in all processes of an exchange: weights, momentum, running statistics and the number of steps become those of
// the first process. Waits for the steps; blocks; allocates host memory.
CDL_API cdl_result cdl_trainer_align(cdl_trainer *trainer);

struct cdl_train_result { // of one step
    uint64_t step;        // counted from 1 since the weights were new
    int images;           // of the step, all parts; of this process
    int correct;          // of these, whose label had the largest logit, before the update
    float loss;           // their mean; not finite: training has diverged
    float gradient_norm;  // of the gradients of all that learns, as one vector, before it was clipped
    bool skipped;         // a gradient was no finite number, so that the weights and their momentum stayed as they were
    uint64_t skipped_steps; // how many were, since the weights were new
    float loss_scale;       // of the next step: what the loss is multiplied with on the way back
    // On the device, from the network's first dispatch to the end of the update. 0: unknown, as without timestamps, of
    // a step in several parts or with an exchange.
    uint64_t gpu_ns;
};
// The oldest step whose result was not taken yet; of the last two, that is: a third step drops the first's.
// CDL_NOT_READY: there is none, or it still runs; with `wait`, it is waited for.
CDL_API cdl_result cdl_trainer_result(cdl_trainer *trainer, bool wait, struct cdl_train_result *out);

// A new model of the weights as they are now, or of their averages where these are kept; to be destroyed by the caller:
// for a session, which validates, or for cdl_model_save. Waits for the steps; allocates host memory.
CDL_API cdl_result cdl_trainer_model(cdl_trainer *trainer, cdl_model **out);

// Writes all that the next step depends on: weights, momentum, running statistics, averages, loss scale, the number of
// steps; and `note`, a text of the caller's, NULL for none. The file appears whole or not at all. Waits for the steps.
// CDL_ERR_INVALID between cdl_trainer_accumulate and the step that it is a part of.
CDL_API cdl_result cdl_trainer_save_state(cdl_trainer *trainer, const char *path, const char *note);
// Goes on from a file that a trainer of the same network wrote: the next steps give what they would have given there.
// note[note_size]: the caller's text; CDL_ERR_FORMAT when the file is damaged, of another network or of another format,
// CDL_ERR_INVALID when the note does not fit. On failure the trainer is as it was.
CDL_API cdl_result cdl_trainer_load_state(cdl_trainer *trainer, const char *path, char *note, size_t note_size);

// What part of a step a dispatch belongs to.
typedef enum cdl_train_phase {
    CDL_TRAIN_PHASE_FORWARD,  // with the loss
    CDL_TRAIN_PHASE_BACKWARD, // gradients, and what is computed again for them
    CDL_TRAIN_PHASE_UPDATE    // the norm of the gradients, new weights, their averages
} cdl_train_phase;

// One dispatch of a step. Texts live as long as the trainer.
struct cdl_train_timing {
    cdl_train_phase phase; // of the step
    const char *layer;     // PyTorch's module path; "all" where it is of the whole network
    const char *operation; // "dW", "batch norm sums"
    const char *kernel;    // shader, its constants, storage
    uint64_t gpu_ns;       // time on the device
    uint64_t flops;        // of products with weights; a multiply-add is two; 0 where a dispatch makes none
    uint64_t bytes;        // what it reads and writes, once each, for a whole batch
};
// Of the step whose result was taken last, where it had several parts the last of them and the update; the trainer was
// created with `timings`. *num is 0 where the device has no
// timestamps. Writes up to `cap` entries, stores the full count in *num.
CDL_API cdl_result cdl_trainer_timings(const cdl_trainer *trainer, struct cdl_train_timing *out, int cap, int *num);

struct cdl_trainer_info {                     // what a trainer is and holds
    int batch, width, height, num_classes;    // as parameters, defaults filled in
    uint64_t step;                            // steps so far
    uint64_t num_parameters, num_trainable;   // as PyTorch counts, without running statistics
    uint64_t parameter_bytes;                 // of device memory: weights, momentum, gradients, their sums, averages
    uint64_t activation_bytes, staging_bytes; // of device memory: values of a step; pixels, in both slots
    int num_dispatches;                       // of a step
};
CDL_API void cdl_trainer_get_info(const cdl_trainer *trainer, struct cdl_trainer_info *out); // cheap

// The order of an epoch: a permutation of 0 ... count - 1 by seed and epoch, the same on every machine. Pure.
CDL_API void cdl_train_order(uint64_t seed, int epoch, uint32_t count, uint32_t *out);

#ifdef __cplusplus
}
#endif
#endif // CDL_TRAIN_H_
