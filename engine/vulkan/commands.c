// commands.c - see commands.h.
#include "vulkan/commands.h"

void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access) {
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from_access, .dstAccessMask = to_access};
    dev->vkd.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline,
                  const struct cdl_launch *launch) {
    dev->vkd.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    dev->vkd.CmdPushConstants(commands, dev->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, launch->push_bytes,
                              launch->push.bytes);
    dev->vkd.CmdDispatch(commands, launch->groups[0], launch->groups[1], 1);
}

cdl_result cdl_command_pool_create(VkCommandPool *out, struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkCommandPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = dev->queue_family,
    };
    CDL_VK(dev, CreateCommandPool(dev->handle, &info, dev->allocator, out));
error:
    return r;
}

cdl_result cdl_commands_begin(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_result r = CDL_OK;
    const VkCommandBufferBeginInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                           .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    CDL_VK(dev, BeginCommandBuffer(commands, &info));
error:
    return r;
}

cdl_result cdl_timestamps_create(VkQueryPool *out, struct cdl_device *dev, uint32_t count) {
    cdl_result r = CDL_OK;
    const VkQueryPoolCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = count,
    };
    *out = VK_NULL_HANDLE;
    if (dev->timestamp_bits)
        CDL_VK(dev, CreateQueryPool(dev->handle, &info, dev->allocator, out));
error:
    return r;
}

cdl_result cdl_timestamps_read(struct cdl_device *dev, VkQueryPool pool, uint32_t count, uint64_t *ticks) {
    cdl_result r = CDL_OK;
    CDL_VK(dev, GetQueryPoolResults(dev->handle, pool, 0, count, count * sizeof *ticks, ticks, sizeof *ticks,
                                    VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    return r;
}

double cdl_ticks_ns(const struct cdl_device *dev, uint64_t from, uint64_t to) {
    const uint64_t mask = dev->timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << dev->timestamp_bits) - 1;
    return (double)((to - from) & mask) * (double)dev->timestamp_period;
}
