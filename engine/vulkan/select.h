// select.h - what physical devices there are, and which one a name means.
#ifndef CDL_VK_SELECT_H_
#define CDL_VK_SELECT_H_

#include "vulkan/instance.h"

struct cdl_candidate {
    VkPhysicalDevice handle;
    struct cdl_device_info info;
};

// The driver's name and number; empty where the driver does not tell.
void cdl_device_driver(const struct cdl_instance *instance, VkPhysicalDevice physical,
                       VkPhysicalDeviceDriverProperties *out);
// What is known of a physical device without creating a logical one.
void cdl_device_describe(const struct cdl_instance *instance, VkPhysicalDevice physical, struct cdl_device_info *out);

// Every device once, best first. malloc'd, the caller frees *out. No device: *count 0, *out NULL.
cdl_result cdl_candidates(const struct cdl_instance *instance, struct cdl_candidate **out, int *count,
                          const cdl_log *log);

// The candidate that `name` (index, UUID, part of the name; NULL: the best usable) means. NULL, and the
// reason logged as an error, when there is none.
const struct cdl_candidate *cdl_choose(const struct cdl_candidate *candidates, int count, const char *name,
                                       bool hardware_only, const cdl_log *log);

// A device's queue families; returns how many.
enum { CDL_MAX_QUEUE_FAMILIES = 32 };
uint32_t cdl_queue_families(const struct cdl_instance *instance, VkPhysicalDevice physical,
                            VkQueueFamilyProperties out[CDL_MAX_QUEUE_FAMILIES]);

// The family with compute and the least else: on GPUs with an asynchronous compute queue that one keeps clear of a
// desktop's graphics work. false: none.
bool cdl_choose_queue_family(const struct cdl_instance *instance, VkPhysicalDevice physical, uint32_t *family,
                             uint32_t *timestamp_bits);

// The extensions that a device offers; none also where there is no memory. The caller frees the items.
struct cdl_extensions cdl_device_extensions(const struct cdl_instance *instance, VkPhysicalDevice physical);

#endif // CDL_VK_SELECT_H_
