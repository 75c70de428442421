// plan.c - from a graph to steps: a kernel for each operation, or one for two.
#include "plan/plan.h"

#include <stdlib.h>

#include "base/cache.h"
#include "graph/resnet.h"

enum { WEIGHTS_ALIGN = 256 };

static cdl_result check_sizes(const struct cdl_plan *plan, const cdl_log *log) {
    const struct cdl_graph *g = &plan->graph;
    for (int i = 0; i < g->num_values; i++) {
        const struct cdl_value *v = &g->values[i];
        size_t elements;
        // Kernels index blocks of four channels with 32-bit signed integers.
        if (!cdl_mul_size((size_t)v->height * (size_t)v->width, (size_t)cdl_padded_channels(v->channels), &elements) ||
            !cdl_mul_size(elements, (size_t)plan->max_batch, &elements) || elements / 4 > INT32_MAX / 2)
            return cdl_fail(log, CDL_ERR_UNSUPPORTED,
                            "a layer of %dx%dx%d at batch %d is too large; use a smaller batch or input size",
                            v->height, v->width, v->channels, plan->max_batch);
    }
    return CDL_OK;
}

static bool read_once(const struct cdl_graph *g, int value) {
    int reads = value == g->map || value == g->features || value == g->output;
    for (int i = 0; i < g->num_ops; i++)
        reads += (g->ops[i].src == value) + (g->ops[i].residual == value);
    return reads == 1;
}

static struct cdl_step step_of(const struct cdl_work *work, const struct cdl_kernel *kernel) {
    return (struct cdl_step){
        .kernel = *kernel,
        .first_op = (int)(work->ops - work->graph->ops),
        .num_ops = work->num_ops,
        .src = cdl_work_src(work),
        .residual = cdl_work_residual(work),
        .dst = cdl_work_dst(work),
        .kept = kernel->keeps_middle ? work->ops[0].dst : -1,
    };
}

// The kernels that may take the place of the last two steps.
static int kernels_for_both(const struct cdl_plan *plan, const struct cdl_plan_params *params,
                            const struct cdl_work *work, struct cdl_kernel kernels[CDL_MAX_KERNELS]) {
    const bool unread = read_once(&plan->graph, work->ops[0].dst); // by anyone but the second operation
    const int count = cdl_kernels_for(work, plan->max_batch, params->caps, plan->fp16, kernels);
    int n = 0;
    for (int i = 0; i < count; i++)
        if (unread || kernels[i].keeps_middle)
            kernels[n++] = kernels[i];
    return n;
}

static int choose_for_both(const struct cdl_plan_params *params, const struct cdl_work *work,
                           const struct cdl_kernel *kernels, int count) {
    if (params->choose)
        return params->choose(params->choose_ctx, work, kernels, count);
    return kernels[0].beats_apart ? 0 : -1;
}

// Puts one step in the place of the last two, where one kernel may do both and is chosen to.
static void fuse_last(struct cdl_plan *plan, const struct cdl_plan_params *params) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    if (plan->keep_values || plan->num_steps < 2)
        return;
    const struct cdl_step *first = &plan->steps[plan->num_steps - 2], *second = first + 1;
    if (first->num_ops + second->num_ops != 2 || second->src != first->dst)
        return;
    const struct cdl_work work = {&plan->graph, &plan->graph.ops[first->first_op], 2};
    const int count = kernels_for_both(plan, params, &work, kernels);
    const int chosen = count > 0 ? choose_for_both(params, &work, kernels, count) : -1;
    if (chosen < 0 || chosen >= count)
        return;
    plan->num_steps -= 2;
    plan->steps[plan->num_steps++] = step_of(&work, &kernels[chosen]);
}

static cdl_result choose_steps(struct cdl_plan *plan, const struct cdl_plan_params *params, const cdl_log *log) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const struct cdl_graph *g = &plan->graph;
    if (params->prepare)
        params->prepare(params->choose_ctx, g);
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_work work = {g, &g->ops[i], 1};
        const int count = cdl_kernels_for(&work, plan->max_batch, params->caps, plan->fp16, kernels);
        const int chosen = params->choose ? params->choose(params->choose_ctx, &work, kernels, count) : 0;
        if (chosen < 0 || chosen >= count)
            return cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s: none of its %d kernels works on this device in %s",
                            g->ops[i].name, count, plan->fp16 ? "fp16" : "fp32");
        plan->steps[plan->num_steps++] = step_of(&work, &kernels[chosen]);
        fuse_last(plan, params);
    }
    return CDL_OK;
}

