// network.h - a model with memory of its own, whose weights may change: what a trainer learns, and copies of it.
#ifndef CDL_TRAIN_NETWORK_H_
#define CDL_TRAIN_NETWORK_H_

#include "model/model.h"

struct cdl_network_change {
    int num_classes;           // 0: as the base
    const char *const *labels; // [num_classes, or the base's]; NULL: the base's, or none where the number differs
    bool initialise;
    uint64_t seed;
};

// The base's tensors as contiguous floats, its recipe and metadata. change NULL: none.
cdl_result cdl_network_copy(cdl_model **out, const cdl_model *base, const struct cdl_network_change *change,
                            const cdl_log *log);

#endif // CDL_TRAIN_NETWORK_H_
