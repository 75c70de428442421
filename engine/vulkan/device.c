// device.c - a logical device with one compute queue.
#include "vulkan/features.h"
#include "vulkan/host.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

const char *cdl_vk_result_name(VkResult result) {
    switch (result) {
    case VK_SUCCESS: return "success";
    case VK_NOT_READY: return "not ready";
    case VK_TIMEOUT: return "timeout";
    case VK_INCOMPLETE: return "incomplete";
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of host memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of device memory";
    case VK_ERROR_INITIALIZATION_FAILED: return "initialization failed";
    case VK_ERROR_DEVICE_LOST: return "device lost";
    case VK_ERROR_MEMORY_MAP_FAILED: return "memory map failed";
    case VK_ERROR_LAYER_NOT_PRESENT: return "layer not present";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "extension not present";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "feature not present";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "incompatible driver";
    case VK_ERROR_TOO_MANY_OBJECTS: return "too many objects";
    case VK_ERROR_INVALID_SHADER_NV: return "invalid shader";
    default: return "unknown error";
    }
}

bool cdl_device_is_lost(struct cdl_device *dev) {
    cdl_mutex_lock(&dev->lock);
    const bool lost = dev->lost;
    cdl_mutex_unlock(&dev->lock);
    return lost;
}

cdl_result cdl_device_check(struct cdl_device *dev) {
    return !cdl_device_is_lost(dev) ? CDL_OK
                                    : cdl_fail(&dev->log, CDL_ERR_DEVICE_LOST,
                                               "%s: the device was lost; destroy its sessions "
                                               "and the device, then create a new one",
                                               dev->info.name);
}

cdl_result cdl_vk_failed(struct cdl_device *dev, VkResult result, const char *what) {
    // `what` is a call with its arguments: name the function alone.
    const int name_length = (int)strcspn(what, "(");
    switch (result) {
    case VK_ERROR_DEVICE_LOST:
        cdl_mutex_lock(&dev->lock);
        dev->lost = true;
        cdl_mutex_unlock(&dev->lock);
        return cdl_fail(&dev->log, CDL_ERR_DEVICE_LOST,
                        "%s: %.*s: device lost (driver reset, or the GPU hung); destroy its "
                        "sessions and the device, then create a new one",
                        dev->info.name, name_length, what);
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_MEMORY_MAP_FAILED:
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "%s: %.*s: %s; use a smaller batch or input size, or fp16",
                        dev->info.name, name_length, what, cdl_vk_result_name(result));
    default:
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s: %.*s: %s (%d)", dev->info.name, name_length, what,
                        cdl_vk_result_name(result), (int)result);
    }
}

// ---- what other rooms keep

struct cdl_device_data {
    struct cdl_device_data *next;
    const struct cdl_device_data_kind *kind;
    max_align_t bytes[];
};

static struct cdl_device_data *find_data(const struct cdl_device *dev, const struct cdl_device_data_kind *kind) {
    struct cdl_device_data *found = dev->data;
    while (found && found->kind != kind)
        found = found->next;
    return found;
}

static void close_one(struct cdl_device *dev, struct cdl_device_data *data) {
    if (data->kind->close)
        data->kind->close(dev, data->bytes);
    free(data);
}

void *cdl_device_data(struct cdl_device *dev, const struct cdl_device_data_kind *kind) {
    cdl_mutex_lock(&dev->lock);
    struct cdl_device_data *kept = find_data(dev, kind);
    cdl_mutex_unlock(&dev->lock);
    if (kept)
        return kept->bytes;
    // Opened without the lock: that may read files, and write to the caller's log.
    struct cdl_device_data *made = calloc(1, sizeof *made + kind->size);
    if (!made)
        return NULL;
    made->kind = kind;
    if (kind->open)
        kind->open(dev, made->bytes);
    cdl_mutex_lock(&dev->lock);
    kept = find_data(dev, kind);
    if (!kept) {
        made->next = dev->data;
        dev->data = made;
    }
    cdl_mutex_unlock(&dev->lock);
    if (!kept)
        return made->bytes;
    close_one(dev, made); // another thread was faster
    return kept->bytes;
}

static void close_data(struct cdl_device *dev) {
    while (dev->data) {
        struct cdl_device_data *data = dev->data;
        dev->data = data->next;
        close_one(dev, data);
    }
}

// ---- creation

