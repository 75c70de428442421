// queue.h - submission to a device's queue, and waiting for it. By fences, which every version of Vulkan has.
#ifndef CDL_VK_QUEUE_H_
#define CDL_VK_QUEUE_H_

#include "vulkan/device.h"

// A host's timeline semaphores, as many as it may give; the device has the timelineSemaphore feature.
struct cdl_submit_semaphores {
    uint32_t num_waits, num_signals;
    VkSemaphore waits[8], signals[8];
    uint64_t wait_values[8], signal_values[8];
};
// Submits under the host's lock and the device's, in this order. semaphores NULL: none. fence: no work pending; it is
// reset, and signalled when all is done.
cdl_result cdl_queue_submit(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                            const struct cdl_submit_semaphores *semaphores, VkFence fence);
cdl_result cdl_fence_create(VkFence *out, struct cdl_device *dev); // not signalled
// Until it is signalled. CDL_NOT_READY: the timeout passed first.
cdl_result cdl_fence_wait(struct cdl_device *dev, VkFence fence, uint64_t timeout_ns);

#endif // CDL_VK_QUEUE_H_
