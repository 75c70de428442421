// host_run.c - runs on a host's own terms: its images and buffers as pictures, its command buffers, its semaphores.
//
// A host's pictures come by descriptors, two sets for each place in a slot's batch, written while the slot is idle;
// everything else comes by addresses, as in record.c. One set is for views, the other for a buffer: in a set that had
// both, the descriptors that a run does not need would outlive what they point to, which Vulkan allows and drivers read
// all the same (lavapipe 22.3.6, when the set is bound).
#include "session/host_run.h"

#include <stdlib.h>

#include "session/host_input.h"
#include "session/pixels.h"
#include "session/record.h"
#include "session/results.h"
#include "session/submit.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

_Static_assert(CDL_COUNT(((struct cdl_submit_semaphores *)0)->signals) == CDL_VK_MAX_SEMAPHORES, "all of them");

// ---- session

static cdl_result create_pipelines(struct cdl_session *s) {
    static const enum cdl_fixed_program wanted[] = {CDL_PREPROCESS_VIEW, CDL_PREPROCESS_NV12, CDL_PREPROCESS_BUFFER};
    cdl_result r = CDL_OK;
    for (size_t i = 0; r == CDL_OK && i < CDL_COUNT(wanted); i++) {
        const struct cdl_program program = cdl_fixed_program(wanted[i], s->plan.fp16);
        r = cdl_pipeline_get(&s->fixed[wanted[i]], s->dev, &program);
    }
    return r;
}

cdl_result cdl_create_inputs(struct cdl_session *s) {
    struct cdl_device *dev = s->dev;
    const uint32_t batch = (uint32_t)s->info.max_batch, sets = 2 * batch * (uint32_t)s->info.num_slots;
    const VkDescriptorPoolSize sizes[] = {{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets},
                                          {VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, 2 * sets}};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = sets,
        .poolSizeCount = CDL_COUNT(sizes),
        .pPoolSizes = sizes,
    };
    VkDescriptorSetLayout *layouts = malloc(2 * batch * sizeof *layouts);
    cdl_result r =
        layouts ? create_pipelines(s) : cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    if (r != CDL_OK)
        goto error;
    CDL_VK(dev, CreateDescriptorPool(dev->handle, &pool, dev->allocator, &s->inputs));
    for (uint32_t i = 0; i < 2 * batch; i++)
        layouts[i] = dev->input_set_layout;
    const VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = s->inputs,
        .descriptorSetCount = 2 * batch,
        .pSetLayouts = layouts,
    };
    for (int i = 0; i < s->info.num_slots; i++) {
        VkDescriptorSet *slot_sets = calloc(2 * batch, sizeof *slot_sets);
        s->slots[i].inputs = slot_sets;
        if (!slot_sets) {
            r = cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
            goto error;
        }
        CDL_VK(dev, AllocateDescriptorSets(dev->handle, &allocate, slot_sets));
    }
error:
    free(layouts);
    return r;
}

// ---- a host's pictures

static VkDescriptorSet *set_of(const struct cdl_slot *slot, int place, const struct cdl_vk_input *in) {
    return &slot->inputs[2 * place + (in->buffer ? 1 : 0)];
}

// Points the place's descriptor set to the picture. Returns the byte of the buffer's binding where it begins.
static size_t write_descriptors(const struct cdl_session *s, VkDescriptorSet set, const struct cdl_vk_input *in) {
    struct cdl_device *dev = s->dev;
    const VkDeviceSize skipped = in->offset % dev->storage_align; // bindings begin at multiples of that
    const VkDescriptorBufferInfo buffer = {in->buffer, in->offset - skipped,
                                           skipped + cdl_stride_of(in) * ((size_t)in->height - 1) +
                                               (size_t)in->width * 4};
    const VkDescriptorImageInfo images[] = {
        {.imageView = in->view, .imageLayout = in->layout},
        {.imageView = in->chroma_view ? in->chroma_view : in->view, .imageLayout = in->layout}};
    VkWriteDescriptorSet writes[2];
    uint32_t count = 0;
    if (in->buffer) {
        writes[count++] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                                 .dstSet = set,
                                                 .dstBinding = CDL_BINDING_BUFFER,
                                                 .descriptorCount = 1,
                                                 .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                                 .pBufferInfo = &buffer};
    } else {
        for (uint32_t i = 0; i < CDL_COUNT(images); i++)
            writes[count++] = (VkWriteDescriptorSet){.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                                     .dstSet = set,
                                                     .dstBinding = CDL_BINDING_VIEW + i,
                                                     .descriptorCount = 1,
                                                     .descriptorType = VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE,
                                                     .pImageInfo = &images[i]};
    }
    dev->vkd.UpdateDescriptorSets(dev->handle, count, writes, 0, NULL);
    return (size_t)skipped;
}

