// plan.c - a kernel for each operation, and a place in the arena for each value, by lifetime.
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/cache.h"
#include "graph/resnet.h"

enum { ARENA_ALIGN = 256 };

struct lifetime {
    int first, last;
}; // steps; the input is born at -1

size_t cdl_plan_image_bytes(const struct cdl_plan *plan, int value) {
    const struct cdl_value *v = &plan->graph.values[value];
    return (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) *
           (plan->fp16 && !v->fp32 ? 2 : 4);
}

size_t cdl_plan_value_at(const struct cdl_plan *plan, int value, int first_image) {
    const bool whole =
        plan->value_images[value] == plan->max_batch; // else the place of a sub-batch is every other's, too
    return plan->value_at[value] + (whole ? (size_t)first_image * cdl_plan_image_bytes(plan, value) : 0);
}

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

// When the value of one image is written and last read.
static void find_lifetimes(const struct cdl_plan *plan, struct lifetime *out) {
    const struct cdl_graph *g = &plan->graph;
    out[0] = (struct lifetime){-1, -1};
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        out[op->dst] = (struct lifetime){i, i};
        out[op->src].last = plan->steps[i].in_next ? i + 1 : i;
        if (op->residual >= 0)
            out[op->residual].last = i;
    }
    // What is read after the last step.
    out[g->num_values - 1].last = g->num_ops;
    out[g->features].last = g->num_ops;
    if (plan->keep_map)
        out[g->map].last = g->num_ops;
    for (int i = 0; plan->keep_values && i < g->num_values; i++)
        out[i].last = g->num_ops;
}

// Gives each value its size. What the segment alone knows needs room for a sub-batch; what it shares with the rest, for
// all images and all through the segment.
static void measure_values(struct cdl_plan *plan, const struct lifetime *natural, struct lifetime *out) {
    const int steps = plan->segment.steps;
    for (int v = 0; v < plan->graph.num_values; v++) {
        struct lifetime *l = &out[v];
        *l = natural[v];
        const bool local = l->first >= 0 && l->last < steps;
        const bool stored = l->first < 0 || !plan->steps[l->first].in_next;
        plan->value_images[v] = !stored ? 0 : local ? plan->segment.images : plan->max_batch;
        plan->value_bytes[v] = cdl_align_up((size_t)plan->value_images[v] * cdl_plan_image_bytes(plan, v), ARENA_ALIGN);
        if (!local && l->first < steps) {
            l->first = l->first < 0 ? -1 : 0;
            l->last = l->last < steps ? steps - 1 : l->last;
        }
    }
}

static bool overlap_in_time(struct lifetime a, struct lifetime b) { return a.first <= b.last && b.first <= a.last; }

// Of how many images the value is alive while `step` runs for the images [first, first + count).
static int live_images(const struct cdl_plan *plan, struct lifetime natural, int step, int first, int count) {
    const int steps = plan->segment.steps;
    if (natural.first >= 0 && plan->steps[natural.first].in_next)
        return 0;
    if (step >= steps || (natural.first >= 0 && natural.last < steps))
        return natural.first <= step && step <= natural.last ? step < steps ? count : plan->max_batch : 0;
    const int born = natural.first < 0        ? plan->max_batch
                     : natural.first >= steps ? 0
                     : natural.first <= step  ? first + count
                                              : first;
    const int dead = natural.last >= steps ? 0 : natural.last < step ? first + count : first;
    return born - dead;
}

// The largest sum of values alive at one step.
static size_t largest_live_set(const struct cdl_plan *plan, const struct lifetime *natural) {
    size_t largest = 0;
    for (int i = 0, n = cdl_plan_num_dispatches(plan, plan->max_batch); i <= n; i++) {
        struct cdl_dispatch_entry d = {.step = plan->graph.num_ops, .images = plan->max_batch}; // after the last
        size_t live = 0;
        if (i < n)
            d = cdl_plan_dispatch(plan, plan->max_batch, i);
        for (int v = 0; v < plan->graph.num_values; v++)
            live += cdl_align_up((size_t)live_images(plan, natural[v], d.step, d.first_image, d.images) *
                                     cdl_plan_image_bytes(plan, v),
                                 ARENA_ALIGN);
        largest = live > largest ? live : largest;
    }
    return largest;
}

