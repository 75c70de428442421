// run.c - records the network, submits runs, waits for them and hands out results.
#include "session/pixels.h"

void cdl_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from, VkAccessFlags from_access,
                 VkPipelineStageFlags to, VkAccessFlags to_access) {
    const VkMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = from_access, .dstAccessMask = to_access};
    dev->vkd.CmdPipelineBarrier(commands, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void compute_barrier(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

void cdl_dispatch(struct cdl_device *dev, VkCommandBuffer commands, VkPipeline pipeline,
                  const struct cdl_launch *launch) {
    dev->vkd.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
    dev->vkd.CmdPushConstants(commands, dev->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, launch->push_bytes,
                              launch->push.bytes);
    dev->vkd.CmdDispatch(commands, launch->groups[0], launch->groups[1], 1);
}

int cdl_num_queries(const struct cdl_session *s, int images) {
    return CDL_NUM_RUN_QUERIES + (s->timings ? cdl_plan_num_dispatches(&s->plan, images) : 0);
}

void cdl_record_begin(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, bool first) {
    struct cdl_device *dev = s->dev;
    // An earlier run of this session, in another slot, may still use the arena.
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    if (!slot->queries || !first)
        return;
    dev->vkd.CmdResetQueryPool(commands, slot->queries, 0, (uint32_t)cdl_num_queries(s, s->info.max_batch));
    dev->vkd.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries, CDL_QUERY_BEGIN);
}

void cdl_record_steps(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images, int first,
                      int end) {
    struct cdl_device *dev = s->dev;
    const struct cdl_plan *plan = &s->plan;
    struct cdl_launch launch;
    if (slot->queries && first == 0)
        dev->vkd.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries,
                                   CDL_QUERY_PREPROCESSED);
    for (int i = first; i < end; i++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(plan, images, i);
        const struct cdl_addresses at = cdl_plan_addresses(plan, &d, s->arena.address, s->weights->buffer.address);
        // Before the first: the preprocessed pixels, or the steps of the slice before. Layers that overlap have no time
        // of their own: a timed run serializes them.
        if (i == first || d.barrier_before || s->timings)
            compute_barrier(dev, commands);
        cdl_kernel_launch(&plan->steps[d.step].kernel, &plan->graph, &plan->graph.ops[d.step], d.images, &at, &launch);
        cdl_dispatch(dev, commands, s->pipelines[d.step], &launch);
        if (s->timings && slot->queries)
            dev->vkd.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries,
                                       (uint32_t)(CDL_NUM_RUN_QUERIES + i));
    }
}

// Softmax and order of the logits, and what the host reads on its way there.
void cdl_record_results(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, int images) {
    struct cdl_device *dev = s->dev;
    const struct cdl_graph *g = &s->plan.graph;
    const struct cdl_results_layout *l = &s->results;
    const uint64_t results = s->arena.address + s->results_at;
    struct cdl_launch launch = {.push_bytes = sizeof launch.push.classify};
    launch.push.classify = (struct classify_params){
        .src = s->arena.address + s->plan.value_at[g->num_values - 1],
        .logits = results + l->logits,
        .probs = results + l->probs,
        .order = results + l->order,
        .images = images,
        .classes = s->info.num_classes,
        .src_stride = cdl_padded_channels(s->info.num_classes),
        .sort_size = l->sort_size,
    };
    cdl_launch_workgroups(&launch, (uint64_t)images);
    compute_barrier(dev, commands);
    cdl_dispatch(dev, commands, s->softmax, &launch);
    cdl_dispatch(dev, commands, s->top_k, &launch);
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);

    const size_t batch = (size_t)images, plane = batch * (size_t)s->info.num_classes * sizeof(float);
    const VkBufferCopy regions[] = {
        {s->results_at + l->logits, l->logits, plane},
        {s->results_at + l->probs, l->probs, plane},
        {s->results_at + l->order, l->order, batch * (size_t)l->sort_size * sizeof(uint32_t)},
        {s->plan.value_at[g->features], l->features, batch * l->features_stride},
        {s->plan.value_at[g->map], l->map, batch * l->map_stride},
    };
    const uint32_t count = CDL_COUNT(regions) - (l->map_stride ? 0 : 1);
    dev->vkd.CmdCopyBuffer(commands, s->arena.handle, slot->readback.handle, count, regions);
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                VK_ACCESS_HOST_READ_BIT);
    if (slot->queries)
        dev->vkd.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, slot->queries, CDL_QUERY_END);
}

