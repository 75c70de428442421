// weights.c - packs a model's weights for a plan's kernels, straight into device memory where it can be mapped.
#include "session/weights.h"

#include <stdlib.h>

#include "vulkan/device.h"
#include "vulkan/one_shot.h"

enum { UPLOAD_CHUNK = 32 << 20 };

struct upload {
    struct cdl_buffer staging;
    struct cdl_once once;
};

// Copies the first `size` bytes of staging to `to` + at, and waits.
static cdl_result upload_flush(struct upload *u, const struct cdl_buffer *to, VkDeviceSize at, VkDeviceSize size) {
    struct cdl_device *dev = u->once.dev;
    const VkBufferCopy region = {.dstOffset = at, .size = size};
    if (size == 0)
        return CDL_OK;
    cdl_result r = cdl_buffer_flush(&u->staging, dev);
    if (r == CDL_OK)
        r = cdl_once_begin(&u->once);
    if (r != CDL_OK)
        return r;
    dev->vkd.CmdCopyBuffer(u->once.commands, u->staging.handle, to->handle, 1, &region);
    cdl_once_barrier(&u->once);
    return cdl_once_run(&u->once, 0);
}

static void pack_one(const struct cdl_plan *plan, const struct cdl_step *step, int i, float *scratch, uint8_t *to) {
    if (step->kernel.weights[i].bytes)
        cdl_weights_pack(&step->kernel.weights[i], &plan->graph, &plan->graph.ops[step->first_op + i], scratch, to);
}

static cdl_result pack_through_staging(struct cdl_weights *w, struct cdl_device *dev, const struct cdl_plan *plan,
                                       float *scratch) {
    struct upload u = {0};
    size_t chunk = UPLOAD_CHUNK;
    for (int i = 0; i < plan->num_steps; i++)
        for (int k = 0; k < plan->steps[i].num_ops; k++)
            chunk = plan->steps[i].kernel.weights[k].bytes > chunk ? plan->steps[i].kernel.weights[k].bytes : chunk;
    cdl_result r = cdl_once_create(&u.once, dev);
    if (r == CDL_OK)
        r = cdl_buffer_create(&u.staging, dev, chunk, CDL_MEMORY_UPLOAD, "the weights' way to the device");
    size_t first = 0, end = 0; // the range of the weights that staging holds
    for (int i = 0; r == CDL_OK && i < plan->num_steps; i++)
        for (int k = 0; r == CDL_OK && k < plan->steps[i].num_ops; k++) {
            const size_t at = plan->steps[i].weights_at[k], bytes = plan->steps[i].kernel.weights[k].bytes;
            if (at + bytes - first > chunk) {
                r = upload_flush(&u, &w->buffer, first, end - first);
                first = at;
            }
            if (r == CDL_OK)
                pack_one(plan, &plan->steps[i], k, scratch, (uint8_t *)u.staging.mapped + (at - first));
            end = at + bytes;
        }
    if (r == CDL_OK)
        r = upload_flush(&u, &w->buffer, first, end - first);
    cdl_buffer_destroy(&u.staging, dev);
    cdl_once_destroy(&u.once);
    return r;
}

static cdl_result pack(struct cdl_weights *w, struct cdl_device *dev, const struct cdl_plan *plan) {
    size_t floats = 1;
    for (int i = 0; i < plan->graph.num_ops; i++) {
        const size_t needed = cdl_weights_scratch(&plan->graph.ops[i]);
        floats = needed > floats ? needed : floats;
    }
    float *scratch = malloc(floats * sizeof *scratch);
    if (!scratch)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    cdl_result r = cdl_buffer_create(&w->buffer, dev, plan->weights_bytes ? plan->weights_bytes : 16, CDL_MEMORY_DEVICE,
                                     "weights");
    if (r == CDL_OK && !w->buffer.mapped) {
        r = pack_through_staging(w, dev, plan, scratch);
    } else if (r == CDL_OK) {
        for (int i = 0; i < plan->num_steps; i++)
            for (int k = 0; k < plan->steps[i].num_ops; k++)
                pack_one(plan, &plan->steps[i], k, scratch, (uint8_t *)w->buffer.mapped + plan->steps[i].weights_at[k]);
        r = cdl_buffer_flush(&w->buffer, dev);
    }
    free(scratch);
    return r;
}

struct cdl_weights **cdl_weights_of(struct cdl_device *dev) {
    static const struct cdl_device_data_kind kind = {.size = sizeof(struct cdl_weights *)};
    return cdl_device_data(dev, &kind);
}

static struct cdl_weights *find_shared(struct cdl_weights *first, const struct cdl_model *model, uint64_t hash) {
    struct cdl_weights *found = first;
    while (found && (found->model != model || found->hash != hash))
        found = found->next;
    return found;
}

cdl_result cdl_weights_acquire(struct cdl_weights **out, struct cdl_device *dev, struct cdl_model *model,
                               const struct cdl_plan *plan) {
    const uint64_t hash = cdl_plan_weights_hash(plan);
    struct cdl_weights **list = cdl_weights_of(dev);
    if (!list)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    cdl_mutex_lock(&dev->lock);
    *out = find_shared(*list, model, hash);
    if (*out)
        (*out)->references++;
    cdl_mutex_unlock(&dev->lock);
    if (*out)
        return CDL_OK;

    struct cdl_weights *w = calloc(1, sizeof *w);
    if (!w)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while packing weights");
    cdl_result r = pack(w, dev, plan);
    if (r != CDL_OK) {
        cdl_buffer_destroy(&w->buffer, dev);
        free(w);
        return r;
    }
    w->model = model;
    w->hash = hash;
    w->references = 1;
    cdl_model_retain(model);
    cdl_mutex_lock(&dev->lock);
    w->next = *list;
    *list = w;
    cdl_mutex_unlock(&dev->lock);
    *out = w;
    return CDL_OK;
}

void cdl_weights_release(struct cdl_weights **weights, struct cdl_device *dev) {
    struct cdl_weights *w = *weights;
    *weights = NULL;
    if (!w)
        return;
    struct cdl_weights **link = cdl_weights_of(dev); // there since the weights were acquired
    cdl_mutex_lock(&dev->lock);
    const bool last = --w->references == 0;
    if (last) {
        while (*link != w)
            link = &(*link)->next;
        *link = w->next;
    }
    cdl_mutex_unlock(&dev->lock);
    if (!last)
        return;
    cdl_buffer_destroy(&w->buffer, dev);
    cdl_model_destroy(&w->model);
    free(w);
}
