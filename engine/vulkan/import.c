// import.c - a device on a host's VkDevice, and what such a device should have enabled.
#include <stdlib.h>
#include <string.h>

#include "vulkan/features.h"
#include "vulkan/select.h"
#include "cdl/cdl_vulkan.h" // after those: they hide Vulkan's prototypes

// ---- what a host should enable

static const VkPhysicalDeviceVulkan12Features required12 = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
    .bufferDeviceAddress = VK_TRUE,
    .timelineSemaphore = VK_TRUE,
};
const VkPhysicalDeviceFeatures2 cdl_vk_required_features = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
    .pNext = (void *)(uintptr_t)&required12,
};

// features.c enables the same on devices of our own; tests compare.
static const VkPhysicalDeviceCooperativeMatrix2FeaturesNV recommended_matrix2 = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV,
    .cooperativeMatrixWorkgroupScope = VK_TRUE,
    .cooperativeMatrixFlexibleDimensions = VK_TRUE,
    .cooperativeMatrixConversions = VK_TRUE,
    .cooperativeMatrixPerElementOperations = VK_TRUE,
};
static const VkPhysicalDeviceCooperativeMatrixFeaturesKHR recommended_matrix = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
    .pNext = (void *)(uintptr_t)&recommended_matrix2,
    .cooperativeMatrix = VK_TRUE,
};
static const VkPhysicalDeviceShaderIntegerDotProductFeatures recommended_dot = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
    .pNext = (void *)(uintptr_t)&recommended_matrix,
    .shaderIntegerDotProduct = VK_TRUE,
};
static const VkPhysicalDeviceSubgroupSizeControlFeatures recommended_sizes = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
    .pNext = (void *)(uintptr_t)&recommended_dot,
    .subgroupSizeControl = VK_TRUE,
    .computeFullSubgroups = VK_TRUE,
};
static const VkPhysicalDeviceMaintenance4Features recommended_maintenance4 = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES,
    .pNext = (void *)(uintptr_t)&recommended_sizes,
    .maintenance4 = VK_TRUE,
};
static const VkPhysicalDevice16BitStorageFeatures recommended_storage16 = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES,
    .pNext = (void *)(uintptr_t)&recommended_maintenance4,
    .storageBuffer16BitAccess = VK_TRUE,
};
static const VkPhysicalDeviceVulkan12Features recommended12 = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
    .pNext = (void *)(uintptr_t)&recommended_storage16,
    .bufferDeviceAddress = VK_TRUE,
    .timelineSemaphore = VK_TRUE,
    .shaderFloat16 = VK_TRUE,
    .vulkanMemoryModel = VK_TRUE,
    .vulkanMemoryModelDeviceScope = VK_TRUE,
};
const VkPhysicalDeviceFeatures2 cdl_vk_recommended_features = {
    .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
    .pNext = (void *)(uintptr_t)&recommended12,
    .features = {.shaderInt64 = VK_TRUE},
};

const char *const cdl_vk_recommended_extensions[] = {
    VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME,         VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME,
    VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME,      VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME,
    VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME, VK_KHR_MAINTENANCE_4_EXTENSION_NAME,
};
const int cdl_vk_num_recommended_extensions = CDL_COUNT(cdl_vk_recommended_extensions);

// ---- what a host did enable

static bool enables_extension(const struct cdl_vk_import_params *p, const char *name) {
    for (int i = 0; i < p->num_extensions; i++)
        if (p->extensions[i] && !strcmp(p->extensions[i], name))
            return true;
    return false;
}

