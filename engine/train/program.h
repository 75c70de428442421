// program.h - a training step as a list of dispatches, derived from a graph: forward with a batch's statistics, loss,
// backward, update. Plain data, no Vulkan.
//
// A step of the program has values in roles: what its kernel reads and writes. Everything else follows from these: how
// long a value must be kept, where it lies in the arena, and where a dispatch has to wait. Forward convolutions, and
// the gradients of their sources at stride 1, run on the kernels of inference; weights are packed for them anew each
// time.
// No kernel adds floats in an order that may change: two runs of a step give the same bits.
#ifndef CDL_TRAIN_PROGRAM_H_
#define CDL_TRAIN_PROGRAM_H_

#include "kernels/kernels.h"
#include "train/dw.h"
#include "train/dx.h"
#include "train/parameters.h"
#include "train_params.h"

enum cdl_train_kind {
    CDL_TRAIN_PACK,      // weights for a forward convolution
    CDL_TRAIN_PACK_BACK, // for the gradient of its source
    CDL_TRAIN_FORWARD,   // a kernel of inference: convolution, linear layer, average
    CDL_TRAIN_NORM_SUMS,
    CDL_TRAIN_NORM_FINISH,
    CDL_TRAIN_NORM_APPLY,
    CDL_TRAIN_MAX_POOL,
    CDL_TRAIN_LOSS,
    CDL_TRAIN_LOSS_SUM,
    CDL_TRAIN_NORM_BACK_SUMS,
    CDL_TRAIN_NORM_BACK_FINISH,
    CDL_TRAIN_NORM_BACK_APPLY,
    CDL_TRAIN_MAX_POOL_BACK,
    CDL_TRAIN_AVG_POOL_BACK,
    CDL_TRAIN_DX, // a kernel of inference on turned weights
    CDL_TRAIN_DX_STRIDED,
    CDL_TRAIN_DX_SPREAD, // of a 1x1 convolution at a stride, behind CDL_TRAIN_DX
    CDL_TRAIN_DW,
    CDL_TRAIN_DW_SUM,
    CDL_TRAIN_BIAS,
    CDL_TRAIN_GRADIENT_SUMS,
    CDL_TRAIN_GRADIENT_NORM,
    CDL_TRAIN_UPDATE,
    CDL_TRAIN_UPDATE_NORM,
    CDL_TRAIN_AVERAGE,
    CDL_NUM_TRAIN_KINDS
};

// What a value is to a step.
enum cdl_train_role {
    CDL_ROLE_SRC,      // of the forward operation
    CDL_ROLE_RESIDUAL, // of the forward operation; in the backward pass, the gradient that is added to
    CDL_ROLE_DST,
    CDL_ROLE_PACKED, // weights as a kernel reads them
    CDL_ROLE_PARTIAL,
    CDL_ROLE_STATISTICS,
    CDL_ROLE_POSITIONS,
    CDL_ROLE_GRADIENT, // of DST
    CDL_ROLE_MASKED,   // the same before the ReLU
    CDL_ROLE_SRC_GRADIENT,
    CDL_ROLE_SUMS,
    CDL_ROLE_WEIGHT, // parameters, and their gradients
    CDL_ROLE_BIAS,
    CDL_ROLE_MEAN,
    CDL_ROLE_VARIANCE,
    CDL_ROLE_WEIGHT_GRADIENT,
    CDL_ROLE_BIAS_GRADIENT,
    CDL_ROLE_LABELS,
    CDL_ROLE_EACH,
    CDL_ROLE_RESULT,
    CDL_ROLE_PARAMETERS, // a range that is updated, its momentum and gradients
    CDL_ROLE_MOMENTUM,
    CDL_ROLE_GRADIENTS,
    CDL_ROLE_RATE,
    CDL_ROLE_AVERAGES,
    CDL_ROLE_SCALING, // struct cdl_train_scaling
    CDL_NUM_TRAIN_ROLES
};

// The buffers that values lie in.
enum cdl_train_room {
    CDL_ROOM_ARENA,
    CDL_ROOM_PARAMETERS,
    CDL_ROOM_GRADIENTS,
    CDL_ROOM_MOMENTUM,
    CDL_ROOM_SCALING,  // struct cdl_train_scaling
    CDL_ROOM_AVERAGES, // like the parameters; only where they are wanted
    CDL_ROOM_INPUT,    // what the host writes for each step: see CDL_INPUT_...
    CDL_NUM_TRAIN_ROOMS
};
// Bytes. CDL_INPUT_RATE: the learning rate, and the share that the averages take of the parameters, floats.
enum { CDL_INPUT_RATE = 0, CDL_INPUT_LABELS = 256 };

// What stays on the device from step to step beside the parameters: see gradient_norm.comp. Gradients are those of
// `scale` times the loss, so that small ones do not vanish in half precision.
struct cdl_train_scaling {
    float scale;
    uint32_t good;    // steps since the scale was changed
    uint32_t skipped; // steps whose gradients were no finite numbers, so that nothing was updated
    float norm;       // of the last step's gradients, without the scale
    float factor;     // that its gradients were updated with; 0: it was skipped
    uint32_t unused[3];
};

