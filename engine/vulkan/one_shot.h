// one_shot.h - commands that run once while a session is made, and are waited for: self-tests, timings, peaks.
#ifndef CDL_VK_ONCE_H_
#define CDL_VK_ONCE_H_

#include "vulkan/device.h"

struct cdl_once {
    struct cdl_device *dev;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence done;
    VkQueryPool queries; // CDL_ONCE_QUERIES timestamps; NULL where the device has none
    uint64_t ticks[32];
};
enum { CDL_ONCE_QUERIES = 32 };

cdl_result cdl_once_create(struct cdl_once *out, struct cdl_device *dev);
void cdl_once_destroy(struct cdl_once *once); // {0} is fine
cdl_result cdl_once_begin(struct cdl_once *once);
// Timestamp `index` after all that was recorded before it.
void cdl_once_timestamp(struct cdl_once *once, uint32_t index);
// Compute before to compute behind.
void cdl_once_barrier(struct cdl_once *once);
void cdl_once_dispatch(struct cdl_once *once, VkPipeline pipeline, const struct cdl_launch *launch);
// Submits, waits, and reads `timestamps` of them.
cdl_result cdl_once_run(struct cdl_once *once, uint32_t timestamps);
double cdl_once_ns(const struct cdl_once *once, uint32_t from, uint32_t to);

#endif // CDL_VK_ONCE_H_