// Each value, in `order`, into the lowest gap among those already placed that live at the same time. Returns what the
// arena then takes; *highest: the value at its end.
static size_t place_in_order(const struct cdl_plan *plan, const struct lifetime *life, const int *order, size_t *at,
                             int *highest) {
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

cdl_result cdl_plan_set_segment(struct cdl_plan *plan, struct cdl_segment segment, const cdl_log *log) {
    const bool useful = segment.steps > 0 && segment.images > 0 && segment.images < plan->max_batch;
    struct lifetime *natural = calloc(2 * (size_t)plan->graph.num_values, sizeof *natural);
    if (!natural)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    struct lifetime *life = natural + plan->graph.num_values;
    plan->segment = useful ? segment : (struct cdl_segment){0, 0};
    while (plan->segment.steps && plan->segment.steps < plan->graph.num_ops &&
           plan->steps[plan->segment.steps - 1].in_next)
        plan->segment.steps++;
    plan->num_order = plan->segment_order = 0;
    for (int i = 0; i < plan->graph.num_ops; i++)
        if (!plan->steps[i].in_next) {
            plan->segment_order += i < plan->segment.steps;
            plan->order[plan->num_order++] = i;
        }
    find_lifetimes(plan, natural);
    measure_values(plan, natural, life);
    plan->live_bytes = largest_live_set(plan, natural);
    const cdl_result r = place_values(plan, life, log);
    if (r == CDL_OK)
        cdl_plan_place_barriers(plan);
    free(natural);
    return r;
}

// Whether one kernel does this step's work and that of the one before it.
static void choose_pair(struct cdl_plan *plan, const struct cdl_plan_params *params, int step) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS], first;
    const struct cdl_op *op = &plan->graph.ops[step];
    if (!params->choose_pair || plan->keep_values)
        return;
    const int count = cdl_pair_kernels_for(&plan->graph, op, params->caps, plan->fp16, kernels, &first);
    const int chosen = count > 0 ? params->choose_pair(params->choose_ctx, &plan->graph, op, kernels, count) : -1;
    if (chosen < 0 || chosen >= count)
        return;
    plan->steps[step - 1].kernel = first;
    plan->steps[step - 1].in_next = true;
    plan->steps[step].kernel = kernels[chosen];
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
            return cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s: none of its %d kernels works on this device in %s",
                            g->ops[i].name, count, plan->fp16 ? "fp16" : "fp32");
        step->kernel = kernels[chosen];
        choose_pair(plan, params, i);
    }
    for (int i = 0; i < g->num_ops; i++) {
        struct cdl_step *step = &plan->steps[i];
        step->weights_at = plan->weights_bytes;
        plan->weights_bytes = cdl_align_up(plan->weights_bytes + step->kernel.weight_bytes, ARENA_ALIGN);
    }
    return CDL_OK;
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
    out->order = calloc((size_t)out->graph.num_ops, sizeof *out->order);
    out->value_at = calloc(num_values, sizeof *out->value_at);
    out->value_images = calloc(num_values, sizeof *out->value_images);
    out->value_bytes = calloc(num_values, sizeof *out->value_bytes);
    if (!out->steps || !out->order || !out->value_at || !out->value_images || !out->value_bytes)
        r = cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    if (r == CDL_OK)
        r = check_sizes(out, log);
    if (r == CDL_OK)
        r = choose_kernels(out, params, log);
    if (r == CDL_OK)
        r = cdl_plan_set_segment(out, (struct cdl_segment){0, 0}, log);
    if (r != CDL_OK)
        cdl_plan_destroy(out);
    return r;
}

void cdl_plan_destroy(struct cdl_plan *plan) {
    cdl_graph_destroy(&plan->graph);
    free(plan->steps);
    free(plan->order);
    free(plan->value_at);
    free(plan->value_images);
    free(plan->value_bytes);
    *plan = (struct cdl_plan){0};
}

void cdl_plan_log(const struct cdl_plan *plan, const cdl_log *log) {
    if (!log || !log->fn || log->level < CDL_LOG_DEBUG)
        return;
    cdl_graph_log(&plan->graph, log);
    for (int i = 0; i < plan->graph.num_ops; i++) {
        const struct cdl_step *step = &plan->steps[i];
        char name[160];
        cdl_kernel_name(&step->kernel, name, sizeof name);
        if (step->in_next)
            cdl_logf(log, CDL_LOG_DEBUG, "  %-22s with the next", plan->graph.ops[i].name);
        else
            cdl_logf(log, CDL_LOG_DEBUG, "%s%-22s %s, to arena %zu..%zu", step->barrier_before ? "| " : "  ",
                     plan->graph.ops[i].name, name, plan->value_at[plan->graph.ops[i].dst],
                     plan->value_at[plan->graph.ops[i].dst] + plan->value_bytes[plan->graph.ops[i].dst]);
    }
    if (plan->segment.steps)
        cdl_logf(log, CDL_LOG_DEBUG, "the first %d steps run for %d images at a time", plan->segment.steps,
                 plan->segment.images);
    cdl_logf(log, CDL_LOG_DEBUG, "weights %zu bytes, activations %zu bytes (largest live set %zu)", plan->weights_bytes,
             plan->arena_bytes, plan->live_bytes);
}

uint64_t cdl_plan_weights_hash(const struct cdl_plan *plan) {
    uint64_t hash = CDL_HASH_START;
    for (int i = 0; i < plan->graph.num_ops; i++) {
        const struct cdl_kernel *k = &plan->steps[i].kernel;
        const int layout[] = {plan->graph.ops[i].kind, k->fp16, k->lanes,        k->span,
                              k->tap_columns,          k->rows, k->shared_window};
        hash = cdl_hash(hash, layout, sizeof layout);
        hash = cdl_hash(hash, &plan->steps[i].weights_at, sizeof plan->steps[i].weights_at);
    }
    return hash;
}
