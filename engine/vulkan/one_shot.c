// one_shot.c - see one_shot.h.
#include "vulkan/one_shot.h"

#include "vulkan/commands.h"
#include "vulkan/queue.h"

cdl_result cdl_once_create(struct cdl_once *out, struct cdl_device *dev) {
    *out = (struct cdl_once){.dev = dev};
    cdl_result r = cdl_command_pool_create(&out->pool, dev);
    if (r != CDL_OK)
        goto error;
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = out->pool,
        .commandBufferCount = 1,
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &commands, &out->commands));
    if ((r = cdl_fence_create(&out->done, dev)) != CDL_OK ||
        (r = cdl_timestamps_create(&out->queries, dev, CDL_ONCE_QUERIES)) != CDL_OK)
        goto error;
    return CDL_OK;
error:
    cdl_once_destroy(out);
    return r;
}

void cdl_once_destroy(struct cdl_once *once) {
    if (once->queries)
        once->dev->vkd.DestroyQueryPool(once->dev->handle, once->queries, once->dev->allocator);
    if (once->done)
        once->dev->vkd.DestroyFence(once->dev->handle, once->done, once->dev->allocator);
    if (once->pool)
        once->dev->vkd.DestroyCommandPool(once->dev->handle, once->pool, once->dev->allocator);
    *once = (struct cdl_once){0};
}

cdl_result cdl_once_begin(struct cdl_once *once) {
    const cdl_result r = cdl_commands_begin(once->dev, once->commands);
    if (r == CDL_OK && once->queries)
        once->dev->vkd.CmdResetQueryPool(once->commands, once->queries, 0, CDL_ONCE_QUERIES);
    return r;
}

void cdl_once_timestamp(struct cdl_once *once, uint32_t index) {
    if (once->queries)
        once->dev->vkd.CmdWriteTimestamp(once->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, once->queries, index);
}

void cdl_once_barrier(struct cdl_once *once) {
    cdl_barrier(once->dev, once->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

void cdl_once_dispatch(struct cdl_once *once, VkPipeline pipeline, const struct cdl_launch *launch) {
    cdl_dispatch(once->dev, once->commands, pipeline, launch);
}

cdl_result cdl_once_run(struct cdl_once *once, uint32_t timestamps) {
    struct cdl_device *dev = once->dev;
    cdl_result r = CDL_OK;
    cdl_barrier(once->dev, once->commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(once->commands));
    r = cdl_queue_submit(dev, &once->commands, 1, NULL, once->done);
    if (r == CDL_OK)
        r = cdl_fence_wait(dev, once->done, UINT64_MAX);
    if (r == CDL_OK && once->queries && timestamps)
        r = cdl_timestamps_read(dev, once->queries, timestamps, once->ticks);
error:
    return r;
}

double cdl_once_ns(const struct cdl_once *once, uint32_t from, uint32_t to) {
    return cdl_ticks_ns(once->dev, once->ticks[from], once->ticks[to]);
}