cdl_result cdl_record_network(struct cdl_session *s, struct cdl_slot *slot, int images) {
    struct cdl_device *dev = s->dev;
    cdl_result r = CDL_OK;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    slot->recorded_images = 0;
    CDL_VK(dev, BeginCommandBuffer(slot->network, &begin));
    cdl_record_steps(s, slot, slot->network, images, 0, cdl_plan_num_dispatches(&s->plan, images));
    cdl_record_results(s, slot, slot->network, images);
    CDL_VK(dev, EndCommandBuffer(slot->network));
    slot->recorded_images = images;
error:
    return r;
}

// ---- submit and wait

static bool valid_pixels(const struct cdl_session *s, const struct cdl_pixels *p) {
    if (!p->data || p->width < 1 || p->height < 1 || p->format < CDL_FORMAT_RGBA8 || p->format > CDL_FORMAT_NV12)
        return false;
    if (p->format == CDL_FORMAT_TENSOR_F32)
        return p->width == s->info.width && p->height == s->info.height && p->stride == 0;
    return cdl_stride_fits(p->format, p->width, p->stride) && p->orientation >= 0 && p->orientation <= 8;
}

struct cdl_slot *cdl_idle_slot(struct cdl_session *s, int index) {
    if (index < 0 || index >= s->info.num_slots || s->slots[index].state != CDL_SLOT_IDLE)
        return NULL;
    for (int i = 0; i < s->info.num_slots; i++)
        if (s->slots[i].state == CDL_SLOT_RECORDING)
            return NULL;
    return &s->slots[index];
}

cdl_result cdl_session_submit(cdl_session *s, int slot_index, const struct cdl_pixels *images, int count) {
    const cdl_log *log = &s->dev->log;
    CDL_REQUIRE(log, images != NULL && count >= 1 && count <= s->info.max_batch);
    struct cdl_slot *slot = cdl_idle_slot(s, slot_index);
    if (!slot)
        return cdl_fail(log, CDL_ERR_INVALID, "%s: slot %d is out of range or busy, or a run is half recorded",
                        __func__, slot_index);
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
        slot->state = CDL_SLOT_SUBMITTED;
        slot->num_images = count;
    }
    return r;
}

cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns) {
    return cdl_timeline_wait(s->dev, slot->done, slot->submitted, timeout_ns);
}

// Makes what a finished run wrote readable.
cdl_result cdl_take_results(struct cdl_session *s, struct cdl_slot *slot) {
    struct cdl_device *dev = s->dev;
    const uint32_t queries = (uint32_t)cdl_num_queries(s, slot->num_images);
    cdl_result r = cdl_buffer_invalidate(&slot->readback, dev);
    if (r == CDL_OK && slot->queries)
        CDL_VK(dev,
               GetQueryPoolResults(dev->handle, slot->queries, 0, queries, queries * sizeof *slot->ticks, slot->ticks,
                                   sizeof *slot->ticks, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT));
error:
    return r;
}

cdl_result cdl_session_wait(cdl_session *s, int slot_index, uint64_t timeout_ns) {
    CDL_REQUIRE(&s->dev->log, slot_index >= 0 && slot_index < s->info.num_slots);
    struct cdl_slot *slot = &s->slots[slot_index];
    if (slot->state == CDL_SLOT_IDLE)
        return CDL_OK;
    if (slot->state != CDL_SLOT_SUBMITTED)
        return cdl_fail(&s->dev->log, CDL_ERR_INVALID,
                        "%s: slot %d was recorded, not submitted by Cardinal: cdl_vk_retire takes it", __func__,
                        slot_index);
    cdl_result r = cdl_slot_wait(s, slot, timeout_ns);
    if (r != CDL_OK && r != CDL_ERR_DEVICE_LOST)
        return r; // still in flight, for all that is known
    slot->state = CDL_SLOT_IDLE;
    if (r == CDL_OK)
        r = cdl_take_results(s, slot);
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
    if (slot < 0 || slot >= s->info.num_slots || s->slots[slot].state != CDL_SLOT_IDLE || image < 0 ||
        image >= s->slots[slot].num_images)
        return NULL;
    return &s->slots[slot];
}

