// plan.c - places values in the arena by lifetime, and finds the fewest barriers.
#include "plan.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 256 };

struct lifetime { int first, last; }; // steps; the input is born at -1

static cdl_result measure_values(struct cdl_plan *plan, const cdl_log *log) {
    const struct cdl_graph *g = &plan->graph;
    for (int i = 0; i < g->num_values; i++) {
        const struct cdl_value *v = &g->values[i];
        const size_t element = plan->fp16 && !v->fp32 ? 2 : 4;
        size_t elements;
        // Kernels index blocks of four channels with 32-bit signed integers.
        if (!cdl_mul_size((size_t)v->height * (size_t)v->width, (size_t)cdl_padded_channels(v->channels), &elements) ||
            !cdl_mul_size(elements, (size_t)plan->max_batch, &elements) || elements / 4 > INT32_MAX / 2)
            return cdl_fail(log, CDL_ERR_UNSUPPORTED, "a layer of %dx%dx%d at batch %d is too large; use a smaller batch or input size",
                            v->height, v->width, v->channels, plan->max_batch);
        plan->value_bytes[i] = cdl_align_up(elements * element, ARENA_ALIGN);
    }
    return CDL_OK;
}

static void find_lifetimes(const struct cdl_graph *g, const struct cdl_plan_params *params, struct lifetime *out) {
    out[0] = (struct lifetime){-1, -1};
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        out[op->dst] = (struct lifetime){i, i};
        out[op->src].last = i;
        if (op->residual >= 0)
            out[op->residual].last = i;
    }
    // What is read after the last step.
    out[g->num_values - 1].last = g->num_ops;
    out[g->features].last = g->num_ops;
    if (params->keep_map)
        out[g->map].last = g->num_ops;
    for (int i = 0; params->keep_values && i < g->num_values; i++)
        out[i].last = g->num_ops;
}

static bool overlap_in_time(struct lifetime a, struct lifetime b) { return a.first <= b.last && b.first <= a.last; }

// The largest sum of values alive at one step: what any placement takes at least.
static size_t largest_live_set(const struct cdl_plan *plan, const struct lifetime *life) {
    size_t largest = 0;
    for (int step = -1; step <= plan->graph.num_ops; step++) {
        size_t live = 0;
        for (int v = 0; v < plan->graph.num_values; v++)
            if (life[v].first <= step && step <= life[v].last)
                live += plan->value_bytes[v];
        largest = live > largest ? live : largest;
    }
    return largest;
}

// Each value, in `order`, into the lowest gap among those already placed that live at the same time. Returns what the
// arena then takes; *highest: the value at its end.
static size_t place_in_order(const struct cdl_plan *plan, const struct lifetime *life, const int *order, size_t *at, int *highest) {
    const int n = plan->graph.num_values;
    size_t arena = 0;
    for (int i = 0; i < n; i++) {
        const int v = order[i];
        const size_t size = plan->value_bytes[v];
        at[v] = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (int j = 0; j < i; j++) {
                const int u = order[j];
                if (overlap_in_time(life[u], life[v]) && at[u] < at[v] + size && at[v] < at[u] + plan->value_bytes[u]) {
                    at[v] = at[u] + plan->value_bytes[u];
                    moved = true;
                }
            }
        }
        if (at[v] + size > arena) {
            arena = at[v] + size;
            *highest = v;
        }
    }
    return arena;
}

static void move_to_front(int *order, int v) {
    int i = 0;
    while (order[i] != v)
        i++;
    memmove(order + 1, order, (size_t)i * sizeof *order);
    order[0] = v;
}

