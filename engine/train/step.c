// step.c - one step: its pictures staged, preprocessing and network submitted, its result taken a step later.
#include <string.h>

#include "train/trainer.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

static void compute_barrier(struct cdl_device *dev, VkCommandBuffer commands, VkPipelineStageFlags from) {
    cdl_barrier(dev, commands, from, VK_ACCESS_SHADER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

// Every step of the program for so many images, and the copy of its result.
static cdl_result record_network(struct cdl_trainer *t, struct cdl_train_slot *slot, int images) {
    struct cdl_device *dev = t->dev;
    const struct cdl_train_program *p = &t->program;
    cdl_result r = CDL_OK;
    const uint64_t rooms[CDL_NUM_TRAIN_ROOMS] = {
        [CDL_ROOM_ARENA] = t->arena.address,
        [CDL_ROOM_PARAMETERS] = t->parameters.address,
        [CDL_ROOM_GRADIENTS] = t->gradients.address,
        [CDL_ROOM_MOMENTUM] = t->momentum.address,
        [CDL_ROOM_SCALING] = t->scaling.address,
        [CDL_ROOM_INPUT] = cdl_upload_address(slot->staging),
    };
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkBufferCopy result = {p->values[p->result].at, 0, 2 * sizeof(float)},
                       scaling = {0, CDL_READBACK_SCALING, sizeof(struct cdl_train_scaling)};
    struct cdl_launch launch;
    slot->recorded_images = 0;
    CDL_VK(dev, BeginCommandBuffer(slot->network, &begin));
    for (int i = 0; i < p->num_steps; i++) {
        if (i == 0 || p->steps[i].barrier_before) // before the first: the pictures
            compute_barrier(dev, slot->network, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
        cdl_train_launch(p, i, images, rooms, &launch);
        cdl_dispatch(dev, slot->network, t->pipelines[i], &launch);
    }
    cdl_barrier(dev, slot->network, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    dev->vkd.CmdCopyBuffer(slot->network, t->arena.handle, slot->readback.handle, 1, &result);
    dev->vkd.CmdCopyBuffer(slot->network, t->scaling.handle, slot->readback.handle, 1, &scaling);
    cdl_barrier(dev, slot->network, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    CDL_VK(dev, EndCommandBuffer(slot->network));
    slot->recorded_images = images;
error:
    return r;
}

// CDL_NOT_READY: the timeout passed first.
static cdl_result wait_slot(struct cdl_trainer *t, struct cdl_train_slot *slot, uint64_t timeout_ns) {
    const cdl_result r = slot->in_flight ? cdl_fence_wait(t->dev, slot->done, timeout_ns) : CDL_OK;
    slot->in_flight = slot->in_flight && r != CDL_OK;
    return r;
}

cdl_result cdl_train_wait(struct cdl_trainer *t) {
    cdl_result r = CDL_OK;
    for (int i = 0; i < CDL_TRAIN_SLOTS && r == CDL_OK; i++)
        if (t->slots[i].done)
            r = wait_slot(t, &t->slots[i], UINT64_MAX);
    return r;
}

// Submits what is staged; with the last part, the network behind it.
static cdl_result submit_part(struct cdl_trainer *t, struct cdl_train_slot *slot, VkPipeline pipeline,
                              const struct cdl_launch *launch, size_t staged, bool last) {
    struct cdl_device *dev = t->dev;
    const VkCommandBuffer commands[] = {slot->preprocess, slot->network};
    cdl_result r = cdl_upload_flush(slot->staging);
    if (r == CDL_OK)
        r = cdl_commands_begin(dev, slot->preprocess);
    if (r != CDL_OK)
        return r;
    cdl_upload_record(slot->staging, slot->preprocess, staged);
    // The step before, in the other slot, may still use the arena; the upload may be on its way.
    cdl_barrier(dev, slot->preprocess, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
    cdl_dispatch(dev, slot->preprocess, pipeline, launch);
    CDL_VK(dev, EndCommandBuffer(slot->preprocess));
    r = cdl_queue_submit(dev, commands, last ? 2 : 1, NULL, slot->done);
    slot->in_flight = r == CDL_OK;
    if (r == CDL_OK && !last)
        r = wait_slot(t, slot, UINT64_MAX);
error:
    return r;
}

static cdl_result submit(struct cdl_trainer *t, struct cdl_train_slot *slot, const struct cdl_train_picture *pictures,
                         int count, int epoch) {
    struct cdl_train_stage stage = {.t = t, .slot = slot};
    const bool tensors = pictures[0].pixels.format == CDL_FORMAT_TENSOR_F32;
    cdl_result r = CDL_OK;
    for (int next = 0; r == CDL_OK && next < count;) {
        struct cdl_launch launch;
        if (tensors) {
            cdl_train_stage_tensors(&stage, pictures, count, &next, &launch);
        } else {
            r = cdl_train_stage_pictures(&stage, pictures, count, epoch, &next);
            if (r != CDL_OK)
                return r;
            cdl_train_stage_launch(&stage, &launch);
        }
        r = submit_part(t, slot, tensors ? t->import : t->preprocess, &launch, stage.used, next == count);
    }
    return r;
}

static bool valid_pixels(const struct cdl_trainer *t, const struct cdl_pixels *p) {
    if (!p->data || p->width < 1 || p->height < 1 || p->format < CDL_FORMAT_RGBA8 || p->format > CDL_FORMAT_NV12)
        return false;
    if (p->format == CDL_FORMAT_TENSOR_F32)
        return p->width == t->sight.width && p->height == t->sight.height && p->stride == 0;
    return cdl_stride_fits(p->format, p->width, p->stride) && p->orientation >= 0 && p->orientation <= 8;
}

cdl_result cdl_trainer_step(cdl_trainer *t, const struct cdl_train_picture *pictures, int count, int epoch,
                            float learning_rate) {
    const cdl_log *log = &t->dev->log;
    const int classes = t->program.graph.num_classes;
    CDL_REQUIRE(log, pictures != NULL && count >= 1 && count <= t->program.batch);
    for (int i = 0; i < count; i++) {
        CDL_REQUIRE(log, valid_pixels(t, &pictures[i].pixels));
        CDL_REQUIRE(log, (pictures[i].pixels.format == CDL_FORMAT_TENSOR_F32) ==
                             (pictures[0].pixels.format == CDL_FORMAT_TENSOR_F32));
        if (pictures[i].label < 0 || pictures[i].label >= classes)
            return cdl_fail(log, CDL_ERR_INVALID, "label %d; the network has %d classes", pictures[i].label, classes);
    }
    struct cdl_train_slot *slot = &t->slots[t->step % CDL_TRAIN_SLOTS];
    cdl_result r = wait_slot(t, slot, UINT64_MAX);
    if (r == CDL_OK && slot->recorded_images != count)
        r = record_network(t, slot, count);
    if (r != CDL_OK)
        return r;
    slot->images = 0;
    cdl_upload_write(slot->staging, CDL_INPUT_RATE, &learning_rate, sizeof learning_rate);
    for (int i = 0; i < count; i++) {
        const uint32_t label = (uint32_t)pictures[i].label;
        cdl_upload_write(slot->staging, CDL_INPUT_LABELS + (size_t)i * sizeof label, &label, sizeof label);
    }
    r = submit(t, slot, pictures, count, epoch);
    if (r == CDL_OK) {
        slot->step = ++t->step;
        slot->images = count;
    }
    return r;
}

cdl_result cdl_trainer_result(cdl_trainer *t, bool wait, struct cdl_train_result *out) {
    CDL_REQUIRE(&t->dev->log, out != NULL);
    struct cdl_train_slot *oldest = NULL;
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++)
        if (t->slots[i].images && (!oldest || t->slots[i].step < oldest->step))
            oldest = &t->slots[i];
    if (!oldest)
        return CDL_NOT_READY;
    cdl_result r = wait_slot(t, oldest, wait ? UINT64_MAX : 0);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&oldest->readback, t->dev);
    if (r != CDL_OK)
        return r;
    float result[2];
    struct cdl_train_scaling scaling;
    memcpy(result, oldest->readback.mapped, sizeof result);
    memcpy(&scaling, (const uint8_t *)oldest->readback.mapped + CDL_READBACK_SCALING, sizeof scaling);
    *out = (struct cdl_train_result){.step = oldest->step,
                                     .images = oldest->images,
                                     .correct = (int)result[1],
                                     .loss = result[0],
                                     .gradient_norm = scaling.norm,
                                     .skipped = scaling.factor == 0.0f,
                                     .skipped_steps = scaling.skipped,
                                     .loss_scale = scaling.scale};
    oldest->images = 0;
    return CDL_OK;
}
