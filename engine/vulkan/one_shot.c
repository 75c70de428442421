// one_shot.c - see one_shot.h.
#include "vulkan/one_shot.h"

#include "vulkan/commands.h"
#include "vulkan/queue.h"

cdl_result cdl_once_create(struct cdl_once *out, struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = dev->queue_family,
    };
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                            .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    const VkQueryPoolCreateInfo queries = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
        .queryType = VK_QUERY_TYPE_TIMESTAMP,
        .queryCount = CDL_ONCE_QUERIES,
    };
    *out = (struct cdl_once){.dev = dev};
    CDL_VK(dev, CreateCommandPool(dev->handle, &pool, NULL, &out->pool));
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = out->pool,
        .commandBufferCount = 1,
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &commands, &out->commands));
    CDL_VK(dev, CreateSemaphore(dev->handle, &semaphore, NULL, &out->done));
    if (dev->timestamp_bits)
        CDL_VK(dev, CreateQueryPool(dev->handle, &queries, NULL, &out->queries));
    return CDL_OK;
error:
    cdl_once_destroy(out);
    return r;
}

void cdl_once_destroy(struct cdl_once *once) {
    if (once->queries)
        once->dev->vkd.DestroyQueryPool(once->dev->handle, once->queries, NULL);
    if (once->done)
        once->dev->vkd.DestroySemaphore(once->dev->handle, once->done, NULL);
    if (once->pool)
        once->dev->vkd.DestroyCommandPool(once->dev->handle, once->pool, NULL);
    *once = (struct cdl_once){0};
}

cdl_result cdl_once_begin(struct cdl_once *once) {
    struct cdl_device *dev = once->dev;
    cdl_result r = CDL_OK;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    CDL_VK(dev, BeginCommandBuffer(once->commands, &begin));
    if (once->queries)
        dev->vkd.CmdResetQueryPool(once->commands, once->queries, 0, CDL_ONCE_QUERIES);
error:
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
    r = cdl_queue_submit(dev, &once->commands, 1, once->done, once->submitted + 1);
    if (r != CDL_OK)
        return r;
    once->submitted++;
    r = cdl_timeline_wait(dev, once->done, once->submitted, UINT64_MAX);
    if (r != CDL_OK)
        return r;
    if (once->queries && timestamps)
        CDL_VK(dev, GetQueryPoolResults(dev->handle, once->queries, 0, timestamps, timestamps * sizeof *once->ticks,
                                        once->ticks, sizeof *once->ticks,
                                        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    return r;
}

double cdl_once_ns(const struct cdl_once *once, uint32_t from, uint32_t to) {
    return cdl_ticks_ns(once->dev, once->ticks[from], once->ticks[to]);
}