// Greedy by size (Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference"). Where that
// leaves gaps, the value that ended up highest is placed first the next time, for as often as it may help.
static cdl_result place_values(struct cdl_plan *plan, const struct lifetime *life, const cdl_log *log) {
    enum { TRIES = 64 };
    const int n = plan->graph.num_values;
    int *order = malloc((size_t)n * sizeof *order);
    size_t *at = malloc((size_t)n * sizeof *at);
    if (!order || !at) {
        free(order);
        free(at);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    }
    for (int i = 0; i < n; i++) { // insertion sort: a few hundred values
        int j = i;
        for (; j > 0 && plan->value_bytes[order[j - 1]] < plan->value_bytes[i]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    plan->live_bytes = largest_live_set(plan, life);
    plan->arena_bytes = SIZE_MAX;
    for (int try = 0; try < TRIES && plan->arena_bytes > plan->live_bytes; try++) {
        int highest = 0;
        const size_t arena = place_in_order(plan, life, order, at, &highest);
        if (arena < plan->arena_bytes) {
            plan->arena_bytes = arena;
            memcpy(plan->value_at, at, (size_t)n * sizeof *at);
        }
        move_to_front(order, highest);
    }
    free(order);
    free(at);
    return CDL_OK;
}

static bool overlap_in_memory(const struct cdl_plan *p, int a, int b) {
    return a >= 0 && b >= 0 && p->value_at[a] < p->value_at[b] + p->value_bytes[b] &&
           p->value_at[b] < p->value_at[a] + p->value_bytes[a];
}

// A step waits for those since the last barrier that wrote what it reads, or read or wrote where it writes.
static void place_barriers(struct cdl_plan *plan) {
    const struct cdl_graph *g = &plan->graph;
    int since = 0; // first step after the last barrier
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        bool hazard = false;
        for (int j = since; j < i && !hazard; j++) {
            const struct cdl_op *earlier = &g->ops[j];
            hazard = overlap_in_memory(plan, op->src, earlier->dst) || overlap_in_memory(plan, op->residual, earlier->dst) ||
                     overlap_in_memory(plan, op->dst, earlier->dst) || overlap_in_memory(plan, op->dst, earlier->src) ||
                     overlap_in_memory(plan, op->dst, earlier->residual);
        }
        plan->steps[i].barrier_before = hazard;
        if (hazard)
            since = i;
    }
}

static cdl_result choose_kernels(struct cdl_plan *plan, const struct cdl_plan_params *params, const cdl_log *log) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const struct cdl_graph *g = &plan->graph;
    if (params->prepare)
        params->prepare(params->choose_ctx, g);
    for (int i = 0; i < g->num_ops; i++) {
        struct cdl_step *step = &plan->steps[i];
        const int count = cdl_kernels_for(g, &g->ops[i], params->caps, plan->fp16, kernels);
        const int chosen = params->choose ? params->choose(params->choose_ctx, g, &g->ops[i], kernels, count) : 0;
        if (chosen < 0 || chosen >= count)
            return cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s: none of its %d kernels works on this device in %s", g->ops[i].name, count,
                            plan->fp16 ? "fp16" : "fp32");
        step->kernel = kernels[chosen];
        step->weights_at = plan->weights_bytes;
        plan->weights_bytes = cdl_align_up(plan->weights_bytes + step->kernel.weight_bytes, ARENA_ALIGN);
    }
    return CDL_OK;
}

cdl_result cdl_plan_create(struct cdl_plan *out, const struct cdl_model *model, const struct cdl_plan_params *params,
                           const cdl_log *log) {
    *out = (struct cdl_plan){.max_batch = params->max_batch, .fp16 = params->fp16};
    struct lifetime *life = NULL;
    cdl_result r = cdl_graph_create(&out->graph, model, params->height, params->width, params->fold, log);
    if (r != CDL_OK)
        return r;
    const size_t num_values = (size_t)out->graph.num_values;
    out->steps = calloc((size_t)out->graph.num_ops, sizeof *out->steps);
    out->value_at = calloc(num_values, sizeof *out->value_at);
    out->value_bytes = calloc(num_values, sizeof *out->value_bytes);
    life = calloc(num_values, sizeof *life);
    if (!out->steps || !out->value_at || !out->value_bytes || !life)
        r = cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    if (r == CDL_OK)
        r = measure_values(out, log);
    if (r == CDL_OK) {
        find_lifetimes(&out->graph, params, life);
        r = place_values(out, life, log);
    }
    if (r == CDL_OK)
        r = choose_kernels(out, params, log);
    if (r == CDL_OK) {
        place_barriers(out);
        cdl_plan_log(out, log);
    }
    free(life);
    if (r != CDL_OK)
        cdl_plan_destroy(out);
    return r;
}

void cdl_plan_destroy(struct cdl_plan *plan) {
    cdl_graph_destroy(&plan->graph);
    free(plan->steps);
    free(plan->value_at);
    free(plan->value_bytes);
    *plan = (struct cdl_plan){0};
}

void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log) {
    if (!log || !log->fn || log->level < CDL_LOG_DEBUG)
        return;
    cdl_graph_log(&plan->graph, log);
    for (int i = 0; i < plan->graph.num_ops; i++) {
        const struct cdl_step *step = &plan->steps[i];
        char name[128];
        cdl_kernel_name(&step->kernel, name, sizeof name);
        cdl_logf(log, CDL_LOG_DEBUG, "%s%-22s %s, to arena %zu..%zu", step->barrier_before ? "| " : "  ", plan->graph.ops[i].name,
                 name, plan->value_at[plan->graph.ops[i].dst],
                 plan->value_at[plan->graph.ops[i].dst] + plan->value_bytes[plan->graph.ops[i].dst]);
    }
    cdl_logf(log, CDL_LOG_DEBUG, "weights %zu bytes, activations %zu bytes (largest live set %zu)", plan->weights_bytes,
             plan->arena_bytes, plan->live_bytes);
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) { // FNV-1a
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (int i = 0; i < plan->graph.num_ops; i++) {
        const struct cdl_kernel *k = &plan->steps[i].kernel;
        const int layout[] = {plan->graph.ops[i].kind, k->fp16, k->lanes, k->span, k->tap_columns, k->rows, k->shared_window};
        hash = hash_bytes(hash, layout, sizeof layout);
        hash = hash_bytes(hash, &plan->steps[i].weights_at, sizeof plan->steps[i].weights_at);
    }
    return hash;
}
