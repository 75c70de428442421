// cdl_vulkan.h - share the host's Vulkan objects: run on its device, read its images, record into its command buffers.
//
// Every handle passed in is borrowed until the work that uses it is done, and none is ever destroyed. Needs the
// Vulkan headers, version 1.2.162 or later; calls no Vulkan function by name, so a host may use any loader.
#ifndef CDL_VULKAN_H_
#define CDL_VULKAN_H_

#include <vulkan/vulkan_core.h>

#include "cdl.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- device

// How long cdl_session_destroy, cdl_device_destroy and a run in a slot that was given up wait for the queue, in ns: a
// semaphore that is never signalled must not hang a program.
#define CDL_VK_PATIENCE UINT64_C(30000000000)

#define CDL_VK_MIN_VERSION VK_API_VERSION_1_1 // of the instance and the device

struct cdl_vk_import_params {                     // of cdl_vk_import
    size_t CDL_STRUCT_SIZE(cdl_vk_import_params); // set by the macro
    cdl_log log;                                  // as in cdl_device_params
    VkInstance instance;                          // required, down to queue
    VkPhysicalDevice phys_device;                 // that `device` was made from
    VkDevice device;                              // the host's
    PFN_vkGetInstanceProcAddr get_proc_addr;      // the host's loader's
    // As enabled on `device`; the chain may hold Vulkan11/12/13Features or the structures of single features. Required
    // is bufferDeviceAddress alone.
    const VkPhysicalDeviceFeatures2 *features;
    VkQueue queue;                 // compute-capable
    uint32_t queue_family;         // of `queue`
    uint32_t api_version;          // of the instance (VkApplicationInfo); 0: as `features` and `extensions` tell
    const char *const *extensions; // as enabled on `device`
    int num_extensions;            // how many these are
    // Around every use of the queue, on the calling thread; both or neither. NULL: the queue is Cardinal's alone.
    // They must not call cdl_ functions.
    void (*lock_queue)(void *ctx, VkQueue queue);
    void (*unlock_queue)(void *ctx, VkQueue queue); // see lock_queue
    void *lock_ctx;                                 // handed to both
    const char *cache_dir;                          // as in cdl_device_params
    // For every Vulkan object that Cardinal makes. The callbacks are called by any thread inside a cdl_ function and by
    // those that compile pipelines meanwhile, several at once. NULL: the driver's own.
    const VkAllocationCallbacks *allocator;
};
#ifndef __cplusplus
// Parameters written in the call: cdl_vk_import_params(.instance = instance, ...)
#define cdl_vk_import_params(...) \
    (&(struct cdl_vk_import_params){.struct_size = sizeof(struct cdl_vk_import_params), __VA_ARGS__})
#endif

// What cdl_vk_enable_features found.
struct cdl_vk_enabled {
    const char *extensions[64]; // to be enabled: the host's own, then Cardinal's, each once
    int num_extensions;         // how many these are
    uint64_t storage[64];       // Cardinal's structures in the chain
};
// What the device should be created with: adds to the host's own features what Cardinal needs and can use, as far as
// the device has it. Of `host` it reads log, instance, phys_device, get_proc_addr and api_version, and copies
// `extensions`, the host's own. `features` holds what the host enables, with any chain; bits are set in the structures
// that are there, be they Vulkan11/12/13Features or those of single features, and structures of single features are
// appended for what none of them has. Both then go to vkCreateDevice and to cdl_vk_import; until then `out` must stay
// where it is, as the chain leads into it. (A host with VkDeviceCreateInfo.pEnabledFeatures copies these into
// features->features, and points there.) CDL_ERR_UNSUPPORTED names what the device lacks. Thread-safety: Safe. Does not
// submit.
CDL_API cdl_result cdl_vk_enable_features(struct cdl_vk_enabled *out, VkPhysicalDeviceFeatures2 *features,
                                          const struct cdl_vk_import_params *host);

// A cdl_device on the host's VkDevice. cdl_device_destroy leaves every handle above intact; destroy its sessions first,
// as always. CDL_ERR_UNSUPPORTED names the version, feature or function that is missing.
// Thread-safety: Safe. Allocates. Does not submit.
CDL_API cdl_result cdl_vk_import(cdl_device **out, const struct cdl_vk_import_params *params);

struct cdl_vk_handles {           // of a device
    VkInstance instance;          // its instance
    VkPhysicalDevice phys_device; // what it was made from
    VkDevice device;              // itself
    VkQueue queue;                // where runs are submitted
    uint32_t queue_family;        // of the queue
};
// Of an own or imported device. Of an own device, Cardinal is the queue's only user: record, and let cdl_vk_submit
// submit.
CDL_API void cdl_vk_get_handles(const cdl_device *dev, struct cdl_vk_handles *out);

// ---- pictures

// One picture: an image view, two views (NV12), or a buffer.
struct cdl_vk_input {
    int width, height; // of the view or the buffer's picture, in pixels
    // The part of it that is classified; all zero: the whole.
    struct {
        int x, y;          // its left upper corner
        int width, height; // its size
    } crop;
    int orientation; // EXIF 1..8 of the cropped part; 0 is 1, upright

