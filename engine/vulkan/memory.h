// memory.h - buffers, each with memory and a device address of its own.
#ifndef CDL_VK_MEMORY_H_
#define CDL_VK_MEMORY_H_

#include "base/base.h"
#include "vulkan/vk.h"

struct cdl_device;

struct cdl_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceAddress address;
    void *mapped;      // of CDL_MEMORY_READBACK; NULL for the other uses: upload.h writes them
    bool host_visible; // the memory can be mapped
    bool coherent;     // the host and the GPU see each other's writes without flushing and invalidating
    VkDeviceSize size;
};

enum cdl_memory_use {
    CDL_MEMORY_DEVICE,   // the GPU's own
    CDL_MEMORY_SHARED,   // the GPU's own where the host can reach it, which writes it in place
    CDL_MEMORY_UPLOAD,   // the host's, cached: the GPU copies it
    CDL_MEMORY_READBACK, // the GPU writes, the host reads
};

// what: for the log, which gets it and the size with CDL_ERR_NOMEM.
cdl_result cdl_buffer_create(struct cdl_buffer *out, struct cdl_device *dev, VkDeviceSize size, enum cdl_memory_use use,
                             const char *what);
void cdl_buffer_destroy(struct cdl_buffer *buffer, struct cdl_device *dev); // {0} is fine
// Makes the host's writes visible to later submissions, or what the GPU wrote visible to the host. Does nothing for
// coherent memory.
cdl_result cdl_buffer_flush(const struct cdl_buffer *buffer, struct cdl_device *dev);
cdl_result cdl_buffer_invalidate(const struct cdl_buffer *buffer, struct cdl_device *dev);
// The same for a part, from a multiple of 256 bytes on to a multiple of 256 or the buffer's end.
cdl_result cdl_buffer_invalidate_part(const struct cdl_buffer *buffer, struct cdl_device *dev, VkDeviceSize at,
                                      VkDeviceSize bytes);

#endif // CDL_VK_MEMORY_H_