static cdl_result stage_input(struct cdl_stage *stage, const struct cdl_vk_input *in, int place) {
    struct cdl_session *s = stage->s;
    const struct cdl_part part = cdl_part_of(in);
    struct cdl_source source;
    struct cdl_pixel_walk walk;
    cdl_result r = cdl_describe_source(s, part.width, part.height, in->orientation, &source);
    if (r != CDL_OK)
        return r;
    if (stage->used + cdl_stage_job_bytes(s, &source) > s->info.staging_bytes)
        return cdl_fail(&s->dev->log, CDL_ERR_NOMEM,
                        "the coefficients of %d pictures do not fit a staging buffer of %zu KiB; raise staging_bytes",
                        place + 1, s->info.staging_bytes >> 10);
    const size_t skipped = write_descriptors(s, *set_of(stage->slot, place, in), in);
    struct cdl_job_draft draft = cdl_stage_draft(stage, &source, place, 0, s->info.height);
    struct preprocess_job *job = &draft.job;
    const size_t stride =
        in->view ? 1 << 16 : cdl_stride_of(in) / 4; // a view's places are rows and columns in 16 bits each
    cdl_orient(in->orientation, part.width, part.height, stride, 1, &walk);
    const int64_t first = (int64_t)(skipped / 4) + part.y * (int64_t)stride + part.x;
    job->base = (int)(uint32_t)(first + walk.base); // wraps, as the kernel's sums do
    job->step_x = (int)walk.step_x;
    job->step_y = (int)walk.step_y;
    job->swap_rb = in->buffer && in->format == CDL_FORMAT_BGRA8;
    job->linear = in->linear;
    cdl_stage_job(stage, &draft);
    return CDL_OK;
}

// ---- recording

static int num_slices_of(const struct cdl_vk_run *run) { return run->num_slices ? run->num_slices : 1; }

// A later slice goes on with what the slot's first one began.
static cdl_result check_slice(const struct cdl_session *s, const struct cdl_vk_run *run) {
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, run->slot >= 0 && run->slot < s->info.num_slots && s->slots[run->slot].state == CDL_SLOT_RECORDING,
               "slice is %d, but no run is begun in slot %d: slice 0 comes first", run->slice, run->slot);
    const struct cdl_slot *slot = &s->slots[run->slot];
    CDL_EXPECT(log, run->slice == slot->next_slice, "slice is %d; slot %d wants slice %d next", run->slice, run->slot,
               slot->next_slice);
    CDL_EXPECT(log, run->num_slices == slot->num_slices, "num_slices is %d, in the run's first slice it was %d",
               run->num_slices, slot->num_slices);
    CDL_EXPECT(log, run->count == slot->num_images, "count is %d, in the run's first slice it was %d", run->count,
               slot->num_images);
    return CDL_OK;
}

static cdl_result check_run(struct cdl_session *s, const struct cdl_vk_run *run) {
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, s->inputs, "the session was created without `vulkan`: it takes no run of a host's");
    CDL_EXPECT(log, run->num_slices >= 0 && run->num_slices <= s->info.max_slices,
               "num_slices is %d; 0 to %d are possible", run->num_slices, s->info.max_slices);
    CDL_EXPECT(log, run->slice >= 0 && run->slice < num_slices_of(run), "slice is %d of num_slices %d", run->slice,
               num_slices_of(run));
    CDL_EXPECT(log, run->probs_offset % 4 == 0, "probs_offset is %llu, no multiple of 4",
               (unsigned long long)run->probs_offset);
    cdl_result r = cdl_device_check(s->dev);
    if (r != CDL_OK)
        return r;
    if (run->slice > 0)
        return check_slice(s, run);
    CDL_EXPECT(log, cdl_idle_slot(s, run->slot), "slot %d is out of range or busy, or a run is half recorded",
               run->slot);
    CDL_EXPECT(log, run->inputs, "inputs is NULL");
    CDL_EXPECT(log, run->count >= 1 && run->count <= s->info.max_batch, "count is %d; 1 to %d (max_batch) are possible",
               run->count, s->info.max_batch);
    for (int i = 0; r == CDL_OK && i < run->count; i++)
        r = cdl_check_input(s->dev, &run->inputs[i], i);
    return r;
}

static VkPipeline pipeline_of(const struct cdl_session *s, const struct cdl_vk_input *in) {
    return s->fixed[in->buffer ? CDL_PREPROCESS_BUFFER : in->chroma_view ? CDL_PREPROCESS_NV12 : CDL_PREPROCESS_VIEW];
}

