// derive.h - how a program is made: forward.c, backward.c and update.c add its steps, order.c finds lifetimes and
// barriers.
#ifndef CDL_TRAIN_DERIVE_H_
#define CDL_TRAIN_DERIVE_H_

#include "train/program.h"

struct cdl_derivation {
    struct cdl_train_program *p;
    const struct cdl_train_program_params *params;
    const cdl_log *log;
    cdl_result result; // the first failure stays, and later calls do nothing
    int *activations;  // [graph values]: the program's values that hold them
    int *gradients;    // [graph values]: what is known so far of the loss by them; -1: nothing
    bool *wanted;      // [graph values]: something before it learns
    int *statistics;   // [ops]: of batch norms
    int *positions;    // [ops]: of max-pools
    // [ops], of convolutions: the forward kernel, and the value that has its weights
    struct cdl_kernel *kernels;
    int *packed;
};

bool cdl_derive_failed(struct cdl_derivation *d, cdl_result r);
// A new value in the arena; -1 after a failure.
int cdl_derive_value(struct cdl_derivation *d, enum cdl_train_room room, size_t at, size_t bytes);
// A value shaped as the graph's.
int cdl_derive_like(struct cdl_derivation *d, int graph_value);
// A tensor's parameters, or their gradient, as a value of its own; -1: there is none, or it does not learn.
int cdl_derive_parameter(struct cdl_derivation *d, const struct cdl_tensor *tensor);
int cdl_derive_gradient(struct cdl_derivation *d, const struct cdl_tensor *tensor);
int cdl_derive_scaling(struct cdl_derivation *d);
// A new step without values; the caller fills them in, then ends it with the roles that it writes.
struct cdl_train_step *cdl_derive_step(struct cdl_derivation *d, enum cdl_train_kind kind, int op);
void cdl_derive_end(struct cdl_derivation *d, struct cdl_train_step *step, uint32_t writes);
// Chooses among the kernels of inference for an operation.
bool cdl_derive_kernel(struct cdl_derivation *d, const struct cdl_graph *graph, int op, struct cdl_kernel *out);
// Chooses among the kernels for the gradient of a convolution's weights.
bool cdl_derive_dw(struct cdl_derivation *d, const struct cdl_shape *shape, struct cdl_dw_kernel *out);
// The kernel for the gradient of a convolution's source that no forward kernel gives; adds: to one that is there.
bool cdl_derive_dx(struct cdl_derivation *d, const struct cdl_op *op, bool adds, struct cdl_kernel *out);
// A step that packs the operation's weights for a kernel; returns the value.
int cdl_derive_pack(struct cdl_derivation *d, enum cdl_train_kind kind, int op, const struct cdl_kernel *kernel);
// Into how many chunks batch norm's sums over a value's pixels are split; *chunk: pixels of each but the last.
int cdl_derive_chunks(const struct cdl_derivation *d, const struct cdl_value *value, int *chunk);

// Whether the gradient of a convolution's source is made for the pixels that it reads, and then spread.
bool cdl_derive_spreads(const struct cdl_op *op);

void cdl_derive_forward(struct cdl_derivation *d);
// Computes the values of operations [first, end) again that nothing behind them reads: what stood in d->activations may
// be gone.
void cdl_derive_again(struct cdl_derivation *d, int first, int end);
void cdl_derive_backward(struct cdl_derivation *d);
void cdl_derive_update(struct cdl_derivation *d);
cdl_result cdl_train_program_place(struct cdl_train_program *p, const cdl_log *log);

static inline int cdl_c4(const struct cdl_value *v) { return cdl_padded_channels(v->channels) / 4; }
#define CDL_ROLE_BIT(role) (UINT32_C(1) << (role))

#endif // CDL_TRAIN_DERIVE_H_
