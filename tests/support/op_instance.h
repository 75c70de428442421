// op_instance.h - a case of the table as a network of one operation, or of an average and one, with weights and data.
#ifndef CDL_OP_INSTANCE_H_
#define CDL_OP_INSTANCE_H_

#include "support/cases.h"
#include "support/harness.h"

enum op_data {
    DATA_EXACT,  // -1, -1/2, 0, 1/2, 1 everywhere: every sum is a small multiple of 1/4, exact in any order and storage
    DATA_RANDOM, // seeded, of a trained network's magnitudes
};

struct op_instance {
    const struct op_case *c;
    struct cdl_graph graph; // values: 0 source, 1 residual or what is between two operations, 2 destination
    struct cdl_op ops[2];   // the last has the weights
    int num_ops;
    struct cdl_value values[3];
    struct cdl_tensor weight_tensor, bias_tensor, norm_tensors[4];
    float *weight;   // [dst_channels][channels / groups][kernel_h][kernel_w]
    float *bias;     // [dst_channels]
    float *norm[4];  // weight, bias, mean, variance: [dst_channels] each
    float *src;      // [images][height][width][channels], as storage holds it
    float *residual; // [images][dst height][dst width][dst_channels], as storage holds it; NULL: none
    size_t outputs;  // images * dst height * dst width * dst_channels
    size_t products; // multiply-adds that an output sums
    bool fp16;       // values 0 and 2 are stored so unless they are marked fp32
};

// c: CASE_CONV ... CASE_AVG_POOL_LINEAR. fp16: storage.
void op_instance_init(struct op_instance *out, const struct op_case *c, enum op_data data, bool fp16, uint64_t stream);
// The graph and its tensors alone, zeros for data: enough to compile kernels.
void op_instance_init_shape(struct op_instance *out, const struct op_case *c, bool fp16);
void op_instance_free(struct op_instance *instance);

const struct cdl_op *op_last(const struct op_instance *instance);
struct cdl_work op_work(const struct op_instance *instance);
bool value_is_fp16(const struct op_instance *i, int value);

// Every kernel the engine calls legal for the operation, on this device and on others like it: as seen with
// and without caps.software, best guesses first. Equal ones once. Returns their number, at most 2 * CDL_MAX_KERNELS.
int legal_kernels(const struct op_instance *i, const struct cdl_caps *caps, struct cdl_kernel *out);

#endif // CDL_OP_INSTANCE_H_
