// commands.h - commands that every user of the device records: barriers, dispatches, timestamps.
#ifndef CDL_VK_COMMANDS_H_
#define CDL_VK_COMMANDS_H_

#include "vulkan/device.h"

void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access);
void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline,
                  const struct cdl_launch *launch);
// Nanoseconds between two timestamps of the device's queue.
double cdl_ticks_ns(const struct cdl_device *dev, uint64_t from, uint64_t to);

#endif // CDL_VK_COMMANDS_H_
