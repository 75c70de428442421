// order.c - the order of a run's dispatches, the fewest barriers between them, and where a run may be cut into slices.
#include "plan/plan.h"

static int num_sub_batches(const struct cdl_plan *plan, int images) {
    return plan->segment.steps ? (images + plan->segment.images - 1) / plan->segment.images : 0;
}

int cdl_plan_num_dispatches(const struct cdl_plan *plan, int images) {
    return num_sub_batches(plan, images) * plan->segment.steps + plan->num_steps - plan->segment.steps;
}

struct cdl_dispatch_entry cdl_plan_dispatch(const struct cdl_plan *plan, int images, int index) {
    const int count = plan->segment.steps, sub_batches = num_sub_batches(plan, images);
    const int in_segment = sub_batches * count;
    struct cdl_dispatch_entry d = {.step = index - in_segment + count, .images = images};
    if (index < in_segment) {
        // About equal: a last one of a single image would take long.
        const int size = (images + sub_batches - 1) / sub_batches;
        d.step = index % count;
        d.first_image = index / count * size;
        d.images = images - d.first_image < size ? images - d.first_image : size;
    }
    d.barrier_before =
        plan->steps[d.step].barrier_before || (d.step == 0 && d.first_image > 0 && plan->segment_barrier);
    return d;
}

struct cdl_addresses cdl_plan_addresses(const struct cdl_plan *plan, const struct cdl_dispatch_entry *d, uint64_t arena,
                                        uint64_t weights) {
    const struct cdl_step *step = &plan->steps[d->step];
    struct cdl_addresses at = {
        .src = arena + cdl_plan_value_at(plan, step->src, d->first_image),
        .residual = step->residual >= 0 ? arena + cdl_plan_value_at(plan, step->residual, d->first_image) : 0,
        .dst = arena + cdl_plan_value_at(plan, step->dst, d->first_image),
        .middle = step->kept >= 0 ? arena + cdl_plan_value_at(plan, step->kept, d->first_image) : 0,
    };
    for (int i = 0; i < step->num_ops; i++)
        at.weights[i] = weights + step->weights_at[i];
    return at;
}

// ---- barriers

static bool overlap_in_memory(const struct cdl_plan *p, int a, int b) {
    return a >= 0 && b >= 0 && p->value_at[a] < p->value_at[b] + p->value_bytes[b] &&
           p->value_at[b] < p->value_at[a] + p->value_bytes[a];
}

// Whether step `later` must wait for `earlier`: that wrote what it reads, or read or wrote where it writes. With
// next_images it runs for the sub-batch behind that of `earlier`, whose part of a value for all images is another.
static bool must_wait(const struct cdl_plan *plan, int earlier, int later, bool next_images) {
    const struct cdl_step *e = &plan->steps[earlier], *l = &plan->steps[later];
    enum { WRITTEN = 2, TOUCHED = 4 };
    const int early[TOUCHED] = {e->dst, e->kept, e->src, e->residual};
    const int late[TOUCHED] = {l->dst, l->kept, l->src, l->residual}; // what they write comes first
    for (int i = 0; i < TOUCHED; i++)
        for (int j = 0; j < (i < WRITTEN ? TOUCHED : WRITTEN); j++) {
            const int a = late[i], b = early[j];
            if (overlap_in_memory(plan, a, b) && !(next_images && a == b && plan->value_images[a] == plan->max_batch))
                return true;
        }
    return false;
}

void cdl_plan_place_barriers(struct cdl_plan *plan) {
    const int in_segment = plan->segment.steps;
    int since = 0, last = 0, first = in_segment; // behind the last barrier; the segment's last and first barrier
    for (int i = 0; i < plan->num_steps; i++) {
        bool wait = false;
        for (int j = since; j < i && !wait; j++)
            wait = must_wait(plan, j, i, false);
        plan->steps[i].barrier_before = wait;
        if (wait)
            since = i;
        if (wait && i < in_segment) {
            first = i < first ? i : first;
            last = i;
        }
    }
    // From one sub-batch to the next: do the steps up to the first barrier wait for those behind the last?
    plan->segment_barrier = false;
    for (int i = 0; i < first && !plan->segment_barrier; i++)
        for (int j = last; j < in_segment && !plan->segment_barrier; j++)
            plan->segment_barrier = must_wait(plan, j, i, true);
}

// ---- slices

// About the time of a dispatch, in operations: where GPUs and CPU drivers balance, so many take as long as moving a
// byte.
static double dispatch_cost(const struct cdl_plan *plan, const struct cdl_dispatch_entry *d) {
    const double flops_per_byte = 16;
    return (double)cdl_step_flops(plan, d->step, d->images) +
           flops_per_byte * (double)cdl_step_bytes(plan, d->step, d->images);
}

int cdl_plan_slice_end(const struct cdl_plan *plan, int images, int slice, int count) {
    const int num = cdl_plan_num_dispatches(plan, images);
    double total = 0, sum = 0;
    for (int i = 0; i < num; i++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(plan, images, i);
        total += dispatch_cost(plan, &d);
    }
    for (int i = 0, closed = 0; i < num; i++) { // closed: slices
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(plan, images, i);
        const int left = num - 1 - i, slices_left = count - 1 - closed;
        sum += dispatch_cost(plan, &d);
        if (slices_left > 0 && (sum >= total * (closed + 1) / count || left <= slices_left) && closed++ == slice)
            return i + 1;
    }
    return num;
}
