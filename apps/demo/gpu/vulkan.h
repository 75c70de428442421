// vulkan.h - Vulkan as the demo uses it: the instance, the GPUs, and one GPU with its queue, buffers and images.
// volk loads the functions at run time, those of the instance as its globals. No Vulkan library is linked, so that a
// machine without Vulkan gets a message.
#ifndef DEMO_VULKAN_H_
#define DEMO_VULKAN_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <SDL.h>

#include <volk.h>

#include "cdl/cdl.h"

enum { MAX_GPUS = 16 };
#define INSTANCE_VERSION VK_API_VERSION_1_3

struct vulkan {
    VkInstance instance;
    VkDebugUtilsMessengerEXT messenger;
    bool validating;
    SDL_atomic_t validation_messages;
    // What Cardinal's list of devices tells, best first; the usable and the other.
    struct cdl_device_info gpus[MAX_GPUS];
    int num_gpus;
};

// `window`: the instance gets what a surface of it needs; NULL: none. false: one line in error[]. Either way to be
// closed.
bool vulkan_open(struct vulkan *out, SDL_Window *window, bool validate, char *error, size_t error_size);
void vulkan_close(struct vulkan *vk);
int vulkan_messages(struct vulkan *vk);          // of the validation layer so far
const char *vulkan_result_name(VkResult result); // "VK_ERROR_DEVICE_LOST"

// The index in vk->gpus that a number, UUID or part of a name means; NULL: the best. -1: one line in error[].
int vulkan_find_gpu(const struct vulkan *vk, const char *name, char *error, size_t error_size);

// ---- a GPU

struct gpu {
    const struct vulkan *vk;
    struct VolkDeviceTable vkd; // not volk's globals: while a GPU is exchanged there are two devices
    int index;                  // in vk->gpus
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue; // one, for drawing, classifying and presenting
    uint32_t family;
    SDL_mutex *lock; // of the queue
    VkPhysicalDeviceMemoryProperties memory;
    double timestamp_ns; // 0: the queue has no timestamps
    uint64_t timestamp_mask;
    int max_image_side;
    struct gpu_features *features; // as enabled
};

// A device for drawing and classifying. surface VK_NULL_HANDLE: nothing is presented. Any thread. NULL: one line in
// error[].
struct gpu *gpu_open(const struct vulkan *vk, int index, VkSurfaceKHR surface, char *error, size_t error_size);
void gpu_close(struct gpu **gpu);
VkResult gpu_submit(struct gpu *gpu, uint32_t count, const VkSubmitInfo *submits, VkFence fence);
void gpu_wait_idle(struct gpu *gpu);
// The device as Cardinal's: cdl_vk_import.
cdl_result gpu_import(struct gpu *gpu, const char *cache_dir, cdl_log log, cdl_device **out);

struct gpu_buffer {
    VkBuffer buffer;
    VkDeviceMemory memory;
    void *mapped;
    VkDeviceSize size;
};
// Host-visible, coherent and mapped; `readback`: cached where there is such memory.
VkResult gpu_buffer_create(struct gpu *gpu, VkDeviceSize size, VkBufferUsageFlags usage, bool readback,
                           struct gpu_buffer *out);
void gpu_buffer_destroy(struct gpu *gpu, struct gpu_buffer *buffer);

struct gpu_image {
    VkImage image;
    VkImageView view;
    VkDeviceMemory memory;
    VkFormat format;
    int width, height;
    bool written; // its layout is SHADER_READ_ONLY_OPTIMAL, else UNDEFINED
};
VkResult gpu_image_create(struct gpu *gpu, VkFormat format, int width, int height, VkImageUsageFlags usage,
                          struct gpu_image *out);
void gpu_image_destroy(struct gpu *gpu, struct gpu_image *image);

#endif // DEMO_VULKAN_H_