static void place_weights(struct cdl_plan *plan) {
    for (int i = 0; i < plan->num_steps; i++) {
        struct cdl_step *step = &plan->steps[i];
        for (int k = 0; k < step->num_ops; k++) {
            step->weights_at[k] = plan->weights_bytes;
            plan->weights_bytes = cdl_align_up(plan->weights_bytes + step->kernel.weights[k].bytes, WEIGHTS_ALIGN);
        }
    }
}

cdl_result cdl_plan_create(struct cdl_plan *out, const struct cdl_model *model, const struct cdl_plan_params *params,
                           const cdl_log *log) {
    *out = (struct cdl_plan){.max_batch = params->max_batch,
                             .fp16 = params->fp16,
                             .keep_map = params->keep_map,
                             .keep_values = params->keep_values};
    cdl_result r = cdl_graph_create(&out->graph, model, params->height, params->width, params->fold, log);
    if (r != CDL_OK)
        return r;
    const size_t num_values = (size_t)out->graph.num_values;
    out->steps = calloc((size_t)out->graph.num_ops, sizeof *out->steps);
    out->value_at = calloc(num_values, sizeof *out->value_at);
    out->value_images = calloc(num_values, sizeof *out->value_images);
    out->value_bytes = calloc(num_values, sizeof *out->value_bytes);
    if (!out->steps || !out->value_at || !out->value_images || !out->value_bytes)
        r = cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    if (r == CDL_OK)
        r = check_sizes(out, log);
    if (r == CDL_OK)
        r = choose_steps(out, params, log);
    if (r == CDL_OK) {
        place_weights(out);
        r = cdl_plan_set_segment(out, (struct cdl_segment){0, 0}, log);
    }
    if (r != CDL_OK)
        cdl_plan_destroy(out);
    return r;
}

void cdl_plan_destroy(struct cdl_plan *plan) {
    cdl_graph_destroy(&plan->graph);
    free(plan->steps);
    free(plan->value_at);
    free(plan->value_images);
    free(plan->value_bytes);
    *plan = (struct cdl_plan){0};
}

void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log) {
    if (!log || !log->fn || log->level < CDL_LOG_DEBUG)
        return;
    cdl_graph_log(&plan->graph, log);
    for (int i = 0; i < plan->num_steps; i++) {
        const struct cdl_step *step = &plan->steps[i];
        char name[CDL_PROGRAM_NAME];
        cdl_program_name(&step->kernel.program, name);
        cdl_logf(log, CDL_LOG_DEBUG, "%s%-22s %s, to arena %zu..%zu", step->barrier_before ? "| " : "  ",
                 cdl_step_name(plan, i), name, plan->value_at[step->dst],
                 plan->value_at[step->dst] + plan->value_bytes[step->dst]);
    }
    if (plan->segment.steps)
        cdl_logf(log, CDL_LOG_DEBUG, "the first %d steps run for %d images at a time", plan->segment.steps,
                 plan->segment.images);
    cdl_logf(log, CDL_LOG_DEBUG, "weights %zu bytes, activations %zu bytes (largest live set %zu)", plan->weights_bytes,
             plan->arena_bytes, plan->live_bytes);
}

uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan) {
    uint64_t hash = CDL_HASH_START;
    for (int i = 0; i < plan->num_steps; i++) {
        const struct cdl_step *step = &plan->steps[i];
        for (int k = 0; k < step->num_ops; k++) {
            const int op = step->first_op + k;
            hash = cdl_hash(hash, &op, sizeof op);
            hash = cdl_hash(hash, &step->kernel.weights[k], sizeof step->kernel.weights[k]);
            hash = cdl_hash(hash, &step->weights_at[k], sizeof step->weights_at[k]);
        }
    }
    return hash;
}
