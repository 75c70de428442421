// import.c - a device on a host's VkDevice, and what such a device should have enabled.
#include <stdlib.h>

#include "vulkan/features.h"
#include "vulkan/select.h"
#include "cdl/cdl_vulkan.h" // after those: they hide Vulkan's prototypes

// ---- the host's instance

// What both functions need of the host's parameters.
static cdl_result check_instance(const struct cdl_vk_import_params *p) {
    const char *missing = p->instance == VK_NULL_HANDLE         ? "instance is VK_NULL_HANDLE"
                          : p->phys_device == VK_NULL_HANDLE    ? "phys_device is VK_NULL_HANDLE"
                          : p->get_proc_addr == NULL            ? "get_proc_addr is NULL"
                          : p->num_extensions < 0               ? "num_extensions is negative"
                          : p->num_extensions && !p->extensions ? "extensions is NULL, num_extensions is not 0"
                                                                : NULL;
    if (missing)
        return cdl_fail(&p->log, CDL_ERR_INVALID, "cdl_vk_import_params: %s", missing);
    if (p->api_version && p->api_version < CDL_VK_MIN_VERSION)
        return cdl_fail(&p->log, CDL_ERR_UNSUPPORTED,
                        "api_version: the host's Vulkan instance is version %u.%u, 1.1 is needed "
                        "(VkApplicationInfo.apiVersion)",
                        VK_API_VERSION_MAJOR(p->api_version), VK_API_VERSION_MINOR(p->api_version));
    return CDL_OK;
}

