// sustain.c - the same work for long: whether a device that is warm is as fast as one that is not.
#include <math.h>
#include <string.h>

#include "bench/bench.h"
#include "commands/report.h"

enum { SAMPLE_MS = 500, WINDOW_MS = 10000 };

static json_t *sample_json(double seconds, double rate, const struct sensor_values *v) {
    return json_pack("{s:f, s:f, s:o, s:o, s:o, s:o}", "seconds", seconds, "images_per_s", rate, "clock_mhz",
                     bench_known_json(v->clock_mhz, v->clock_mhz >= 0), "power_watts",
                     bench_known_json(v->power_watts, v->power_watts >= 0), "temperature_c",
                     bench_known_json(v->temperature_c, v->temperature_c >= 0), "memory_used_bytes",
                     bench_known_json(v->memory_used_bytes, v->memory_used_bytes >= 0));
}

// Two runs in flight for `ms`; a sample every half second, of whole runs.
static cdl_result run_long(struct bench_session *s, int ms, json_t *samples, struct blocks *first,
                           struct blocks *last) {
    const double window_ms = ms >= 3 * WINDOW_MS ? WINDOW_MS : ms / 3.0;
    const double start = now_ms(), end = start + ms;
    double sample_start = start;
    cdl_result r = CDL_OK;
    int submitted = 0, runs = 0;
    for (; r == CDL_OK && submitted < BENCH_SLOTS; submitted++)
        r = bench_session_submit(s, submitted);
    for (int finished = 0; r == CDL_OK && finished < submitted; finished++) {
        r = bench_session_wait(s, finished % BENCH_SLOTS);
        const double now = now_ms();
        runs++;
        if (r == CDL_OK && now < end) {
            r = bench_session_submit(s, finished % BENCH_SLOTS);
            submitted++;
        }
        if (now - sample_start < SAMPLE_MS || now >= end + SAMPLE_MS)
            continue;
        struct sensor_values values;
        const double rate = 1e3 * s->row->batch * runs / (now - sample_start);
        sensors_read(s->target->sensors, &values);
        json_array_append_new(samples, sample_json((now - start) / 1e3, rate, &values));
        if (now - start <= window_ms)
            blocks_add(first, rate, 0);
        else if (now > end - window_ms)
            blocks_add(last, rate, 0);
        runs = 0;
        sample_start = now;
    }
    return r;
}

cdl_result bench_sustain(const struct bench_row *like, const struct bench_target *target, int ms, json_t **out) {
    static struct blocks first, last; // large for a stack
    struct bench_row row = {.batch = like->batch, .precision = like->precision, .input = like->input};
    struct bench_session s;
    json_t *samples = json_array();
    *out = NULL;
    first.count = last.count = 0;
    snprintf(row.network, sizeof row.network, "%s", like->network);
    cdl_result r = bench_session_open(&s, &row, target, false);
    if (r == CDL_OK)
        r = run_long(&s, ms, samples, &first, &last);
    bench_session_judge(&s, r);
    bench_session_close(&s);
    const struct estimate a = blocks_estimate(&first), b = blocks_estimate(&last);
    const struct ratio ratio = estimate_ratio(&b, &a, 0.95);
    // Two per cent are no throttling, however sure they are.
    const bool throttled = ratio.known && ratio.high < 1 && ratio.value < 0.98;
    *out = json_pack("{s:o, s:i, s:s, s:s, s:s, s:o, s:f, s:f, s:f, s:o, s:o, s:b, s:o}", "network",
                     json_text(row.network), "batch", row.batch, "precision", precision_name(row.precision), "input",
                     input_names[row.input], "status", row.status, "reason", json_text(row.reason), "asked_seconds",
                     ms / 1e3, "first_images_per_s", a.mean, "last_images_per_s", b.mean, "last_over_first",
                     bench_known_json(ratio.value, ratio.value > 0), "interval",
                     ratio.known ? json_pack("[f, f]", ratio.low, ratio.high) : json_text("not available"), "throttled",
                     throttled, "samples", samples);
    bench_row_free(&row);
    return r;
}