struct cdl_train_value {
    enum cdl_train_room room;
    size_t at, bytes;
    int first, last; // of the arena's: the steps that it lives in; -1: before the first
};

struct cdl_train_step {
    enum cdl_train_kind kind;
    int op;                          // of the graph it belongs to; -1: to the whole
    struct cdl_kernel kernel;        // of inference's kernels; else only its program is set
    struct cdl_dw_kernel dw;         // of CDL_TRAIN_DW, and of CDL_TRAIN_DW_SUM, which adds its parts up
    int values[CDL_NUM_TRAIN_ROLES]; // -1: none in this role
    uint32_t writes;                 // roles, as bits
    int part;                        // pixels of each partial sum but the last
    bool barrier_before;
};

struct cdl_train_program {
    struct cdl_graph graph; // forward, batch norm apart
    // The convolutions that give the gradients of sources; operation i belongs to forward's i. Behind the forward
    // values lie those of the pixels that a 1x1 convolution at a stride reads.
    struct cdl_graph back;
    struct cdl_parameters parameters;
    struct cdl_train_step *steps;
    int num_steps;
    size_t step_capacity;
    struct cdl_train_value *values;
    int num_values;
    size_t value_capacity;
    int input, logits, result; // values
    int first_backward;        // steps
    // Steps from here on need the gradients of all parameters: their norm, the update. Those before write gradients and
    // do not read them.
    int first_update;
    size_t arena_bytes, live_bytes;
    size_t input_bytes; // of CDL_ROOM_INPUT
    int batch;
    bool fp16; // storage of values that are not marked fp32, of their gradients, and of packed weights
    float label_smoothing, momentum, weight_decay, norm_weight_decay, clip_grad_norm;
};

struct cdl_train_program_params {
    int batch, height, width;
    bool fp16;     // mixed precision: the loss scale follows what happens
    bool averages; // of all parameters are kept
    // Of a stage, operations whose names begin alike, only the result is kept for the way back; the rest is computed
    // again, to the same bits.
    bool recompute;
    const char *freeze; // as cdl_parameters_create
    float label_smoothing, momentum, weight_decay, norm_weight_decay;
    float clip_grad_norm; // the most that the norm of all gradients may be; 0: anything
    const struct cdl_caps *caps;
    // As in cdl_plan_params; NULL: the first kernel.
    int (*choose)(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count);
    // The same for the gradient of a convolution's weights.
    int (*choose_dw)(void *ctx, const struct cdl_shape *shape, const struct cdl_dw_kernel *kernels, int count);
    // Whether cdl_dx_kernel(shape, adds) may be used. There is no other: a failure, which it has logged, is the
    // derivation's. NULL: it may.
    cdl_result (*trust_dx)(void *ctx, const struct cdl_shape *shape, bool adds);
    void *choose_ctx; // of all three
};

// The model must outlive the program. CDL_ERR_UNSUPPORTED: a value would outgrow 32-bit indices, or no kernel works.
cdl_result cdl_train_program_create(struct cdl_train_program *out, const struct cdl_model *model,
                                    const struct cdl_train_program_params *params, const cdl_log *log);
// The same of a graph that is at hand, which the program owns from now on, also after a failure.
cdl_result cdl_train_program_of(struct cdl_train_program *out, const struct cdl_graph *graph,
                                const struct cdl_train_program_params *params, const cdl_log *log);
void cdl_train_program_destroy(struct cdl_train_program *program);

// One line a step and a summary of memory, at CDL_LOG_DEBUG.
void cdl_train_program_log(const struct cdl_train_program *program, const cdl_log *log);
// "conv_dw": what a step does, for people.
const char *cdl_train_kind_text(enum cdl_train_kind kind);
// Of the layer that a step belongs to.
const char *cdl_train_step_name(const struct cdl_train_program *program, int step);

// launch.c: a step's dispatch for `images` images, 1 to the batch; rooms: the buffers' addresses.
void cdl_train_launch(const struct cdl_train_program *program, int step, int images,
                      const uint64_t rooms[CDL_NUM_TRAIN_ROOMS], struct cdl_launch *out);

// programs.c: what only some trainings run, beside the program.
enum cdl_train_extra { CDL_TRAIN_MIX, CDL_TRAIN_JITTER, CDL_TRAIN_MIXUP, CDL_NUM_TRAIN_EXTRAS };
struct cdl_program cdl_train_extra(enum cdl_train_extra which, bool fp16); // fp16: of the pictures

// ---- within this room: programs.c

// The program of a step that has no kernel chosen for its convolution.
struct cdl_program cdl_train_kernel(const struct cdl_train_program *program, const struct cdl_train_step *step,
                                    const struct cdl_caps *caps);
// Of the workgroups of norm_sums.comp and norm_back_sums.comp: see rows.glsl.
static inline uint32_t cdl_train_norm_rows(const struct cdl_caps *caps) { return caps->software ? 1 : 8; }

#endif // CDL_TRAIN_PROGRAM_H_
