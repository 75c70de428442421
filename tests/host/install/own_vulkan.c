// own_vulkan.c - a host that has Vulkan's functions as variables of its own, under Vulkan's names, as volk has, and its
// own loader of them. Were the library to take one of these names from here, it would call the trap, or not link.
#define VK_NO_PROTOTYPES // as volk demands
#include <cdl/cdl_vulkan.h>

#include <stdio.h>
#include <stdlib.h>

static void trap(void) {
    fputs("the library called a function of the host\n", stderr);
    abort();
}

#define OWN(name) \
    void (*name)(void); \
    void (*name)(void) = trap;
OWN(vkGetInstanceProcAddr)
OWN(vkGetDeviceProcAddr)
OWN(vkCreateInstance)
OWN(vkDestroyInstance)
OWN(vkEnumerateInstanceVersion)
OWN(vkEnumerateInstanceExtensionProperties)
OWN(vkEnumerateInstanceLayerProperties)
OWN(vkEnumeratePhysicalDevices)
OWN(vkGetPhysicalDeviceProperties2)
OWN(vkGetPhysicalDeviceFeatures2)
OWN(vkGetPhysicalDeviceMemoryProperties2)
OWN(vkGetPhysicalDeviceQueueFamilyProperties)
OWN(vkCreateDevice)
OWN(volkInitialize)
OWN(volkLoadInstance)
OWN(volkLoadDevice)

int main(void) {
    int count = -1;
    struct cdl_vk_enabled enabled;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    if (cdl_vk_enable_features(&enabled, &features, cdl_vk_import_params()) != CDL_ERR_INVALID) // no instance
        return 1;
    if (cdl_device_list(NULL, 0, &count, NULL) != CDL_OK) // asks the real loader, and its drivers, if there are any
        count = -1;
    printf("%s\n", count >= 0 ? "listed" : "failed");
    return 0;
}
