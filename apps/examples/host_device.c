// host_device.c - see host_device.h. The part that matters to Cardinal is choose_features.
#define VOLK_IMPLEMENTATION // here is volk's code; all others include its header alone
#include "host_device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void host_check(VkResult result, const char *what) {
    if (result >= 0)
        return;
    fprintf(stderr, "%s: VkResult %d\n", what, (int)result);
    exit(1);
}

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    (void)level;
    fprintf(stderr, "cardinal: %s\n", msg);
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
    if (!out->api_version)
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
    fprintf(stderr, "no device with Vulkan 1.1 and a queue for graphics and compute%s%s\n",
            name ? ", and a name with " : "", name ? name : "");
    return false;
}

// ---- features

// A game has features and extensions of its own here, in any structures. Cardinal adds what it needs and can use.
static bool choose_features(struct host_device *out) {
    const cdl_log log = {.fn = on_log, .level = CDL_LOG_WARN};
    out->features = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    return cdl_vk_enable_features(&out->enabled, &out->features,
                                  cdl_vk_import_params(.log = log, .instance = out->instance,
                                                       .phys_device = out->physical, .api_version = out->api_version,
                                                       .get_proc_addr = vkGetInstanceProcAddr)) == CDL_OK;
}

bool host_device_create(struct host_device *out, bool validate, const char *name, uint32_t version) {
    const float priority = 1;
    *out = (struct host_device){.api_version = version};
    if (!create_instance(out, validate) || !choose_physical_device(out, name) || !choose_features(out))
        return false;
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
        .enabledExtensionCount = (uint32_t)out->enabled.num_extensions,
        .ppEnabledExtensionNames = out->enabled.extensions,
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
