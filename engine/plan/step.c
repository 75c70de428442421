// step.c - what follows from a step alone: its name, its work, and what it moves.
#include "plan/plan.h"

struct cdl_work cdl_step_work(const struct cdl_plan *plan, int step) {
    const struct cdl_step *s = &plan->steps[step];
    return (struct cdl_work){&plan->graph, &plan->graph.ops[s->first_op], s->num_ops};
}

const char *cdl_step_name(const struct cdl_plan *plan, int step) {
    const struct cdl_step *s = &plan->steps[step];
    return plan->graph.ops[s->first_op + s->num_ops - 1].name;
}

uint64_t cdl_step_flops(const struct cdl_plan *plan, int step, int images) {
    const struct cdl_work work = cdl_step_work(plan, step);
    return cdl_work_flops(&work, images);
}

uint64_t cdl_step_value_bytes(const struct cdl_plan *plan, int step) {
    const struct cdl_step *s = &plan->steps[step];
    return cdl_plan_image_bytes(plan, s->src) + cdl_plan_image_bytes(plan, s->dst) +
           (s->residual >= 0 ? cdl_plan_image_bytes(plan, s->residual) : 0) +
           (s->kept >= 0 ? cdl_plan_image_bytes(plan, s->kept) : 0);
}

uint64_t cdl_step_weight_bytes(const struct cdl_plan *plan, int step) {
    const struct cdl_step *s = &plan->steps[step];
    uint64_t bytes = 0;
    for (int i = 0; i < s->num_ops; i++)
        bytes += s->kernel.weights[i].bytes;
    return bytes;
}

uint64_t cdl_step_bytes(const struct cdl_plan *plan, int step, int images) {
    return cdl_step_value_bytes(plan, step) * (uint64_t)images + cdl_step_weight_bytes(plan, step);
}
