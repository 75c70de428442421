// wrong_layer.c - a Vulkan layer that makes a driver wrong: of command buffers with many dispatches it leaves one out.
//
// What is checked before it is used, a kernel in a short command buffer of its own, stays right; the network does not.
// tests/cli/test_bench.py loads it by VK_ADD_LAYER_PATH and VK_INSTANCE_LAYERS. For one instance and one device.
#include <string.h>
#include <vulkan/vk_layer.h>

enum { LEFT_OUT = 12, MAX_BUFFERS = 4096 };

static PFN_vkGetInstanceProcAddr next_instance;
static PFN_vkGetDeviceProcAddr next_device;
static PFN_vkCmdDispatch next_dispatch;
static PFN_vkBeginCommandBuffer next_begin;
static VkInstance the_instance;
static struct {
    VkCommandBuffer handle;
    int dispatches;
} buffers[MAX_BUFFERS];

static int *count_of(VkCommandBuffer commands) {
    for (int i = 0; i < MAX_BUFFERS; i++) {
        if (!buffers[i].handle)
            buffers[i].handle = commands;
        if (buffers[i].handle == commands)
            return &buffers[i].dispatches;
    }
    return NULL;
}

static VKAPI_ATTR VkResult VKAPI_CALL begin(VkCommandBuffer commands, const VkCommandBufferBeginInfo *info) {
    int *count = count_of(commands);
    if (count)
        *count = 0;
    return next_begin(commands, info);
}

static VKAPI_ATTR void VKAPI_CALL dispatch(VkCommandBuffer commands, uint32_t x, uint32_t y, uint32_t z) {
    int *count = count_of(commands);
    if (!count || ++*count != LEFT_OUT)
        next_dispatch(commands, x, y, z);
}

// The loader's link that tells a layer what comes next, taken out of the chain.
static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info, const VkAllocationCallbacks *a,
                                                      VkInstance *out) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)(uintptr_t)info->pNext;
    while (link &&
           (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)(uintptr_t)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    next_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const PFN_vkCreateInstance create = (PFN_vkCreateInstance)next_instance(NULL, "vkCreateInstance");
    const VkResult result = create(info, a, out);
    the_instance = result == VK_SUCCESS ? *out : NULL;
    return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *a, VkDevice *out) {
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)(uintptr_t)info->pNext;
    while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)(uintptr_t)link->pNext;
    if (!link)
        return VK_ERROR_INITIALIZATION_FAILED;
    const PFN_vkGetInstanceProcAddr get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const PFN_vkCreateDevice create = (PFN_vkCreateDevice)get(the_instance, "vkCreateDevice");
    const VkResult result = create(physical, info, a, out);
    if (result == VK_SUCCESS) {
        next_dispatch = (PFN_vkCmdDispatch)next_device(*out, "vkCmdDispatch");
        next_begin = (PFN_vkBeginCommandBuffer)next_device(*out, "vkBeginCommandBuffer");
    }
    return result;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device(VkDevice device, const char *name) {
    if (!strcmp(name, "vkCmdDispatch"))
        return (PFN_vkVoidFunction)dispatch;
    if (!strcmp(name, "vkBeginCommandBuffer"))
        return (PFN_vkVoidFunction)begin;
    if (!strcmp(name, "vkGetDeviceProcAddr"))
        return (PFN_vkVoidFunction)get_device;
    return next_device ? next_device(device, name) : NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance(VkInstance instance, const char *name) {
    if (!strcmp(name, "vkCreateInstance"))
        return (PFN_vkVoidFunction)create_instance;
    if (!strcmp(name, "vkCreateDevice"))
        return (PFN_vkVoidFunction)create_device;
    if (!strcmp(name, "vkGetInstanceProcAddr"))
        return (PFN_vkVoidFunction)get_instance;
    if (!strcmp(name, "vkGetDeviceProcAddr"))
        return (PFN_vkVoidFunction)get_device;
    return next_instance ? next_instance(instance, name) : NULL;
}

VKAPI_ATTR VkResult VKAPI_CALL vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *version) {
    version->loaderLayerInterfaceVersion = 2;
    version->pfnGetInstanceProcAddr = get_instance;
    version->pfnGetDeviceProcAddr = get_device;
    version->pfnGetPhysicalDeviceProcAddr = NULL;
    return VK_SUCCESS;
}
