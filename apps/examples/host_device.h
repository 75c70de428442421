// host_device.h - what every Vulkan application has: an instance, a device, a queue.
//
// Of Cardinal there is nothing in it but the features and extensions that host_device_create asks for. It is a program
// to copy from, so it shares no helper with the demo or the engine, though they have similar ones. The tests of
// cdl_vulkan.h use it too.
#ifndef HOST_DEVICE_H_
#define HOST_DEVICE_H_

// volk before any header of Vulkan: it makes Vulkan's functions variables, filled when the loader, the instance and the
// device are there. Cardinal does not use them; its own tables come from the get_proc_addr that it is given.
#include <volk.h>

#include <cdl/cdl_vulkan.h>

#include <stdbool.h>
#include <stdint.h>

struct host_device {
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue; // graphics and compute
    uint32_t queue_family;
    uint32_t api_version; // of the instance
    // As enabled on the device, with a chain of structures in `enabled`: the whole must not be moved.
    VkPhysicalDeviceFeatures2 features;
    struct cdl_vk_enabled enabled;
    VkPhysicalDeviceMemoryProperties memory;
    VkDebugUtilsMessengerEXT messenger;
    int messages; // of the validation layer, warnings and errors
};

// validate: with Khronos validation and synchronization checks. name: a part of the device's name; NULL: the first
// device that can be used. version: of Vulkan; 0: 1.3, or 1.1 with an older loader. false: the reason was printed.
// host_device_destroy is due in any case.
bool host_device_create(struct host_device *out, bool validate, const char *name, uint32_t version);
void host_device_destroy(struct host_device *dev);

// The index of a memory type among `allowed` with all `flags`; 0 where there is none.
uint32_t host_memory_type(const struct host_device *dev, uint32_t allowed, VkMemoryPropertyFlags flags);

// For calls that fail only where there is nothing left to do: prints the call and ends the program.
#define HOST_VK(call) host_check((call), #call)
void host_check(VkResult result, const char *what);

#endif // HOST_DEVICE_H_
