// instance.c - opens the Vulkan loader and makes an instance, with validation when asked.
#include "vulkan/instance.h"

#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

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

#ifdef _WIN32
// Where programs and the system have theirs: never the current folder, which may hold anything.
static void *open_library(const char *name) {
    return (void *)LoadLibraryExA(name, NULL, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
}
static void close_library(void *library) { FreeLibrary((HMODULE)library); }
static PFN_vkVoidFunction find_symbol(void *library, const char *name) {
    return (PFN_vkVoidFunction)(void (*)(void))GetProcAddress((HMODULE)library, name);
}
static const char *const loader_names[] = {"vulkan-1.dll"};
#else
static void *open_library(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
static void close_library(void *library) { dlclose(library); }
static PFN_vkVoidFunction find_symbol(void *library, const char *name) {
    PFN_vkVoidFunction function; // POSIX guarantees the representation; ISO C has no cast for it
    void *symbol = dlsym(library, name);
    memcpy(&function, &symbol, sizeof function);
    return function;
}
#ifdef __APPLE__
static const char *const loader_names[] = {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib"};
#else
static const char *const loader_names[] = {"libvulkan.so.1", "libvulkan.so"};
#endif
#endif

static cdl_result open_loader(struct cdl_instance *out) {
    for (size_t i = 0; i < CDL_COUNT(loader_names) && !out->library; i++)
        out->library = open_library(loader_names[i]);
    if (!out->library)
        return cdl_fail(out->log, CDL_ERR_UNSUPPORTED,
                        "no Vulkan loader (%s) on this machine; install it (Debian/Ubuntu: "
                        "apt install libvulkan1 mesa-vulkan-drivers) or the GPU vendor's driver",
                        loader_names[0]);
    out->vkg.GetInstanceProcAddr = (PFN_vkGetInstanceProcAddr)find_symbol(out->library, "vkGetInstanceProcAddr");
    if (!out->vkg.GetInstanceProcAddr)
        return cdl_fail(out->log, CDL_ERR_UNSUPPORTED, "%s is not a Vulkan loader (no vkGetInstanceProcAddr)",
                        loader_names[0]);
#define LOAD(name) out->vkg.name = (PFN_vk##name)out->vkg.GetInstanceProcAddr(NULL, "vk" #name);
    CDL_VK_GLOBAL_FUNCTIONS(LOAD)
#undef LOAD
    out->version = VK_API_VERSION_1_0;
    if (out->vkg.EnumerateInstanceVersion)
        out->vkg.EnumerateInstanceVersion(&out->version);
    if (out->version < VK_API_VERSION_1_1)
        return cdl_fail(out->log, CDL_ERR_UNSUPPORTED, "the Vulkan loader is version %u.%u, 1.1 is needed; update it",
                        VK_API_VERSION_MAJOR(out->version), VK_API_VERSION_MINOR(out->version));
    if (out->version > VK_API_VERSION_1_3)
        out->version = VK_API_VERSION_1_3; // what we ask for
    return CDL_OK;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data, void *context) {
    const cdl_log *log = context;
    (void)types;
    cdl_logf(log, severity >= VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT ? CDL_LOG_ERR : CDL_LOG_WARN,
             "validation: %s", data->pMessage);
    return VK_FALSE;
}

static bool has_validation_layer(struct cdl_instance *in) {
    uint32_t count = 0;
    bool found = false;
    if (in->vkg.EnumerateInstanceLayerProperties(&count, NULL) < 0 || count == 0)
        return false;
    VkLayerProperties *layers = calloc(count, sizeof *layers);
    if (layers && in->vkg.EnumerateInstanceLayerProperties(&count, layers) >= 0)
        for (uint32_t i = 0; i < count; i++)
            found = found || !strcmp(layers[i].layerName, "VK_LAYER_KHRONOS_validation");
    free(layers);
    return found;
}

bool cdl_extensions_have(const struct cdl_extensions *list, const char *name) {
    for (uint32_t i = 0; i < list->count; i++)
        if (!strcmp(list->items[i].extensionName, name))
            return true;
    return false;
}

static bool has_extension(struct cdl_instance *in, const char *name) {
    struct cdl_extensions list = {0};
    if (in->vkg.EnumerateInstanceExtensionProperties(NULL, &list.count, NULL) < 0 || list.count == 0)
        return false;
    list.items = calloc(list.count, sizeof *list.items);
    const bool found = list.items && in->vkg.EnumerateInstanceExtensionProperties(NULL, &list.count, list.items) >= 0 &&
                       cdl_extensions_have(&list, name);
    free(list.items);
    return found;
}

static VkResult create_handle(struct cdl_instance *out, bool validate) {
    const char *extensions[4];
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .ppEnabledExtensionNames = extensions};
    const VkApplicationInfo application = {
        .sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
        .pEngineName = "Cardinal",
        .apiVersion = out->version,
    };
    info.pApplicationInfo = &application;
    if (has_extension(out, VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME)) { // lists MoltenVK too
        extensions[info.enabledExtensionCount++] = VK_KHR_PORTABILITY_ENUMERATION_EXTENSION_NAME;
        info.flags = VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR;
    }

    static const char *const layer = "VK_LAYER_KHRONOS_validation";
    const VkValidationFeatureEnableEXT enables[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    const VkValidationFeaturesEXT features = {
        .sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
        .enabledValidationFeatureCount = 1,
        .pEnabledValidationFeatures = enables,
    };
    // Chained, the messenger also hears what goes wrong in creating and destroying the instance.
    const VkDebugUtilsMessengerCreateInfoEXT messenger = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .pNext = &features,
        .messageSeverity =
            VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = (void *)(uintptr_t)out->log,
    };
    if (validate) {
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &layer;
        extensions[info.enabledExtensionCount++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
        extensions[info.enabledExtensionCount++] = VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME;
        info.pNext = &messenger;
    }
    VkResult result = out->vkg.CreateInstance(&info, NULL, &out->handle);
    if (result < 0 || !validate)
        return result;
    PFN_vkCreateDebugUtilsMessengerEXT create =
        (PFN_vkCreateDebugUtilsMessengerEXT)out->vkg.GetInstanceProcAddr(out->handle, "vkCreateDebugUtilsMessengerEXT");
    VkDebugUtilsMessengerCreateInfoEXT persistent = messenger;
    persistent.pNext = NULL;
    return create ? create(out->handle, &persistent, NULL, &out->messenger) : VK_SUCCESS;
}

cdl_result cdl_instance_create(struct cdl_instance *out, bool validate, const cdl_log *log) {
    *out = (struct cdl_instance){.log = log};
    cdl_result r = open_loader(out);
    if (r != CDL_OK)
        goto error;
    if (validate && !has_validation_layer(out)) {
        cdl_logf(log, CDL_LOG_WARN,
                 "validation was asked for but VK_LAYER_KHRONOS_validation is not installed "
                 "(Debian/Ubuntu: vulkan-validationlayers)");
        validate = false;
    }
    const VkResult result = create_handle(out, validate);
    if (result < 0) {
        r = cdl_fail(
            log, result == VK_ERROR_OUT_OF_HOST_MEMORY ? CDL_ERR_NOMEM : CDL_ERR_UNSUPPORTED,
            "no usable Vulkan driver (vkCreateInstance: %s); install one (Debian/Ubuntu: mesa-vulkan-drivers, or the "
            "GPU vendor's driver) and check that VK_DRIVER_FILES and VK_ICD_FILENAMES are unset or right",
            cdl_vk_result_name(result));
        goto error;
    }
#define LOAD(name) out->vki.name = (PFN_vk##name)out->vkg.GetInstanceProcAddr(out->handle, "vk" #name);
    CDL_VK_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return CDL_OK;
error:
    cdl_instance_destroy(out);
    return r;
}

void cdl_instance_destroy(struct cdl_instance *instance) {
    if (instance->messenger) {
        PFN_vkDestroyDebugUtilsMessengerEXT destroy =
            (PFN_vkDestroyDebugUtilsMessengerEXT)instance->vkg.GetInstanceProcAddr(instance->handle,
                                                                                   "vkDestroyDebugUtilsMessengerEXT");
        if (destroy)
            destroy(instance->handle, instance->messenger, NULL);
    }
    if (instance->handle) {
        PFN_vkDestroyInstance destroy =
            (PFN_vkDestroyInstance)instance->vkg.GetInstanceProcAddr(instance->handle, "vkDestroyInstance");
        if (destroy)
            destroy(instance->handle, NULL);
    }
    if (instance->library)
        close_library(instance->library);
    *instance = (struct cdl_instance){0};
}
