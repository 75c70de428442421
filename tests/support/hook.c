// hook.c - see hook.h. The functions behind the wrappers are volk's, as host_device.c loaded them.
#include "support/hook.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mutex.h"

#define NAME(name, codes) "vk" #name,
#define CODES(name, codes) codes,
const char *const hook_names[HOOK_COUNT] = {HOOK_FAILING(NAME)}, *const hook_codes[HOOK_COUNT] = {HOOK_FAILING(CODES)};

enum { MAX_PIPELINES = 1024, MAX_MODULES = 64 };

static struct {
    cdl_mutex lock;
    bool open;
    VkDevice device;
    struct hook_options options;
    long calls[HOOK_COUNT], creations, live, pools, second_pools;
    int failing; // a function, -1: none
    long countdown;
    VkResult result;
    bool failed, lost, on;
    uint32_t host_type; // the real memory type behind those that `discrete` shows
    char complaint[256], label[128];
    int labels; // that are open
    struct {
        VkShaderModule handle;
        const uint32_t *code;
    } modules[MAX_MODULES];
    struct {
        VkPipeline handle;
        uint64_t hash;
    } pipelines[MAX_PIPELINES];
    int num_modules, num_pipelines;
} h;

// ---- what every wrapper does

static void complain(const char *what, const char *name) {
    cdl_mutex_lock(&h.lock);
    if (!h.complaint[0])
        snprintf(h.complaint, sizeof h.complaint, "%s%s", what, name);
    cdl_mutex_unlock(&h.lock);
}

// Counts the call; a negative result is what it fails with.
static VkResult before(int function) {
    cdl_mutex_lock(&h.lock);
    VkResult result = VK_SUCCESS;
    const char *name = hook_names[function];
    h.calls[function]++;
    h.creations += !strncmp(name, "vkCreate", 8) || !strncmp(name, "vkAllocate", 10);
    if (h.lost && strchr(hook_codes[function], 'L'))
        result = VK_ERROR_DEVICE_LOST;
    else if (h.failing == function && (--h.countdown == 0 || (h.on && h.countdown < 0)))
        result = h.result;
    h.failed = h.failed || result < 0;
    const bool lost_now = result == VK_ERROR_DEVICE_LOST && !h.lost;
    h.lost = h.lost || lost_now;
    cdl_mutex_unlock(&h.lock);
    if (lost_now)
        vkDeviceWaitIdle(h.device);
    return result;
}

static VkResult born(VkResult result) {
    if (result >= 0) {
        cdl_mutex_lock(&h.lock);
        h.live++;
        cdl_mutex_unlock(&h.lock);
    }
    return result;
}

static void dead(bool was) {
    cdl_mutex_lock(&h.lock);
    h.live -= was;
    cdl_mutex_unlock(&h.lock);
}

