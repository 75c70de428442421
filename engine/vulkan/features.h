// features.h - which extensions and features a device is created with, and what kernels may then rely on.
#ifndef CDL_VK_FEATURES_H_
#define CDL_VK_FEATURES_H_

#include "vulkan/device.h"

struct cdl_features {
    const char *extensions[12];
    uint32_t num_extensions;
    bool pipeline_feedback, int8_dot;
    const void *chain; // of VkDeviceCreateInfo; the structures that follow, where supported
    VkPhysicalDeviceFeatures core;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDevice16BitStorageFeatures storage16;
    VkPhysicalDeviceMaintenance4Features maintenance4;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV matrix2;
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
};

// Everything that dev->physical supports and the engine has a use for. out must not move afterwards.
void cdl_features_choose(struct cdl_features *out, const struct cdl_device *dev);

// Fills dev->caps, limits and memory types, for a device created with `features`.
void cdl_read_capabilities(struct cdl_device *dev, const struct cdl_features *features);

#endif // CDL_VK_FEATURES_H_
