// step.c - one step: its pictures staged, preprocessing and network submitted, its result taken a step later.
#include <string.h>

#include "train/trainer.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

static void compute_barrier(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

// Behind what was submitted before, copies too.
static void first_barrier(struct cdl_device *dev, VkCommandBuffer commands) {
    cdl_barrier(dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
                VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT);
}

static void timestamp(struct cdl_trainer *t, const struct cdl_train_slot *slot, VkCommandBuffer commands,
                      uint32_t query) {
    if (slot->queries)
        t->dev->vkd.CmdWriteTimestamp(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, slot->queries, query);
}

// With `timings`: query 0 before the gradients, 1 + i behind their dispatch i; another before the update, and so on.
static bool times_dispatches(const struct cdl_trainer *t, const struct cdl_train_slot *slot) {
    return t->kernel_names && slot->queries;
}

// Before the program's steps [from, to), which are its gradients or its update.
static void begin_timing(struct cdl_trainer *t, const struct cdl_train_slot *slot, VkCommandBuffer commands, int from,
                         int to) {
    const bool dispatches = times_dispatches(t, slot), update = from > 0;
    if (!slot->queries)
        return;
    const uint32_t first = dispatches ? cdl_train_query(&t->program, from) - 1 : update;
    t->dev->vkd.CmdResetQueryPool(commands, slot->queries, first, dispatches ? 1 + (uint32_t)(to - from) : 1);
    if (dispatches || !update)
        timestamp(t, slot, commands, first);
}

void cdl_train_record_steps(struct cdl_trainer *t, const struct cdl_train_slot *slot, VkCommandBuffer commands,
                            int from, int to, int images) {
    const struct cdl_train_program *p = &t->program;
    const uint64_t rooms[CDL_NUM_TRAIN_ROOMS] = {
        [CDL_ROOM_ARENA] = t->arena.address,
        [CDL_ROOM_PARAMETERS] = t->parameters.address,
        [CDL_ROOM_GRADIENTS] = t->gradients.address,
        [CDL_ROOM_MOMENTUM] = t->momentum.address,
        [CDL_ROOM_SCALING] = t->scaling.address,
        [CDL_ROOM_AVERAGES] = t->averages.address,
        [CDL_ROOM_INPUT] = cdl_upload_address(slot->staging),
    };
    struct cdl_launch launch;
    for (int i = from; i < to; i++) {
        if (p->steps[i].barrier_before || times_dispatches(t, slot))
            compute_barrier(t->dev, commands);
        cdl_train_launch(p, i, images, rooms, &launch);
        cdl_dispatch(t->dev, commands, t->pipelines[i], &launch);
        if (times_dispatches(t, slot))
            timestamp(t, slot, commands, cdl_train_query(p, i));
    }
}

// The program up to the gradients, for so many images.
static cdl_result record_gradients(struct cdl_trainer *t, struct cdl_train_slot *slot, int images) {
    struct cdl_device *dev = t->dev;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    cdl_result r = CDL_OK;
    slot->recorded_images = -1;
    CDL_VK(dev, BeginCommandBuffer(slot->gradients, &begin));
    compute_barrier(dev, slot->gradients); // behind the pictures
    begin_timing(t, slot, slot->gradients, 0, t->program.first_update);
    cdl_train_record_steps(t, slot, slot->gradients, 0, t->program.first_update, images);
    CDL_VK(dev, EndCommandBuffer(slot->gradients));
    slot->recorded_images = images;
error:
    return r;
}

static void record_result(struct cdl_trainer *t, const struct cdl_train_slot *slot, VkCommandBuffer commands) {
    const struct cdl_train_program *p = &t->program;
    const VkBufferCopy result = {p->values[p->result].at, 0, 2 * sizeof(float)},
                       scaling = {0, CDL_READBACK_SCALING, sizeof(struct cdl_train_scaling)};
    cdl_barrier(t->dev, commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT,
                VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    t->dev->vkd.CmdCopyBuffer(commands, t->arena.handle, slot->readback.handle, 1, &result);
    t->dev->vkd.CmdCopyBuffer(commands, t->scaling.handle, slot->readback.handle, 1, &scaling);
    cdl_barrier(t->dev, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
}

// The rest of the program, and the copy of its result.
static cdl_result record_update(struct cdl_trainer *t, struct cdl_train_slot *slot) {
    struct cdl_device *dev = t->dev;
    const struct cdl_train_program *p = &t->program;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    cdl_result r = CDL_OK;
    if (slot->update_recorded)
        return CDL_OK;
    CDL_VK(dev, BeginCommandBuffer(slot->update, &begin));
    first_barrier(dev, slot->update); // gradients may have been copied back
    begin_timing(t, slot, slot->update, p->first_update, p->num_steps);
    cdl_train_record_steps(t, slot, slot->update, p->first_update, p->num_steps, p->batch);
    if (!times_dispatches(t, slot))
        timestamp(t, slot, slot->update, 1);
    record_result(t, slot, slot->update);
    CDL_VK(dev, EndCommandBuffer(slot->update));
    slot->update_recorded = true;
error:
    return r;
}

bool cdl_train_mix_changes(struct cdl_train_mix mix) { return mix.of_sum != 0 || mix.of_gradient != 1; }

void cdl_train_record_mix(struct cdl_trainer *t, VkCommandBuffer commands, const struct cdl_train_range *range,
                          struct cdl_train_mix mix, bool into_sum) {
    const uint64_t at = range->at * sizeof(float);
    const struct train_mix_params p = {
        .sum = t->sum.handle ? t->sum.address + at : 0,
        .gradient = t->gradients.address + at,
        .dst = (into_sum ? t->sum.address : t->gradients.address) + at,
        .count4 = (int)(range->count / 4),
        .of_sum = mix.of_sum,
        .of_gradient = mix.of_gradient,
    };
    struct cdl_launch launch = {.push_bytes = sizeof p};
    memcpy(launch.push.bytes, &p, sizeof p);
    cdl_launch_invocations(&launch, (uint64_t)p.count4);
    cdl_dispatch(t->dev, commands, t->mix, &launch);
}

// What becomes of a part's gradients: added to the sum, with the part's result behind it; of the last part's: the
// step's, of which it is a part.
static cdl_result record_mix(struct cdl_trainer *t, struct cdl_train_slot *slot, struct cdl_train_mix mix,
                             bool into_sum) {
    const struct cdl_train_range all = {0, t->program.parameters.trainable};
    struct cdl_device *dev = t->dev;
    cdl_result r = cdl_commands_begin(dev, slot->mix);
    if (r != CDL_OK)
        return r;
    first_barrier(dev, slot->mix);
    cdl_train_record_mix(t, slot->mix, &all, mix, into_sum);
    if (into_sum)
        record_result(t, slot, slot->mix);
    CDL_VK(dev, EndCommandBuffer(slot->mix));
error:
    return r;
}

// ---- results

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

// Adds what a slot gave to its step's result, unless that was dropped.
static cdl_result collect(struct cdl_trainer *t, struct cdl_train_slot *slot, uint64_t timeout_ns) {
    struct cdl_train_tally *tally = &t->tallies[slot->step % CDL_TRAIN_SLOTS];
    uint64_t gpu_ns = 0;
    cdl_result r = wait_slot(t, slot, timeout_ns);
    if (r != CDL_OK || slot->images < 0)
        return r;
    r = cdl_buffer_invalidate(&slot->readback, t->dev);
    if (r == CDL_OK && slot->timed)
        r = cdl_train_timings_take(t, slot, &gpu_ns);
    if (r == CDL_OK && tally->step == slot->step) {
        float result[2];
        memcpy(result, slot->readback.mapped, sizeof result);
        memcpy(&tally->scaling, (const uint8_t *)slot->readback.mapped + CDL_READBACK_SCALING, sizeof tally->scaling);
        tally->gpu_ns = tally->images ? 0 : gpu_ns;
        tally->images += slot->images;
        if (slot->images > 0) {
            tally->correct += (int)result[1];
            tally->loss += (double)result[0] * slot->images;
        }
    }
    slot->images = -1;
    return r;
}

void cdl_train_forget(struct cdl_trainer *t) {
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++) {
        t->slots[i].images = -1;
        t->tallies[i] = (struct cdl_train_tally){.step = 0};
    }
    t->accumulated = 0;
}

cdl_result cdl_trainer_result(cdl_trainer *t, bool wait, struct cdl_train_result *out) {
    CDL_REQUIRE(&t->dev->log, out != NULL);
    struct cdl_train_tally *oldest = NULL;
    cdl_result r = CDL_OK;
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++)
        if (t->tallies[i].step && t->tallies[i].whole && (!oldest || t->tallies[i].step < oldest->step))
            oldest = &t->tallies[i];
    if (!oldest)
        return CDL_NOT_READY;
    for (int i = 0; i < CDL_TRAIN_SLOTS && r == CDL_OK; i++)
        if (t->slots[i].images >= 0 && t->slots[i].step == oldest->step)
            r = collect(t, &t->slots[i], wait ? UINT64_MAX : 0);
    if (r != CDL_OK)
        return r;
    const double images = oldest->images ? oldest->images : 1;
    *out = (struct cdl_train_result){.step = oldest->step,
                                     .images = oldest->images,
                                     .correct = oldest->correct,
                                     .loss = (float)(oldest->loss / images),
                                     .gradient_norm = oldest->scaling.norm,
                                     .skipped = oldest->scaling.factor == 0.0f,
                                     .skipped_steps = oldest->scaling.skipped,
                                     .loss_scale = oldest->scaling.scale,
                                     .gpu_ns = oldest->gpu_ns};
    oldest->step = 0;
    return CDL_OK;
}

// ---- submission

// What goes to the device behind the pictures.
struct work {
    VkCommandBuffer commands[4];
    uint32_t count;
    VkFence fence;
    float mixup; // the share that pictures keep
};

static void add_work(struct work *w, VkCommandBuffer commands) { w->commands[w->count++] = commands; }

// What changes the pictures once all of them are there.
static void record_changes(struct cdl_trainer *t, const struct cdl_train_slot *slot, int images, bool tensors,
                           float mixup) {
    struct cdl_launch launch;
    if (t->jitter && !tensors) {
        compute_barrier(t->dev, slot->preprocess);
        cdl_train_jitter_launch(t, slot, images, &launch);
        cdl_dispatch(t->dev, slot->preprocess, t->jitter, &launch);
    }
    if (t->mixup) {
        compute_barrier(t->dev, slot->preprocess);
        cdl_train_mixup_launch(t, images, mixup, &launch);
        cdl_dispatch(t->dev, slot->preprocess, t->mixup, &launch);
    }
}

// Submits what is staged, of `images` pictures; `behind`, where the next part of the pictures waits for this one: NULL.
static cdl_result submit_part(struct cdl_trainer *t, struct cdl_train_slot *slot, int images, bool tensors,
                              const struct cdl_launch *launch, size_t staged, const struct work *behind) {
    struct cdl_device *dev = t->dev;
    struct work w = {.fence = behind ? behind->fence : slot->done};
    cdl_result r = cdl_upload_flush(slot->staging);
    if (r == CDL_OK)
        r = cdl_commands_begin(dev, slot->preprocess);
    if (r != CDL_OK)
        return r;
    cdl_upload_record(slot->staging, slot->preprocess, staged);
    // The step before, in the other slot, may still use the arena; the upload may be on its way.
    first_barrier(dev, slot->preprocess);
    if (images > 0)
        cdl_dispatch(dev, slot->preprocess, tensors ? t->import : t->preprocess, launch);
    if (images > 0 && behind)
        record_changes(t, slot, images, tensors, behind->mixup);
    CDL_VK(dev, EndCommandBuffer(slot->preprocess));
    add_work(&w, slot->preprocess);
    for (uint32_t i = 0; behind && i < behind->count; i++)
        add_work(&w, behind->commands[i]);
    r = cdl_queue_submit(dev, w.commands, w.count, NULL, w.fence);
    slot->in_flight = r == CDL_OK && w.fence == slot->done;
    if (r == CDL_OK && !behind)
        r = wait_slot(t, slot, UINT64_MAX);
error:
    return r;
}

static cdl_result submit(struct cdl_trainer *t, struct cdl_train_slot *slot, const struct cdl_train_picture *pictures,
                         int count, int epoch, const struct work *behind) {
    struct cdl_train_stage stage = {.t = t, .slot = slot};
    const bool tensors = count > 0 && pictures[0].pixels.format == CDL_FORMAT_TENSOR_F32;
    cdl_result r = CDL_OK;
    if (count == 0) // the learning rate alone
        return submit_part(t, slot, 0, false, NULL, t->jobs_at, behind);
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
        r = submit_part(t, slot, count, tensors, &launch, stage.used, next == count ? behind : NULL);
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

static cdl_result check_pictures(const struct cdl_trainer *t, const struct cdl_train_picture *pictures, int count) {
    const cdl_log *log = &t->dev->log;
    const int classes = t->program.graph.num_classes;
    CDL_REQUIRE(log, count == 0 || pictures != NULL);
    CDL_REQUIRE(log, count >= 0 && count <= t->program.batch);
    for (int i = 0; i < count; i++) {
        CDL_REQUIRE(log, valid_pixels(t, &pictures[i].pixels));
        CDL_REQUIRE(log, (pictures[i].pixels.format == CDL_FORMAT_TENSOR_F32) ==
                             (pictures[0].pixels.format == CDL_FORMAT_TENSOR_F32));
        if (pictures[i].label < 0 || pictures[i].label >= classes)
            return cdl_fail(log, CDL_ERR_INVALID, "label %d; the network has %d classes", pictures[i].label, classes);
    }
    return CDL_OK;
}

// The slot of the next part, ready to be written, with what the part's pictures are. A step's first part begins its
// result. *mixup: the share that pictures keep.
static cdl_result begin_part(struct cdl_trainer *t, const struct cdl_train_picture *pictures, int count, int epoch,
                             struct cdl_train_slot **out, float *mixup) {
    struct cdl_train_slot *slot = *out = &t->slots[t->submissions % CDL_TRAIN_SLOTS];
    const cdl_result r = collect(t, slot, UINT64_MAX);
    if (r != CDL_OK)
        return r;
    if (t->accumulated == 0)
        t->tallies[(t->step + 1) % CDL_TRAIN_SLOTS] = (struct cdl_train_tally){.step = t->step + 1};
    *mixup = 1;
    if (t->mixup && count > 0)
        *mixup = cdl_train_mixup_share(t->sight.seed, epoch, pictures[0].index, (double)t->mixup_alpha);
    for (int i = 0; i < count; i++) {
        const struct train_target target = {
            .label = pictures[i].label, .other = pictures[(i + count - 1) % count].label, .share = *mixup};
        cdl_upload_write(slot->staging, CDL_INPUT_LABELS + (size_t)i * sizeof target, &target, sizeof target);
    }
    return count > 0 && !t->exchange.buckets.count && slot->recorded_images != count ? record_gradients(t, slot, count)
                                                                                     : CDL_OK;
}

static void end_part(struct cdl_trainer *t, struct cdl_train_slot *slot, int count) {
    t->submissions++;
    slot->step = t->step + 1;
    slot->images = count;
}

cdl_result cdl_trainer_accumulate(cdl_trainer *t, const struct cdl_train_picture *pictures, int count, int epoch) {
    const cdl_log *log = &t->dev->log;
    CDL_EXPECT(log, t->sum.handle, "cdl_trainer_accumulate: the trainer was made without params.accumulate");
    CDL_REQUIRE(log, count >= 1);
    struct cdl_train_slot *slot;
    float mixup;
    cdl_result r = check_pictures(t, pictures, count);
    if (r == CDL_OK)
        r = begin_part(t, pictures, count, epoch, &slot, &mixup);
    if (r == CDL_OK && slot->recorded_images != count) // with an exchange, it is for parts alone
        r = record_gradients(t, slot, count);
    const struct cdl_train_mix mix = {t->accumulated ? 1 : 0, (float)count};
    if (r == CDL_OK)
        r = record_mix(t, slot, mix, true);
    if (r == CDL_OK)
        r = submit(t, slot, pictures, count, epoch, &(struct work){{slot->gradients, slot->mix}, 2, slot->done, mixup});
    if (r == CDL_OK) {
        end_part(t, slot, count);
        slot->timed = false;
        t->accumulated += count;
    }
    return r;
}

// Of the average over all parts and processes.
static cdl_result share_of(struct cdl_trainer *t, int count, struct cdl_train_mix *out) {
    const struct cdl_train_exchange *calls = &t->exchange.calls;
    const int images = t->accumulated + count;
    const float share = calls->share ? calls->share(calls->ctx, images) : 1;
    if (!(share >= 0))
        return cdl_fail(&t->dev->log, CDL_ERR_IO, "the other processes could not be reached");
    const float of_image = images ? share / (float)images : 0;
    *out = (struct cdl_train_mix){t->accumulated ? of_image : 0,
                                  images == count && images ? share : of_image * (float)count};
    return CDL_OK;
}

// How much of the weights behind this step goes into their averages.
static float share_of_averages(const struct cdl_trainer *t) {
    if (!t->averages.size || t->step % (uint64_t)t->ema_steps)
        return 0;
    return t->averaged ? 1 - t->ema_decay : 1;
}

cdl_result cdl_trainer_step(cdl_trainer *t, const struct cdl_train_picture *pictures, int count, int epoch,
                            float learning_rate) {
    const cdl_log *log = &t->dev->log;
    const bool linked = t->exchange.buckets.count > 0;
    struct cdl_train_slot *slot;
    struct cdl_train_mix mix;
    float mixup;
    CDL_EXPECT(log, count > 0 || t->accumulated || linked, "a step of %d pictures; 1 to %d are possible", count,
               t->program.batch);
    cdl_result r = check_pictures(t, pictures, count);
    if (r == CDL_OK)
        r = begin_part(t, pictures, count, epoch, &slot, &mixup);
    if (r == CDL_OK)
        r = record_update(t, slot);
    if (r == CDL_OK)
        r = share_of(t, count, &mix);
    if (r == CDL_OK && linked)
        r = cdl_train_link_record(t, slot, count, mix);
    const bool mixes = r == CDL_OK && !linked && cdl_train_mix_changes(mix);
    if (mixes)
        r = record_mix(t, slot, mix, false);
    if (r != CDL_OK)
        return r;
    const float rates[] = {learning_rate, share_of_averages(t)};
    cdl_upload_write(slot->staging, CDL_INPUT_RATE, rates, sizeof rates);
    struct work w = {.fence = linked ? t->exchange.done[0] : slot->done, .mixup = mixup};
    if (linked) {
        add_work(&w, slot->segments[0]);
    } else {
        if (count > 0)
            add_work(&w, slot->gradients);
        if (mixes)
            add_work(&w, slot->mix);
        add_work(&w, slot->update);
    }
    r = submit(t, slot, pictures, count, epoch, &w);
    if (r == CDL_OK && linked)
        r = cdl_train_link_run(t, slot);
    if (r != CDL_OK)
        return r;
    end_part(t, slot, count);
    slot->timed = slot->queries && count > 0 && !linked;
    if (rates[1] != 0)
        t->averaged = epoch < t->ema_warmup ? 0 : t->averaged + 1; // as torchvision's n_averaged
    t->accumulated = 0;
    t->step++;
    t->tallies[t->step % CDL_TRAIN_SLOTS].whole = true;
    return CDL_OK;
}
