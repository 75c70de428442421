// hook.h - Vulkan as an imported device calls it, watched: what a host's get_proc_addr can do.
//
// hook_get_proc_addr hands out wrappers of all functions that create, allocate, submit, record or may fail. They count
// calls and living objects, fail a call on demand without making it, and note what Cardinal must not do to a host.
// One host device at a time. Thread-safe.
#ifndef CDL_HOOK_H_
#define CDL_HOOK_H_

#include <volk.h>

#include <stdbool.h>

// Functions that may fail, and with what: H host memory, D device memory, L device lost, P the pool is exhausted.
// clang-format off
#define HOOK_FAILING(X) \
    X(EnumerateDeviceExtensionProperties, "H") X(CreateBuffer, "HD") X(AllocateMemory, "HD") \
    X(BindBufferMemory, "HD") X(MapMemory, "HD") X(FlushMappedMemoryRanges, "HD") \
    X(InvalidateMappedMemoryRanges, "HD") X(CreateShaderModule, "HD") X(CreatePipelineLayout, "HD") \
    X(CreateComputePipelines, "HD") X(CreatePipelineCache, "HD") X(GetPipelineCacheData, "HD") \
    X(CreateDescriptorSetLayout, "HD") X(CreateDescriptorPool, "HD") X(AllocateDescriptorSets, "HDP") \
    X(CreateCommandPool, "HD") X(AllocateCommandBuffers, "HD") X(BeginCommandBuffer, "HD") \
    X(EndCommandBuffer, "HD") X(CreateQueryPool, "HD") X(GetQueryPoolResults, "HDL") X(CreateFence, "HD") \
    X(WaitForFences, "HDL") X(ResetFences, "D") X(QueueSubmit, "HDL") X(DeviceWaitIdle, "HDL")
// clang-format on

#define HOOK_ENUM(name, codes) HOOK_##name,
enum hook_function { HOOK_FAILING(HOOK_ENUM) HOOK_COUNT };
extern const char *const hook_names[HOOK_COUNT], *const hook_codes[HOOK_COUNT];

enum { HOOK_SECOND_FAMILY = 1 };
struct hook_options {
    // Equal pipelines are compiled once and shared until hook_close. Compiling is what takes the time of a session's
    // creation, and a test of failures creates hundreds.
    bool share_pipelines;
    const char *hidden; // get_proc_addr does not know this function; NULL: knows all
    uint32_t version;   // what the physical device says it is; 0: the truth
    // Shows a CPU driver's memory as a graphics card's: device memory that the host cannot see, and host memory that is
    // not coherent. What is uploaded goes through staging then, and all that is mapped is flushed and invalidated.
    bool discrete;
    void (*on_submit)(void); // before every submission
    // Shows a second queue family, HOOK_SECOND_FAMILY, which cannot draw; the driver sees the first in its place.
    bool second_family;
};
void hook_open(VkDevice device, const struct hook_options *options);
void hook_close(void);
void hook_set_options(const struct hook_options *options); // share_pipelines stays as it was
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL hook_get_proc_addr(VkInstance instance, const char *name);

long hook_calls(int function); // of one, since hook_open
long hook_creations(void);     // calls of all that create or allocate
long hook_live(void);          // objects created and not destroyed
long hook_submits(void);
long hook_pools(void), hook_second_pools(void); // command pools made: all, and of the second family, while it is shown
// The last debug label that was begun, "" where the host has no VK_EXT_debug_utils; *depth: how many are open.
const char *hook_label(int *depth);
// What was done that must not be done to a host (its state bound over, its objects destroyed), or a function looked up
// that this file does not know; empty: nothing.
const char *hook_complaint(void);

// The n-th call of the function from now on (1: the next) fails with `result`. After a lost device every call that can
// tell of it does, until hook_heal; what is under way is finished first, as for a lost device it counts as. on: so do
// all calls of the function that follow.
void hook_fail(int function, long n, VkResult result, bool on);
bool hook_heal(void); // ends that, and tells whether a call failed

#endif // CDL_HOOK_H_
