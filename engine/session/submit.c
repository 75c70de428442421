// submit.c - submits runs of the host's pictures and tensors, and waits for them.
//
// Pictures that outgrow the staging buffer go in several parts, and the GPU finishes with one before the next is
// staged. The network is submitted with the last.
#include "session/submit.h"

#include <string.h>

#include "session/pixels.h"
#include "session/record.h"
#include "session/results.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

static cdl_result check_pixels(const struct cdl_session *s, const struct cdl_pixels *images, int index) {
    const cdl_log *log = &s->dev->log;
    const struct cdl_pixels *p = &images[index];
    const bool tensor = p->format == CDL_FORMAT_TENSOR_F32;
    CDL_EXPECT(log, p->data, "images[%d].data is NULL", index);
    CDL_EXPECT(log, p->format >= CDL_FORMAT_RGBA8 && p->format <= CDL_FORMAT_NV12,
               "images[%d].format is %d, no cdl_format", index, (int)p->format);
    CDL_EXPECT(log, tensor == (images[0].format == CDL_FORMAT_TENSOR_F32),
               "images[%d].format: a run takes pictures or CDL_FORMAT_TENSOR_F32, not both", index);
    if (tensor) {
        CDL_EXPECT(log, p->width == s->info.width && p->height == s->info.height,
                   "images[%d]: width and height of a tensor are %dx%d, the network's input is %dx%d", index, p->width,
                   p->height, s->info.width, s->info.height);
        CDL_EXPECT(log, p->stride == 0, "images[%d].stride is %zu; a tensor is tight, which is 0", index, p->stride);
        return CDL_OK;
    }
    CDL_EXPECT(log, p->width >= 1 && p->width <= CDL_MAX_PICTURE_SIDE, "images[%d].width is %d; 1 to %d are possible",
               index, p->width, CDL_MAX_PICTURE_SIDE);
    CDL_EXPECT(log, p->height >= 1 && p->height <= CDL_MAX_PICTURE_SIDE,
               "images[%d].height is %d; 1 to %d are possible", index, p->height, CDL_MAX_PICTURE_SIDE);
    CDL_EXPECT(log, cdl_stride_fits(p->format, p->width, p->stride),
               "images[%d].stride is %zu, less than a row of %d pixels takes", index, p->stride, p->width);
    CDL_EXPECT(log, p->orientation >= 0 && p->orientation <= 8, "images[%d].orientation is %d; 0 to 8 are possible",
               index, p->orientation);
    return CDL_OK;
}

struct cdl_slot *cdl_idle_slot(struct cdl_session *s, int index) {
    if (index < 0 || index >= s->info.num_slots || s->slots[index].state != CDL_SLOT_IDLE)
        return NULL;
    for (int i = 0; i < s->info.num_slots; i++)
        if (s->slots[i].state == CDL_SLOT_RECORDING)
            return NULL;
    return &s->slots[index];
}

// Submits the preprocessing of what is staged; with the last part, the network behind it.
static cdl_result submit_part(struct cdl_stage *st, VkPipeline pipeline, const struct cdl_launch *launch, bool first,
                              bool last) {
    struct cdl_session *s = st->s;
    struct cdl_device *dev = s->dev;
    const VkCommandBuffer commands[] = {st->slot->preprocess, st->slot->network};
    cdl_result r = cdl_upload_flush(st->slot->staging);
    if (r == CDL_OK)
        r = cdl_commands_begin(dev, st->slot->preprocess);
    if (r != CDL_OK)
        return r;
    cdl_upload_record(st->slot->staging, st->slot->preprocess, st->used);
    cdl_record_begin(s, st->slot, st->slot->preprocess, first);
    cdl_dispatch(dev, st->slot->preprocess, pipeline, launch);
    CDL_VK(dev, EndCommandBuffer(st->slot->preprocess));
    r = cdl_queue_submit(dev, commands, last ? 2 : 1, NULL, st->slot->done);
    st->slot->in_flight = r == CDL_OK;
    if (r == CDL_OK && !last)
        r = cdl_slot_wait(s, st->slot, UINT64_MAX);
error:
    return r;
}

static cdl_result submit_pictures(struct cdl_stage *st, const struct cdl_pixels *images, int count) {
    cdl_result r = CDL_OK;
    struct cdl_launch launch;
    for (int image = 0, row = 0, part = 0; r == CDL_OK && image < count; part++) {
        r = cdl_stage_pictures(st, images, count, &image, &row);
        if (r != CDL_OK)
            return r;
        cdl_stage_launch(st, 0, st->num_jobs, &launch);
        r = submit_part(st, st->s->fixed[CDL_PREPROCESS], &launch, part == 0, image == count);
    }
    return r;
}

