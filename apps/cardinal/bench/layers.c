// layers.c - the time of every layer, within whole runs.
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MIN_RUNS = 3, MAX_RUNS = 15 };

struct layer_times {
    struct cdl_timing *timings; // [count]
    double *us;                 // [count][MAX_RUNS]
    double run_ms[MAX_RUNS];
    int count, runs;
};

static cdl_result time_runs(struct bench_session *s, struct layer_times *t, int duration_ms) {
    const double start = now_ms();
    cdl_result r = CDL_OK;
    for (; r == CDL_OK && t->runs < MAX_RUNS && (t->runs < MIN_RUNS || now_ms() - start < duration_ms); t->runs++) {
        r = bench_session_run(s);
        if (r == CDL_OK)
            r = cdl_session_timings(s->session, 0, t->timings, t->count, &t->count);
        for (int i = 0; r == CDL_OK && i < t->count; i++)
            t->us[i * MAX_RUNS + t->runs] = (double)t->timings[i].gpu_ns / 1e3;
        t->run_ms[t->runs] =
            ((double)cdl_session_gpu_ns(s->session, 0) - (double)cdl_session_preprocess_ns(s->session, 0)) / 1e6;
    }
    return r;
}

static void keep_medians(struct bench_row *row, struct layer_times *t) {
    for (int i = 0; i < t->count; i++) {
        struct bench_layer *layer = &row->layers[i];
        *layer = (struct bench_layer){.us = bench_percentile(t->us + i * MAX_RUNS, t->runs, 0.5),
                                      .flops = t->timings[i].flops,
                                      .bytes = t->timings[i].bytes};
        snprintf(layer->layer, sizeof layer->layer, "%s", t->timings[i].layer);
        snprintf(layer->operation, sizeof layer->operation, "%s", t->timings[i].operation);
        snprintf(layer->kernel, sizeof layer->kernel, "%s", t->timings[i].kernel);
    }
    row->num_layers = t->count;
    row->layers_run_ms = bench_percentile(t->run_ms, t->runs, 0.5);
}

// Whether layers, or all together, claim more than the roof. 5 %: two measurements of one thing differ a little.
static void compare_with_roof(struct bench_row *row, const struct bench_target *target) {
    const double roof = 1.05 * bench_compute_roof(target, row->precision);
    double flops = 0;
    for (int i = 0; i < row->num_layers; i++) {
        const struct bench_layer *l = &row->layers[i];
        flops += (double)l->flops;
        row->num_above_peak += roof > 0 && l->us > 0 && (double)l->flops / l->us / 1e3 > roof;
    }
    row->above_peak = roof > 0 && blocks_estimate(&row->rate).mean * flops / row->batch / 1e9 > roof;
}

cdl_result bench_measure_layers(struct bench_row *row, const struct bench_target *target, int duration_ms) {
    struct bench_session s;
    struct layer_times t = {0};
    cdl_result r = bench_session_open(&s, row, target, true);
    if (r == CDL_OK)
        r = cdl_session_timings(s.session, 0, NULL, 0, &t.count);
    if (r == CDL_OK && t.count > 0) {
        t.timings = calloc((size_t)t.count, sizeof *t.timings);
        t.us = calloc((size_t)t.count * MAX_RUNS, sizeof *t.us);
        row->layers = calloc((size_t)t.count, sizeof *row->layers);
        r = t.timings && t.us && row->layers ? bench_session_settle(&s) : CDL_ERR_NOMEM;
        if (r == CDL_OK)
            r = time_runs(&s, &t, duration_ms);
        if (r == CDL_OK)
            keep_medians(row, &t);
    }
    bench_session_judge(&s, r);
    bench_session_close(&s);
    free(t.timings);
    free(t.us);
    compare_with_roof(row, target);
    return r;
}
