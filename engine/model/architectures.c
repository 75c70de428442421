// The numbers are those of https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py.
#include "model/architectures.h"

// cdl_model_arch_name counts in this order.
const struct cdl_architecture cdl_architectures[] = {
    {"resnext50_32x4d", true, {3, 4, 6, 3}, 32, 4},   {"resnext101_32x8d", true, {3, 4, 23, 3}, 32, 8},
    {"resnext101_64x4d", true, {3, 4, 23, 3}, 64, 4}, {"resnet18", false, {2, 2, 2, 2}, 1, 64},
    {"resnet34", false, {3, 4, 6, 3}, 1, 64},         {"resnet50", true, {3, 4, 6, 3}, 1, 64},
    {"resnet101", true, {3, 4, 23, 3}, 1, 64},        {"resnet152", true, {3, 8, 36, 3}, 1, 64},
    {"wide_resnet50_2", true, {3, 4, 6, 3}, 1, 128},  {"wide_resnet101_2", true, {3, 4, 23, 3}, 1, 128},
};
const int cdl_num_architectures = (int)CDL_COUNT(cdl_architectures);

const char *cdl_model_arch_name(int i) {
    return i >= 0 && i < cdl_num_architectures ? cdl_architectures[i].name : NULL;
}
