// buckets.h - a program's gradients in the order that backward finishes them, cut into buckets that processes exchange
// while it goes on. Plain data, no Vulkan.
#ifndef CDL_TRAIN_BUCKETS_H_
#define CDL_TRAIN_BUCKETS_H_

#include "train/program.h"

struct cdl_train_range {
    size_t at, count; // floats of CDL_ROOM_GRADIENTS
};

struct cdl_train_bucket {
    int after;             // the step that finishes the last of its gradients
    int first, num_ranges; // of `ranges`
    size_t at, count;      // floats, in memory that has all buckets one behind another; at: of a multiple of 256 bytes
};

struct cdl_train_buckets {
    struct cdl_train_bucket *items; // [count], by `after`
    int count;
    struct cdl_train_range *ranges;
    size_t size; // floats of that memory
};

// bytes: of a bucket, unless one tensor alone is larger.
cdl_result cdl_train_buckets_create(struct cdl_train_buckets *out, const struct cdl_train_program *program,
                                    size_t bytes, const cdl_log *log);
void cdl_train_buckets_destroy(struct cdl_train_buckets *buckets); // {0} is fine

#endif // CDL_TRAIN_BUCKETS_H_
