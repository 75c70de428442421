// host_device.c - see host_device.h. The part that matters to Cardinal is choose_features.
#define VOLK_IMPLEMENTATION // here is volk's code; all others include its header alone
#include "host_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cdl/cdl_vulkan.h>

void host_check(VkResult result, const char *what) {
    if (result >= 0)
        return;
    fprintf(stderr, "%s: VkResult %d\n", what, (int)result);
    exit(1);
}

// ---- instance

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *context) {
    struct host_device *dev = context;
    (void)severity;
    (void)types;
    if (dev->messages++ < 8)
        fprintf(stderr, "%.600s\n", data->pMessage);
    return VK_FALSE;
}

static bool has_layer(const char *name) {
    VkLayerProperties layers[64];
    uint32_t count = 64;
    if (vkEnumerateInstanceLayerProperties(&count, layers) < 0)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!strcmp(layers[i].layerName, name))
            return true;
    return false;
}

static bool create_instance(struct host_device *out, bool validate) {
    static const char *const layer = "VK_LAYER_KHRONOS_validation";
    const char *const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
    const VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    const VkValidationFeaturesEXT checks = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enables,
    };
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .pNext = &checks,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = out,
    };
    if (volkInitialize() != VK_SUCCESS) {
        fprintf(stderr, "no Vulkan loader\n");
        return false;
    }
    out->api_version = volkGetInstanceVersion() < VK_API_VERSION_1_3 ? CDL_VK_MIN_VERSION : VK_API_VERSION_1_3;
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "host of Cardinal",
        .apiVersion = out->api_version,
    };
    const VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pNext = validate ? &messenger : NULL,
        .pApplicationInfo = &application,
        .enabledLayerCount = validate ? 1 : 0,
        .ppEnabledLayerNames = &layer,
        .enabledExtensionCount = validate ? 2 : 0,
        .ppEnabledExtensionNames = extensions,
    };
    if (validate && !has_layer(layer)) {
        fprintf(stderr, "%s is not installed (Debian/Ubuntu: vulkan-validationlayers)\n", layer);
        return false;
    }
    if (vkCreateInstance(&info, NULL, &out->instance) < 0) {
        fprintf(stderr, "no Vulkan driver\n");
        return false;
    }
    // Functions that serve any device, by way of the loader. With one device, volkLoadDevice would spare that way.
    volkLoadInstance(out->instance);
    if (validate) {
        messenger.pNext = NULL;
        HOST_VK(vkCreateDebugUtilsMessengerEXT(out->instance, &messenger, NULL, &out->messenger));
    }
    return true;
}

// ---- physical device

static bool suits(struct host_device *out, VkPhysicalDevice physical, const char *name) {
    VkPhysicalDeviceProperties properties;
    VkQueueFamilyProperties families[16];
    uint32_t count = 16;
    vkGetPhysicalDeviceProperties(physical, &properties);
    if (properties.apiVersion < CDL_VK_MIN_VERSION || (name && !strstr(properties.deviceName, name)))
        return false;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        const VkQueueFlags both = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
        if ((families[i].queueFlags & both) == both) {
            out->physical = physical;
            out->queue_family = i;
            return true;
        }
    }
    return false;
}

static bool choose_physical_device(struct host_device *out, const char *name) {
    VkPhysicalDevice all[16];
    uint32_t count = 16;
    if (vkEnumeratePhysicalDevices(out->instance, &count, all) < 0)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (suits(out, all[i], name))
            return true;
    fprintf(stderr, "no device with Vulkan 1.2 and a queue for graphics and compute%s%s\n",
            name ? ", and a name with " : "", name ? name : "");
    return false;
}

// ---- features

static size_t size_of(VkStructureType type) {
    switch ((int)type) {
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2: return sizeof(VkPhysicalDeviceFeatures2);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES: return sizeof(VkPhysicalDeviceVulkan12Features);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES: return sizeof(VkPhysicalDevice16BitStorageFeatures);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES: return sizeof(VkPhysicalDeviceMaintenance4Features);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES:
        return sizeof(VkPhysicalDeviceSubgroupSizeControlFeatures);
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES:
        return sizeof(VkPhysicalDeviceShaderIntegerDotProductFeatures);
#ifdef VK_KHR_cooperative_matrix
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR:
        return sizeof(VkPhysicalDeviceCooperativeMatrixFeaturesKHR);
#endif
#ifdef VK_NV_cooperative_matrix2
    case VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV:
        return sizeof(VkPhysicalDeviceCooperativeMatrix2FeaturesNV);
#endif
    default: return 0; // newer than these headers: left out, as all that is recommended may be
    }
}

