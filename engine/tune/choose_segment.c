// choose_segment.c - whether a plan's first steps run for a few images at a time: by measurement, by what an earlier
// one said, or by the rule of segment.c.
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tune/tune.h"

enum { ROUNDS = 4, ROUNDS_WHEN_SLOW = 2, SLOW_NS = 100000000 };

void cdl_tuning_segment_key(char out[CDL_TUNING_KEY], const struct cdl_plan *plan) {
    const struct cdl_value *input = &plan->graph.values[0];
    cdl_format_text(out, CDL_TUNING_KEY, "segment %s, %d steps, %dx%d, batch %d, %s", plan->graph.architecture,
                    plan->graph.num_ops, input->height, input->width, plan->max_batch, plan->fp16 ? "fp16" : "fp32");
}

// The number behind the text `before`, -1 where there is none.
static int number_behind(const char *text, const char *before) {
    const char *at = strstr(text, before);
    const long n = at ? strtol(at + strlen(before), NULL, 10) : -1;
    return n >= 0 && n <= INT_MAX ? (int)n : -1;
}

// An earlier tuning's choice, as a value "quick steps 25 images 8".
static bool recall_segment(struct cdl_tuner *t, const char *key, const struct cdl_plan *plan, struct cdl_segment *out) {
    char value[CDL_TUNING_VALUE];
    if (!cdl_tuner_recalls(t, key, value))
        return false;
    *out = (struct cdl_segment){number_behind(value, " steps "), number_behind(value, " images ")};
    return out->steps >= 0 && out->steps <= plan->graph.num_ops && out->images >= 0;
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
        r = cdl_pipeline_get(&pipeline, t->dev, kernel);
        if (r == CDL_OK) {
            cdl_kernel_launch(kernel, &plan->graph, &plan->graph.ops[d.step], d.images, &at, &launch);
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
    const struct cdl_step *last = &plan->steps[steps - 1];
    if (r == CDL_OK)
        r = cdl_tune_reserve(t, arena + last->weights_at + last->kernel.weight_bytes);
    if (r == CDL_OK)
        r = cdl_tune_fill(t);
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

cdl_result cdl_tune_segment(struct cdl_tuner *t, struct cdl_plan *plan) {
    struct cdl_segment segments[CDL_MAX_SEGMENTS], chosen;
    double ns[CDL_MAX_SEGMENTS] = {0};
    char key[CDL_TUNING_KEY], value[CDL_TUNING_VALUE];
    cdl_tuning_segment_key(key, plan);
    if (recall_segment(t, key, plan, &chosen))
        return cdl_plan_set_segment(plan, chosen, &t->dev->log);
    const int count = cdl_plan_segments(plan, &t->dev->caps, segments);
    chosen = segments[0];
    if (count > 1 && t->mode != CDL_TUNE_OFF && t->dev->timestamp_bits) {
        int best = 0;
        cdl_result r = cdl_tuner_ready(t) ? measure_all(t, plan, segments, count, ns) : t->result;
        if (r == CDL_OK)
            r = choose(t, plan, segments, count, ns, &best);
        if (r == CDL_OK) {
            chosen = segments[best];
            cdl_format_text(value, sizeof value, "%s steps %d images %d", cdl_tuner_mode(t), chosen.steps,
                            chosen.images);
            cdl_tuning_remember(t->dev, key, value);
        } else if (r != CDL_ERR_NOMEM) { // without the memory to measure, the session itself may still fit
            return r;
        }
    }
    return cdl_plan_set_segment(plan, chosen, &t->dev->log);
}