static cdl_result submit_tensors(struct cdl_stage *st, const struct cdl_pixels *images, int count) {
    cdl_result r = CDL_OK;
    struct cdl_launch launch;
    for (int image = 0; r == CDL_OK && image < count;) {
        const bool first = image == 0;
        image += cdl_stage_tensors(st, images, count, image, &launch);
        r = submit_part(st, st->s->fixed[CDL_IMPORT], &launch, first, image == count);
    }
    return r;
}

cdl_result cdl_session_submit(cdl_session *s, int slot_index, const struct cdl_pixels *images, int count) {
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, images, "images is NULL");
    CDL_EXPECT(log, count >= 1 && count <= s->info.max_batch, "count is %d; 1 to %d (max_batch) are possible", count,
               s->info.max_batch);
    struct cdl_slot *slot = cdl_idle_slot(s, slot_index);
    if (!slot)
        return cdl_fail(log, CDL_ERR_INVALID, "%s: slot %d is out of range or busy, or a run is half recorded",
                        __func__, slot_index);
    cdl_result r = CDL_OK;
    for (int i = 0; r == CDL_OK && i < count; i++)
        r = check_pixels(s, images, i);
    if (r != CDL_OK)
        return r;
    r = cdl_slot_settle(s, slot);
    slot->num_images = 0;
    if (r == CDL_OK && slot->recorded_images != count)
        r = cdl_record_network(s, slot, count);
    if (r == CDL_OK) {
        struct cdl_stage stage = cdl_stage_begin(s, slot);
        r = images[0].format == CDL_FORMAT_TENSOR_F32 ? submit_tensors(&stage, images, count)
                                                      : submit_pictures(&stage, images, count);
    }
    if (r == CDL_OK) {
        slot->state = CDL_SLOT_SUBMITTED;
        slot->num_images = count;
    }
    return r;
}

cdl_result cdl_slot_wait(struct cdl_session *s, struct cdl_slot *slot, uint64_t timeout_ns) {
    const cdl_result r = slot->in_flight ? cdl_fence_wait(s->dev, slot->done, timeout_ns) : CDL_OK;
    slot->in_flight = slot->in_flight && r != CDL_OK;
    return r;
}

cdl_result cdl_slot_recordings_done(struct cdl_session *s, struct cdl_slot *slot) {
    uint32_t progress;
    if (slot->recordings == slot->settled)
        return CDL_OK;
    const cdl_result r = cdl_buffer_invalidate(&slot->readback, s->dev);
    if (r != CDL_OK)
        return r;
    memcpy(&progress, (const uint8_t *)slot->readback.mapped + s->results.progress, sizeof progress);
    if (progress != slot->recordings)
        return CDL_NOT_READY;
    slot->settled = slot->recordings;
    return CDL_OK;
}

static cdl_result too_long(const struct cdl_session *s, const struct cdl_slot *slot, uint64_t patience) {
    return cdl_fail(&s->dev->log, CDL_ERR_INVALID,
                    "slot %d: the queue did not finish what was submitted to it within %.3g s; was a semaphore that it "
                    "waits for never signalled?",
                    (int)(slot - s->slots), (double)patience / 1e9);
}

cdl_result cdl_slot_settle(struct cdl_session *s, struct cdl_slot *slot) {
    struct cdl_device *dev = s->dev;
    // Only a host's semaphores, and what else a host submits, can make a wait endless.
    const uint64_t patience = s->inputs ? dev->patience_ns : UINT64_MAX;
    cdl_result r = cdl_slot_wait(s, slot, patience);
    if (r == CDL_OK)
        r = cdl_slot_recordings_done(s, slot);
    else if (r == CDL_NOT_READY)
        r = too_long(s, slot, patience);
    if (r == CDL_NOT_READY) {
        // An empty submission: its fence is signalled after all that was submitted before it.
        r = cdl_queue_submit(dev, NULL, 0, NULL, slot->done);
        slot->in_flight = r == CDL_OK;
        if (r == CDL_OK)
            r = cdl_slot_wait(s, slot, patience);
        if (r == CDL_OK)
            slot->settled = slot->recordings;
        else if (r == CDL_NOT_READY)
            r = too_long(s, slot, patience);
    }
    return r;
}

cdl_result cdl_session_wait(cdl_session *s, int slot_index, uint64_t timeout_ns) {
    CDL_EXPECT(&s->dev->log, slot_index >= 0 && slot_index < s->info.num_slots, "cdl_session_wait: slot is %d of %d",
               slot_index, s->info.num_slots);
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
