// results.c - what the host reads of a finished run: logits, classes, features, class activation maps, times.
#include "session/results.h"

#include "session/preprocess.h"
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
            out[k].gpu_ns += (uint64_t)cdl_ticks_ns(s->dev, i ? end[-1] : slot->ticks[CDL_QUERY_PREPROCESSED], *end);
    }
    return CDL_OK;
}