// Reads one structure of the host's chain.
static void adopt_structure(struct cdl_features *out, const VkBaseInStructure *in) {
    const void *any = in;
    switch ((int)in->sType) { // int: older headers' enumeration lacks some
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES:
        out->storage16.storageBuffer16BitAccess =
            ((const VkPhysicalDeviceVulkan11Features *)any)->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES:
        out->storage16.storageBuffer16BitAccess =
            ((const VkPhysicalDevice16BitStorageFeatures *)any)->storageBuffer16BitAccess;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES:
        out->v12 = *(const VkPhysicalDeviceVulkan12Features *)any;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES:
        out->v12.bufferDeviceAddress = ((const VkPhysicalDeviceBufferDeviceAddressFeatures *)any)->bufferDeviceAddress;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES:
        out->v12.timelineSemaphore = ((const VkPhysicalDeviceTimelineSemaphoreFeatures *)any)->timelineSemaphore;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES:
        out->v12.shaderFloat16 = ((const VkPhysicalDeviceShaderFloat16Int8Features *)any)->shaderFloat16;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES:
        out->v12.vulkanMemoryModel = ((const VkPhysicalDeviceVulkanMemoryModelFeatures *)any)->vulkanMemoryModel;
        out->v12.vulkanMemoryModelDeviceScope =
            ((const VkPhysicalDeviceVulkanMemoryModelFeatures *)any)->vulkanMemoryModelDeviceScope;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES: {
        const VkPhysicalDeviceVulkan13Features *v13 = any;
        out->maintenance4.maintenance4 = v13->maintenance4;
        out->sizes.subgroupSizeControl = v13->subgroupSizeControl;
        out->sizes.computeFullSubgroups = v13->computeFullSubgroups;
        out->int8_dot = v13->shaderIntegerDotProduct;
        break;
    }
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES:
        out->maintenance4.maintenance4 = ((const VkPhysicalDeviceMaintenance4Features *)any)->maintenance4;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES:
        out->sizes = *(const VkPhysicalDeviceSubgroupSizeControlFeatures *)any;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
        out->int8_dot = ((const VkPhysicalDeviceShaderIntegerDotProductFeatures *)any)->shaderIntegerDotProduct;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
        out->matrix = *(const VkPhysicalDeviceCooperativeMatrixFeaturesKHR *)any;
        break;
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV:
        out->matrix2 = *(const VkPhysicalDeviceCooperativeMatrix2FeaturesNV *)any;
        break;
    default: break;
    }
}

