// rig.h - a Vulkan application around the library: instance, device, images, buffers, command buffers of its own, under
// validation, and a cdl_device imported from it. harness.dev is that device; see harness.h for log, seed and
// environment.
#ifndef CDL_RIG_H_
#define CDL_RIG_H_

#include "host_device.h" // first: volk must come before other headers of Vulkan

#include "support/harness.h"
#include "support/hook.h"

#include "cdl/cdl_vulkan.h"

struct rig {
    struct host_device host;
    VkCommandPool pool;
    cdl_mutex queue_lock; // around every use of the queue
    int locked, unlocked; // calls of the import's callbacks, under the lock
};
extern struct rig rig;
bool rig_holds_queue(void); // the calling thread is between the import's lock_queue and unlock_queue

// cmocka group setup and teardown. The device is imported through hook_get_proc_addr, with pipelines shared.
int rig_open(void **state);
int rig_close(void **state);
// The host alone, and Cardinal's device alone; as often as one likes.
bool rig_open_host(void);
cdl_result rig_import(cdl_device **out);
struct cdl_vk_import_params rig_import_params(void);

// harness_expect_failure, and the line in the log says `word`.
void rig_expect_refusal(cdl_result r, cdl_result expected, const char *word, const char *what);

// ---- memory

struct rig_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    uint8_t *mapped;
    size_t size;
};
// Host-visible, coherent; what is not data is 0xcd.
struct rig_buffer rig_buffer(VkBufferUsageFlags usage, size_t size);
void rig_buffer_free(struct rig_buffer *buffer);

struct rig_image {
    VkImage handle;
    VkDeviceMemory memory;
    VkImageView view;
};
struct rig_image_params {
    VkFormat format, view_format; // view_format 0: the same
    int width, height;            // of the view
    int level, layer;             // that the view begins with; larger and other ones hold other pixels
    VkImageLayout layout;         // 0: SHADER_READ_ONLY_OPTIMAL
    VkComponentMapping swizzle;
    const void *data; // tight rows
    size_t pixel_bytes;
};
// An image with its pixels, ready for compute shaders.
struct rig_image rig_image(const struct rig_image_params *params);
void rig_image_free(struct rig_image *image);

// ---- commands

VkCommandBuffer rig_begin(void); // a new primary command buffer, recording
void rig_end(VkCommandBuffer cmd);
// Submits; the fence is signalled when all is done, and is to be given to rig_wait, which frees it.
VkFence rig_submit(VkCommandBuffer cmd);
void rig_wait(VkFence fence);
void rig_run(VkCommandBuffer cmd); // ends, submits, waits
VkSemaphore rig_timeline(uint64_t value);
uint64_t rig_timeline_value(VkSemaphore semaphore);
void rig_signal(VkSemaphore timeline, uint64_t value);
void rig_wait_for_value(VkSemaphore timeline, uint64_t value);
// Submits what waits for a timeline's value and signals the next.
void rig_submit_between(VkCommandBuffer cmd, VkSemaphore timeline, uint64_t value);

#endif // CDL_RIG_H_