static const void *result_at(const struct cdl_slot *slot, size_t plane, int image, size_t stride) {
    return (const uint8_t *)slot->readback.mapped + plane + (size_t)image * stride;
}

static size_t class_stride(const struct cdl_session *s) { return (size_t)s->info.num_classes * sizeof(float); }

const float *cdl_session_logits(const cdl_session *s, int slot_index, int image) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    return slot ? result_at(slot, s->results.logits, image, class_stride(s)) : NULL;
}

cdl_result cdl_session_topk(const cdl_session *s, int slot_index, int image, struct cdl_class *out, int k) {
    const cdl_log *log = &s->dev->log;
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    CDL_REQUIRE(log, slot != NULL && out != NULL);
    CDL_REQUIRE(log, k >= 0 && k <= s->info.num_classes);
    const float *logits = result_at(slot, s->results.logits, image, class_stride(s));
    const float *probs = result_at(slot, s->results.probs, image, class_stride(s));
    const uint32_t *order = result_at(slot, s->results.order, image, (size_t)s->results.sort_size * sizeof(uint32_t));
    for (int i = 0; i < k; i++)
        out[i] = (struct cdl_class){(int)order[i], probs[order[i]], logits[order[i]]};
    return CDL_OK;
}

const float *cdl_session_features(const cdl_session *s, int slot_index, int image) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    return slot ? result_at(slot, s->results.features, image, s->results.features_stride) : NULL;
}

cdl_result cdl_session_cam(const cdl_session *s, int slot_index, int image, int class_id, float *out) {
    const cdl_log *log = &s->dev->log;
    const struct cdl_slot *slot = finished_slot(s, slot_index, image);
    CDL_REQUIRE(log, slot != NULL && out != NULL);
    CDL_REQUIRE(log, class_id >= 0 && class_id < s->info.num_classes);
    if (!s->class_weights)
        return cdl_fail(log, CDL_ERR_INVALID, "%s: the session was created without `cam`", __func__);
    const struct cdl_graph *g = &s->plan.graph;
    const size_t padded = (size_t)cdl_padded_channels(s->info.num_features);
    const void *map = result_at(slot, s->results.map, image, s->results.map_stride);
    cdl_tensor_read_row(g->ops[g->num_ops - 1].weight, class_id, s->class_weights);
    for (int i = 0; i < s->info.cam_width * s->info.cam_height; i++) {
        double sum = 0;
        for (size_t c = 0; c < (size_t)s->info.num_features; c++) {
            const size_t at = (size_t)i * padded + c;
            const float value = s->plan.fp16 ? cdl_f16_to_f32(((const uint16_t *)map)[at]) : ((const float *)map)[at];
            sum += (double)s->class_weights[c] * (double)value;
        }
        out[i] = (float)sum;
    }
    return CDL_OK;
}

cdl_result cdl_session_seen(const cdl_session *s, int picture_width, int picture_height, struct cdl_region *out) {
    const cdl_log *log = &s->dev->log;
    struct cdl_geometry g;
    CDL_REQUIRE(log, out != NULL);
    *out = (struct cdl_region){0};
    if (!cdl_resize_geometry(picture_width, picture_height, s->resize_size, s->info.width, s->info.height, &g))
        return cdl_fail(log, CDL_ERR_INVALID, "%s: a picture of %dx%d pixels; sides of 1 to %d are possible", __func__,
                        picture_width, picture_height, CDL_MAX_PICTURE_SIDE);
    const float scale_x = (float)picture_width / (float)g.resized_width,
                scale_y = (float)picture_height / (float)g.resized_height;
    *out = (struct cdl_region){(float)g.crop_left * scale_x, (float)g.crop_top * scale_y,
                               (float)s->info.width * scale_x, (float)s->info.height * scale_y};
    return CDL_OK;
}

