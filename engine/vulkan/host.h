// host.h - what sharing a host's Vulkan objects needs inside the engine.
#ifndef CDL_VK_HOST_H_
#define CDL_VK_HOST_H_

#include "vulkan/vk.h"

#include "cdl/cdl_vulkan.h"

// device.c: all of a device that has its handles, or queue, once the logical device exists.
struct cdl_features;
cdl_result cdl_device_finish(struct cdl_device *dev, const struct cdl_features *features, const char *cache_dir);

#endif // CDL_VK_HOST_H_