static void adopt_features(struct cdl_features *out, const struct cdl_device *dev,
                           const struct cdl_vk_import_params *p) {
    struct cdl_features supported;
    *out = (struct cdl_features){.core = p->features->features};
    for (const VkBaseInStructure *in = p->features->pNext; in; in = in->pNext)
        adopt_structure(out, in);
    // A host may well pass cdl_vk_recommended_features itself: what the device cannot do was not enabled.
    cdl_features_choose(&supported, dev);
    out->core.shaderInt64 &= supported.core.shaderInt64;
    out->v12.shaderFloat16 &= supported.v12.shaderFloat16;
    out->v12.vulkanMemoryModel &= supported.v12.vulkanMemoryModel;
    out->storage16.storageBuffer16BitAccess &= supported.storage16.storageBuffer16BitAccess;
    out->maintenance4.maintenance4 &= supported.maintenance4.maintenance4;
    out->sizes.subgroupSizeControl &= supported.sizes.subgroupSizeControl;
    out->sizes.computeFullSubgroups &= supported.sizes.computeFullSubgroups;
    out->matrix.cooperativeMatrix &= supported.matrix.cooperativeMatrix;
    out->matrix2.cooperativeMatrixWorkgroupScope &= supported.matrix2.cooperativeMatrixWorkgroupScope;
    out->matrix2.cooperativeMatrixFlexibleDimensions &= supported.matrix2.cooperativeMatrixFlexibleDimensions;
    out->matrix2.cooperativeMatrixConversions &= supported.matrix2.cooperativeMatrixConversions;
    out->matrix2.cooperativeMatrixPerElementOperations &= supported.matrix2.cooperativeMatrixPerElementOperations;
    out->int8_dot = out->int8_dot && supported.int8_dot;
    // A feature counts with what makes it legal to use.
    if (!enables_extension(p, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) || !out->v12.shaderFloat16 ||
        !out->v12.vulkanMemoryModel)
        out->matrix.cooperativeMatrix = VK_FALSE;
    if (!out->matrix.cooperativeMatrix || !enables_extension(p, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME))
        out->matrix2 = (VkPhysicalDeviceCooperativeMatrix2FeaturesNV){0};
    const bool v13 = dev->info.api_version >= VK_API_VERSION_1_3;
    if (!v13 && !enables_extension(p, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME))
        out->sizes.subgroupSizeControl = VK_FALSE;
    if (!v13 && !enables_extension(p, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
        out->int8_dot = false;
    out->pipeline_feedback = v13 || enables_extension(p, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
}

// ---- import

static cdl_result check_params(const struct cdl_vk_import_params *p) {
    const cdl_log *log = &p->log;
    CDL_REQUIRE(log, p->instance != VK_NULL_HANDLE && p->phys_device != VK_NULL_HANDLE && p->device != VK_NULL_HANDLE);
    CDL_REQUIRE(log, p->get_proc_addr != NULL && p->features != NULL && p->queue != VK_NULL_HANDLE);
    CDL_REQUIRE(log, p->features->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
    CDL_REQUIRE(log, p->num_extensions >= 0 && (p->extensions != NULL || p->num_extensions == 0));
    CDL_REQUIRE(log, (p->lock_queue == NULL) == (p->unlock_queue == NULL));
    if (p->api_version && p->api_version < CDL_VK_MIN_VERSION)
        return cdl_fail(log, CDL_ERR_UNSUPPORTED,
                        "the host's Vulkan instance is version %u.%u, 1.2 is needed (VkApplicationInfo.apiVersion)",
                        VK_API_VERSION_MAJOR(p->api_version), VK_API_VERSION_MINOR(p->api_version));
    return CDL_OK;
}

static cdl_result load_instance_functions(struct cdl_device *dev, const struct cdl_vk_import_params *p) {
    dev->instance.vkg.GetInstanceProcAddr = p->get_proc_addr;
#define LOAD(function) \
    if (!(dev->instance.vki.function = (PFN_vk##function)p->get_proc_addr(p->instance, "vk" #function))) \
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "get_proc_addr does not know vk" #function);
    CDL_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return CDL_OK;
}

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

static cdl_result check_features(const struct cdl_device *dev, const struct cdl_features *features) {
    const char *missing = !features->v12.bufferDeviceAddress ? "bufferDeviceAddress"
                          : !features->v12.timelineSemaphore ? "timelineSemaphore"
                                                             : NULL;
    if (dev->info.unusable[0])
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s cannot be used: %s", dev->info.name, dev->info.unusable);
    if (missing)
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED,
                        "%s: the host's device was created without %s (see cdl_vk_required_features)", dev->info.name,
                        missing);
    return CDL_OK;
}

cdl_result cdl_vk_import(cdl_device **out, const struct cdl_vk_import_params *given) {
    struct cdl_vk_import_params copy, *params = &copy;
    struct cdl_features features;
    if (out)
        *out = NULL;
    if (!given || !cdl_read_params(params, sizeof *params, given))
        return CDL_ERR_INVALID;
    CDL_REQUIRE(&params->log, out != NULL);
    cdl_result r = check_params(params);
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
    dev->instance.handle = params->instance;
    dev->instance.log = &dev->log;
    dev->physical = params->phys_device;
    dev->queue = params->queue;
    dev->lock_queue = params->lock_queue;
    dev->unlock_queue = params->unlock_queue;
    dev->lock_ctx = params->lock_ctx;
    if ((r = load_instance_functions(dev, params)) != CDL_OK)
        goto error;
    const uint32_t instance_version = params->api_version ? params->api_version : CDL_VK_MIN_VERSION;
    cdl_device_describe(&dev->instance, dev->physical, &dev->info);
    if (dev->info.api_version > instance_version)
        dev->info.api_version = instance_version; // no newer core functions and structures on such an instance
    adopt_features(&features, dev, params);
    if ((r = check_features(dev, &features)) != CDL_OK || (r = find_queue_family(dev, params->queue_family)) != CDL_OK)
        goto error;
    dev->handle = params->device;
    if ((r = cdl_device_finish(dev, &features, params->cache_dir)) != CDL_OK)
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
