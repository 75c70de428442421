// device.h - a logical device with one compute queue, Cardinal's own or a host's.
#ifndef CDL_VK_DEVICE_H_
#define CDL_VK_DEVICE_H_

#include "base/cache.h"
#include "base/mutex.h"
#include "kernels/caps.h"
#include "vulkan/instance.h"
#include "vulkan/pipeline.h"

struct cdl_device {
    cdl_log log;
    struct cdl_instance instance;
    struct cdl_vk_device_table vkd;
    VkPhysicalDevice physical;
    VkDevice handle;
    bool imported;                          // instance, device and queue are the host's
    const VkAllocationCallbacks *allocator; // NULL: the driver's own; else `callbacks`, the host's
    VkAllocationCallbacks callbacks;
    uint64_t patience_ns; // how long a wait may last that depends on a host
    // Around the host's own use of the queue; NULL: it needs none.
    void (*lock_queue)(void *ctx, VkQueue queue), (*unlock_queue)(void *ctx, VkQueue queue);
    void *lock_ctx;
    VkQueue queue;
    uint32_t queue_family;
    uint32_t version;                 // of Vulkan that may be used: the device's, or the instance's, if that is less
    bool timeline;                    // timeline semaphores are enabled
    uint32_t timestamp_bits;          // of the queue family; 0: none
    float timestamp_period;           // ns a tick
    bool pipeline_feedback;           // the driver tells whether its cache had a pipeline
    bool int8_dot;                    // the integer dot product feature is enabled
    bool subgroup_size_control;       // a pipeline may require a subgroup size
    bool executable_statistics;       // VK_KHR_pipeline_executable_properties is enabled
    bool capture_statistics;          // tests: pipelines created from now on keep their statistics
    VkPipelineLayout pipeline_layout; // push constants only
    VkPipelineLayout input_layout;    // push constants, and a set for a host's picture
    VkDescriptorSetLayout input_set_layout;
    VkPhysicalDeviceMemoryProperties memory;
    bool copies_uploads; // the device's memory is not the host's, see upload.h
    VkDeviceSize max_allocation;
    VkDeviceSize storage_align, max_storage_range; // of storage buffer descriptors
    struct cdl_device_info info;
    struct cdl_caps caps;
    char *cache_dir; // NULL: nothing is kept on disk
    struct cdl_cache_key cache_key;
    cdl_mutex lock; // around the queue, and all below
    bool lost;      // once lost, a device stays so
    int num_sessions;
    bool leaving; // cdl_device_destroy was called before the last session went
    struct cdl_pipelines pipelines;
    struct cdl_device_data *data; // list, see cdl_device_data
    const char *failing_kernel;   // tests: kernels whose name contains it fail their self-test
};

// What a room above keeps with a device, for as long as the device lives: measured kernels, shared weights.
struct cdl_device_data_kind {
    size_t size; // bytes of the data, which begin as zeros
    // Fills the data at the first use; NULL: zeros will do. Without the device's lock.
    void (*open)(struct cdl_device *dev, void *data);
    // Before the device is destroyed: false, and the reason was logged, when it cannot be. NULL: nothing hinders.
    bool (*settle)(struct cdl_device *dev, void *data);
    // Frees what the data own, while the device still works; NULL: they own nothing.
    void (*close)(struct cdl_device *dev, void *data);
};
// The device's data of this kind; kinds are told apart by their addresses. NULL: no memory, and a later call tries
// again. Takes the device's lock, so the caller must not hold it; the same lock should guard the data itself.
void *cdl_device_data(struct cdl_device *dev, const struct cdl_device_data_kind *kind);

// Translates a failed call's VkResult: logs the call and the result's name, and remembers it when the device is lost.
cdl_result cdl_vk_failed(struct cdl_device *dev, VkResult result, const char *what);

// Calls a function of the device's table. When it fails, logs why, sets the caller's r and jumps to its label `error`.
#define CDL_VK(dev, call) \
    do { \
        VkResult cdl_vk_result_ = (dev)->vkd.call; \
        if (cdl_vk_result_ < 0) { \
            r = cdl_vk_failed((dev), cdl_vk_result_, "vk" #call); \
            goto error; \
        } \
    } while (0)

// A session or a trainer begins and ends. The last one to leave takes a device along whose cdl_device_destroy came too
// early.
void cdl_device_enter(struct cdl_device *dev);
void cdl_device_leave(struct cdl_device *dev);

bool cdl_device_is_lost(struct cdl_device *dev);
// CDL_OK, or CDL_ERR_DEVICE_LOST with a line in the log: the device was lost earlier.
cdl_result cdl_device_check(struct cdl_device *dev);

// For import.c: all of a device that has its instance, physical device, handle, version and queue family. off: names of
// recommended features that are not enabled, for the log.
struct cdl_features;
cdl_result cdl_device_finish(struct cdl_device *dev, const struct cdl_features *features, const char *off,
                             const char *cache_dir);

#endif // CDL_VK_DEVICE_H_