static uint64_t ticks_to_ns(const struct cdl_device *dev, uint64_t from, uint64_t to) {
    const uint64_t mask = dev->timestamp_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << dev->timestamp_bits) - 1;
    return (uint64_t)((double)((to - from) & mask) * (double)dev->timestamp_period);
}

uint64_t cdl_session_gpu_ns(const cdl_session *s, int slot_index) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    return slot && slot->queries ? ticks_to_ns(s->dev, slot->ticks[CDL_QUERY_BEGIN], slot->ticks[CDL_QUERY_END]) : 0;
}

uint64_t cdl_session_preprocess_ns(const cdl_session *s, int slot_index) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    return slot && slot->queries
               ? ticks_to_ns(s->dev, slot->ticks[CDL_QUERY_BEGIN], slot->ticks[CDL_QUERY_PREPROCESSED])
               : 0;
}

cdl_result cdl_session_timings(const cdl_session *s, int slot_index, struct cdl_timing *out, int cap, int *num) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    const struct cdl_graph *g = &s->plan.graph;
    CDL_REQUIRE(&s->dev->log, num != NULL && (out != NULL || cap == 0) && slot != NULL && s->timings);
    const struct cdl_plan *plan = &s->plan;
    *num = slot->queries ? plan->num_order : 0;
    for (int k = 0; k < *num && k < cap; k++) {
        const int i = plan->order[k], src = cdl_plan_source(plan, i);
        const struct cdl_op *op = &g->ops[i];
        const size_t per_image = cdl_plan_image_bytes(plan, src) + cdl_plan_image_bytes(plan, op->dst) +
                                 (op->residual >= 0 ? cdl_plan_image_bytes(plan, op->residual) : 0);
        const bool pair = plan->steps[i].kernel.pair;
        out[k] = (struct cdl_timing){
            .layer = op->name,
            .operation = s->texts[i].operation,
            .kernel = s->texts[i].kernel,
            .flops = cdl_op_flops(g, op, slot->num_images) + (pair ? cdl_op_flops(g, op - 1, slot->num_images) : 0),
            .bytes = per_image * (size_t)slot->num_images + plan->steps[i].kernel.weight_bytes +
                     (pair ? plan->steps[i - 1].kernel.weight_bytes : 0),
        };
    }
    for (int i = 0, n = *num ? cdl_plan_num_dispatches(plan, slot->num_images) : 0; i < n; i++) {
        const int step = cdl_plan_dispatch(plan, slot->num_images, i).step; // in a segment several times: their sum
        const uint64_t *end = &slot->ticks[CDL_NUM_RUN_QUERIES + i];
        int k = 0;
        while (plan->order[k] != step)
            k++;
        if (k < cap)
            out[k].gpu_ns += ticks_to_ns(s->dev, i ? end[-1] : slot->ticks[CDL_QUERY_PREPROCESSED], *end);
    }
    return CDL_OK;
}

// ---- for tests

cdl_result cdl_session_read_value(cdl_session *s, int value, int image, float *out) {
    struct cdl_device *dev = s->dev;
    const struct cdl_value *v = &s->plan.graph.values[value];
    const bool fp16 = s->plan.fp16 && !v->fp32;
    const size_t padded = (size_t)cdl_padded_channels(v->channels), pixels = (size_t)v->height * (size_t)v->width;
    const size_t bytes = cdl_plan_image_bytes(&s->plan, value);
    struct cdl_buffer host;
    const VkBufferCopy region = {cdl_plan_value_at(&s->plan, value, image), 0, bytes};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    struct cdl_slot *slot = &s->slots[0];
    cdl_result r = cdl_buffer_create(&host, dev, bytes, CDL_MEMORY_READBACK, "a value");
    if (r != CDL_OK)
        return r;
    CDL_VK(dev, BeginCommandBuffer(slot->preprocess, &begin));
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    dev->vkd.CmdCopyBuffer(slot->preprocess, s->arena.handle, host.handle, 1, &region);
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
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