    // 2D, level 0 of the view, usage SAMPLED, any format that shaders read as floats. Components come in the order
    // that the view gives (so BGRA needs no special care), values are clamped to 0...1 and rounded to 8 bits.
    VkImageView view;
    bool linear; // reads give linear light (an _SRGB format, a floating-point scene): encoded as sRGB, IEC 61966-2-1
    // NV12: `view` is the luma (R8_UNORM), this the chroma (R8G8_UNORM) of half the size, rounded up. BT.709, limited
    // range, as CDL_FORMAT_NV12. VK_NULL_HANDLE: `view` is the whole picture.
    VkImageView chroma_view;
    VkImageLayout layout; // of both: SHADER_READ_ONLY_OPTIMAL or GENERAL; left unchanged
    // Optional: what `view` and its image were made from. Vulkan does not let a library ask, so only with these is a
    // view of integers, samples, another size or without usage SAMPLED refused, rather than read wrongly.
    const VkImageCreateInfo *image_info;
    const VkImageViewCreateInfo *view_info; // see image_info

    // Without a view: pixels of 4 bytes, usage STORAGE_BUFFER. Rows of `stride` bytes, a multiple of 4; 0: tight.
    VkBuffer buffer;
    VkDeviceSize offset; // a multiple of 4
    size_t stride;       // bytes a row
    cdl_format format;   // CDL_FORMAT_RGBA8 or CDL_FORMAT_BGRA8
};

// ---- runs

struct cdl_vk_run {                     // of cdl_vk_record and cdl_vk_submit
    size_t CDL_STRUCT_SIZE(cdl_vk_run); // set by the macro
    int slot;                           // must be idle, or, from the second slice on, recording
    const struct cdl_vk_input *inputs;  // [count]; from the second slice on unused
    int count;                          // images
    VkBuffer probs; // optional: float[count][num_classes], for a GPU reader; usage TRANSFER_DST. Of the last slice
    VkDeviceSize probs_offset; // a multiple of 4
    // A run in parts, so that a game spreads it over frames: slice 0, 1 .. num_slices - 1, in this order, each recorded
    // by a call of its own. num_slices 0 is 1: the whole. At most cdl_session_info.max_slices. The parts take about
    // equal work. Meanwhile no other run of this session is recorded or submitted.
    int slice, num_slices;
};
#ifndef __cplusplus
// A run written in the call: cdl_vk_run(.inputs = &input, .count = 1)
#define cdl_vk_run(...) (&(struct cdl_vk_run){.struct_size = sizeof(struct cdl_vk_run), __VA_ARGS__})
#endif

// Appends a run, or a slice of it, to `cmd`: primary or secondary, recording, outside a render pass, of the device's
// queue family. Allocates nothing, submits nothing, never blocks (but after a run that was given up, see
// cdl_vk_retire). Replaces the bound compute pipeline, compute descriptor set 0 (which disturbs the host's compute sets
// above it where pipeline layouts differ) and push constants, nothing else.
//   Before: the host has made the inputs visible to COMPUTE_SHADER / SHADER_READ.
//   After:  `probs` was written by TRANSFER / TRANSFER_WRITE; the host synchronizes. Inputs may be reused when `cmd` is
//   done.
// The slot is busy until the host, knowing `cmd` (of the last slice) done, calls cdl_vk_retire. Recordings of one
// session are submitted in the order of recording, to the device's queue, once each; they synchronize among themselves
// there. (Another queue of its family may take all of them, if the host waits for it before a slot is given up and
// before the session is destroyed.) On failure nothing was recorded of this call. The slot is as before: idle, or, with
// slices in it already, recording: the slice may be tried again, or the run given up with cdl_vk_retire.
// CDL_ERR_INVALID: a rule above is broken, or the session was created without `vulkan`.
CDL_API cdl_result cdl_vk_record(cdl_session *s, VkCommandBuffer cmd, const struct cdl_vk_run *run);
// Takes the results of a recorded run; the slot is idle afterwards. Does not wait. `cmd` must be done: before, it is
// CDL_ERR_INVALID, and the slot stays as it was. With `executed` false the run is given up: slices are missing, or
// `cmd` will never be submitted. There are no results, and the slot's next run waits for the queue if some of it may
// still be under way there.
CDL_API cdl_result cdl_vk_retire(cdl_session *s, int slot, bool executed);

// To wait for, or to signal.
typedef struct cdl_vk_sem {
    VkSemaphore sem; // a timeline; the device has timelineSemaphore enabled
    uint64_t value;  // that it must have reached, or will have
} cdl_vk_sem;
enum {                         // limits
    CDL_VK_MAX_SEMAPHORES = 8, // in each list
};

// Submits a whole run (num_slices 0 or 1) to the device's queue: first waits for all `waits`, then signals all
// `signals`. Never blocks, allocates nothing. cdl_session_wait takes the results. Thread-safety: as the session.
CDL_API cdl_result cdl_vk_submit(cdl_session *s, const struct cdl_vk_run *run, const cdl_vk_sem *waits, int num_waits,
                                 const cdl_vk_sem *signals, int num_signals);

#ifdef __cplusplus
}
#endif
#endif // CDL_VULKAN_H_