static void record_inputs(struct cdl_stage *stage, VkCommandBuffer commands, const struct cdl_vk_run *run) {
    struct cdl_device *dev = stage->s->dev;
    struct cdl_launch launch;
    for (int i = 0; i < run->count; i++) {
        cdl_stage_launch(stage, i, 1, &launch);
        dev->vkd.CmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline_of(stage->s, &run->inputs[i]));
        dev->vkd.CmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, dev->input_layout, 0, 1,
                                       set_of(stage->slot, i, &run->inputs[i]), 0, NULL);
        dev->vkd.CmdPushConstants(commands, dev->input_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, launch.push_bytes,
                                  launch.push.bytes);
        dev->vkd.CmdDispatch(commands, launch.groups[0], launch.groups[1], 1);
    }
}

// The slot's staging buffer and descriptors take the run's pictures.
static cdl_result stage_inputs(struct cdl_stage *stage, const struct cdl_vk_run *run) {
    cdl_result r = CDL_OK;
    for (int i = 0; r == CDL_OK && i < run->count; i++)
        r = stage_input(stage, &run->inputs[i], i);
    return r == CDL_OK ? cdl_upload_flush(stage->slot->staging) : r;
}

// For a graphics debugger: what follows is a part of a run.
static void begin_label(struct cdl_device *dev, VkCommandBuffer commands, const struct cdl_vk_run *run) {
    char text[64];
    const VkDebugUtilsLabelEXT label = {.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_LABEL_EXT, .pLabelName = text};
    if (!dev->vkd.CmdBeginDebugUtilsLabelEXT || !dev->vkd.CmdEndDebugUtilsLabelEXT)
        return;
    cdl_format_text(text, sizeof text, "Cardinal: slot %d, slice %d of %d", run->slot, run->slice + 1,
                    num_slices_of(run));
    dev->vkd.CmdBeginDebugUtilsLabelEXT(commands, &label);
}

static cdl_result record(struct cdl_session *s, VkCommandBuffer commands, const struct cdl_vk_run *run) {
    struct cdl_slot *slot = &s->slots[run->slot];
    const int num_slices = num_slices_of(run);
    if (run->slice == 0) {
        struct cdl_stage stage = cdl_stage_begin(s, slot);
        cdl_result r = cdl_slot_settle(s, slot);
        slot->num_images = 0;
        if (r == CDL_OK)
            r = stage_inputs(&stage, run);
        if (r != CDL_OK)
            return r;
        begin_label(s->dev, commands, run);
        cdl_upload_record(slot->staging, commands, stage.used);
        cdl_record_begin(s, slot, commands, true);
        record_inputs(&stage, commands, run);
    } else {
        begin_label(s->dev, commands, run);
    }
    const int first = run->slice ? cdl_plan_slice_end(&s->plan, run->count, run->slice - 1, num_slices) : 0;
    cdl_record_steps(s, slot, commands, run->count, first,
                     cdl_plan_slice_end(&s->plan, run->count, run->slice, num_slices));
    if (run->slice == num_slices - 1) {
        cdl_record_results(s, slot, commands, run->count);
        const VkBufferCopy region = {s->results_at + s->results.probs, run->probs_offset,
                                     (VkDeviceSize)run->count * (VkDeviceSize)s->info.num_classes * sizeof(float)};
        if (run->probs)
            s->dev->vkd.CmdCopyBuffer(commands, s->arena.handle, run->probs, 1, &region);
    }
    if (s->dev->vkd.CmdBeginDebugUtilsLabelEXT && s->dev->vkd.CmdEndDebugUtilsLabelEXT)
        s->dev->vkd.CmdEndDebugUtilsLabelEXT(commands);
    slot->num_images = run->count;
    slot->num_slices = run->num_slices;
    slot->next_slice = run->slice + 1;
    slot->state = run->slice == num_slices - 1 ? CDL_SLOT_RECORDED : CDL_SLOT_RECORDING;
    return CDL_OK;
}