static cdl_result create_logical_device(struct cdl_device *dev, const struct cdl_features *features) {
    const float priority = 1;
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = dev->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = features->chain,
        .pEnabledFeatures = &features->core,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = features->num_extensions,
        .ppEnabledExtensionNames = features->extensions,
    };
    const VkResult result = dev->instance.vki.CreateDevice(dev->physical, &info, NULL, &dev->handle);
    return result < 0 ? cdl_vk_failed(dev, result, "vkCreateDevice") : CDL_OK;
}

cdl_result cdl_device_finish(struct cdl_device *dev, const struct cdl_features *features, const char *cache_dir) {
#define LOAD(function) \
    if (!(dev->vkd.function = (PFN_vk##function)dev->instance.vki.GetDeviceProcAddr(dev->handle, "vk" #function))) \
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s: the driver lacks vk" #function, dev->info.name);
    CDL_VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    cdl_read_capabilities(dev, features);
    const cdl_result r = cdl_pipeline_layouts_create(dev);
    return r == CDL_OK ? cdl_pipelines_open(dev, cache_dir) : r;
}

cdl_result cdl_device_create(cdl_device **out, const struct cdl_device_params *given) {
    struct cdl_device_params copy, *params = &copy;
    struct cdl_candidate *candidates = NULL;
    int count = 0;
    if (out)
        *out = NULL;
    if (!cdl_read_params(params, sizeof *params, given))
        return CDL_ERR_INVALID;
    CDL_REQUIRE(&params->log, out != NULL);

    struct cdl_device *dev = calloc(1, sizeof *dev);
    if (!dev)
        return cdl_fail(&params->log, CDL_ERR_NOMEM, "out of memory while opening a device");
    dev->log = params->log;
    cdl_mutex_init(&dev->lock);
    cdl_result r = cdl_instance_create(&dev->instance, params->validate, &dev->log);
    if (r != CDL_OK)
        goto error;
    if ((r = cdl_candidates(&dev->instance, &candidates, &count, &dev->log)) != CDL_OK)
        goto error;
    const struct cdl_candidate *chosen = cdl_choose(candidates, count, params->name, params->hardware_only, &dev->log);
    if (!chosen) {
        r = CDL_ERR_UNSUPPORTED;
        goto error;
    }
    dev->physical = chosen->handle;
    dev->info = chosen->info;
    cdl_choose_queue_family(&dev->instance, dev->physical, &dev->queue_family,
                            &dev->timestamp_bits); // cdl_candidates saw one
    struct cdl_features features;
    cdl_features_choose(&features, dev);
    if ((r = create_logical_device(dev, &features)) != CDL_OK ||
        (r = cdl_device_finish(dev, &features, params->cache_dir)) != CDL_OK)
        goto error;
    dev->vkd.GetDeviceQueue(dev->handle, dev->queue_family, 0, &dev->queue);
    free(candidates);
    *out = dev;
    return CDL_OK;
error:
    free(candidates);
    cdl_device_destroy(&dev);
    return r;
}

void cdl_device_destroy(cdl_device **device) {
    if (!device || !*device)
        return;
    struct cdl_device *dev = *device;
    if (dev->handle) {
        if (dev->vkd.DeviceWaitIdle && !dev->imported)
            dev->vkd.DeviceWaitIdle(dev->handle);
        cdl_pipelines_save(dev);
        close_data(dev);
        if (dev->vkd.DestroyPipelineCache)
            cdl_pipelines_close(dev);
        if (dev->pipeline_layout)
            dev->vkd.DestroyPipelineLayout(dev->handle, dev->pipeline_layout, NULL);
        if (dev->input_layout)
            dev->vkd.DestroyPipelineLayout(dev->handle, dev->input_layout, NULL);
        if (dev->input_set_layout)
            dev->vkd.DestroyDescriptorSetLayout(dev->handle, dev->input_set_layout, NULL);
    }
    if (dev->handle && !dev->imported) {
        PFN_vkDestroyDevice destroy =
            (PFN_vkDestroyDevice)dev->instance.vki.GetDeviceProcAddr(dev->handle, "vkDestroyDevice");
        destroy(dev->handle, NULL);
    }
    if (!dev->imported)
        cdl_instance_destroy(&dev->instance);
    cdl_mutex_destroy(&dev->lock);
    free(dev);
    *device = NULL;
}

void cdl_device_get_info(const cdl_device *dev, struct cdl_device_info *out) { *out = dev->info; }

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
