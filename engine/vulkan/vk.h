// vk.h - the engine's own view of Vulkan: function tables, device, memory, pipelines.
//
// The loader is opened at run time and every call goes through a table of the device it belongs to. No
// global function pointers: a host may have its own, of the same names, for another device.
#ifndef CDL_VK_H_
#define CDL_VK_H_

#include "base/cache.h"
#include "kernels/kernels.h"
#include "base/mutex.h"
#include "tune/table.h"
#include "vulkan/compat.h"

// clang-format would indent every line of these lists deeper than the one before.
// clang-format off
#define CDL_VK_GLOBAL_FUNCTIONS(X) \
    X(EnumerateInstanceVersion) X(EnumerateInstanceExtensionProperties) X(EnumerateInstanceLayerProperties) \
    X(CreateInstance)

#define CDL_VK_INSTANCE_FUNCTIONS(X) \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceFeatures2) \
    X(GetPhysicalDeviceMemoryProperties2) X(GetPhysicalDeviceQueueFamilyProperties) \
    X(EnumerateDeviceExtensionProperties) X(CreateDevice) X(GetDeviceProcAddr)

#define CDL_VK_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice) X(GetDeviceQueue) X(CreateBuffer) X(DestroyBuffer) X(GetBufferMemoryRequirements) \
    X(AllocateMemory) X(FreeMemory) X(BindBufferMemory) X(MapMemory) X(FlushMappedMemoryRanges) \
    X(InvalidateMappedMemoryRanges) X(GetBufferDeviceAddress) X(CreateShaderModule) X(DestroyShaderModule) \
    X(CreatePipelineLayout) X(DestroyPipelineLayout) X(CreateComputePipelines) X(DestroyPipeline) \
    X(CreatePipelineCache) X(DestroyPipelineCache) X(GetPipelineCacheData) X(CreateDescriptorSetLayout) \
    X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool) X(AllocateDescriptorSets) \
    X(UpdateDescriptorSets) X(CmdBindDescriptorSets) X(CreateCommandPool) X(DestroyCommandPool) \
    X(AllocateCommandBuffers) X(BeginCommandBuffer) X(EndCommandBuffer) X(CmdBindPipeline) X(CmdPushConstants) \
    X(CmdDispatch) X(CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdFillBuffer) X(CmdResetQueryPool) X(CmdWriteTimestamp) \
    X(CreateQueryPool) X(DestroyQueryPool) X(GetQueryPoolResults) X(CreateSemaphore) X(DestroySemaphore) \
    X(WaitSemaphores) X(QueueSubmit) X(DeviceWaitIdle)
// clang-format on

#define CDL_VK_DECLARE(name) PFN_vk##name name;
struct cdl_vk_global {
    PFN_vkGetInstanceProcAddr GetInstanceProcAddr;
    CDL_VK_GLOBAL_FUNCTIONS(CDL_VK_DECLARE)
};
struct cdl_vk_instance_table {
    CDL_VK_INSTANCE_FUNCTIONS(CDL_VK_DECLARE)
};
struct cdl_vk_device_table {
    CDL_VK_DEVICE_FUNCTIONS(CDL_VK_DECLARE)
};

struct cdl_instance {
    void *library; // the opened loader
    struct cdl_vk_global vkg;
    struct cdl_vk_instance_table vki;
    VkInstance handle;
    VkDebugUtilsMessengerEXT messenger;
    const cdl_log *log; // outlives the instance
};

// CDL_ERR_UNSUPPORTED: no loader or no driver; the message tells what to install.
cdl_result cdl_instance_create(struct cdl_instance *out, bool validate, const cdl_log *log);
void cdl_instance_destroy(struct cdl_instance *instance);

struct cdl_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    VkDeviceAddress address;
    void *mapped; // NULL: the host cannot see it
    bool coherent;
    VkDeviceSize size;
};

struct cdl_weights; // session.c: packed weights that sessions share

struct cdl_pipelines { // under the device's lock
    struct cdl_pipeline_entry {
        struct cdl_kernel kernel;
        VkPipeline handle;
    } * items;
    int count, capacity;
    int created, told, hits; // made so far; of these the driver told whether its cache had them; it had
    VkPipelineCache cache;
    uint64_t saved; // hash of what the cache's file holds
    size_t loaded;  // bytes of it that the driver got
};

