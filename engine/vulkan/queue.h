// queue.h - submission to a device's queue, and waiting for it.
#ifndef CDL_VK_QUEUE_H_
#define CDL_VK_QUEUE_H_

#include "vulkan/device.h"

// Timeline semaphores of a submission: Cardinal's own and as many as a host may give.
struct cdl_submit_semaphores {
    uint32_t num_waits, num_signals;
    VkSemaphore waits[9], signals[9];
    uint64_t wait_values[9], signal_values[9];
};
// Submits under the host's lock and the device's, in this order.
cdl_result cdl_queue_submit_with(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                                 const struct cdl_submit_semaphores *semaphores);
// The same with one semaphore to signal.
cdl_result cdl_queue_submit(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                            VkSemaphore semaphore, uint64_t value);
cdl_result cdl_timeline_create(VkSemaphore *out, struct cdl_device *dev); // a timeline semaphore that begins at 0
// Until `semaphore` (timeline) has `value`. CDL_NOT_READY: the timeout passed first.
cdl_result cdl_timeline_wait(struct cdl_device *dev, VkSemaphore semaphore, uint64_t value, uint64_t timeout_ns);

#endif // CDL_VK_QUEUE_H_
