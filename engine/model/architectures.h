// architectures.h - torchvision's ResNets, ResNeXts and Wide ResNets by name and shape.
#ifndef CDL_MODEL_ARCHITECTURES_H_
#define CDL_MODEL_ARCHITECTURES_H_

#include "base/base.h"

struct cdl_architecture {
    const char *name;    // as torchvision's function: "resnext50_32x4d"
    bool bottleneck;     // blocks of 1x1, 3x3 and 1x1 convolutions; else of two 3x3
    int blocks[4];       // in each of the four stages
    int groups;          // of the 3x3 convolution: the cardinality; 1: ungrouped
    int width_per_group; // channels of a group in the first stage; doubles with each stage
};

extern const struct cdl_architecture cdl_architectures[];
extern const int cdl_num_architectures;

#endif // CDL_MODEL_ARCHITECTURES_H_
