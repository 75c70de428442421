// vk.h - tables of the Vulkan functions that the engine calls: the loader's, an instance's and a device's.
//
// The engine opens the loader at run time and calls every function through the tables of the instance and the device at
// hand. It fills these tables itself rather than use volk because it is a library in a host's process. volk defines one
// global pointer for each Vulkan function, so a static link with a host that has volk too would define them twice; and
// volk keeps one loader for the whole process, while a host hands Cardinal the loader of its own choice.
#ifndef CDL_VK_H_
#define CDL_VK_H_

#include "vulkan/compat.h"

// clang-format would indent every line of these lists deeper than the one before.
// clang-format off
#define CDL_VK_GLOBAL_FUNCTIONS(X) \
    X(EnumerateInstanceVersion) X(EnumerateInstanceExtensionProperties) X(EnumerateInstanceLayerProperties) \
    X(CreateInstance)

#define CDL_VK_INSTANCE_FUNCTIONS(X) \
    X(DestroyInstance) X(EnumeratePhysicalDevices) X(EnumerateDeviceExtensionProperties) \
    X(GetPhysicalDeviceProperties2) X(GetPhysicalDeviceFeatures2) X(GetPhysicalDeviceMemoryProperties2) \
    X(GetPhysicalDeviceQueueFamilyProperties) X(CreateDevice) X(GetDeviceProcAddr)

#define CDL_VK_DEVICE_FUNCTIONS(X) \
    X(DestroyDevice) X(DeviceWaitIdle) X(GetDeviceQueue) X(QueueSubmit) \
    X(CreateFence) X(DestroyFence) X(WaitForFences) X(ResetFences) \
    X(CreateBuffer) X(DestroyBuffer) X(GetBufferMemoryRequirements) \
    X(AllocateMemory) X(FreeMemory) X(BindBufferMemory) X(MapMemory) X(UnmapMemory) \
    X(FlushMappedMemoryRanges) X(InvalidateMappedMemoryRanges) \
    X(CreateShaderModule) X(DestroyShaderModule) X(CreatePipelineLayout) X(DestroyPipelineLayout) \
    X(CreateComputePipelines) X(DestroyPipeline) \
    X(CreatePipelineCache) X(DestroyPipelineCache) X(GetPipelineCacheData) \
    X(CreateDescriptorSetLayout) X(DestroyDescriptorSetLayout) X(CreateDescriptorPool) X(DestroyDescriptorPool) \
    X(AllocateDescriptorSets) X(UpdateDescriptorSets) \
    X(CreateQueryPool) X(DestroyQueryPool) X(GetQueryPoolResults) \
    X(CreateCommandPool) X(DestroyCommandPool) X(AllocateCommandBuffers) X(BeginCommandBuffer) X(EndCommandBuffer) \
    X(CmdBindPipeline) X(CmdBindDescriptorSets) X(CmdPushConstants) X(CmdDispatch) \
    X(CmdPipelineBarrier) X(CmdCopyBuffer) X(CmdFillBuffer) X(CmdResetQueryPool) X(CmdWriteTimestamp)
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
    PFN_vkGetBufferDeviceAddress GetBufferDeviceAddress; // before Vulkan 1.2 an extension's, by another name
    // Of VK_EXT_debug_utils; NULL without.
    PFN_vkCmdBeginDebugUtilsLabelEXT CmdBeginDebugUtilsLabelEXT;
    PFN_vkCmdEndDebugUtilsLabelEXT CmdEndDebugUtilsLabelEXT;
};

#endif // CDL_VK_H_
