// graph.h - a network as a list of operations on shaped values.
//
// Plain data, no Vulkan; resnet.h makes one from a model. Operations are in execution order; value 0 is the network's
// input.
#ifndef CDL_GRAPH_H_
#define CDL_GRAPH_H_

#include "model/model.h"

enum cdl_op_kind { CDL_OP_CONV, CDL_OP_BATCH_NORM, CDL_OP_MAX_POOL, CDL_OP_AVG_POOL };

struct cdl_value { // [images][height][width][cdl_padded_channels(channels)]
    int height, width, channels;
    bool fp32; // fp32 even when storage is fp16: the pooled features and the logits
};

struct cdl_batch_norm { // float[channels] each; weight NULL: none
    const struct cdl_tensor *weight, *bias, *mean, *variance;
};

struct cdl_op {
    enum cdl_op_kind kind;
    char name[64];          // PyTorch's module path: "layer1.0.conv2"
    int src, residual, dst; // values; residual -1: none. dst = act(op(src) + residual)
    bool relu;
    int kernel_h, kernel_w, stride, padding, groups;
    const struct cdl_tensor
        *weight;                   // conv: [dst channels][src channels / groups][kernel_h][kernel_w]; linear: [out][in]
    const struct cdl_tensor *bias; // [dst channels] or NULL
    struct cdl_batch_norm norm;    // conv: folded into weight and bias; batch norm: the operation itself
};

// The weights of a shortcut that has none in the file: a 1x1 convolution that hands channels on.
struct cdl_made_weight {
    struct cdl_tensor tensor;
    struct cdl_made_weight *next;
    float values[]; // what the tensor's strides lead to
};

struct cdl_graph {
    struct cdl_made_weight *made; // freed with the graph
    struct cdl_op *ops;
    struct cdl_value *values;
    int num_ops, num_values;
    int output;        // the value that the network is run for: the logits
    int map, features; // values: the last feature map, and its average, which the classifier sees
    int num_classes;
    char architecture[64]; // as the model calls it; empty while that is being found out
};

#define CDL_BATCH_NORM_EPSILON 1e-5f // torchvision's, and PyTorch's default

void cdl_graph_destroy(struct cdl_graph *graph);

// One line an operation, for people, at CDL_LOG_DEBUG.
void cdl_graph_log(const struct cdl_graph *graph, const cdl_log *log);

uint64_t cdl_op_flops(const struct cdl_graph *graph, const struct cdl_op *op, int images); // 2 per multiply-add

// "conv3x3 g32", "max_pool"
void cdl_op_text(const struct cdl_op *op, char *out, size_t size);

// The network's input is stored with 4 channels, everything else with a multiple of 8.
static inline int cdl_padded_channels(int channels) { return channels <= 4 ? 4 : (channels + 7) / 8 * 8; }

// value.c: a value in memory. fp16: storage of what is not marked fp32.
size_t cdl_value_bytes(const struct cdl_value *value, bool fp16); // of one image
// From and to float[images][height][width][channels]. Padding channels are stored as zeros.
void cdl_value_store(const struct cdl_value *value, bool fp16, int images, const float *in, void *out);
void cdl_value_load(const struct cdl_value *value, bool fp16, int images, const void *in, float *out);

#endif // CDL_GRAPH_H_
