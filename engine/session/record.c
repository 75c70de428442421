// record.c - records a run: the network's dispatches, and the results on their way to the host.
#include "session/record.h"

#include "vulkan/commands.h"

static void compute_barrier(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

int cdl_num_queries(const struct cdl_session *s, int images) {
    return CDL_NUM_RUN_QUERIES + (s->timings ? cdl_plan_num_dispatches(&s->plan, images) : 0);
}

void cdl_record_begin(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands, bool first) {
    struct cdl_device *dev = s->dev;
    // An earlier run of this session, in another slot, may still use the arena; the upload may be on its way.
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
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
        const struct cdl_work work = cdl_step_work(plan, d.step);
        cdl_kernel_launch(&plan->steps[d.step].kernel, &work, d.images, &at, &launch);
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
        .src = s->arena.address + s->plan.value_at[g->output],
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
    cdl_dispatch(dev, commands, s->fixed[CDL_CLASSIFY], &launch);
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
