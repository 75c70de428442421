// parameters.h - what a network learns, as one flat array of floats.
//
// Every tensor lies there as PyTorch has it, from a multiple of 8 on and followed by zeros up to the next. In front are
// those that learn: with weight decay, then batch norm's with a decay of their own. Behind them come frozen tensors and
// constants, then running statistics. Gradients and momentum are arrays like its front, with the same offsets.
#ifndef CDL_TRAIN_PARAMETERS_H_
#define CDL_TRAIN_PARAMETERS_H_

#include "graph/graph.h"

enum cdl_parameter_kind {
    CDL_PARAMETER_WEIGHT,  // of a convolution or the linear layer, and biases
    CDL_PARAMETER_NORM,    // batch norm's weight and bias
    CDL_PARAMETER_RUNNING, // batch norm's running statistics
    CDL_PARAMETER_CONSTANT // a shortcut's that has none in the file: neither learned nor saved
};

struct cdl_parameter {
    const struct cdl_tensor *tensor; // where its first values come from
    enum cdl_parameter_kind kind;
    bool trainable;
    size_t at, count; // floats
};

struct cdl_parameters {
    struct cdl_parameter *items; // [count], by `at`
    int count;
    size_t decayed;   // floats [0, decayed) learn with weight decay
    size_t trainable; // [decayed, trainable) with batch norm's
    size_t size;      // of all
};

// All of a graph that does not fold batch norm. freeze: prefixes of module paths, separated by commas, "stem" for conv1
// and bn1; what they name does not learn. NULL: nothing. CDL_ERR_INVALID names a prefix that no tensor has.
cdl_result cdl_parameters_create(struct cdl_parameters *out, const struct cdl_graph *graph, const char *freeze,
                                 const cdl_log *log);
void cdl_parameters_destroy(struct cdl_parameters *parameters);

// Floats up to where the next tensor may begin: zeros behind its own, which kernels write, too.
size_t cdl_parameter_slot(const struct cdl_parameter *parameter);

int cdl_parameters_find(const struct cdl_parameters *parameters, const struct cdl_tensor *tensor); // -1: none

// The tensors' values, [size]; and back into the tensors' own memory, which must be contiguous floats.
void cdl_parameters_read(const struct cdl_parameters *parameters, float *out);
void cdl_parameters_write(const struct cdl_parameters *parameters, const float *in);

#endif // CDL_TRAIN_PARAMETERS_H_
