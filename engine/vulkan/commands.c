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

double cdl_ticks_ns(const struct cdl_device *dev, uint64_t from, uint64_t to) {
    const uint64_t mask = dev->timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << dev->timestamp_bits) - 1;
    return (double)((to - from) & mask) * (double)dev->timestamp_period;
}
