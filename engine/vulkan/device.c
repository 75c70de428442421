// device.c - a logical device with one compute queue.
#include "vulkan/device.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/features.h"
#include "vulkan/select.h"
#include "cdl/cdl_vulkan.h" // after those: they hide Vulkan's prototypes

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

static bool settle_data(struct cdl_device *dev) {
    for (struct cdl_device_data *data = dev->data; data; data = data->next)
        if (data->kind->settle && !data->kind->settle(dev, data->bytes))
            return false;
    return true;
}

// ---- creation

// *features: as enabled on the device.
static cdl_result create_logical_device(struct cdl_device *dev, struct cdl_features *features) {
    const float priority = 1;
    struct cdl_vk_enabled enabled = {.num_extensions = 0};
    VkPhysicalDeviceFeatures2 chain = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = dev->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    cdl_features_supported(features, &dev->instance, dev->physical);
    cdl_result r = cdl_features_enable(&enabled, &chain, features, &dev->instance, dev->physical, true);
    if (r != CDL_OK)
        return r;
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &chain,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = (uint32_t)enabled.num_extensions,
        .ppEnabledExtensionNames = enabled.extensions,
    };
    const VkResult result = dev->instance.vki.CreateDevice(dev->physical, &info, NULL, &dev->handle);
    return result < 0 ? cdl_vk_failed(dev, result, "vkCreateDevice") : CDL_OK;
}

static void load_extensions(struct cdl_device *dev) {
    PFN_vkGetDeviceProcAddr find = dev->instance.vki.GetDeviceProcAddr;
    struct cdl_vk_device_table *vkd = &dev->vkd;
    vkd->GetBufferDeviceAddress = (PFN_vkGetBufferDeviceAddress)find(
        dev->handle, dev->version < VK_API_VERSION_1_2 ? "vkGetBufferDeviceAddressKHR" : "vkGetBufferDeviceAddress");
    // The instance's extension; drivers have the functions without it, too, and they may not be called then.
    if (dev->instance.vkg.GetInstanceProcAddr(dev->instance.handle, "vkCmdBeginDebugUtilsLabelEXT")) {
        vkd->CmdBeginDebugUtilsLabelEXT =
            (PFN_vkCmdBeginDebugUtilsLabelEXT)find(dev->handle, "vkCmdBeginDebugUtilsLabelEXT");
        vkd->CmdEndDebugUtilsLabelEXT = (PFN_vkCmdEndDebugUtilsLabelEXT)find(dev->handle, "vkCmdEndDebugUtilsLabelEXT");
    }
}

cdl_result cdl_device_finish(struct cdl_device *dev, const struct cdl_features *features, const char *off,
                             const char *cache_dir) {
#define LOAD(function) \
    if (!(dev->vkd.function = (PFN_vk##function)dev->instance.vki.GetDeviceProcAddr(dev->handle, "vk" #function))) \
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s: the driver lacks vk" #function, dev->info.name);
    CDL_VK_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    load_extensions(dev);
    if (!dev->vkd.GetBufferDeviceAddress)
        return cdl_fail(
            &dev->log, CDL_ERR_UNSUPPORTED,
            "%s: the driver lacks vkGetBufferDeviceAddress; was the device created with bufferDeviceAddress?",
            dev->info.name);
    cdl_read_capabilities(dev, features);
    cdl_logf(&dev->log, CDL_LOG_INFO, "%s, %s: %s Vulkan %u.%u, queue family %u%s%s", dev->info.name, dev->info.driver,
             dev->imported ? "the host's device," : "", VK_API_VERSION_MAJOR(dev->version),
             VK_API_VERSION_MINOR(dev->version), dev->queue_family, off[0] ? "; recommended and off: " : "", off);
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
    dev->patience_ns = CDL_VK_PATIENCE;
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
    dev->version = cdl_usable_version(&dev->instance, dev->physical);
    struct cdl_features features;
    if ((r = create_logical_device(dev, &features)) != CDL_OK ||
        (r = cdl_device_finish(dev, &features, "", params->cache_dir)) != CDL_OK)
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

void cdl_device_enter(struct cdl_device *dev) {
    cdl_mutex_lock(&dev->lock);
    dev->num_sessions++;
    cdl_mutex_unlock(&dev->lock);
}

void cdl_device_leave(struct cdl_device *dev) {
    cdl_mutex_lock(&dev->lock);
    const bool last = --dev->num_sessions == 0 && dev->leaving;
    cdl_mutex_unlock(&dev->lock);
    if (last)
        cdl_device_destroy(&dev);
}

void cdl_device_destroy(cdl_device **device) {
    if (!device || !*device)
        return;
    struct cdl_device *dev = *device;
    cdl_mutex_lock(&dev->lock);
    const int sessions = dev->num_sessions;
    dev->leaving = sessions > 0;
    cdl_mutex_unlock(&dev->lock);
    if (sessions) {
        cdl_fail(&dev->log, CDL_ERR_INVALID,
                 "cdl_device_destroy: %d of its sessions are there still; the device goes with the last of them%s",
                 sessions, dev->imported ? ", and needs the host's VkDevice until then" : "");
        *device = NULL;
        return;
    }
    if (!settle_data(dev))
        return; // *device stays, for another try
    if (dev->handle) {
        if (dev->vkd.DeviceWaitIdle && !dev->imported)
            dev->vkd.DeviceWaitIdle(dev->handle);
        cdl_pipelines_save(dev);
        close_data(dev);
        if (dev->vkd.DestroyPipelineCache)
            cdl_pipelines_close(dev);
        if (dev->pipeline_layout)
            dev->vkd.DestroyPipelineLayout(dev->handle, dev->pipeline_layout, dev->allocator);
        if (dev->input_layout)
            dev->vkd.DestroyPipelineLayout(dev->handle, dev->input_layout, dev->allocator);
        if (dev->input_set_layout)
            dev->vkd.DestroyDescriptorSetLayout(dev->handle, dev->input_set_layout, dev->allocator);
    }
    if (dev->handle && !dev->imported) {
        PFN_vkDestroyDevice destroy =
            (PFN_vkDestroyDevice)dev->instance.vki.GetDeviceProcAddr(dev->handle, "vkDestroyDevice");
        destroy(dev->handle, dev->allocator);
    }
    if (!dev->imported)
        cdl_instance_destroy(&dev->instance);
    cdl_mutex_destroy(&dev->lock);
    free(dev);
    *device = NULL;
}

void cdl_device_get_info(const cdl_device *dev, struct cdl_device_info *out) { *out = dev->info; }
