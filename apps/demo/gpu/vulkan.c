// vulkan.c - the loader, the instance with validation when asked, and the list of GPUs.
#define VOLK_IMPLEMENTATION // here is volk's code; all others include its header alone
#include "gpu/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL_vulkan.h>

#include "app.h"
#include "system/text.h"
#include "parse.h"

const char *vulkan_result_name(VkResult result) {
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY: return "out of memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY: return "out of GPU memory";
    case VK_ERROR_INITIALIZATION_FAILED: return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST: return "the GPU was lost";
    case VK_ERROR_SURFACE_LOST_KHR: return "VK_ERROR_SURFACE_LOST_KHR";
    case VK_ERROR_INCOMPATIBLE_DRIVER: return "no driver";
    case VK_ERROR_EXTENSION_NOT_PRESENT: return "VK_ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT: return "VK_ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_NATIVE_WINDOW_IN_USE_KHR: return "VK_ERROR_NATIVE_WINDOW_IN_USE_KHR";
    default: return "a Vulkan error";
    }
}

// A window brings the loader that SDL opened for it.
static bool open_loader(SDL_Window *window, char *error, size_t error_size) {
    if (window) {
        PFN_vkGetInstanceProcAddr get_proc_addr;
        void *address = SDL_Vulkan_GetVkGetInstanceProcAddr();
        memcpy(&get_proc_addr, &address, sizeof address); // ISO C has no cast for it
        if (get_proc_addr) {
            volkInitializeCustom(get_proc_addr);
            return true;
        }
    } else if (volkInitialize() == VK_SUCCESS) {
        return true;
    }
    snprintf(error, error_size,
             "no Vulkan loader (libvulkan.so.1, vulkan-1.dll) on this machine; install it (Debian/Ubuntu: apt install "
             "libvulkan1 mesa-vulkan-drivers) or the GPU vendor's driver");
    return false;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *context) {
    struct vulkan *vk = context;
    (void)severity;
    if (types == VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT) // the loader's own talk, of drivers that it passed over
        return VK_FALSE;
    SDL_AtomicAdd(&vk->validation_messages, 1);
    complain("validation: %s", data->pMessage);
    return VK_FALSE;
}

static bool has_validation_layer(void) {
    uint32_t count = 0;
    bool found = false;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) < 0 || count == 0)
        return false;
    VkLayerProperties *layers = calloc(count, sizeof *layers);
    if (layers && vkEnumerateInstanceLayerProperties(&count, layers) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(layers[i].layerName, "VK_LAYER_KHRONOS_validation");
    free(layers);
    return found;
}

static bool has_instance_extension(const char *name) {
    uint32_t count = 0;
    bool found = false;
    if (vkEnumerateInstanceExtensionProperties(NULL, &count, NULL) < 0 || count == 0)
        return false;
    VkExtensionProperties *all = calloc(count, sizeof *all);
    if (all && vkEnumerateInstanceExtensionProperties(NULL, &count, all) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(all[i].extensionName, name);
    free(all);
    return found;
}

static VkResult create_instance(struct vulkan *vk, SDL_Window *window) {
    static const char *const layer = "VK_LAYER_KHRONOS_validation";
    static const VkValidationFeatureEnableEXT synchronization =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    const char *extensions[16];
    unsigned count = 12;
    if (!window || !SDL_Vulkan_GetInstanceExtensions(window, &count, extensions))
        count = 0;
    VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = vk,
    };
    const VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .pNext = &messenger,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = &synchronization,
    };
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pApplicationName = "cardinal-demo",
        .apiVersion = INSTANCE_VERSION,
    };
    VkInstanceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
        .pApplicationInfo = &application,
        .ppEnabledExtensionNames = extensions,
    };
    if (vk->validating) {
        extensions[count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &layer;
        info.pNext = &features;
    }
    if (has_instance_extension("VK_KHR_portability_enumeration")) { // MoltenVK is listed only so
        extensions[count++] = "VK_KHR_portability_enumeration";
        info.flags |= 1; // VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR
    }
    info.enabledExtensionCount = count;
    const VkResult result = vkCreateInstance(&info, NULL, &vk->instance);
    if (result < 0)
        return result;
    volkLoadInstanceOnly(vk->instance);
    return vk->validating ? vkCreateDebugUtilsMessengerEXT(vk->instance, &messenger, NULL, &vk->messenger) : result;
}

bool vulkan_open(struct vulkan *out, SDL_Window *window, bool validate, char *error, size_t error_size) {
    memset(out, 0, sizeof *out);
    if (!open_loader(window, error, error_size))
        return false;
    if (volkGetInstanceVersion() < VK_API_VERSION_1_2) {
        snprintf(error, error_size, "the Vulkan loader is too old, 1.2 is needed; update it");
        return false;
    }
    out->validating = validate && has_validation_layer();
    if (validate && !out->validating) {
        snprintf(error, error_size,
                 "--validate: VK_LAYER_KHRONOS_validation is not installed (Debian/Ubuntu: vulkan-validationlayers)");
        return false;
    }
    const VkResult result = create_instance(out, window);
    if (result < 0) {
        snprintf(error, error_size,
                 "no usable Vulkan driver (%s); install one (Debian/Ubuntu: mesa-vulkan-drivers, or the GPU vendor's "
                 "driver) and check that VK_DRIVER_FILES and VK_ICD_FILENAMES are unset or right",
                 vulkan_result_name(result));
        return false;
    }
    int count = 0;
    if (cdl_device_list(out->gpus, MAX_GPUS, &count, NULL) != CDL_OK || count == 0) {
        snprintf(error, error_size, "no Vulkan device was found; `cardinal devices` tells more");
        return false;
    }
    out->num_gpus = count < MAX_GPUS ? count : MAX_GPUS;
    return true;
}

void vulkan_close(struct vulkan *vk) {
    if (vk->messenger)
        vkDestroyDebugUtilsMessengerEXT(vk->instance, vk->messenger, NULL);
    if (vk->instance)
        vkDestroyInstance(vk->instance, NULL);
    memset(vk, 0, sizeof *vk);
}

int vulkan_messages(struct vulkan *vk) { return SDL_AtomicGet(&vk->validation_messages); }

int vulkan_find_gpu(const struct vulkan *vk, const char *name, char *error, size_t error_size) {
    int number;
    if (name && parse_int_in(name, 0, 63, &number)) {
        if (number < vk->num_gpus)
            return number;
        snprintf(error, error_size, "there is no device %d; `cardinal devices` lists them", number);
        return -1;
    }
    for (int i = 0; i < vk->num_gpus; i++)
        if (name ? contains_ignoring_case(vk->gpus[i].name, name) || !strcmp(vk->gpus[i].uuid, name)
                 : !vk->gpus[i].unusable[0])
            return i;
    if (name)
        snprintf(error, error_size, "no device is called %s; `cardinal devices` lists them", name);
    else
        snprintf(error, error_size, "%s cannot be used: %s", vk->gpus[0].name, vk->gpus[0].unusable);
    return -1;
}
