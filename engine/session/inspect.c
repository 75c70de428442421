// inspect.c - see inspect.h.
#include "session/inspect.h"

#include "session/submit.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

cdl_result cdl_session_create_keeping(cdl_session **out, cdl_device *dev, cdl_model *model,
                                      const struct cdl_session_params *params) {
    return cdl_session_create_with(out, dev, model, params, true);
}

cdl_result cdl_session_read_value(cdl_session *s, int value, int image, float *out) {
    struct cdl_device *dev = s->dev;
    const size_t bytes = cdl_plan_image_bytes(&s->plan, value);
    struct cdl_buffer host;
    const VkBufferCopy region = {cdl_plan_value_at(&s->plan, value, image), 0, bytes};
    struct cdl_slot *slot = &s->slots[0];
    cdl_result r = cdl_buffer_create(&host, dev, bytes, CDL_MEMORY_READBACK, "a value");
    if (r != CDL_OK)
        return r;
    if ((r = cdl_commands_begin(dev, slot->preprocess)) != CDL_OK)
        goto error;
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    dev->vkd.CmdCopyBuffer(slot->preprocess, s->arena.handle, host.handle, 1, &region);
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(slot->preprocess));
    r = cdl_queue_submit(dev, &slot->preprocess, 1, NULL, slot->done);
    if (r == CDL_OK)
        r = cdl_fence_wait(dev, slot->done, UINT64_MAX);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&host, dev);
    if (r == CDL_OK)
        cdl_value_load(&s->plan.graph.values[value], s->plan.fp16, 1, host.mapped, out);
error:
    cdl_buffer_destroy(&host, dev);
    return r;
}
