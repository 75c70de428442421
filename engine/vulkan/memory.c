// memory.c - buffers, each with memory and a device address of its own. There are few: an arena, not many tensors.
#include "vulkan/memory.h"

#include "vulkan/device.h"

// The first memory type with all of `flags` among those allowed, or -1.
static int find_type(const struct cdl_device *dev, uint32_t allowed, VkMemoryPropertyFlags flags) {
    for (uint32_t i = 0; i < dev->memory.memoryTypeCount; i++)
        if (allowed >> i & 1 && (dev->memory.memoryTypes[i].propertyFlags & flags) == flags)
            return (int)i;
    return -1;
}

// Flag sets to try for each use, best first; 0 takes any type.
static const VkMemoryPropertyFlags wishes[][4] = {
    [CDL_MEMORY_DEVICE] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0},
    [CDL_MEMORY_SHARED] = {VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                           VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
                           VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT},
    [CDL_MEMORY_UPLOAD] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                           VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT},
    [CDL_MEMORY_READBACK] = {VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT,
                             VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT},
};

static VkResult allocate(struct cdl_buffer *out, struct cdl_device *dev, const VkMemoryRequirements *needs, int type) {
    const VkMemoryAllocateFlagsInfo flags = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
        .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT,
    };
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .pNext = &flags,
        .allocationSize = needs->size,
        .memoryTypeIndex = (uint32_t)type,
    };
    out->coherent = dev->memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    return dev->vkd.AllocateMemory(dev->handle, &info, dev->allocator, &out->memory);
}

cdl_result cdl_buffer_create(struct cdl_buffer *out, struct cdl_device *dev, VkDeviceSize size, enum cdl_memory_use use,
                             const char *what) {
    *out = (struct cdl_buffer){.size = size};
    cdl_result r = CDL_OK;
    VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    int type = -1;
    const VkBufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
        .size = size,
        .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT |
                 VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
    };
    if (size > dev->max_allocation)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM,
                        "%s: %s needs %llu MB, the driver allocates at most %llu MB at once; use a smaller "
                        "batch or input size, or fp16",
                        dev->info.name, what, (unsigned long long)size >> 20,
                        (unsigned long long)dev->max_allocation >> 20);
    CDL_VK(dev, CreateBuffer(dev->handle, &info, dev->allocator, &out->handle));
    VkMemoryRequirements needs;
    dev->vkd.GetBufferMemoryRequirements(dev->handle, out->handle, &needs);
    // Host-visible memory of the device can be small: when it is full, the next kind.
    for (size_t i = 0; i < CDL_COUNT(wishes[use]) && result < 0; i++) {
        if (wishes[use][i] == 0 && use != CDL_MEMORY_DEVICE)
            break; // the host must reach it
        if ((type = find_type(dev, needs.memoryTypeBits, wishes[use][i])) >= 0)
            result = allocate(out, dev, &needs, type);
        if (wishes[use][i] == 0 || result == VK_ERROR_DEVICE_LOST)
            break;
    }
    if (result < 0) {
        r = result == VK_ERROR_DEVICE_LOST
                ? cdl_vk_failed(dev, result, "vkAllocateMemory")
                : cdl_fail(&dev->log, CDL_ERR_NOMEM,
                           "%s: no memory for %s, %llu MB (%s); use a smaller batch or input size, or fp16",
                           dev->info.name, what, (unsigned long long)size >> 20, cdl_vk_result_name(result));
        goto error;
    }
    CDL_VK(dev, BindBufferMemory(dev->handle, out->handle, out->memory, 0));
    out->host_visible = dev->memory.memoryTypes[type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    if (use == CDL_MEMORY_READBACK)
        CDL_VK(dev, MapMemory(dev->handle, out->memory, 0, VK_WHOLE_SIZE, 0, &out->mapped));
    const VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                               .buffer = out->handle};
    out->address = dev->vkd.GetBufferDeviceAddress(dev->handle, &address);
    return CDL_OK;
error:
    cdl_buffer_destroy(out, dev);
    return r;
}

void cdl_buffer_destroy(struct cdl_buffer *buffer, struct cdl_device *dev) {
    if (buffer->handle)
        dev->vkd.DestroyBuffer(dev->handle, buffer->handle, dev->allocator);
    if (buffer->memory)
        dev->vkd.FreeMemory(dev->handle, buffer->memory, dev->allocator); // unmaps too
    *buffer = (struct cdl_buffer){0};
}

static VkMappedMemoryRange whole(const struct cdl_buffer *buffer) {
    return (VkMappedMemoryRange){
        .sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE, .memory = buffer->memory, .size = VK_WHOLE_SIZE};
}

cdl_result cdl_buffer_flush(const struct cdl_buffer *buffer, struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkMappedMemoryRange range = whole(buffer);
    if (!buffer->coherent)
        CDL_VK(dev, FlushMappedMemoryRanges(dev->handle, 1, &range));
error:
    return r;
}

static cdl_result invalidate(const struct cdl_buffer *buffer, struct cdl_device *dev,
                             const VkMappedMemoryRange *range) {
    cdl_result r = CDL_OK;
    if (!buffer->coherent)
        CDL_VK(dev, InvalidateMappedMemoryRanges(dev->handle, 1, range));
error:
    return r;
}

cdl_result cdl_buffer_invalidate(const struct cdl_buffer *buffer, struct cdl_device *dev) {
    const VkMappedMemoryRange range = whole(buffer);
    return invalidate(buffer, dev, &range);
}

// nonCoherentAtomSize is 256 at most.
cdl_result cdl_buffer_invalidate_part(const struct cdl_buffer *buffer, struct cdl_device *dev, VkDeviceSize at,
                                      VkDeviceSize bytes) {
    VkMappedMemoryRange range = whole(buffer);
    range.offset = at;
    if (at + bytes < buffer->size)
        range.size = bytes;
    return invalidate(buffer, dev, &range);
}
