// arena.c - a place in the arena for each value, by lifetime.
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

enum { ARENA_ALIGN = 256 };

// Of a value of one image: the steps that write it and last read it; the input is born at -1. first == NEVER: it stays
// inside a step's kernel.
struct lifetime {
    int first, last;
};
enum { NEVER = -2 };

size_t cdl_plan_image_bytes(const struct cdl_plan *plan, int value) {
    return cdl_value_bytes(&plan->graph.values[value], plan->fp16);
}

size_t cdl_plan_value_at(const struct cdl_plan *plan, int value, int first_image) {
    const bool whole =
        plan->value_images[value] == plan->max_batch; // else the place of a sub-batch is every other's, too
    return plan->value_at[value] + (whole ? (size_t)first_image * cdl_plan_image_bytes(plan, value) : 0);
}

static void find_lifetimes(const struct cdl_plan *plan, struct lifetime *out) {
    const struct cdl_graph *g = &plan->graph;
    for (int v = 0; v < g->num_values; v++)
        out[v] = (struct lifetime){NEVER, NEVER};
    out[0] = (struct lifetime){-1, -1};
    for (int i = 0; i < plan->num_steps; i++) {
        const struct cdl_step *step = &plan->steps[i];
        out[step->dst] = (struct lifetime){i, i};
        if (step->kept >= 0)
            out[step->kept] = (struct lifetime){i, i};
        out[step->src].last = i;
        if (step->residual >= 0)
            out[step->residual].last = i;
    }
    // What is read after the last step.
    out[g->output].last = plan->num_steps;
    out[g->features].last = plan->num_steps;
    if (plan->keep_map)
        out[g->map].last = plan->num_steps;
    for (int v = 0; plan->keep_values && v < g->num_values; v++)
        out[v].last = plan->num_steps;
}

// Gives each value its size. What the segment alone knows needs room for a sub-batch; what it shares with the rest, for
// all images and all through the segment.
static void measure_values(struct cdl_plan *plan, const struct lifetime *natural, struct lifetime *out) {
    const int steps = plan->segment.steps;
    for (int v = 0; v < plan->graph.num_values; v++) {
        struct lifetime *l = &out[v];
        *l = natural[v];
        const bool local = l->first >= 0 && l->last < steps;
        plan->value_images[v] = l->first == NEVER ? 0 : local ? plan->segment.images : plan->max_batch;
        plan->value_bytes[v] = cdl_align_up((size_t)plan->value_images[v] * cdl_plan_image_bytes(plan, v), ARENA_ALIGN);
        if (!local && l->first < steps && l->first != NEVER) {
            l->first = l->first < 0 ? -1 : 0;
            l->last = l->last < steps ? steps - 1 : l->last;
        }
    }
}

// Of how many images the value is alive while `step` runs for the images [first, first + count).
static int live_images(const struct cdl_plan *plan, struct lifetime natural, int step, int first, int count) {
    const int steps = plan->segment.steps;
    if (natural.first == NEVER)
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
        struct cdl_dispatch_entry d = {.step = plan->num_steps, .images = plan->max_batch}; // after the last
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

// ---- placement, of anything that has a lifetime

static bool overlap(const struct cdl_arena_value *a, const struct cdl_arena_value *b) {
    return a->first <= b->last && b->first <= a->last;
}

// Each value, in `order`, into the lowest gap among those already placed that live at the same time. Returns what the
// arena then takes; *highest: the value at its end.
static size_t place_in_order(const struct cdl_arena_value *values, int n, const int *order, size_t *at, int *highest) {
    size_t arena = 0;
    for (int i = 0; i < n; i++) {
        const int v = order[i];
        const size_t size = values[v].bytes;
        at[v] = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (int j = 0; j < i; j++) {
                const int u = order[j];
                if (overlap(&values[u], &values[v]) && at[u] < at[v] + size && at[v] < at[u] + values[u].bytes) {
                    at[v] = at[u] + values[u].bytes;
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
cdl_result cdl_arena_place(struct cdl_arena_value *values, int n, size_t least, size_t *arena_bytes,
                           const cdl_log *log) {
    enum { TRIES = 64 };
    int *order = malloc((size_t)n * sizeof *order);
    size_t *at = malloc((size_t)n * sizeof *at);
    if (!order || !at) {
        free(order);
        free(at);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    }
    for (int i = 0; i < n; i++) { // insertion sort: a few hundred values
        int j = i;
        for (; j > 0 && values[order[j - 1]].bytes < values[i].bytes; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    *arena_bytes = SIZE_MAX;
    for (int try = 0; try<TRIES && * arena_bytes> least; try++) {
        int highest = 0;
        const size_t arena = place_in_order(values, n, order, at, &highest);
        if (arena < *arena_bytes) {
            *arena_bytes = arena;
            for (int v = 0; v < n; v++)
                values[v].at = at[v];
        }
        move_to_front(order, highest);
    }
    free(order);
    free(at);
    return CDL_OK;
}

static cdl_result place_values(struct cdl_plan *plan, const struct lifetime *life, const cdl_log *log) {
    const int n = plan->graph.num_values;
    struct cdl_arena_value *values = malloc((size_t)n * sizeof *values);
    if (!values)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    for (int v = 0; v < n; v++)
        values[v] = (struct cdl_arena_value){plan->value_bytes[v], life[v].first, life[v].last, 0};
    const cdl_result r = cdl_arena_place(values, n, plan->live_bytes, &plan->arena_bytes, log);
    for (int v = 0; r == CDL_OK && v < n; v++)
        plan->value_at[v] = values[v].at;
    free(values);
    return r;
}

cdl_result cdl_plan_set_segment(struct cdl_plan *plan, struct cdl_segment segment, const cdl_log *log) {
    const bool useful = segment.steps > 0 && segment.images > 0 && segment.images < plan->max_batch;
    struct lifetime *natural = calloc(2 * (size_t)plan->graph.num_values, sizeof *natural);
    if (!natural)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning");
    struct lifetime *life = natural + plan->graph.num_values;
    plan->segment = useful ? segment : (struct cdl_segment){0, 0};
    if (plan->segment.steps > plan->num_steps)
        plan->segment.steps = plan->num_steps;
    find_lifetimes(plan, natural);
    measure_values(plan, natural, life);
    plan->live_bytes = largest_live_set(plan, natural);
    const cdl_result r = place_values(plan, life, log);
    if (r == CDL_OK)
        cdl_plan_place_barriers(plan);
    free(natural);
    return r;
}
