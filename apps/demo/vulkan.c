// vulkan.c - the loader, the instance with validation when asked, and the list of GPUs.
#include "vulkan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL_vulkan.h>

#include "app.h"
#include "parse.h"

#if defined(_WIN32)
static const char *const loader_names[] = {"vulkan-1.dll"};
#elif defined(__APPLE__)
static const char *const loader_names[] = {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"};
#else
static const char *const loader_names[] = {"libvulkan.so.1", "libvulkan.so"};
#endif

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

static bool open_loader(struct vulkan *vk, SDL_Window *window, char *error, size_t error_size) {
    if (window) {
        void *address = SDL_Vulkan_GetVkGetInstanceProcAddr();
        memcpy(&vk->get_proc_addr, &address, sizeof address); // ISO C has no cast for it
    }
    for (size_t i = 0; !window && i < sizeof loader_names / sizeof *loader_names && !vk->library; i++)
        vk->library = SDL_LoadObject(loader_names[i]);
    if (vk->library) {
        void *address = SDL_LoadFunction(vk->library, "vkGetInstanceProcAddr");
        memcpy(&vk->get_proc_addr, &address, sizeof address);
    }
    if (!vk->get_proc_addr) {
        snprintf(error, error_size,
                 "no Vulkan loader (%s) on this machine; install it (Debian/Ubuntu: apt install libvulkan1 "
                 "mesa-vulkan-drivers) or the GPU vendor's driver",
                 loader_names[0]);
        return false;
    }
#define LOAD(name) vk->vkg.name = (PFN_vk##name)vk->get_proc_addr(NULL, "vk" #name);
    VULKAN_GLOBAL_FUNCTIONS(LOAD)
#undef LOAD
    return true;
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

static bool has_validation_layer(const struct vulkan *vk) {
    uint32_t count = 0;
    bool found = false;
    if (vk->vkg.EnumerateInstanceLayerProperties(&count, NULL) < 0 || count == 0)
        return false;
    VkLayerProperties *layers = calloc(count, sizeof *layers);
    if (layers && vk->vkg.EnumerateInstanceLayerProperties(&count, layers) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(layers[i].layerName, "VK_LAYER_KHRONOS_validation");
    free(layers);
    return found;
}

static bool has_instance_extension(const struct vulkan *vk, const char *name) {
    uint32_t count = 0;
    bool found = false;
    if (vk->vkg.EnumerateInstanceExtensionProperties(NULL, &count, NULL) < 0 || count == 0)
        return false;
    VkExtensionProperties *all = calloc(count, sizeof *all);
    if (all && vk->vkg.EnumerateInstanceExtensionProperties(NULL, &count, all) >= 0)
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
    if (has_instance_extension(vk, "VK_KHR_portability_enumeration")) { // MoltenVK is listed only so
        extensions[count++] = "VK_KHR_portability_enumeration";
        info.flags |= 1; // VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR
    }
    info.enabledExtensionCount = count;
    const VkResult result = vk->vkg.CreateInstance(&info, NULL, &vk->instance);
    if (result < 0)
        return result;
#define LOAD(name) vk->vki.name = (PFN_vk##name)vk->get_proc_addr(vk->instance, "vk" #name);
    VULKAN_INSTANCE_FUNCTIONS(LOAD)
    VULKAN_SURFACE_FUNCTIONS(LOAD)
#undef LOAD
    if (!vk->validating)
        return result;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)vk->get_proc_addr(vk->instance, "vkCreateDebugUtilsMessengerEXT");
    return create ? create(vk->instance, &messenger, NULL, &vk->messenger) : result;
}

bool vulkan_open(struct vulkan *out, SDL_Window *window, bool validate, char *error, size_t error_size) {
    memset(out, 0, sizeof *out);
    if (!open_loader(out, window, error, error_size))
        return false;
    uint32_t version = VK_API_VERSION_1_0;
    if (out->vkg.EnumerateInstanceVersion)
        out->vkg.EnumerateInstanceVersion(&version);
    if (version < VK_API_VERSION_1_2) {
        snprintf(error, error_size, "the Vulkan loader is too old, 1.2 is needed; update it");
        return false;
    }
    out->validating = validate && has_validation_layer(out);
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
    if (vk->messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)vk->get_proc_addr(vk->instance, "vkDestroyDebugUtilsMessengerEXT");
        if (destroy)
            destroy(vk->instance, vk->messenger, NULL);
    }
    if (vk->instance && vk->vki.DestroyInstance)
        vk->vki.DestroyInstance(vk->instance, NULL);
    if (vk->library)
        SDL_UnloadObject(vk->library);
    memset(vk, 0, sizeof *vk);
}

static bool contains(const char *text, const char *part) { // whatever the case
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && text[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

int vulkan_find_gpu(const struct vulkan *vk, const char *name, char *error, size_t error_size) {
    int number;
    if (name && parse_int_in(name, 0, 63, &number)) {
        if (number < vk->num_gpus)
            return number;
        snprintf(error, error_size, "there is no device %d; `cardinal devices` lists them", number);
        return -1;
    }
    for (int i = 0; i < vk->num_gpus; i++)
        if (name ? contains(vk->gpus[i].name, name) || !strcmp(vk->gpus[i].uuid, name) : !vk->gpus[i].unusable[0])
            return i;
    if (name)
        snprintf(error, error_size, "no device is called %s; `cardinal devices` lists them", name);
    else
        snprintf(error, error_size, "%s cannot be used: %s", vk->gpus[0].name, vk->gpus[0].unusable);
    return -1;
}
