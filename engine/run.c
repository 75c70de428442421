// run.c - records the network, submits runs, waits for them and hands out results.
#include "session.h"

#include <stdlib.h>
#include <string.h>

void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access) {
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from_access, .dstAccessMask = to_access};
    dev->vkd.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void compute_barrier(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline, const struct cdl_launch *launch) {
    dev->vkd.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    dev->vkd.CmdPushConstants(commands, dev->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, launch->push_bytes, launch->push.bytes);
    dev->vkd.CmdDispatch(commands, launch->groups[0], launch->groups[1], 1);
}

static void record_steps(struct cdl_session *s, struct cdl_slot *slot, int images) {
    struct cdl_device *dev = s->dev;
    const struct cdl_plan *plan = &s->plan;
    struct cdl_launch launch;
    compute_barrier(dev, slot->network); // the preprocessed pixels
    for (int i = 0, n = cdl_plan_num_dispatches(plan, images); i < n; i++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(plan, images, i);
        const struct cdl_op *op = &plan->graph.ops[d.step];
        const struct cdl_addresses at = cdl_plan_addresses(plan, &d, s->arena.address, s->weights->buffer.address);
        // Layers that overlap have no time of their own: a timed run serializes them.
        if (d.barrier_before || (s->timings && i > 0))
            compute_barrier(dev, slot->network);
        cdl_kernel_launch(&plan->steps[d.step].kernel, &plan->graph, op, d.images, &at, &launch);
        cdl_dispatch(dev, slot->network, s->pipelines[d.step], &launch);
        if (s->timings && slot->queries)
            dev->vkd.CmdWriteTimestamp(slot->network, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries, (uint32_t)(2 + i));
    }
}

int cdl_num_queries(const struct cdl_session *s, int images) { return s->timings ? cdl_plan_num_dispatches(&s->plan, images) + 3 : 3; }

// Softmax and order of the logits, and their copy to where the host reads.
static void record_results(struct cdl_session *s, struct cdl_slot *slot, int images) {
    struct cdl_device *dev = s->dev;
    const struct cdl_graph *g = &s->plan.graph;
    const uint64_t results = s->arena.address + s->results_at;
    struct cdl_launch launch = {.push_bytes = sizeof launch.push.classify};
    launch.push.classify = (struct classify_params){
        .src = s->arena.address + s->plan.value_at[g->num_values - 1],
        .logits = results + s->results.logits, .probs = results + s->results.probs, .order = results + s->results.order,
        .images = images, .classes = s->num_classes, .src_stride = cdl_padded_channels(s->num_classes), .sort_size = s->results.sort_size,
    };
    cdl_launch_workgroups(&launch, (uint64_t)images);
    compute_barrier(dev, slot->network);
    cdl_dispatch(dev, slot->network, s->softmax, &launch);
    cdl_dispatch(dev, slot->network, s->top_k, &launch);
    cdl_barrier(dev, slot->network, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_TRANSFER_READ_BIT);

    const size_t plane = (size_t)images * (size_t)s->num_classes * sizeof(float);
    const VkBufferCopy regions[] = {
        {s->results_at + s->results.logits, s->results.logits, plane},
        {s->results_at + s->results.probs, s->results.probs, plane},
        {s->results_at + s->results.order, s->results.order, (size_t)images * (size_t)s->results.sort_size * sizeof(uint32_t)},
    };
    dev->vkd.CmdCopyBuffer(slot->network, s->arena.handle, slot->readback.handle, CDL_COUNT(regions), regions);
    cdl_barrier(dev, slot->network, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                VK_ACCESS_HOST_READ_BIT);
}

cdl_result cdl_record_network(struct cdl_session *s, struct cdl_slot *slot, int images) {
    struct cdl_device *dev = s->dev;
    cdl_result r = CDL_OK;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    slot->recorded_images = 0;
    CDL_VK(dev, BeginCommandBuffer(slot->network, &begin));
    if (slot->queries)
        dev->vkd.CmdWriteTimestamp(slot->network, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries, 1);
    record_steps(s, slot, images);
    record_results(s, slot, images);
    if (slot->queries)
        dev->vkd.CmdWriteTimestamp(slot->network, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, slot->queries, (uint32_t)cdl_num_queries(s, images) - 1);
    CDL_VK(dev, EndCommandBuffer(slot->network));
    slot->recorded_images = images;
error:
    return r;
}

// ---- submit and wait

