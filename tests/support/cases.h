// cases.h - the case table: shapes that every kernel must get right.
//
// One list for all kernels: test_kernels.c runs each case on every kernel that the engine lists as legal for
// it, in both storage types, so a new kernel or variant is tested without a word here. compile_all.c compiles them.
#ifndef CDL_CASES_H_
#define CDL_CASES_H_

#include <stdbool.h>
#include <stddef.h>

enum case_kind {
    CASE_CONV,
    CASE_LINEAR,
    CASE_BATCH_NORM,
    CASE_MAX_POOL,
    CASE_AVG_POOL,
    CASE_AVG_POOL_LINEAR, // two operations by one kernel
    CASE_CLASSIFY,        // softmax and top-k: images, dst_channels classes
    CASE_PREPROCESS,      // a picture of width x height
    CASE_IMPORT,
};

struct op_case {
    enum case_kind kind;
    int images, height, width, channels; // source
    int dst_channels;
    int kernel_h, kernel_w, stride, padding, groups;
    bool relu, residual, norm;                        // norm: a batch norm folded into the convolution
    int resize, crop_height, crop_width, orientation; // preprocess
    bool bicubic;                                     // preprocess; else bilinear
};

extern const struct op_case op_cases[];
extern const int num_op_cases;

int case_dst_height(const struct op_case *c);
int case_dst_width(const struct op_case *c);

// "conv 2x13x9, 24 -> 40 channels, kernel 3x3, stride 2, padding 1, groups 8, relu, residual"
void case_text(const struct op_case *c, char *out, size_t size);

#endif // CDL_CASES_H_