// Lets the host know how far the device came: behind all that was recorded so far, the count of recordings.
static void record_progress(struct cdl_session *s, struct cdl_slot *slot, VkCommandBuffer commands) {
    struct cdl_device *dev = s->dev;
    slot->recordings++;
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
    dev->vkd.CmdFillBuffer(commands, slot->readback.handle, s->results.progress, sizeof slot->recordings,
                           slot->recordings);
    // Between slices nothing is lost if the host sees it late.
    if (slot->state == CDL_SLOT_RECORDED)
        cdl_barrier(dev, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                    VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

cdl_result cdl_vk_record(cdl_session *s, VkCommandBuffer cmd, const struct cdl_vk_run *given) {
    struct cdl_vk_run copy, *run = &copy;
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, cmd != VK_NULL_HANDLE, "cdl_vk_record: cmd is VK_NULL_HANDLE");
    CDL_EXPECT(log, given && cdl_read_params(run, sizeof *run, given),
               "cdl_vk_record: run is NULL, or its struct_size 0");
    cdl_result r = check_run(s, run);
    if (r == CDL_OK)
        r = record(s, cmd, run);
    if (r == CDL_OK)
        record_progress(s, &s->slots[run->slot], cmd);
    return r;
}

cdl_result cdl_vk_retire(cdl_session *s, int slot_index, bool executed) {
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, slot_index >= 0 && slot_index < s->info.num_slots, "cdl_vk_retire: slot is %d of %d", slot_index,
               s->info.num_slots);
    struct cdl_slot *slot = &s->slots[slot_index];
    CDL_EXPECT(log, slot->state == CDL_SLOT_RECORDED || slot->state == CDL_SLOT_RECORDING,
               "cdl_vk_retire: nothing was recorded in slot %d", slot_index);
    CDL_EXPECT(log, slot->state == CDL_SLOT_RECORDED || !executed,
               "cdl_vk_retire: slot %d is RECORDING: slices are missing; executed false gives the run up", slot_index);
    cdl_result r = cdl_device_check(s->dev);
    if (r == CDL_OK && executed)
        r = cdl_slot_recordings_done(s, slot);
    if (r == CDL_NOT_READY)
        return cdl_fail(
            log, CDL_ERR_INVALID,
            "cdl_vk_retire: the device is not done with slot %d, or its commands were never submitted; wait "
            "for the submission with its last slice, or give it up by executed = false",
            slot_index);
    slot->state = CDL_SLOT_IDLE;
    if (r == CDL_OK && executed)
        r = cdl_take_results(s, slot);
    if (r != CDL_OK || !executed)
        slot->num_images = 0;
    return r;
}

// ---- submission

// Else logs what is wrong with the list called `name`.
static bool valid_semaphores(const cdl_log *log, const char *name, const cdl_vk_sem *list, int count) {
    const bool sound = count >= 0 && count <= CDL_VK_MAX_SEMAPHORES && (list || count == 0);
    if (!sound)
        cdl_fail(log, CDL_ERR_INVALID, "cdl_vk_submit: %s: %d of them%s; 0 to %d are possible", name, count,
                 list || count == 0 ? "" : " at NULL", CDL_VK_MAX_SEMAPHORES);
    for (int i = 0; sound && i < count; i++)
        if (!list[i].sem) {
            cdl_fail(log, CDL_ERR_INVALID, "cdl_vk_submit: %s[%d].sem is VK_NULL_HANDLE", name, i);
            return false;
        }
    return sound;
}

cdl_result cdl_vk_submit(cdl_session *s, const struct cdl_vk_run *given, const cdl_vk_sem *waits, int num_waits,
                         const cdl_vk_sem *signals, int num_signals) {
    struct cdl_device *dev = s->dev;
    const cdl_log *log = &dev->log;
    struct cdl_vk_run copy, *run = &copy;
    CDL_EXPECT(log, given && cdl_read_params(run, sizeof *run, given),
               "cdl_vk_submit: run is NULL, or its struct_size 0");
    CDL_EXPECT(log, run->num_slices == 0 || run->num_slices == 1,
               "num_slices is %d: cdl_vk_submit takes a whole run, cdl_vk_record slices", run->num_slices);
    if (!valid_semaphores(log, "waits", waits, num_waits) || !valid_semaphores(log, "signals", signals, num_signals))
        return CDL_ERR_INVALID;
    if (num_waits + num_signals > 0 && !dev->timeline)
        return cdl_fail(log, CDL_ERR_UNSUPPORTED,
                        "cdl_vk_submit: semaphores take a device with timelineSemaphore enabled "
                        "(cdl_vk_enable_features)");
    cdl_result r = check_run(s, run);
    if (r != CDL_OK)
        return r;

    struct cdl_slot *slot = &s->slots[run->slot];
    if ((r = cdl_slot_settle(s, slot)) != CDL_OK || (r = cdl_commands_begin(dev, slot->preprocess)) != CDL_OK)
        goto error;
    r = record(s, slot->preprocess, run);
    slot->state = CDL_SLOT_IDLE;
    if (r != CDL_OK) {
        dev->vkd.EndCommandBuffer(slot->preprocess); // the slot's next run begins it again
        goto error;
    }
    CDL_VK(dev, EndCommandBuffer(slot->preprocess));
    struct cdl_submit_semaphores all = {.num_waits = (uint32_t)num_waits, .num_signals = (uint32_t)num_signals};
    for (int i = 0; i < num_waits; i++) {
        all.waits[i] = waits[i].sem;
        all.wait_values[i] = waits[i].value;
    }
    for (int i = 0; i < num_signals; i++) {
        all.signals[i] = signals[i].sem;
        all.signal_values[i] = signals[i].value;
    }
    r = cdl_queue_submit(dev, &slot->preprocess, 1, &all, slot->done);
    if (r != CDL_OK)
        goto error;
    slot->in_flight = true;
    slot->state = CDL_SLOT_SUBMITTED;
    return CDL_OK;
error:
    slot->num_images = 0;
    return r;
}