static bool valid_pixels(const struct cdl_session *s, const struct cdl_pixels *p) {
    if (!p->data || p->width < 1 || p->height < 1 || p->format < CDL_FORMAT_RGBA8 || p->format > CDL_FORMAT_TENSOR_F32)
        return false;
    if (p->format == CDL_FORMAT_TENSOR_F32)
        return p->width == s->info.width && p->height == s->info.height && p->stride == 0;
    const size_t tight = (size_t)p->width * (p->format == CDL_FORMAT_RGB8 ? 3 : p->format == CDL_FORMAT_GRAY8 ? 1 : 4);
    return (p->stride == 0 || p->stride >= tight) && p->orientation >= 0 && p->orientation <= 8;
}

cdl_result cdl_session_submit(cdl_session *s, int slot_index, const struct cdl_pixels *images, int count) {
    const cdl_log *log = &s->dev->log;
    CDL_REQUIRE(log, slot_index >= 0 && slot_index < s->info.num_slots);
    CDL_REQUIRE(log, images != NULL && count >= 1 && count <= s->info.max_batch);
    struct cdl_slot *slot = &s->slots[slot_index];
    CDL_REQUIRE(log, !slot->busy);
    for (int i = 0; i < count; i++) {
        CDL_REQUIRE(log, valid_pixels(s, &images[i]));
        CDL_REQUIRE(log, (images[i].format == CDL_FORMAT_TENSOR_F32) == (images[0].format == CDL_FORMAT_TENSOR_F32));
    }
    cdl_result r = CDL_OK;
    slot->num_images = 0;
    if (slot->recorded_images != count)
        r = cdl_record_network(s, slot, count);
    if (r == CDL_OK)
        r = cdl_submit_images(s, slot, images, count);
    if (r == CDL_OK) {
        slot->busy = true;
        slot->num_images = count;
    }
    return r;
}

cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns) {
    struct cdl_device *dev = s->dev;
    const VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &slot->done, .pValues = &slot->submitted,
    };
    if (cdl_device_is_lost(dev))
        return CDL_ERR_DEVICE_LOST;
    const VkResult result = dev->vkd.WaitSemaphores(dev->handle, &info, timeout_ns);
    if (result == VK_TIMEOUT)
        return CDL_NOT_READY;
    return result < 0 ? cdl_vk_failed(dev, result, "vkWaitSemaphores") : CDL_OK;
}

cdl_result cdl_session_wait(cdl_session *s, int slot_index, uint64_t timeout_ns) {
    CDL_REQUIRE(&s->dev->log, slot_index >= 0 && slot_index < s->info.num_slots);
    struct cdl_slot *slot = &s->slots[slot_index];
    struct cdl_device *dev = s->dev;
    const uint32_t queries = (uint32_t)cdl_num_queries(s, slot->recorded_images);
    if (!slot->busy)
        return CDL_OK;
    cdl_result r = cdl_slot_wait(s, slot, timeout_ns);
    if (r != CDL_OK && r != CDL_ERR_DEVICE_LOST)
        return r; // still in flight, for all that is known
    slot->busy = false;
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&slot->readback, dev);
    if (r == CDL_OK && slot->queries)
        CDL_VK(dev, GetQueryPoolResults(dev->handle, slot->queries, 0, queries, queries * sizeof *slot->ticks, slot->ticks, sizeof *slot->ticks,
                                        VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    if (r != CDL_OK)
        slot->num_images = 0;
    return r;
}

cdl_result cdl_session_run(cdl_session *s, const struct cdl_pixels *images, int count) {
    cdl_result r = cdl_session_submit(s, 0, images, count);
    return r == CDL_OK ? cdl_session_wait(s, 0, UINT64_MAX) : r;
}

// ---- results

static const struct cdl_slot *finished_slot(const cdl_session *s, int slot, int image) {
    if (slot < 0 || slot >= s->info.num_slots || s->slots[slot].busy || image < 0 || image >= s->slots[slot].num_images)
        return NULL;
    return &s->slots[slot];
}

static const void *result_at(const struct cdl_slot *slot, size_t plane, int image, int stride) {
    return (const uint8_t *)slot->readback.mapped + plane + (size_t)image * (size_t)stride * 4;
}

const float *cdl_session_logits(const cdl_session *s, int slot_index, int image) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    return slot ? result_at(slot, s->results.logits, image, s->num_classes) : NULL;
}