#define CREATE(name, Info, Handle) \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_Create##name(VkDevice device, const Info *info, \
                                                            const VkAllocationCallbacks *callbacks, Handle *out) { \
        const VkResult failure = before(HOOK_Create##name); \
        return failure < 0 ? failure : born(vkCreate##name(device, info, callbacks, out)); \
    }
#define DESTROY(name, Handle) \
    static VKAPI_ATTR void VKAPI_CALL wrap_##name(VkDevice device, Handle handle, \
                                                  const VkAllocationCallbacks *callbacks) { \
        dead(handle != VK_NULL_HANDLE); \
        vk##name(device, handle, callbacks); \
    }
// Those with results that neither make nor end an object.
#define CALL(name, parameters, arguments) \
    static VKAPI_ATTR VkResult VKAPI_CALL wrap_##name parameters { \
        const VkResult failure = before(HOOK_##name); \
        return failure < 0 ? failure : vk##name arguments; \
    }

CREATE(Buffer, VkBufferCreateInfo, VkBuffer)
CREATE(PipelineLayout, VkPipelineLayoutCreateInfo, VkPipelineLayout)
CREATE(PipelineCache, VkPipelineCacheCreateInfo, VkPipelineCache)
CREATE(DescriptorSetLayout, VkDescriptorSetLayoutCreateInfo, VkDescriptorSetLayout)
CREATE(DescriptorPool, VkDescriptorPoolCreateInfo, VkDescriptorPool)
CREATE(QueryPool, VkQueryPoolCreateInfo, VkQueryPool)
CREATE(Fence, VkFenceCreateInfo, VkFence)
DESTROY(DestroyBuffer, VkBuffer)
DESTROY(DestroyPipelineLayout, VkPipelineLayout)
DESTROY(DestroyPipelineCache, VkPipelineCache)
DESTROY(DestroyDescriptorSetLayout, VkDescriptorSetLayout)
DESTROY(DestroyDescriptorPool, VkDescriptorPool)
DESTROY(DestroyCommandPool, VkCommandPool)
DESTROY(DestroyQueryPool, VkQueryPool)
DESTROY(DestroyFence, VkFence)
DESTROY(FreeMemory, VkDeviceMemory)

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateCommandPool(VkDevice device, const VkCommandPoolCreateInfo *info,
                                                             const VkAllocationCallbacks *callbacks,
                                                             VkCommandPool *out) {
    const VkResult failure = before(HOOK_CreateCommandPool);
    VkCommandPoolCreateInfo real = *info;
    if (h.options.second_family) {
        cdl_mutex_lock(&h.lock);
        h.pools++;
        h.second_pools += info->queueFamilyIndex == HOOK_SECOND_FAMILY;
        cdl_mutex_unlock(&h.lock);
        real.queueFamilyIndex = 0;
    }
    return failure < 0 ? failure : born(vkCreateCommandPool(device, &real, callbacks, out));
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice physical,
                                                                              uint32_t *count,
                                                                              VkQueueFamilyProperties *out) {
    const uint32_t room = *count;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, count, out);
    if (!h.options.second_family || *count != HOOK_SECOND_FAMILY)
        return;
    if (!out) {
        ++*count;
    } else if (room > HOOK_SECOND_FAMILY) {
        out[HOOK_SECOND_FAMILY] = out[0];
        out[HOOK_SECOND_FAMILY].queueFlags &= ~(VkQueueFlags)VK_QUEUE_GRAPHICS_BIT;
        ++*count;
    }
}

CALL(EnumerateDeviceExtensionProperties,
     (VkPhysicalDevice physical, const char *layer, uint32_t *count, VkExtensionProperties *out),
     (physical, layer, count, out))
CALL(BindBufferMemory, (VkDevice device, VkBuffer buffer, VkDeviceMemory memory, VkDeviceSize offset),
     (device, buffer, memory, offset))
CALL(MapMemory,
     (VkDevice device, VkDeviceMemory memory, VkDeviceSize offset, VkDeviceSize size, VkMemoryMapFlags flags,
      void **out),
     (device, memory, offset, size, flags, out))
CALL(FlushMappedMemoryRanges, (VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges),
     (device, count, ranges))
CALL(InvalidateMappedMemoryRanges, (VkDevice device, uint32_t count, const VkMappedMemoryRange *ranges),
     (device, count, ranges))
CALL(GetPipelineCacheData, (VkDevice device, VkPipelineCache cache, size_t *size, void *out),
     (device, cache, size, out))
CALL(AllocateDescriptorSets, (VkDevice device, const VkDescriptorSetAllocateInfo *info, VkDescriptorSet *out),
     (device, info, out))
CALL(AllocateCommandBuffers, (VkDevice device, const VkCommandBufferAllocateInfo *info, VkCommandBuffer *out),
     (device, info, out))
CALL(BeginCommandBuffer, (VkCommandBuffer commands, const VkCommandBufferBeginInfo *info), (commands, info))
CALL(GetQueryPoolResults,
     (VkDevice device, VkQueryPool pool, uint32_t first, uint32_t count, size_t size, void *out, VkDeviceSize stride,
      VkQueryResultFlags flags),
     (device, pool, first, count, size, out, stride, flags))
