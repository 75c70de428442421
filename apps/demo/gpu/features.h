// features.h - the features and extensions that a device is created with: what Cardinal needs or likes, as far as
// the device has it.
#ifndef DEMO_GPU_FEATURES_H_
#define DEMO_GPU_FEATURES_H_

#include "gpu/vulkan.h"

#include "cdl/cdl_vulkan.h"

struct gpu_features {
    VkPhysicalDeviceFeatures2 enabled; // head of the chain; the rest lies in `found`
    struct cdl_vk_enabled found;
};

// malloc'd; NULL: out of memory, or the device is gone. present: with VK_KHR_swapchain.
struct gpu_features *gpu_features_choose(const struct gpu *gpu, bool present);

#endif // DEMO_GPU_FEATURES_H_
