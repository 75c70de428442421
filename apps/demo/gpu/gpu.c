// gpu.c - one GPU: the device with the features that Cardinal likes, its queue, buffers and images.
#include "gpu/vulkan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/features.h"

// Finds the physical device that Cardinal's list calls vk->gpus[index].
static VkPhysicalDevice find_physical(const struct vulkan *vk, int index) {
    VkPhysicalDevice all[64];
    uint32_t count = 64;
    if (vkEnumeratePhysicalDevices(vk->instance, &count, all) < 0)
        return VK_NULL_HANDLE;
    for (uint32_t i = 0; i < count; i++) {
        VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
        VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                                  .pNext = &id};
        char uuid[37], *at = uuid;
        vkGetPhysicalDeviceProperties2(all[i], &properties);
        for (int j = 0; j < (int)VK_UUID_SIZE; j++)
            at += snprintf(at, 4, j == 4 || j == 6 || j == 8 || j == 10 ? "-%02x" : "%02x", id.deviceUUID[j]);
        if (!strcmp(uuid, vk->gpus[index].uuid) && !strcmp(properties.properties.deviceName, vk->gpus[index].name))
            return all[i];
    }
    return VK_NULL_HANDLE;
}

// A family of queues that draw, compute and, where there is a surface, present to it.
static bool find_family(struct gpu *gpu, VkSurfaceKHR surface) {
    VkQueueFamilyProperties families[32];
    uint32_t count = 32;
    vkGetPhysicalDeviceQueueFamilyProperties(gpu->physical, &count, families);
    for (uint32_t i = 0; i < count; i++) {
        const VkQueueFlags needed = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT;
        VkBool32 presents = VK_TRUE;
        if ((families[i].queueFlags & needed) != needed)
            continue;
        if (surface && (vkGetPhysicalDeviceSurfaceSupportKHR(gpu->physical, i, surface, &presents) < 0 || !presents))
            continue;
        const uint32_t bits = families[i].timestampValidBits;
        gpu->family = i;
        gpu->timestamp_mask = bits == 0 ? 0 : bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        return true;
    }
    return false;
}

static VkResult create_device(struct gpu *gpu, bool present) {
    static const float priority = 1;
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    const VkDeviceQueueCreateInfo queue = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
        .queueFamilyIndex = gpu->family,
        .queueCount = 1,
        .pQueuePriorities = &priority,
    };
    gpu->features = gpu_features_choose(gpu, present);
    if (!gpu->features)
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    const VkDeviceCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
        .pNext = &gpu->features->enabled,
        .queueCreateInfoCount = 1,
        .pQueueCreateInfos = &queue,
        .enabledExtensionCount = (uint32_t)gpu->features->found.num_extensions,
        .ppEnabledExtensionNames = gpu->features->found.extensions,
    };
    const VkResult result = vkCreateDevice(gpu->physical, &info, NULL, &gpu->device);
    if (result < 0)
        return result;
    volkLoadDeviceTable(&gpu->vkd, gpu->device);
    gpu->vkd.vkGetDeviceQueue(gpu->device, gpu->family, 0, &gpu->queue);
    vkGetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory);
    vkGetPhysicalDeviceProperties2(gpu->physical, &properties);
    gpu->timestamp_ns = gpu->timestamp_mask ? (double)properties.properties.limits.timestampPeriod : 0;
    gpu->max_image_side = (int)properties.properties.limits.maxImageDimension2D;
    return result;
}

struct gpu *gpu_open(const struct vulkan *vk, int index, VkSurfaceKHR surface, char *error, size_t error_size) {
    struct gpu *gpu = calloc(1, sizeof *gpu);
    VkResult result = VK_ERROR_OUT_OF_HOST_MEMORY;
    if (!gpu) {
        snprintf(error, error_size, "out of memory");
        return NULL;
    }
    gpu->vk = vk;
    gpu->index = index;
    gpu->lock = SDL_CreateMutex();
    gpu->physical = find_physical(vk, index);
    if (vk->gpus[index].unusable[0])
        snprintf(error, error_size, "%s cannot be used: %s", vk->gpus[index].name, vk->gpus[index].unusable);
    else if (!gpu->physical)
        snprintf(error, error_size, "%s is gone", vk->gpus[index].name);
    else if (!find_family(gpu, surface))
        snprintf(error, error_size, "%s cannot draw%s", vk->gpus[index].name, surface ? " into this window" : "");
    else if (!gpu->lock || (result = create_device(gpu, surface != VK_NULL_HANDLE)) < 0)
        snprintf(error, error_size, "%s could not be opened: %s", vk->gpus[index].name, vulkan_result_name(result));
    else
        return gpu;
    gpu_close(&gpu);
    return NULL;
}