cdl_result cdl_session_topk(const cdl_session *s, int slot_index, int image, struct cdl_class *out, int k) {
    const cdl_log *log = &s->dev->log;
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    CDL_REQUIRE(log, slot != NULL && out != NULL);
    CDL_REQUIRE(log, k >= 0 && k <= s->num_classes);
    const float *logits = result_at(slot, s->results.logits, image, s->num_classes);
    const float *probs = result_at(slot, s->results.probs, image, s->num_classes);
    const uint32_t *order = result_at(slot, s->results.order, image, s->results.sort_size);
    for (int i = 0; i < k; i++)
        out[i] = (struct cdl_class){(int)order[i], probs[order[i]], logits[order[i]]};
    return CDL_OK;
}

static uint64_t ticks_to_ns(const struct cdl_device *dev, uint64_t from, uint64_t to) {
    const uint64_t mask = dev->timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << dev->timestamp_bits) - 1;
    return (uint64_t)((double)((to - from) & mask) * (double)dev->timestamp_period);
}

uint64_t cdl_session_gpu_ns(const cdl_session *s, int slot_index) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    return slot && slot->queries ? ticks_to_ns(s->dev, slot->ticks[0], slot->ticks[cdl_num_queries(s, slot->num_images) - 1]) : 0;
}

cdl_result cdl_session_timings(const cdl_session *s, int slot_index, struct cdl_timing *out, int cap, int *num) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    const struct cdl_graph *g = &s->plan.graph;
    CDL_REQUIRE(&s->dev->log, num != NULL && (out != NULL || cap == 0) && slot != NULL && s->timings);
    *num = slot->queries ? g->num_ops : 0;
    for (int i = 0; i < *num && i < cap; i++) {
        const struct cdl_op *op = &g->ops[i];
        const size_t per_image = cdl_plan_image_bytes(&s->plan, op->src) + cdl_plan_image_bytes(&s->plan, op->dst) +
                                 (op->residual >= 0 ? cdl_plan_image_bytes(&s->plan, op->residual) : 0);
        out[i] = (struct cdl_timing){
            .layer = op->name, .operation = s->texts[i].operation, .kernel = s->texts[i].kernel,
            .flops = cdl_op_flops(g, op, slot->num_images),
            .bytes = per_image * (size_t)slot->num_images + s->plan.steps[i].kernel.weight_bytes,
        };
    }
    for (int i = 0, n = *num ? cdl_plan_num_dispatches(&s->plan, slot->num_images) : 0; i < n; i++) {
        const int step = cdl_plan_dispatch(&s->plan, slot->num_images, i).step; // several times in a segment: the sum
        if (step < cap)
            out[step].gpu_ns += ticks_to_ns(s->dev, slot->ticks[1 + i], slot->ticks[2 + i]);
    }
    return CDL_OK;
}

// ---- for tests

cdl_result cdl_session_read_value(cdl_session *s, int value, int image, float *out) {
    struct cdl_device *dev = s->dev;
    const struct cdl_value *v = &s->plan.graph.values[value];
    const bool fp16 = s->plan.fp16 && !v->fp32;
    const size_t padded = (size_t)cdl_padded_channels(v->channels), pixels = (size_t)v->height * (size_t)v->width;
    const size_t bytes = pixels * padded * (fp16 ? 2 : 4);
    struct cdl_buffer host;
    const VkBufferCopy region = {s->plan.value_at[value] + (size_t)image * bytes, 0, bytes};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    struct cdl_slot *slot = &s->slots[0];
    cdl_result r = cdl_buffer_create(&host, dev, bytes, CDL_MEMORY_READBACK, "a value");
    if (r != CDL_OK)
        return r;
    CDL_VK(dev, BeginCommandBuffer(slot->preprocess, &begin));
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_TRANSFER_READ_BIT);
    dev->vkd.CmdCopyBuffer(slot->preprocess, s->arena.handle, host.handle, 1, &region);
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(slot->preprocess));
    r = cdl_queue_submit(dev, &slot->preprocess, 1, slot->done, ++slot->submitted);
    if (r == CDL_OK)
        r = cdl_slot_wait(s, slot, UINT64_MAX);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&host, dev);
    for (size_t i = 0; r == CDL_OK && i < pixels * (size_t)v->channels; i++) {
        const size_t at = i / (size_t)v->channels * padded + i % (size_t)v->channels;
        out[i] = fp16 ? cdl_f16_to_f32(((const uint16_t *)host.mapped)[at]) : ((const float *)host.mapped)[at];
    }
error:
    cdl_buffer_destroy(&host, dev);
    return r;
}
