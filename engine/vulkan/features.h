// features.h - which features of a device Cardinal has a use for; what a device supports of them, or has enabled.
#ifndef CDL_VK_FEATURES_H_
#define CDL_VK_FEATURES_H_

#include "vulkan/device.h"

// By the table in features.c, which has Vulkan's names for them.
struct cdl_features {
    VkBool32 buffer_address, timeline, int64, float16, memory_model, memory_model_device, storage16, storage8;
    VkBool32 maintenance4, subgroup_sizes, full_subgroups, int8_dot, statistics;
    VkBool32 matrix, matrix2_workgroup, matrix2_flexible, matrix2_conversions, matrix2_per_element;
    VkBool32 pipeline_feedback; // an extension without a feature
};

// What the device supports, used by an instance whose version is in->version.
void cdl_features_supported(struct cdl_features *out, const struct cdl_instance *in, VkPhysicalDevice physical);

struct cdl_vk_enabled; // cdl_vulkan.h
// Adds to a chain what of `supported` Cardinal has a use for, with the extensions that this takes; own: for a device of
// Cardinal's own. CDL_ERR_INVALID: there are too many extensions.
cdl_result cdl_features_enable(struct cdl_vk_enabled *out, VkPhysicalDeviceFeatures2 *features,
                               const struct cdl_features *supported, const struct cdl_instance *in,
                               VkPhysicalDevice physical, bool own);

// What functions and structures may be used: those of the device's version, or the instance's, if that is less.
uint32_t cdl_usable_version(const struct cdl_instance *in, VkPhysicalDevice physical);

struct cdl_vk_import_params;
// The least version of an instance with which a host's features and extensions can have been enabled.
uint32_t cdl_features_infer_version(const struct cdl_vk_import_params *host);
// What a host's device was created with, of version `version`. What takes an extension that is not there does not
// count; *without: the one that a required feature lacks, else NULL.
void cdl_features_read(struct cdl_features *out, const struct cdl_vk_import_params *host, uint32_t version,
                       const char **without);
// out = out AND supported; the names of the recommended ones that are supported and off, with commas, go into
// text[size].
void cdl_features_restrict(struct cdl_features *out, const struct cdl_features *supported, char *text, size_t size);

// Fills dev->caps, limits and memory types, for a device created with `features`. In capabilities.c.
void cdl_read_capabilities(struct cdl_device *dev, const struct cdl_features *features);

#endif // CDL_VK_FEATURES_H_
