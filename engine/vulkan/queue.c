// queue.c - see queue.h.
#include "vulkan/queue.h"

static VkResult submit(struct cdl_device *dev, const VkSubmitInfo *info, VkFence fence) {
    // The host's lock before ours: it may hold its own while it calls us.
    if (dev->lock_queue)
        dev->lock_queue(dev->lock_ctx, dev->queue);
    cdl_mutex_lock(&dev->lock);
    const VkResult result = dev->vkd.QueueSubmit(dev->queue, 1, info, fence);
    cdl_mutex_unlock(&dev->lock);
    if (dev->unlock_queue)
        dev->unlock_queue(dev->lock_ctx, dev->queue);
    return result;
}

cdl_result cdl_queue_submit(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                            const struct cdl_submit_semaphores *all, VkFence fence) {
    VkPipelineStageFlags stages[CDL_COUNT(all->waits)];
    VkTimelineSemaphoreSubmitInfo timeline = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = count, .pCommandBuffers = commands};
    cdl_result r = cdl_device_check(dev);
    if (r != CDL_OK)
        return r;
    if (all && all->num_waits + all->num_signals) {
        for (uint32_t i = 0; i < all->num_waits; i++)
            stages[i] = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
        timeline.waitSemaphoreValueCount = info.waitSemaphoreCount = all->num_waits;
        timeline.pWaitSemaphoreValues = all->wait_values;
        timeline.signalSemaphoreValueCount = info.signalSemaphoreCount = all->num_signals;
        timeline.pSignalSemaphoreValues = all->signal_values;
        info.pNext = &timeline;
        info.pWaitSemaphores = all->waits;
        info.pWaitDstStageMask = stages;
        info.pSignalSemaphores = all->signals;
    }
    CDL_VK(dev, ResetFences(dev->handle, 1, &fence));
    const VkResult result = submit(dev, &info, fence);
    return result < 0 ? cdl_vk_failed(dev, result, "vkQueueSubmit") : CDL_OK;
error:
    return r;
}

cdl_result cdl_fence_create(VkFence *out, struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    CDL_VK(dev, CreateFence(dev->handle, &info, dev->allocator, out));
error:
    return r;
}

cdl_result cdl_fence_wait(struct cdl_device *dev, VkFence fence, uint64_t timeout_ns) {
    enum { MAX_TRIES = 1000 };
    VkResult result = VK_SUCCESS;
    const cdl_result r = cdl_device_check(dev);
    if (r != CDL_OK)
        return r;
    // Who waits without end is about to change or free what the GPU may still use. That a driver had no memory to wait
    // with does not change that.
    for (int i = 0; i < (timeout_ns == UINT64_MAX ? MAX_TRIES : 1); i++) {
        result = dev->vkd.WaitForFences(dev->handle, 1, &fence, VK_TRUE, timeout_ns);
        if (result != VK_ERROR_OUT_OF_HOST_MEMORY && result != VK_ERROR_OUT_OF_DEVICE_MEMORY)
            break;
    }
    if (result == VK_TIMEOUT)
        return CDL_NOT_READY;
    return result < 0 ? cdl_vk_failed(dev, result, "vkWaitForFences") : CDL_OK;
}