CALL(WaitForFences, (VkDevice device, uint32_t count, const VkFence *fences, VkBool32 all, uint64_t timeout),
     (device, count, fences, all, timeout))
CALL(ResetFences, (VkDevice device, uint32_t count, const VkFence *fences), (device, count, fences))
CALL(DeviceWaitIdle, (VkDevice device), (device))

// Recording ends in any case: after a failure too the buffer may be begun again.
static VKAPI_ATTR VkResult VKAPI_CALL wrap_EndCommandBuffer(VkCommandBuffer commands) {
    const VkResult failure = before(HOOK_EndCommandBuffer), result = vkEndCommandBuffer(commands);
    return failure < 0 ? failure : result;
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_AllocateMemory(VkDevice device, const VkMemoryAllocateInfo *info,
                                                          const VkAllocationCallbacks *callbacks, VkDeviceMemory *out) {
    const VkResult failure = before(HOOK_AllocateMemory);
    VkMemoryAllocateInfo real = *info;
    if (h.options.discrete)
        real.memoryTypeIndex = h.host_type;
    return failure < 0 ? failure : born(vkAllocateMemory(device, &real, callbacks, out));
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_QueueSubmit(VkQueue queue, uint32_t count, const VkSubmitInfo *infos,
                                                       VkFence fence) {
    const VkResult failure = before(HOOK_QueueSubmit);
    if (h.options.on_submit)
        h.options.on_submit();
    return failure < 0 ? failure : vkQueueSubmit(queue, count, infos, fence);
}

// ---- pipelines

static uint64_t mix(uint64_t hash, const void *data, size_t size) { // FNV-1a
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static VkShaderModule find_module(const uint32_t *code) {
    for (int i = 0; i < h.num_modules; i++)
        if (h.modules[i].code == code)
            return h.modules[i].handle;
    return VK_NULL_HANDLE;
}

// Cardinal's code is constant, so its address tells one module from another. Shared as pipelines are: the validation
// layer examines every new one.
static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateShaderModule(VkDevice device, const VkShaderModuleCreateInfo *info,
                                                              const VkAllocationCallbacks *callbacks,
                                                              VkShaderModule *out) {
    VkResult result = before(HOOK_CreateShaderModule);
    if (result < 0)
        return result;
    if (!h.options.share_pipelines)
        return born(vkCreateShaderModule(device, info, callbacks, out));
    cdl_mutex_lock(&h.lock);
    VkShaderModule known = find_module(info->pCode);
    if (!known && h.num_modules < MAX_MODULES &&
        (result = vkCreateShaderModule(device, info, callbacks, &known)) >= 0) {
        h.modules[h.num_modules].code = info->pCode;
        h.modules[h.num_modules++].handle = known;
    }
    cdl_mutex_unlock(&h.lock);
    if (!known)
        return result < 0 ? result : VK_ERROR_OUT_OF_HOST_MEMORY;
    *out = known;
    return born(VK_SUCCESS);
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyShaderModule(VkDevice device, VkShaderModule handle,
                                                           const VkAllocationCallbacks *callbacks) {
    dead(handle != VK_NULL_HANDLE);
    if (!h.options.share_pipelines)
        vkDestroyShaderModule(device, handle, callbacks);
}

// Of all that makes one of Cardinal's pipelines differ from another.
static uint64_t hash_pipeline(const VkComputePipelineCreateInfo *info) {
    const VkSpecializationInfo *constants = info->stage.pSpecializationInfo;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *size = info->stage.pNext;
    uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &info->stage.module, sizeof info->stage.module);
    hash = mix(hash, &info->flags, sizeof info->flags);
    hash = mix(hash, &info->stage.flags, sizeof info->stage.flags);
    if (constants)
        hash = mix(hash, constants->pData, constants->dataSize);
    if (size && size->sType == VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO)
        hash = mix(hash, &size->requiredSubgroupSize, sizeof size->requiredSubgroupSize);
    return hash;
}

static VkPipeline find_pipeline(uint64_t hash) {
    for (int i = 0; i < h.num_pipelines; i++)
        if (h.pipelines[i].hash == hash)
            return h.pipelines[i].handle;
    return VK_NULL_HANDLE;
}

static VKAPI_ATTR VkResult VKAPI_CALL wrap_CreateComputePipelines(VkDevice device, VkPipelineCache cache,
                                                                  uint32_t count,
                                                                  const VkComputePipelineCreateInfo *infos,
                                                                  const VkAllocationCallbacks *callbacks,
                                                                  VkPipeline *out) {
    VkResult result = before(HOOK_CreateComputePipelines);
    if (count != 1)
        complain("more than one pipeline at once: ", "hook.c knows one");
    *out = VK_NULL_HANDLE;
    if (result < 0)
        return result;
    if (!h.options.share_pipelines)
        return born(vkCreateComputePipelines(device, cache, count, infos, callbacks, out));
    cdl_mutex_lock(&h.lock);
    const uint64_t hash = hash_pipeline(infos);
    *out = find_pipeline(hash);
    cdl_mutex_unlock(&h.lock);
    if (*out)
        return born(VK_SUCCESS);
    VkPipeline made; // not under the lock: several threads compile at once
    if ((result = vkCreateComputePipelines(device, cache, 1, infos, callbacks, &made)) < 0)
        return result;
    cdl_mutex_lock(&h.lock);
    VkPipeline known = find_pipeline(hash);
    if (!known && h.num_pipelines < MAX_PIPELINES) {
        h.pipelines[h.num_pipelines].hash = hash;
        h.pipelines[h.num_pipelines++].handle = made;
    }
    cdl_mutex_unlock(&h.lock);
    if (known)
        vkDestroyPipeline(device, made, callbacks);
    *out = known ? known : made;
    return born(VK_SUCCESS);
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyPipeline(VkDevice device, VkPipeline handle,
                                                       const VkAllocationCallbacks *callbacks) {
    dead(handle != VK_NULL_HANDLE);
    if (!h.options.share_pipelines)
        vkDestroyPipeline(device, handle, callbacks);
}

// ---- what a host's state must be safe from

static VKAPI_ATTR void VKAPI_CALL wrap_CmdBindPipeline(VkCommandBuffer commands, VkPipelineBindPoint point,
                                                       VkPipeline pipeline) {
    if (point != VK_PIPELINE_BIND_POINT_COMPUTE)
        complain("bound a pipeline outside the compute bind point", "");
    vkCmdBindPipeline(commands, point, pipeline);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdBindDescriptorSets(VkCommandBuffer commands, VkPipelineBindPoint point,
                                                             VkPipelineLayout layout, uint32_t first, uint32_t count,
                                                             const VkDescriptorSet *sets, uint32_t num_offsets,
                                                             const uint32_t *offsets) {
    if (point != VK_PIPELINE_BIND_POINT_COMPUTE || first != 0 || count != 1)
        complain("bound descriptor sets other than compute set 0", "");
    vkCmdBindDescriptorSets(commands, point, layout, first, count, sets, num_offsets, offsets);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdPushConstants(VkCommandBuffer commands, VkPipelineLayout layout,
                                                        VkShaderStageFlags stages, uint32_t offset, uint32_t size,
                                                        const void *values) {
    if (stages != VK_SHADER_STAGE_COMPUTE_BIT)
        complain("pushed constants to stages other than compute", "");
    vkCmdPushConstants(commands, layout, stages, offset, size, values);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdBeginDebugUtilsLabelEXT(VkCommandBuffer commands,
                                                                  const VkDebugUtilsLabelEXT *label) {
    cdl_mutex_lock(&h.lock);
    snprintf(h.label, sizeof h.label, "%s", label->pLabelName);
    h.labels++;
    cdl_mutex_unlock(&h.lock);
    vkCmdBeginDebugUtilsLabelEXT(commands, label);
}

static VKAPI_ATTR void VKAPI_CALL wrap_CmdEndDebugUtilsLabelEXT(VkCommandBuffer commands) {
    cdl_mutex_lock(&h.lock);
    h.labels--;
    cdl_mutex_unlock(&h.lock);
    vkCmdEndDebugUtilsLabelEXT(commands);
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyDevice(VkDevice device, const VkAllocationCallbacks *callbacks) {
    (void)device;
    (void)callbacks;
    complain("destroyed the host's device", "");
}

static VKAPI_ATTR void VKAPI_CALL wrap_DestroyInstance(VkInstance instance, const VkAllocationCallbacks *callbacks) {
    (void)instance;
    (void)callbacks;
    complain("destroyed the host's instance", "");
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceProperties2(VkPhysicalDevice physical,
                                                                    VkPhysicalDeviceProperties2 *out) {
    vkGetPhysicalDeviceProperties2(physical, out);
    if (h.options.version)
        out->properties.apiVersion = h.options.version;
}

enum { SHOWN_DEVICE, SHOWN_HOST, SHOWN_TYPES };

static VKAPI_ATTR void VKAPI_CALL wrap_GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice physical,
                                                                          VkPhysicalDeviceMemoryProperties2 *out) {
    vkGetPhysicalDeviceMemoryProperties2(physical, out);
    VkPhysicalDeviceMemoryProperties *p = &out->memoryProperties;
    if (!h.options.discrete)
        return;
    h.host_type = 0;
    while (h.host_type < p->memoryTypeCount &&
           !(p->memoryTypes[h.host_type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT))
        h.host_type++;
    p->memoryTypeCount = SHOWN_TYPES;
    p->memoryTypes[SHOWN_DEVICE] = (VkMemoryType){VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, 0};
    p->memoryTypes[SHOWN_HOST] =
        (VkMemoryType){VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, 0};
}

static VKAPI_ATTR void VKAPI_CALL wrap_GetBufferMemoryRequirements(VkDevice device, VkBuffer buffer,
                                                                   VkMemoryRequirements *out) {
    vkGetBufferMemoryRequirements(device, buffer, out);
    if (h.options.discrete)
        out->memoryTypeBits = 1 << SHOWN_DEVICE | 1 << SHOWN_HOST;
}

// ---- lookup

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL wrap_GetDeviceProcAddr(VkDevice device, const char *name);

static const struct {
    const char *name;
    PFN_vkVoidFunction function;
} wrappers[] = {
#define FAILING(name, codes) {"vk" #name, (PFN_vkVoidFunction)wrap_##name},
#define OTHER(name) \
    { "vk" #name, (PFN_vkVoidFunction)wrap_##name }
    HOOK_FAILING(FAILING) OTHER(DestroyBuffer),
    OTHER(DestroyPipelineLayout),
    OTHER(DestroyPipelineCache),
    OTHER(DestroyDescriptorSetLayout),
    OTHER(DestroyDescriptorPool),
    OTHER(DestroyCommandPool),
    OTHER(DestroyQueryPool),
    OTHER(DestroyFence),
    OTHER(FreeMemory),
    OTHER(DestroyShaderModule),
    OTHER(DestroyPipeline),
    OTHER(CmdBindPipeline),
    OTHER(CmdBindDescriptorSets),
    OTHER(CmdPushConstants),
    OTHER(CmdBeginDebugUtilsLabelEXT),
    OTHER(CmdEndDebugUtilsLabelEXT),
    OTHER(DestroyDevice),
    OTHER(DestroyInstance),
    OTHER(GetPhysicalDeviceProperties2),
    OTHER(GetPhysicalDeviceQueueFamilyProperties),
    OTHER(GetDeviceProcAddr),
    OTHER(GetPhysicalDeviceMemoryProperties2),
    OTHER(GetBufferMemoryRequirements),
};

// Functions that neither fail nor make anything, nor change a host's state: passed on as they are.
static const char *const harmless[] = {
    "vkGetPhysicalDeviceFeatures2",
    "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR",
    "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV",
    "vkGetDeviceQueue",
    "vkGetBufferDeviceAddress",
    "vkUnmapMemory",
    "vkGetBufferDeviceAddressKHR",
    "vkUpdateDescriptorSets",
    "vkCmdDispatch",
    "vkCmdPipelineBarrier",
    "vkCmdCopyBuffer",
    "vkCmdFillBuffer",
    "vkCmdResetQueryPool",
    "vkCmdWriteTimestamp",
    // Looked up with the others, called for devices of Cardinal's own alone.
    "vkEnumeratePhysicalDevices",
    "vkCreateDevice",
};

static PFN_vkVoidFunction look_up(const char *name, PFN_vkVoidFunction real) {
    if (h.options.hidden && !strcmp(name, h.options.hidden))
        return NULL;
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++)
        if (!strcmp(name, wrappers[i].name))
            return real ? wrappers[i].function : NULL;
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
        if (!strcmp(name, harmless[i]))
            return real;
    complain("hook.c does not know ", name);
    return real;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL wrap_GetDeviceProcAddr(VkDevice device, const char *name) {
    return look_up(name, vkGetDeviceProcAddr(device, name));
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL hook_get_proc_addr(VkInstance instance, const char *name) {
    return look_up(name, vkGetInstanceProcAddr(instance, name));
}

// ---- control

void hook_open(VkDevice device, const struct hook_options *options) {
    memset(&h, 0, sizeof h);
    cdl_mutex_init(&h.lock);
    h.open = true;
    h.device = device;
    h.failing = -1;
    if (options)
        h.options = *options;
}

void hook_set_options(const struct hook_options *options) {
    cdl_mutex_lock(&h.lock);
    const bool share = h.options.share_pipelines;
    h.options = *options;
    h.options.share_pipelines = share;
    cdl_mutex_unlock(&h.lock);
}

void hook_close(void) {
    if (!h.open)
        return;
    for (int i = 0; i < h.num_pipelines; i++)
        vkDestroyPipeline(h.device, h.pipelines[i].handle, NULL);
    for (int i = 0; i < h.num_modules; i++)
        vkDestroyShaderModule(h.device, h.modules[i].handle, NULL);
    cdl_mutex_destroy(&h.lock);
    memset(&h, 0, sizeof h);
}

static long read_counter(const long *counter) {
    cdl_mutex_lock(&h.lock);
    const long value = *counter;
    cdl_mutex_unlock(&h.lock);
    return value;
}

long hook_calls(int function) { return read_counter(&h.calls[function]); }
long hook_creations(void) { return read_counter(&h.creations); }
long hook_live(void) { return read_counter(&h.live); }
long hook_pools(void) { return read_counter(&h.pools); }
long hook_second_pools(void) { return read_counter(&h.second_pools); }
long hook_submits(void) { return read_counter(&h.calls[HOOK_QueueSubmit]); }
const char *hook_label(int *depth) {
    *depth = h.labels;
    return h.label;
}
const char *hook_complaint(void) { return h.complaint; }

void hook_fail(int function, long n, VkResult result, bool on) {
    cdl_mutex_lock(&h.lock);
    h.on = on;
    h.failing = function;
    h.countdown = n;
    h.result = result;
    h.failed = h.lost = false;
    cdl_mutex_unlock(&h.lock);
}

bool hook_heal(void) {
    cdl_mutex_lock(&h.lock);
    const bool failed = h.failed;
    h.failing = -1;
    h.failed = h.lost = false;
    cdl_mutex_unlock(&h.lock);
    return failed;
}
