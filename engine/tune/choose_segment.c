// choose_segment.c - whether a plan's first steps run for a few images at a time: by measurement, by what an earlier
// one said, or by the rule of segment.c.
#include "tune/tuner.h"
#include "tune/warm_up.h"

enum { ROUNDS = 4, ROUNDS_WHEN_SLOW = 2, SLOW_NS = 100000000 };

static bool recall(struct cdl_tuner *t, const char *key, const struct cdl_plan *plan, struct cdl_segment *out) {
    struct cdl_finding found;
    if (!cdl_tuner_recalls(t, key, &found) || found.kind != CDL_FOUND_SEGMENT)
        return false;
    *out = found.segment;
    return out->steps <= plan->num_steps;
}

// Records the plan's dispatches of its first `steps` steps.
static cdl_result record(struct cdl_tuner *t, const struct cdl_plan *plan, int steps, uint64_t weights) {
    struct cdl_launch launch;
    cdl_result r = CDL_OK;
    for (int i = 0, n = cdl_plan_num_dispatches(plan, plan->max_batch); i < n && r == CDL_OK; i++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(plan, plan->max_batch, i);
        const struct cdl_kernel *kernel = &plan->steps[d.step].kernel;
        const struct cdl_addresses at = cdl_plan_addresses(plan, &d, t->scratch.address, weights);
        VkPipeline pipeline;
        if (d.step >= steps)
            break;
        if (i == 0 || d.barrier_before)
            cdl_once_barrier(&t->once);
        r = cdl_pipeline_get(&pipeline, t->dev, &kernel->program);
        if (r == CDL_OK) {
            const struct cdl_work work = cdl_step_work(plan, d.step);
            cdl_kernel_launch(kernel, &work, d.images, &at, &launch);
            cdl_once_dispatch(&t->once, pipeline, &launch);
        }
    }
    return r;
}

static cdl_result measure(struct cdl_tuner *t, const struct cdl_plan *plan, int steps, size_t weights_at, double *ns) {
    cdl_result r = cdl_once_begin(&t->once);
    if (r != CDL_OK)
        return r;
    cdl_once_timestamp(&t->once, 0);
    r = record(t, plan, steps, t->scratch.address + weights_at);
    cdl_once_timestamp(&t->once, 1);
    const cdl_result ran = cdl_once_run(&t->once, 2); // ends the recording, in any case
    *ns = cdl_once_ns(&t->once, 0, 1);
    return r == CDL_OK ? ran : r;
}

struct warm_up {
    struct cdl_tuner *t;
    const struct cdl_plan *plan;
    int steps;
    size_t weights_at;
};

static cdl_result warm_up_run(void *ctx, double *ns) {
    const struct warm_up *w = ctx;
    return measure(w->t, w->plan, w->steps, w->weights_at, ns);
}

// ns[]: the best time of the steps that the segments differ in, with each. They take turns, as a device's clock
// changes; the first round warms up, too.
static cdl_result measure_all(struct cdl_tuner *t, struct cdl_plan *plan, const struct cdl_segment *segments, int count,
                              double *ns) {
    int steps = 0;
    size_t arena = 0;
    cdl_result r = CDL_OK;
    for (int i = 0; i < count && r == CDL_OK; i++) {
        r = cdl_plan_set_segment(plan, segments[i], &t->dev->log);
        steps = segments[i].steps > steps ? segments[i].steps : steps;
        arena = plan->arena_bytes > arena ? plan->arena_bytes : arena;
    }
    const size_t weights = steps < plan->num_steps ? plan->steps[steps].weights_at[0] : plan->weights_bytes;
    if (r == CDL_OK)
        r = cdl_tuner_reserve(t, arena + weights);
    if (r == CDL_OK)
        r = cdl_tuner_fill(t);
    struct warm_up warm = {t, plan, steps, arena};
    if (r == CDL_OK)
        r = cdl_plan_set_segment(plan, segments[0], &t->dev->log);
    if (r == CDL_OK)
        r = cdl_warm_up(t->dev, warm_up_run, &warm);
    for (int round = 0; r == CDL_OK && round < (ns[0] > SLOW_NS ? ROUNDS_WHEN_SLOW : ROUNDS); round++)
        for (int i = 0; i < count && r == CDL_OK; i++) {
            double time = 0;
            r = cdl_plan_set_segment(plan, segments[i], &t->dev->log);
            if (r == CDL_OK)
                r = measure(t, plan, steps, arena, &time);
            ns[i] = round == 0 || time < ns[i] ? time : ns[i];
        }
    return r;
}

// The one with the smallest arena among those that are about as fast as the fastest.
static cdl_result choose(struct cdl_tuner *t, struct cdl_plan *plan, const struct cdl_segment *segments, int count,
                         const double *ns, int *best) {
    double fastest = ns[0];
    size_t least = SIZE_MAX;
    cdl_result r = CDL_OK;
    for (int i = 1; i < count; i++)
        fastest = ns[i] < fastest ? ns[i] : fastest;
    for (int i = 0; i < count && r == CDL_OK; i++) {
        r = cdl_plan_set_segment(plan, segments[i], &t->dev->log);
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG,
                 "tuning the first %d steps for %d images at a time: %.1f us, arena %zu bytes", segments[i].steps,
                 segments[i].images, ns[i] / 1e3, plan->arena_bytes);
        if (ns[i] <= 1.02 * fastest && plan->arena_bytes < least) {
            least = plan->arena_bytes;
            *best = i;
        }
    }
    return r;
}

cdl_result cdl_tuner_choose_segment(struct cdl_tuner *t, struct cdl_plan *plan) {
    struct cdl_segment segments[CDL_MAX_SEGMENTS];
    struct cdl_finding found = {.kind = CDL_FOUND_SEGMENT, .mode = t->mode};
    double ns[CDL_MAX_SEGMENTS] = {0};
    cdl_segment_key(found.key, plan);
    if (recall(t, found.key, plan, &found.segment))
        return cdl_plan_set_segment(plan, found.segment, &t->dev->log);
    const int count = cdl_plan_segments(plan, &t->dev->caps, segments);
    found.segment = segments[0];
    if (count > 1 && cdl_tuner_may_measure(t)) {
        int best = 0;
        cdl_result r = cdl_tuner_ready(t) ? measure_all(t, plan, segments, count, ns) : t->result;
        if (r == CDL_OK)
            r = choose(t, plan, segments, count, ns, &best);
        if (r == CDL_OK) {
            found.segment = segments[best];
            cdl_findings_remember(t->dev, &found);
        } else if (r != CDL_ERR_NOMEM) { // without the memory to measure, the session itself may still fit
            return r;
        }
    }
    return cdl_plan_set_segment(plan, found.segment, &t->dev->log);
}