struct cdl_device {
    cdl_log log;
    struct cdl_instance instance;
    struct cdl_vk_device_table vkd;
    VkPhysicalDevice physical;
    VkDevice handle;
    bool imported; // instance, device and queue are the host's
    void (*lock_queue)(void *ctx, VkQueue queue), (*unlock_queue)(void *ctx, VkQueue queue); // the host's; NULL: none
    void *lock_ctx;
    VkQueue queue;
    uint32_t queue_family;
    uint32_t timestamp_bits;          // of the queue family; 0: none
    float timestamp_period;           // ns a tick
    bool pipeline_feedback;           // the driver tells whether its cache had a pipeline
    bool int8_dot;                    // the integer dot product feature is enabled
    bool subgroup_size_control;       // a pipeline may require a subgroup size
    bool executable_statistics;       // VK_KHR_pipeline_executable_properties is enabled
    bool capture_statistics;          // tests: pipelines created from now on keep their statistics
    VkPipelineLayout pipeline_layout; // push constants only
    VkPipelineLayout input_layout;    // and a set for a host's picture
    VkDescriptorSetLayout input_set_layout;
    VkPhysicalDeviceMemoryProperties memory;
    VkDeviceSize max_allocation;
    VkDeviceSize storage_align, max_storage_range; // of storage buffer descriptors
    struct cdl_device_info info;
    struct cdl_caps caps;
    char *cache_dir; // NULL: nothing is kept on disk
    struct cdl_cache_key cache_key;
    cdl_mutex lock;              // around the queue, and all below
    bool lost;                   // sticky
    struct cdl_weights *weights; // list
    struct cdl_pipelines pipelines;
    struct cdl_tuning tuning;
    const char *failing_kernel; // tests: kernels whose name contains it fail their self-test
};

// Translates a VkResult: logs `what` with the result's name, and makes a lost device sticky.
cdl_result cdl_vk_failed(struct cdl_device *dev, VkResult result, const char *what);
const char *cdl_vk_result_name(VkResult result);

// r = CDL_OK, or jumps to `error` with r set and the reason logged.
#define CDL_VK(dev, call) \
    do { \
        VkResult cdl_vk_result_ = (dev)->vkd.call; \
        if (cdl_vk_result_ < 0) { \
            r = cdl_vk_failed((dev), cdl_vk_result_, "vk" #call); \
            goto error; \
        } \
    } while (0)

enum cdl_memory_use {
    CDL_MEMORY_DEVICE,   // the GPU's own; mapped where all device memory is (CPU drivers, integrated GPUs)
    CDL_MEMORY_UPLOAD,   // the host writes once, the GPU reads; device-local too where the host can reach that
    CDL_MEMORY_READBACK, // the GPU writes, the host reads
};

// CDL_ERR_NOMEM names `what` and the size. Every buffer has a device address.
cdl_result cdl_buffer_create(struct cdl_buffer *out, struct cdl_device *dev, VkDeviceSize size, enum cdl_memory_use use,
                             const char *what);
void cdl_buffer_destroy(struct cdl_buffer *buffer, struct cdl_device *dev);
// Makes host writes visible to later submissions, or finished GPU writes to the host. No-op for coherent memory.
cdl_result cdl_buffer_flush(const struct cdl_buffer *buffer, struct cdl_device *dev);
cdl_result cdl_buffer_invalidate(const struct cdl_buffer *buffer, struct cdl_device *dev);

// A new pipeline that runs `kernel`, the caller's. CDL_ERR_UNSUPPORTED when the driver cannot compile it.
cdl_result cdl_pipeline_create(VkPipeline *out, struct cdl_device *dev, const struct cdl_kernel *kernel);
// The same without a word in the log, for threads of our own.
VkResult cdl_pipeline_compile(VkPipeline *out, struct cdl_device *dev, const struct cdl_kernel *kernel);
// The device's pipeline that runs `kernel`, made at first use and kept until the device goes. Thread-safe.
cdl_result cdl_pipeline_get(VkPipeline *out, struct cdl_device *dev, const struct cdl_kernel *kernel);

// Makes what is missing of these at once, on all processors; what fails is left for cdl_pipeline_get to tell.
void cdl_pipelines_prepare(struct cdl_device *dev, const struct cdl_kernel *kernels, int count);

// cache_dir NULL: no files. Fills dev->cache_key too.
cdl_result cdl_pipelines_open(struct cdl_device *dev, const char *cache_dir);
void cdl_pipelines_save(struct cdl_device *dev); // writes the driver's cache when it changed
void cdl_pipelines_close(struct cdl_device *dev);

// Timeline semaphores of a submission: Cardinal's own and as many as a host may give.
struct cdl_submit_semaphores {
    uint32_t num_waits, num_signals;
    VkSemaphore waits[9], signals[9];
    uint64_t wait_values[9], signal_values[9];
};
// Submits under the host's lock and the device's, in this order.
cdl_result cdl_queue_submit_with(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                                 const struct cdl_submit_semaphores *semaphores);
// The same with one semaphore to signal.
cdl_result cdl_queue_submit(struct cdl_device *dev, const VkCommandBuffer *commands, uint32_t count,
                            VkSemaphore semaphore, uint64_t value);
// Until `semaphore` (timeline) has `value`. CDL_NOT_READY: the timeout passed first.
cdl_result cdl_timeline_wait(struct cdl_device *dev, VkSemaphore semaphore, uint64_t value, uint64_t timeout_ns);
bool cdl_device_is_lost(struct cdl_device *dev);
// CDL_OK, or CDL_ERR_DEVICE_LOST with a line in the log: the device was lost earlier.
cdl_result cdl_device_check(struct cdl_device *dev);

#endif // CDL_VK_H_
