// queue.c - see queue.h.
#include "vulkan/queue.h"

cdl_result cdl_queue_submit_with(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                                 const struct cdl_submit_semaphores *all) {
    VkPipelineStageFlags stages[CDL_COUNT(all->waits)];
    for (uint32_t i = 0; i < all->num_waits; i++)
        stages[i] = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .waitSemaphoreValueCount = all->num_waits,
        .pWaitSemaphoreValues = all->wait_values,
        .signalSemaphoreValueCount = all->num_signals,
        .pSignalSemaphoreValues = all->signal_values,
    };
    const VkSubmitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &timeline,
        .waitSemaphoreCount = all->num_waits,
        .pWaitSemaphores = all->waits,
        .pWaitDstStageMask = stages,
        .commandBufferCount = count,
        .pCommandBuffers = commands,
        .signalSemaphoreCount = all->num_signals,
        .pSignalSemaphores = all->signals,
    };
    const cdl_result r = cdl_device_check(dev);
    if (r != CDL_OK)
        return r;
    // The host's lock before ours: it may hold its own while it calls us.
    if (dev->lock_queue)
        dev->lock_queue(dev->lock_ctx, dev->queue);
    cdl_mutex_lock(&dev->lock);
    const VkResult result = dev->vkd.QueueSubmit(dev->queue, 1, &info, VK_NULL_HANDLE);
    cdl_mutex_unlock(&dev->lock);
    if (dev->unlock_queue)
        dev->unlock_queue(dev->lock_ctx, dev->queue);
    return result < 0 ? cdl_vk_failed(dev, result, "vkQueueSubmit") : CDL_OK;
}

cdl_result cdl_queue_submit(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                            VkSemaphore semaphore, uint64_t value) {
    const struct cdl_submit_semaphores all = {.num_signals = 1, .signals = {semaphore}, .signal_values = {value}};
    return cdl_queue_submit_with(dev, commands, count, &all);
}

cdl_result cdl_timeline_create(VkSemaphore *out, struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    CDL_VK(dev, CreateSemaphore(dev->handle, &info, NULL, out));
error:
    return r;
}

cdl_result cdl_timeline_wait(struct cdl_device *dev, VkSemaphore semaphore, uint64_t value, uint64_t timeout_ns) {
    enum { MAX_TRIES = 1000 };
    const VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
        .semaphoreCount = 1,
        .pSemaphores = &semaphore,
        .pValues = &value,
    };
    VkResult result = VK_SUCCESS;
    const cdl_result r = cdl_device_check(dev);
    if (r != CDL_OK)
        return r;
    // Who waits without end is about to change or free what the GPU may still use. That a driver had no memory to wait
    // with does not change that.
    for (int i = 0; i < (timeout_ns == UINT64_MAX ? MAX_TRIES : 1); i++) {
        result = dev->vkd.WaitSemaphores(dev->handle, &info, timeout_ns);
        if (result != VK_ERROR_OUT_OF_HOST_MEMORY && result != VK_ERROR_OUT_OF_DEVICE_MEMORY)
            break;
    }
    if (result == VK_TIMEOUT)
        return CDL_NOT_READY;
    return result < 0 ? cdl_vk_failed(dev, result, "vkWaitSemaphores") : CDL_OK;
}
