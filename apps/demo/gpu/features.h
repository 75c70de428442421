// features.h - the features and extensions that a device is created with: what Cardinal needs or likes, as far as
// the device has it.
#ifndef DEMO_GPU_FEATURES_H_
#define DEMO_GPU_FEATURES_H_

#include "gpu/vulkan.h"

enum { MAX_FEATURE_BYTES = 4096, MAX_EXTENSIONS = 32 };

struct gpu_features {
    VkPhysicalDeviceFeatures2 enabled; // head of the chain; the rest lies in `bytes`
    const char *extensions[MAX_EXTENSIONS];
    int num_extensions;
    _Alignas(16) unsigned char bytes[MAX_FEATURE_BYTES];
};

// malloc'd; NULL: out of memory. present: with VK_KHR_swapchain.
struct gpu_features *gpu_features_choose(const struct gpu *gpu, bool present);

#endif // DEMO_GPU_FEATURES_H_
