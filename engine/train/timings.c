// timings.c - the time of a step on the device, and of each of its dispatches, by timestamps.
#include <stdlib.h>

#include "train/trainer.h"
#include "vulkan/commands.h"

// Without `timings`: before the first dispatch, and behind the last.
static uint32_t num_queries(const struct cdl_trainer *t) {
    return 2 + (t->kernel_names ? (uint32_t)t->program.num_steps : 0);
}

uint32_t cdl_train_query(const struct cdl_train_program *p, int step) {
    return (uint32_t)step + (step < p->first_update ? 1 : 2);
}

cdl_result cdl_train_timings_create(struct cdl_trainer *t, bool of_dispatches) {
    const size_t steps = (size_t)t->program.num_steps;
    cdl_result r = CDL_OK;
    t->kernel_names = of_dispatches ? calloc(steps, sizeof *t->kernel_names) : NULL;
    t->ticks = calloc(num_queries(t), sizeof *t->ticks);
    if (!t->ticks || (of_dispatches && !t->kernel_names))
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM, "out of memory while creating a trainer");
    for (size_t i = 0; of_dispatches && i < steps; i++)
        cdl_program_name(&t->program.steps[i].kernel.program, t->kernel_names[i]);
    for (int i = 0; r == CDL_OK && i < CDL_TRAIN_SLOTS; i++)
        r = cdl_timestamps_create(&t->slots[i].queries, t->dev, num_queries(t));
    return r;
}

void cdl_train_timings_destroy(struct cdl_trainer *t) {
    struct cdl_device *dev = t->dev;
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++)
        if (t->slots[i].queries)
            dev->vkd.DestroyQueryPool(dev->handle, t->slots[i].queries, dev->allocator);
    free(t->ticks);
    free(t->kernel_names);
}

cdl_result cdl_train_timings_take(struct cdl_trainer *t, const struct cdl_train_slot *slot, uint64_t *gpu_ns) {
    const uint32_t count = num_queries(t);
    const cdl_result r = cdl_timestamps_read(t->dev, slot->queries, count, t->ticks);
    t->timed_images = r == CDL_OK ? slot->images : 0;
    *gpu_ns = r == CDL_OK ? (uint64_t)cdl_ticks_ns(t->dev, t->ticks[0], t->ticks[count - 1]) : 0;
    return r;
}

// Products of a convolution with its weights: as many in each of its gradients as forward.
static uint64_t step_flops(const struct cdl_train_program *p, const struct cdl_train_step *step, int images) {
    switch (step->kind) {
    case CDL_TRAIN_FORWARD:
    case CDL_TRAIN_DX:
    case CDL_TRAIN_DX_STRIDED:
    case CDL_TRAIN_DW: return cdl_op_flops(&p->graph, &p->graph.ops[step->op], images);
    default: return 0;
    }
}

static uint64_t step_bytes(const struct cdl_train_program *p, const struct cdl_train_step *step) {
    uint64_t bytes = 0;
    for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++)
        if (step->values[role] >= 0)
            bytes += p->values[step->values[role]].bytes;
    return bytes;
}

cdl_result cdl_trainer_timings(const cdl_trainer *t, struct cdl_train_timing *out, int cap, int *num) {
    const struct cdl_train_program *p = &t->program;
    const cdl_log *log = &t->dev->log;
    CDL_EXPECT(log, t->kernel_names, "cdl_trainer_timings: the trainer was created without `timings`");
    CDL_EXPECT(log, num && (out || cap == 0), "cdl_trainer_timings: %s is NULL", num ? "out" : "num");
    const bool device_has_none = !t->slots[0].queries;
    CDL_EXPECT(log, device_has_none || t->timed_images, "cdl_trainer_timings: no step's result was taken");
    *num = device_has_none ? 0 : p->num_steps;
    for (int i = 0; i < *num && i < cap; i++) {
        const uint64_t *end = &t->ticks[cdl_train_query(p, i)];
        out[i] = (struct cdl_train_timing){
            .phase = i < p->first_backward ? CDL_TRAIN_PHASE_FORWARD
                     : i < p->first_update ? CDL_TRAIN_PHASE_BACKWARD
                                           : CDL_TRAIN_PHASE_UPDATE,
            .layer = cdl_train_step_name(p, i),
            .operation = cdl_train_kind_text(p->steps[i].kind),
            .kernel = t->kernel_names[i],
            .gpu_ns = (uint64_t)cdl_ticks_ns(t->dev, end[-1], *end),
            .flops = step_flops(p, &p->steps[i], t->timed_images),
            .bytes = step_bytes(p, &p->steps[i]),
        };
    }
    return CDL_OK;
}
