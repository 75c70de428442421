// results.c - what the host reads of a finished run: logits, classes, features, class activation maps, times.
#include "session/results.h"

#include "kernels/preprocess.h"
#include "session/record.h"
#include "vulkan/commands.h"

cdl_result cdl_take_results(struct cdl_session *s, struct cdl_slot *slot) {
    struct cdl_device *dev = s->dev;
    const uint32_t queries = (uint32_t)cdl_num_queries(s, slot->num_images);
    cdl_result r = cdl_buffer_invalidate(&slot->readback, dev);
    if (r == CDL_OK && slot->queries)
        r = cdl_timestamps_read(dev, slot->queries, queries, slot->ticks);
    return r;
}

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
    CDL_EXPECT(log, slot, "cdl_session_topk: slot %d has no results of an image %d", slot_index, image);
    CDL_EXPECT(log, out, "cdl_session_topk: out is NULL");
    CDL_EXPECT(log, k >= 0 && k <= s->info.num_classes, "cdl_session_topk: k is %d of %d classes", k,
               s->info.num_classes);
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
    CDL_EXPECT(log, slot, "cdl_session_cam: slot %d has no results of an image %d", slot_index, image);
    CDL_EXPECT(log, out, "cdl_session_cam: out is NULL");
    CDL_EXPECT(log, class_id >= 0 && class_id < s->info.num_classes, "cdl_session_cam: class_id is %d of %d classes",
               class_id, s->info.num_classes);
    if (!s->class_weights)
        return cdl_fail(log, CDL_ERR_INVALID, "%s: the session was created without `cam`", __func__);
    const struct cdl_graph *g = &s->plan.graph;
    const struct cdl_value pixel = {1, 1, s->info.num_features, false};
    const size_t pixel_bytes = cdl_value_bytes(&pixel, s->plan.fp16);
    float *weights = s->class_weights, *features = weights + s->info.num_features;
    const uint8_t *map = result_at(slot, s->results.map, image, s->results.map_stride);
    cdl_tensor_read_row(g->ops[g->num_ops - 1].weight, class_id, weights);
    for (int i = 0; i < s->info.cam_width * s->info.cam_height; i++) {
        double sum = 0;
        cdl_value_load(&pixel, s->plan.fp16, 1, map + (size_t)i * pixel_bytes, features);
        for (int c = 0; c < s->info.num_features; c++)
            sum += (double)weights[c] * (double)features[c];
        out[i] = (float)sum;
    }
    return CDL_OK;
}

cdl_result cdl_session_seen(const cdl_session *s, int picture_width, int picture_height, struct cdl_region *out) {
    const cdl_log *log = &s->dev->log;
    struct cdl_geometry g;
    CDL_EXPECT(log, out, "cdl_session_seen: out is NULL");
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

uint64_t cdl_session_gpu_ns(const cdl_session *s, int slot_index) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    return slot && slot->queries
               ? (uint64_t)cdl_ticks_ns(s->dev, slot->ticks[CDL_QUERY_BEGIN], slot->ticks[CDL_QUERY_END])
               : 0;
}

uint64_t cdl_session_preprocess_ns(const cdl_session *s, int slot_index) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    return slot && slot->queries
               ? (uint64_t)cdl_ticks_ns(s->dev, slot->ticks[CDL_QUERY_BEGIN], slot->ticks[CDL_QUERY_PREPROCESSED])
               : 0;
}

cdl_result cdl_session_timings(const cdl_session *s, int slot_index, struct cdl_timing *out, int cap, int *num) {
    const struct cdl_slot *slot = finished_slot(s, slot_index, 0);
    const struct cdl_plan *plan = &s->plan;
    const cdl_log *log = &s->dev->log;
    CDL_EXPECT(log, s->timings, "cdl_session_timings: the session was created without `timings`");
    CDL_EXPECT(log, slot, "cdl_session_timings: slot %d has no results", slot_index);
    CDL_EXPECT(log, num && (out || cap == 0), "cdl_session_timings: %s is NULL", num ? "out" : "num");
    *num = slot->queries ? plan->num_steps : 0;
    for (int i = 0; i < *num && i < cap; i++)
        out[i] = (struct cdl_timing){
            .layer = cdl_step_name(plan, i),
            .operation = s->texts[i].operation,
            .kernel = s->texts[i].kernel,
            .flops = cdl_step_flops(plan, i, slot->num_images),
            .bytes = cdl_step_bytes(plan, i, slot->num_images),
        };
    for (int i = 0, n = *num ? cdl_plan_num_dispatches(plan, slot->num_images) : 0; i < n; i++) {
        const int step = cdl_plan_dispatch(plan, slot->num_images, i).step; // in a segment several times: their sum
        const uint64_t *end = &slot->ticks[CDL_NUM_RUN_QUERIES + i];
        if (step < cap)
            out[step].gpu_ns += (uint64_t)cdl_ticks_ns(s->dev, i ? end[-1] : slot->ticks[CDL_QUERY_PREPROCESSED], *end);
    }
    return CDL_OK;
}