static void take_extensions(struct host_device *out) {
    static VkExtensionProperties listed[512];
    uint32_t count = 512;
    if (vkEnumerateDeviceExtensionProperties(out->physical, NULL, &count, listed) < 0)
        return;
    for (uint32_t i = 0; i < count; i++) {
        bool wanted =
            !strcmp(listed[i].extensionName, "VK_KHR_portability_subset"); // must be enabled where it is listed
        for (int k = 0; k < cdl_vk_num_recommended_extensions; k++)
            wanted = wanted || !strcmp(listed[i].extensionName, cdl_vk_recommended_extensions[k]);
        if (wanted && out->num_extensions < 32)
            out->extensions[out->num_extensions++] = listed[i].extensionName;
    }
}

// Copies the structures of `wanted`, and keeps of their features those that the device supports. A game that needs
// features itself already has structures here; it ors Cardinal's into them, as no type may be in the chain twice.
static void choose_features(struct host_device *out, const VkPhysicalDeviceFeatures2 *wanted) {
    const size_t head = sizeof(VkBaseOutStructure); // all that follows in such a structure is VkBool32
    uint8_t *at = (uint8_t *)out->storage, *end = at + sizeof out->storage;
    void **link = &out->features.pNext;
    out->features = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    for (const VkBaseInStructure *s = (const void *)wanted; s; s = s->pNext) {
        union {
            VkBaseOutStructure base;
            VkPhysicalDeviceFeatures2 all;
            uint8_t bytes[1024];
        } supported = {.bytes = {0}};
        const size_t size = size_of(s->sType);
        if (size == 0 || size > sizeof supported)
            continue;
        supported.base.sType = s->sType;
        VkPhysicalDeviceFeatures2 query = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &supported};
        vkGetPhysicalDeviceFeatures2(out->physical, s == (const void *)wanted ? &supported.all : &query);
        uint8_t any = 0;
        for (size_t i = head; i < size; i++) // VK_TRUE is 1
            any |= supported.bytes[i] &= ((const uint8_t *)s)[i];
        supported.base.pNext = NULL;
        if (s == (const void *)wanted) {
            out->features.features = supported.all.features;
        } else if (any && size <= (size_t)(end - at)) {
            memcpy(at, supported.bytes, size);
            *link = at;
            link = (void **)(void *)(at + offsetof(VkBaseOutStructure, pNext));
            at += (size + 7) / 8 * 8;
        }
    }
}

bool host_device_create(struct host_device *out, bool validate, const char *name) {
    const float priority = 1;
    *out = (struct host_device){0};
    if (!create_instance(out, validate) || !choose_physical_device(out, name))
        return false;
    take_extensions(out);
    choose_features(out, &cdl_vk_recommended_features);
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = out->queue_family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &out->features,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = (uint32_t)out->num_extensions,
        .ppEnabledExtensionNames = out->extensions,
    };
    if (vkCreateDevice(out->physical, &info, NULL, &out->device) < 0) {
        fprintf(stderr, "the device cannot be opened\n");
        return false;
    }
    vkGetDeviceQueue(out->device, out->queue_family, 0, &out->queue);
    vkGetPhysicalDeviceMemoryProperties(out->physical, &out->memory);
    return true;
}

void host_device_destroy(struct host_device *dev) {
    if (dev->device)
        vkDestroyDevice(dev->device, NULL);
    if (dev->messenger)
        vkDestroyDebugUtilsMessengerEXT(dev->instance, dev->messenger, NULL);
    if (dev->instance)
        vkDestroyInstance(dev->instance, NULL);
    dev->device = VK_NULL_HANDLE;
    dev->messenger = VK_NULL_HANDLE;
    dev->instance = VK_NULL_HANDLE;
}

uint32_t host_memory_type(const struct host_device *dev, uint32_t allowed, VkMemoryPropertyFlags flags) {
    for (uint32_t i = 0; i < dev->memory.memoryTypeCount; i++)
        if (allowed >> i & 1 && (dev->memory.memoryTypes[i].propertyFlags & flags) == flags)
            return i;
    return 0;
}
