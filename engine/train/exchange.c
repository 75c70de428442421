// exchange.c - gradients averaged with other processes': copied to host memory a bucket at a time while backward goes
// on, summed there by the caller's callbacks, copied back before the update.
#include <stdlib.h>

#include "train/trainer.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

enum { DEFAULT_BUCKET = 25 << 20, PATIENCE = 1000000 }; // bytes; nanoseconds between calls of `progress`

static cdl_result allocate_commands(struct cdl_trainer *t, uint32_t count, VkCommandBuffer *out) {
    cdl_result r = CDL_OK;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = t->pool,
        .commandBufferCount = count,
    };
    CDL_VK(t->dev, AllocateCommandBuffers(t->dev->handle, &allocate, out));
error:
    return r;
}

// Copies a bucket's ranges, one behind another in host memory.
static void record_copies(struct cdl_trainer *t, VkCommandBuffer commands, const struct cdl_train_bucket *b,
                          bool back) {
    const struct cdl_train_link *x = &t->exchange;
    size_t at = b->at;
    for (int i = 0; i < b->num_ranges; i++) {
        const struct cdl_train_range *range = &x->buckets.ranges[b->first + i];
        const VkDeviceSize host = at * sizeof(float), device = range->at * sizeof(float);
        const VkBufferCopy region = {back ? host : device, back ? device : host, range->count * sizeof(float)};
        t->dev->vkd.CmdCopyBuffer(commands, back ? x->host.handle : t->gradients.handle,
                                  back ? t->gradients.handle : x->host.handle, 1, &region);
        at += range->count;
    }
}

// The update, which is recorded with a barrier in front of it, follows.
static cdl_result record_back(struct cdl_trainer *t) {
    struct cdl_train_link *x = &t->exchange;
    struct cdl_device *dev = t->dev;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    cdl_result r = CDL_OK;
    CDL_VK(dev, BeginCommandBuffer(x->back, &begin));
    for (int i = 0; i < x->buckets.count; i++)
        record_copies(t, x->back, &x->buckets.items[i], true);
    CDL_VK(dev, EndCommandBuffer(x->back));
error:
    return r;
}

cdl_result cdl_train_link_create(struct cdl_trainer *t, const struct cdl_train_exchange *exchange) {
    struct cdl_train_link *x = &t->exchange;
    struct cdl_device *dev = t->dev;
    x->calls = *exchange;
    cdl_result r = cdl_train_buckets_create(
        &x->buckets, &t->program, exchange->bucket_bytes ? exchange->bucket_bytes : DEFAULT_BUCKET, &dev->log);
    if (r != CDL_OK)
        return r;
    const size_t count = (size_t)x->buckets.count;
    x->done = calloc(count, sizeof *x->done);
    bool memory = x->done != NULL;
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++)
        memory = (t->slots[i].segments = calloc(count, sizeof *t->slots[i].segments)) && memory;
    if (!memory)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a trainer");
    r = cdl_buffer_create(&x->host, dev, x->buckets.size * sizeof(float), CDL_MEMORY_READBACK,
                          "gradients on their way to other processes");
    for (size_t i = 0; r == CDL_OK && i < count; i++)
        r = cdl_fence_create(&x->done[i], dev);
    for (int i = 0; r == CDL_OK && i < CDL_TRAIN_SLOTS; i++)
        r = allocate_commands(t, (uint32_t)count, t->slots[i].segments);
    if (r == CDL_OK)
        r = allocate_commands(t, 1, &x->back);
    if (r == CDL_OK)
        r = record_back(t);
    cdl_logf(&dev->log, CDL_LOG_INFO, "gradients are exchanged in %zu buckets, %zu MB in all", count,
             x->buckets.size * sizeof(float) >> 20);
    return r;
}

void cdl_train_link_destroy(struct cdl_trainer *t) {
    struct cdl_train_link *x = &t->exchange;
    for (int i = 0; x->done && i < x->buckets.count; i++)
        if (x->done[i])
            t->dev->vkd.DestroyFence(t->dev->handle, x->done[i], t->dev->allocator);
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++)
        free(t->slots[i].segments); // the pool's, which ends with it
    free(x->done);
    cdl_buffer_destroy(&x->host, t->dev);
    cdl_train_buckets_destroy(&x->buckets);
}

