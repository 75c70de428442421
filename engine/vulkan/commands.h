// commands.h - what every user of the device records: command buffers, barriers, dispatches, timestamps.
#ifndef CDL_VK_COMMANDS_H_
#define CDL_VK_COMMANDS_H_

#include "vulkan/device.h"

void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access);
void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline,
                  const struct cdl_launch *launch);

// A pool for the device's queue, whose command buffers may be begun again.
cdl_result cdl_command_pool_create(VkCommandPool *out, struct cdl_device *dev);
// Begins what is submitted once, until it is begun again.
cdl_result cdl_commands_begin(struct cdl_device *dev, VkCommandBuffer commands);

// Room for `count` timestamps; VK_NULL_HANDLE, and no error, where the device's queue has none.
cdl_result cdl_timestamps_create(VkQueryPool *out, struct cdl_device *dev, uint32_t count);
// The first `count` of them, written by commands that are done or will be: waits.
cdl_result cdl_timestamps_read(struct cdl_device *dev, VkQueryPool pool, uint32_t count, uint64_t *ticks);
// Nanoseconds between two.
double cdl_ticks_ns(const struct cdl_device *dev, uint64_t from, uint64_t to);

#endif // CDL_VK_COMMANDS_H_
