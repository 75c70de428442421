// reference_ops.h - every operation of the network in plain C with double accumulation, and a bound for
// how far single precision may be off.
#ifndef CDL_REFERENCE_OPS_H_
#define CDL_REFERENCE_OPS_H_

#include "support/op_instance.h"

// For each output: the exact value before storage, and the largest allowed difference from it.
// magnitude: of a convolution, the sum of its products' magnitudes.
//   value, bound, magnitude: [images][dst height][dst width][dst_channels]
// middle, middle_bound: the same of what is between two operations, [images][channels]; NULL: there is no such.
struct reference {
    double *value, *bound, *magnitude;
    double *middle, *middle_bound;
};

// exact: data is DATA_EXACT; bounds are zero wherever the operation itself is exact.
void reference_compute(struct reference *out, const struct op_instance *instance, bool exact);
void reference_free(struct reference *r);

// Probabilities and the order of classes (logit descending, then number).
//   probs: [classes]; order: [classes]
void reference_classify(const float *logits, int classes, double *probs, int *order);

#endif // CDL_REFERENCE_OPS_H_
