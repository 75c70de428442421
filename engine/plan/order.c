// order.c - the order of a run's dispatches, and the fewest barriers between them.
#include "plan/plan.h"

static int num_sub_batches(const struct cdl_plan *plan, int images) {
    return plan->segment.steps ? (images + plan->segment.images - 1) / plan->segment.images : 0;
}

int cdl_plan_num_dispatches(const struct cdl_plan *plan, int images) {
    return num_sub_batches(plan, images) * plan->segment_order + plan->num_order - plan->segment_order;
}

struct cdl_dispatch_entry cdl_plan_dispatch(const struct cdl_plan *plan, int images, int index) {
    const int count = plan->segment_order, sub_batches = num_sub_batches(plan, images),
              in_segment = sub_batches * count;
    struct cdl_dispatch_entry d = {.images = images};
    if (index < in_segment) {
        const int size =
            (images + sub_batches - 1) / sub_batches; // about equal: a last one of a single image would take long
        d.first_image = index / count * size;
        d.images = images - d.first_image < size ? images - d.first_image : size;
    }
    d.step = plan->order[index < in_segment ? index % count : index - in_segment + count];
    d.barrier_before =
        plan->steps[d.step].barrier_before || (d.step == plan->order[0] && d.first_image > 0 && plan->segment_barrier);
    return d;
}

int cdl_plan_source(const struct cdl_plan *plan, int step) {
    return plan->graph.ops[step > 0 && plan->steps[step - 1].in_next ? step - 1 : step].src;
}

struct cdl_addresses cdl_plan_addresses(const struct cdl_plan *plan, const struct cdl_dispatch_entry *d, uint64_t arena,
                                        uint64_t weights) {
    const struct cdl_op *op = &plan->graph.ops[d->step];
    return (struct cdl_addresses){
        .src = arena + cdl_plan_value_at(plan, cdl_plan_source(plan, d->step), d->first_image),
        .residual = op->residual >= 0 ? arena + cdl_plan_value_at(plan, op->residual, d->first_image) : 0,
        .dst = arena + cdl_plan_value_at(plan, op->dst, d->first_image),
        .weights = weights + plan->steps[d->step].weights_at,
        .first_weights = d->step > 0 ? weights + plan->steps[d->step - 1].weights_at : 0,
    };
}

static bool overlap_in_memory(const struct cdl_plan *p, int a, int b) {
    return a >= 0 && b >= 0 && p->value_at[a] < p->value_at[b] + p->value_bytes[b] &&
           p->value_at[b] < p->value_at[a] + p->value_bytes[a];
}

// Whether step `later` must wait for `earlier`: that wrote what it reads, or read or wrote where it writes. With
// next_images it runs for the sub-batch behind that of `earlier`, whose part of a value for all images is another.
static bool must_wait(const struct cdl_plan *plan, int earlier, int later, bool next_images) {
    const struct cdl_op *e = &plan->graph.ops[earlier], *l = &plan->graph.ops[later];
    const int pairs[][2] = {{cdl_plan_source(plan, later), e->dst},
                            {l->residual, e->dst},
                            {l->dst, e->dst},
                            {l->dst, cdl_plan_source(plan, earlier)},
                            {l->dst, e->residual}};
    for (size_t i = 0; i < CDL_COUNT(pairs); i++) {
        const int a = pairs[i][0], b = pairs[i][1];
        if (overlap_in_memory(plan, a, b) && !(next_images && a == b && plan->value_images[a] == plan->max_batch))
            return true;
    }
    return false;
}

void cdl_plan_place_barriers(struct cdl_plan *plan) {
    const int *order = plan->order;
    int since = 0, last = 0,
        first = plan->segment_order; // behind the last barrier; the segment's last and first barrier
    for (int i = 0; i < plan->num_order; i++) {
        bool wait = false;
        for (int j = since; j < i && !wait; j++)
            wait = must_wait(plan, order[j], order[i], false);
        plan->steps[order[i]].barrier_before = wait;
        if (wait)
            since = i;
        if (wait && i < plan->segment_order) {
            first = i < first ? i : first;
            last = i;
        }
    }
    // From one sub-batch to the next: do the steps up to the first barrier wait for those behind the last?
    plan->segment_barrier = false;
    for (int i = 0; i < first && !plan->segment_barrier; i++)
        for (int j = last; j < plan->segment_order && !plan->segment_barrier; j++)
            plan->segment_barrier = must_wait(plan, order[j], order[i], true);
}