static cdl_result record_segment(struct cdl_trainer *t, struct cdl_train_slot *slot, int segment, int images,
                                 struct cdl_train_mix mix) {
    const struct cdl_train_buckets *all = &t->exchange.buckets;
    const struct cdl_train_bucket *b = &all->items[segment];
    const int from = segment ? all->items[segment - 1].after + 1 : 0;
    const int to = segment + 1 < all->count ? b->after + 1 : t->program.first_update;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    struct cdl_device *dev = t->dev;
    VkCommandBuffer commands = slot->segments[segment];
    cdl_result r = CDL_OK;
    CDL_VK(dev, BeginCommandBuffer(commands, &begin));
    if (segment == 0) // behind the pictures and what was submitted before
        cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                    VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                    VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT);
    if (images > 0)
        cdl_train_record_steps(t, slot, commands, from, to, images);
    if (cdl_train_mix_changes(mix)) {
        cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
        for (int i = 0; i < b->num_ranges; i++)
            cdl_train_record_mix(t, commands, &all->ranges[b->first + i], mix, false);
    }
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    record_copies(t, commands, b, false);
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(commands));
error:
    return r;
}

cdl_result cdl_train_link_record(struct cdl_trainer *t, struct cdl_train_slot *slot, int images,
                                 struct cdl_train_mix mix) {
    cdl_result r = CDL_OK;
    if (slot->recorded_segments == images && slot->recorded_mix.of_sum == mix.of_sum &&
        slot->recorded_mix.of_gradient == mix.of_gradient)
        return CDL_OK;
    slot->recorded_segments = -1;
    for (int i = 0; r == CDL_OK && i < t->exchange.buckets.count; i++)
        r = record_segment(t, slot, i, images, mix);
    if (r == CDL_OK) {
        slot->recorded_segments = images;
        slot->recorded_mix = mix;
    }
    return r;
}

// Meanwhile the caller may push on what it has begun.
static cdl_result wait_for(struct cdl_trainer *t, VkFence fence) {
    const struct cdl_train_exchange *calls = &t->exchange.calls;
    cdl_result r = CDL_NOT_READY;
    while (calls->progress && (r = cdl_fence_wait(t->dev, fence, PATIENCE)) == CDL_NOT_READY)
        calls->progress(calls->ctx);
    return r == CDL_OK ? r : cdl_fence_wait(t->dev, fence, UINT64_MAX);
}

cdl_result cdl_train_link_run(struct cdl_trainer *t, struct cdl_train_slot *slot) {
    struct cdl_train_link *x = &t->exchange;
    const struct cdl_train_exchange *calls = &x->calls;
    const VkCommandBuffer rest[] = {x->back, slot->update};
    int submitted = 1, begun = 0;
    bool reached = true;
    cdl_result r = CDL_OK;
    for (int i = 1; r == CDL_OK && i < x->buckets.count; i++) {
        r = cdl_queue_submit(t->dev, &slot->segments[i], 1, NULL, x->done[i]);
        submitted += r == CDL_OK;
    }
    for (int i = 0; i < submitted; i++) { // after a failure, too: what is in flight has to end
        const struct cdl_train_bucket *b = &x->buckets.items[i];
        const VkDeviceSize at = b->at * sizeof(float), bytes = b->count * sizeof(float);
        const cdl_result waited = wait_for(t, x->done[i]);
        r = r == CDL_OK ? waited : r;
        if (r == CDL_OK)
            r = cdl_buffer_invalidate_part(&x->host, t->dev, at, cdl_align_up((size_t)bytes, 256));
        if (r != CDL_OK || !reached)
            continue;
        reached = calls->reduce(calls->ctx, (float *)x->host.mapped + b->at, b->count);
        begun += reached;
    }
    for (; begun > 0; begun--)
        reached = calls->finish(calls->ctx) && reached;
    if (r == CDL_OK && !reached)
        r = cdl_fail(&t->dev->log, CDL_ERR_IO, "the other processes could not be reached");
    if (r == CDL_OK)
        r = cdl_buffer_flush(&x->host, t->dev);
    if (r == CDL_OK)
        r = cdl_queue_submit(t->dev, rest, CDL_COUNT(rest), NULL, slot->done);
    slot->in_flight = r == CDL_OK;
    return r;
}