void gpu_close(struct gpu **gpu) {
    if (!*gpu)
        return;
    if ((*gpu)->device)
        (*gpu)->vkd.vkDestroyDevice((*gpu)->device, NULL);
    if ((*gpu)->lock)
        SDL_DestroyMutex((*gpu)->lock);
    free((*gpu)->features);
    free(*gpu);
    *gpu = NULL;
}

VkResult gpu_submit(struct gpu *gpu, uint32_t count, const VkSubmitInfo *submits, VkFence fence) {
    SDL_LockMutex(gpu->lock);
    const VkResult result = gpu->vkd.vkQueueSubmit(gpu->queue, count, submits, fence);
    SDL_UnlockMutex(gpu->lock);
    return result;
}

void gpu_wait_idle(struct gpu *gpu) {
    SDL_LockMutex(gpu->lock);
    gpu->vkd.vkQueueWaitIdle(gpu->queue);
    SDL_UnlockMutex(gpu->lock);
}

// ---- memory

static VkResult allocate(struct gpu *gpu, const VkMemoryRequirements *needs, VkMemoryPropertyFlags wanted,
                         VkMemoryPropertyFlags liked, VkDeviceMemory *out) {
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < gpu->memory.memoryTypeCount; i++) {
            const VkMemoryPropertyFlags flags = wanted | (pass == 0 ? liked : 0);
            if (!(needs->memoryTypeBits >> i & 1) || (gpu->memory.memoryTypes[i].propertyFlags & flags) != flags)
                continue;
            const VkMemoryAllocateInfo info = {
                .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                .allocationSize = needs->size,
                .memoryTypeIndex = i,
            };
            if (gpu->vkd.vkAllocateMemory(gpu->device, &info, NULL, out) >= 0)
                return VK_SUCCESS;
        }
    return VK_ERROR_OUT_OF_DEVICE_MEMORY;
}

VkResult gpu_buffer_create(struct gpu *gpu, VkDeviceSize size, VkBufferUsageFlags usage, bool readback,
                           struct gpu_buffer *out) {
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkMemoryRequirements needs;
    *out = (struct gpu_buffer){.size = size};
    VkResult result = gpu->vkd.vkCreateBuffer(gpu->device, &info, NULL, &out->buffer);
    if (result < 0)
        return result;
    gpu->vkd.vkGetBufferMemoryRequirements(gpu->device, out->buffer, &needs);
    result = allocate(gpu, &needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                      readback ? VK_MEMORY_PROPERTY_HOST_CACHED_BIT : 0, &out->memory);
    if (result >= 0)
        result = gpu->vkd.vkBindBufferMemory(gpu->device, out->buffer, out->memory, 0);
    if (result >= 0)
        result = gpu->vkd.vkMapMemory(gpu->device, out->memory, 0, VK_WHOLE_SIZE, 0, &out->mapped);
    if (result < 0)
        gpu_buffer_destroy(gpu, out);
    return result;
}

void gpu_buffer_destroy(struct gpu *gpu, struct gpu_buffer *buffer) {
    gpu->vkd.vkDestroyBuffer(gpu->device, buffer->buffer, NULL);
    gpu->vkd.vkFreeMemory(gpu->device, buffer->memory, NULL);
    *buffer = (struct gpu_buffer){0};
}

VkResult gpu_image_create(struct gpu *gpu, VkFormat format, int width, int height, VkImageUsageFlags usage,
                          struct gpu_image *out) {
    const VkImageCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
        .imageType = VK_IMAGE_TYPE_2D,
        .format = format,
        .extent = {(uint32_t)width, (uint32_t)height, 1},
        .mipLevels = 1,
        .arrayLayers = 1,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .usage = usage,
    };
    VkMemoryRequirements needs;
    *out = (struct gpu_image){.format = format, .width = width, .height = height};
    VkResult result = gpu->vkd.vkCreateImage(gpu->device, &info, NULL, &out->image);
    if (result < 0)
        return result;
    gpu->vkd.vkGetImageMemoryRequirements(gpu->device, out->image, &needs);
    result = allocate(gpu, &needs, 0, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, &out->memory);
    if (result >= 0)
        result = gpu->vkd.vkBindImageMemory(gpu->device, out->image, out->memory, 0);
    if (result >= 0) {
        const VkImageViewCreateInfo view = {
            .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
            .image = out->image,
            .viewType = VK_IMAGE_VIEW_TYPE_2D,
            .format = format,
            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
        };
        result = gpu->vkd.vkCreateImageView(gpu->device, &view, NULL, &out->view);
    }
    if (result < 0)
        gpu_image_destroy(gpu, out);
    return result;
}

void gpu_image_destroy(struct gpu *gpu, struct gpu_image *image) {
    gpu->vkd.vkDestroyImageView(gpu->device, image->view, NULL);
    gpu->vkd.vkDestroyImage(gpu->device, image->image, NULL);
    gpu->vkd.vkFreeMemory(gpu->device, image->memory, NULL);
    *image = (struct gpu_image){0};
}