static cdl_result open_instance(struct cdl_instance *out, const struct cdl_vk_import_params *p) {
    out->handle = p->instance;
    out->vkg.GetInstanceProcAddr = p->get_proc_addr;
#define LOAD(function) \
    if (!(out->vki.function = (PFN_vk##function)p->get_proc_addr(p->instance, "vk" #function))) \
        return cdl_fail(&p->log, CDL_ERR_UNSUPPORTED, \
                        "get_proc_addr does not know vk" #function \
                        "; was the instance created with VkApplicationInfo.apiVersion of 1.1 or later?");
    CDL_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return CDL_OK;
}

// ---- what a host should enable

cdl_result cdl_vk_enable_features(struct cdl_vk_enabled *out, VkPhysicalDeviceFeatures2 *features,
                                  const struct cdl_vk_import_params *given) {
    struct cdl_vk_import_params copy, *params = &copy;
    struct cdl_features supported;
    if (!given || !cdl_read_params(params, sizeof *params, given))
        return CDL_ERR_INVALID;
    const cdl_log *log = &params->log;
    if (!out || !features || features->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2)
        return cdl_fail(log, CDL_ERR_INVALID, "cdl_vk_enable_features: %s",
                        !out        ? "out is NULL"
                        : !features ? "features is NULL"
                                    : "features->sType is not VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2");
    struct cdl_instance instance = {.log = log};
    out->num_extensions = 0;
    cdl_result r = check_instance(params);
    if (r == CDL_OK)
        r = open_instance(&instance, params);
    if (r != CDL_OK)
        return r;
    instance.version = params->api_version;
    if (!instance.version) { // as the structures in the host's chain tell
        params->features = features;
        instance.version = cdl_features_infer_version(params);
    }
    struct cdl_device_info info;
    cdl_device_describe(&instance, params->phys_device, &info);
    if (info.unusable[0])
        return cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s cannot be used: %s", info.name, info.unusable);
    if (params->num_extensions > (int)CDL_COUNT(out->extensions))
        return cdl_fail(log, CDL_ERR_INVALID, "cdl_vk_enable_features: num_extensions is %d, at most %d fit",
                        params->num_extensions, (int)CDL_COUNT(out->extensions));
    for (int i = 0; i < params->num_extensions; i++)
        out->extensions[out->num_extensions++] = params->extensions[i];
    cdl_features_supported(&supported, &instance, params->phys_device);
    return cdl_features_enable(out, features, &supported, &instance, params->phys_device, false);
}

// ---- import

static cdl_result find_queue_family(struct cdl_device *dev, uint32_t family) {
    VkQueueFamilyProperties families[CDL_MAX_QUEUE_FAMILIES];
    const uint32_t count = cdl_queue_families(&dev->instance, dev->physical, families);
    if (family >= count || !(families[family].queueFlags & VK_QUEUE_COMPUTE_BIT))
        return cdl_fail(&dev->log, CDL_ERR_INVALID, "%s: queue family %u is none of the device's, or cannot compute",
                        dev->info.name, family);
    dev->queue_family = family;
    dev->timestamp_bits = families[family].timestampValidBits;
    dev->info.timestamps = dev->timestamp_bits > 0;
    return CDL_OK;
}

static cdl_result check_device(const struct cdl_vk_import_params *p) {
    const char *wrong = p->device == VK_NULL_HANDLE  ? "device is VK_NULL_HANDLE"
                        : p->queue == VK_NULL_HANDLE ? "queue is VK_NULL_HANDLE"
                        : p->features == NULL        ? "features is NULL"
                        : p->features->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2
                            ? "features->sType is not VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2"
                        : (p->lock_queue == NULL) != (p->unlock_queue == NULL)
                            ? "lock_queue and unlock_queue come together"
                            : NULL;
    return wrong ? cdl_fail(&p->log, CDL_ERR_INVALID, "cdl_vk_import_params: %s", wrong) : CDL_OK;
}

// The features that the host enabled and the device has. off[size]: the names of recommended ones that it did not.
static cdl_result take_features(struct cdl_features *out, const struct cdl_device *dev,
                                const struct cdl_vk_import_params *p, char *off, size_t size) {
    struct cdl_features supported;
    const char *without;
    if (dev->info.unusable[0])
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s cannot be used: %s", dev->info.name, dev->info.unusable);
    cdl_features_supported(&supported, &dev->instance, dev->physical);
    cdl_features_read(out, p, dev->version, &without);
    cdl_features_restrict(out, &supported, off, size);
    if (!out->buffer_address && without)
        return cdl_fail(
            &dev->log, CDL_ERR_UNSUPPORTED,
            "%s: bufferDeviceAddress takes Vulkan 1.2 (by api_version and the device, it is %u.%u here), or "
            "%s among `extensions`",
            dev->info.name, VK_API_VERSION_MAJOR(dev->version), VK_API_VERSION_MINOR(dev->version), without);
    if (!out->buffer_address)
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED,
                        "%s: the host's device was created without bufferDeviceAddress, as `features` says; "
                        "cdl_vk_enable_features enables it",
                        dev->info.name);
    return CDL_OK;
}

cdl_result cdl_vk_import(cdl_device **out, const struct cdl_vk_import_params *given) {
    struct cdl_vk_import_params copy, *params = &copy;
    struct cdl_features features;
    char off[512];
    if (out)
        *out = NULL;
    if (!given || !cdl_read_params(params, sizeof *params, given))
        return CDL_ERR_INVALID;
    if (!out)
        return cdl_fail(&params->log, CDL_ERR_INVALID, "cdl_vk_import: out is NULL");
    cdl_result r = check_instance(params);
    if (r == CDL_OK)
        r = check_device(params);
    if (r != CDL_OK)
        return r;
    struct cdl_device *dev = calloc(1, sizeof *dev);
    if (!dev)
        return cdl_fail(&params->log, CDL_ERR_NOMEM, "out of memory while importing a device");
    cdl_mutex_init(&dev->lock);
    dev->log = params->log;
    dev->imported = true;
    dev->patience_ns = CDL_VK_PATIENCE;
    if (params->allocator) {
        dev->callbacks = *params->allocator;
        dev->allocator = &dev->callbacks;
    }
    dev->instance.log = &dev->log;
    dev->physical = params->phys_device;
    dev->queue = params->queue;
    dev->lock_queue = params->lock_queue;
    dev->unlock_queue = params->unlock_queue;
    dev->lock_ctx = params->lock_ctx;
    if ((r = open_instance(&dev->instance, params)) != CDL_OK)
        goto error;
    dev->instance.version = params->api_version ? params->api_version : cdl_features_infer_version(params);
    dev->version = cdl_usable_version(&dev->instance, dev->physical);
    cdl_device_describe(&dev->instance, dev->physical, &dev->info);
    if ((r = take_features(&features, dev, params, off, sizeof off)) != CDL_OK ||
        (r = find_queue_family(dev, params->queue_family)) != CDL_OK)
        goto error;
    dev->handle = params->device;
    if ((r = cdl_device_finish(dev, &features, off, params->cache_dir)) != CDL_OK)
        goto error;
    *out = dev;
    return CDL_OK;
error:
    cdl_device_destroy(&dev);
    return r;
}

void cdl_vk_get_handles(const cdl_device *dev, struct cdl_vk_handles *out) {
    *out = (struct cdl_vk_handles){dev->instance.handle, dev->physical, dev->handle, dev->queue, dev->queue_family};
}
