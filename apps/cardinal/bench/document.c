// document.c - what was measured, as JSON: docs/bench-result.schema.json is its schema.
#include <string.h>

#include "bench/bench.h"
#include "commands/report.h"

static const char *const not_available = "not available";

static double rate(double amount, double us) { return us > 0 ? amount / us / 1e3 : 0; } // 1e9 a second
static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static void add_real(json_t *o, const char *name, double value) { json_object_set_new(o, name, json_real(value)); }
static void add_integer(json_t *o, const char *name, json_int_t value) {
    json_object_set_new(o, name, json_integer(value));
}
static void add_text(json_t *o, const char *name, const char *text) { json_object_set_new(o, name, json_text(text)); }
static void add_known(json_t *o, const char *name, double value, bool known) {
    json_object_set_new(o, name, bench_known_json(value, known));
}

json_t *bench_known_json(double value, bool known) { return known ? json_real(value) : json_text(not_available); }

static json_t *peak_json(double value) { return value > 0 ? json_real(value) : json_text("unsupported"); }

json_t *bench_peaks_json(const struct cdl_peaks *p) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "fp32_gflops", peak_json(p->fp32_gflops), "fp16_gflops",
                     peak_json(p->fp16_gflops), "matrix_gflops", peak_json(p->matrix_gflops), "int8_gops",
                     peak_json(p->int8_gops), "memory_gbytes_per_s", peak_json(p->memory_gbytes));
}

static json_t *layer_json(const struct bench_layer *l, double roof, double memory_roof) {
    const double gflops = rate((double)l->flops, l->us), gbytes = rate((double)l->bytes, l->us);
    json_t *o = json_object();
    add_text(o, "layer", l->layer);
    add_text(o, "operation", l->operation);
    add_text(o, "kernel", l->kernel);
    add_real(o, "us", l->us);
    add_integer(o, "flops", (json_int_t)l->flops);
    add_integer(o, "bytes", (json_int_t)l->bytes);
    add_real(o, "gflops", gflops);
    add_real(o, "gbytes_per_s", gbytes);
    add_known(o, "percent_of_peak_gflops", percent(gflops, roof), roof > 0);
    add_known(o, "percent_of_peak_gbytes_per_s", percent(gbytes, memory_roof), memory_roof > 0);
    return o;
}

static json_t *start_json(const struct bench_start *s) {
    if (s->total_ms <= 0)
        return json_text(not_available);
    json_t *o = json_object();
    add_real(o, "total_ms", s->total_ms);
    add_real(o, "device_ms", s->device_ms);
    add_real(o, "model_ms", s->model_ms);
    add_real(o, "session_ms", s->session_ms);
    add_real(o, "first_run_ms", s->run_ms);
    add_integer(o, "pipelines", s->pipelines);
    if (s->pipelines_compiled >= 0)
        add_integer(o, "pipelines_compiled", s->pipelines_compiled);
    else
        add_text(o, "pipelines_compiled", not_available);
    return o;
}

static json_t *estimate_json(const struct estimate *e) {
    if (e->degrees <= 0)
        return json_text(not_available);
    return json_pack("{s:f, s:f, s:f}", "standard_error", e->error, "degrees_of_freedom", e->degrees,
                     "half_width_percent", 100 * estimate_half_width(e));
}

// What a reader should know before the figures are believed.
static json_t *flags_json(const struct bench_row *row, const struct estimate *e, double clock_percent) {
    json_t *flags = json_array();
    if (clock_percent > 0 && clock_percent < LOW_CLOCK_PERCENT)
        json_array_append_new(flags, json_text("clock below 90 % of its maximum"));
    if (row->above_peak || row->num_above_peak)
        json_array_append_new(flags, json_text("above the measured peak"));
    if (e->degrees <= 0 || estimate_half_width(e) > 0.02)
        json_array_append_new(flags, json_text("interval wider than 2 %"));
    return flags;
}

static void add_times(json_t *o, struct bench_row *row) {
    const int n = row->runs;
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += row->ms[i] / n;
    add_real(o, "p50_ms", bench_percentile(row->ms, n, 0.5));
    add_real(o, "p90_ms", bench_percentile(row->ms, n, 0.9));
    add_real(o, "p99_ms", bench_percentile(row->ms, n, 0.99));
    add_real(o, "mean_ms", sum);
    const double gpu_ms = bench_percentile(row->gpu_ms, n, 0.5);
    add_known(o, "gpu_ms", gpu_ms, gpu_ms > 0);
    const double preprocess_ms = bench_percentile(row->preprocess_ms, n, 0.5);
    add_known(o, "preprocess_ms", preprocess_ms, preprocess_ms > 0);
    add_integer(o, "runs", n);
    add_integer(o, "throughput_runs", row->throughput_runs);
    add_integer(o, "visits", row->visits);
}

static void add_clock(json_t *o, const struct bench_row *row, const struct sensor_limits *limits,
                      double clock_percent) {
    const struct sensor_values *s = &row->sensors;
    const struct bench_clock *c = &row->clock;
    add_known(o, "clock_mhz", c->during, c->during >= 0);
    add_known(o, "clock_before_mhz", c->before, c->before >= 0);
    add_known(o, "clock_after_mhz", c->after, c->after >= 0);
    add_known(o, "clock_max_mhz", limits->max_clock_mhz, limits->max_clock_mhz > 0);
    add_known(o, "clock_percent", clock_percent, clock_percent > 0);
    add_known(o, "memory_clock_mhz", s->memory_clock_mhz, s->memory_clock_mhz >= 0);
    add_known(o, "power_watts", s->power_watts, s->power_watts >= 0);
    add_known(o, "temperature_c", s->temperature_c, s->temperature_c >= 0);
}

static void add_figures(json_t *o, struct bench_row *row, const struct bench_target *t) {
    static const char *const known[] = {"not compared", "right", "wrong"};
    const struct estimate rate_of = blocks_estimate(&row->rate), device_rate = blocks_estimate(&row->device_rate);
    const struct sensor_limits limits = sensors_limits(t->sensors);
    const double clock_percent = row->clock.during > 0 ? percent(row->clock.during, limits.max_clock_mhz) : 0;
    double layers_us = 0, flops = 0;
    for (int i = 0; i < row->num_layers; i++) {
        layers_us += row->layers[i].us;
        flops += (double)row->layers[i].flops;
    }
    add_real(o, "images_per_s", rate_of.mean);
    json_object_set_new(o, "interval", estimate_json(&rate_of));
    add_known(o, "device_images_per_s", device_rate.mean, device_rate.mean > 0);
    json_object_set_new(o, "device_interval", estimate_json(&device_rate));
    add_times(o, row);
    add_text(o, "known_logits", known[row->known]);
    add_known(o, "known_logits_error", row->known_error, row->known != KNOWN_NOT_COMPARED);
    json_object_set_new(o, "flags", flags_json(row, &rate_of, clock_percent));
    add_known(o, "gflops", rate_of.mean * flops / row->batch / 1e9, flops > 0);
    add_integer(o, "device_bytes", (json_int_t)row->device_bytes);
    add_integer(o, "weight_bytes", (json_int_t)row->memory.weight_bytes);
    add_integer(o, "activation_bytes", (json_int_t)row->memory.activation_bytes);
    add_integer(o, "live_bytes", (json_int_t)row->memory.live_bytes);
    add_clock(o, row, &limits, clock_percent);
    add_known(o, "layers_sum_ms", layers_us / 1e3, layers_us > 0);
    add_known(o, "layers_run_ms", row->layers_run_ms, row->num_layers > 0);
    if (row->num_above_peak)
        add_integer(o, "layers_above_peak", row->num_above_peak);
}

json_t *bench_row_json(struct bench_row *row, const struct bench_target *t, int device_index) {
    json_t *o = json_object(), *layers = json_array();
    add_text(o, "network", row->network);
    add_text(o, "weights", row->weights);
    add_text(o, "device", t->info.name);
    add_integer(o, "device_index", device_index);
    add_integer(o, "batch", row->batch);
    add_text(o, "precision", precision_name(row->precision));
    add_text(o, "input", input_names[row->input]);
    add_integer(o, "height", row->height);
    add_integer(o, "width", row->width);
    add_text(o, "status", row->status);
    if (bench_row_is_ok(row))
        add_figures(o, row, t);
    else
        add_text(o, "reason", row->reason);
    if (row->cold.total_ms > 0 || row->start_error[0]) {
        json_object_set_new(o, "cold_start", start_json(&row->cold));
        json_object_set_new(o, "warm_start", start_json(&row->warm));
    }
    for (int i = 0; i < row->num_layers; i++)
        json_array_append_new(
            layers, layer_json(&row->layers[i], bench_compute_roof(t, row->precision), t->peaks.memory_gbytes));
    json_object_set_new(o, "layers", layers);
    return o;
}

json_t *bench_score_json(const struct suite *suite, const struct bench_row *rows, int count, char why[256]) {
    static struct estimate rates[SUITE_MAX_ROWS];
    double references[SUITE_MAX_ROWS];
    int n = 0, unchecked = 0;
    why[0] = 0;
    for (int i = 0; i < count && i < SUITE_MAX_ROWS; i++) {
        references[n] = score_reference(rows[i].network);
        rates[n] = blocks_estimate(&rows[i].rate);
        unchecked += rows[i].known != KNOWN_RIGHT;
        n += bench_row_is_ok(&rows[i]) && rows[i].known == KNOWN_RIGHT && references[n] > 0 && rates[n].mean > 0;
    }
    const int expected = suite_count(suite);
    if (n < expected)
        snprintf(why, 256, "%d of the suite's %d rows are not ok%s", expected - n, expected,
                 unchecked ? ", or their outputs are not known to be right" : "");
    const struct estimate e = n == expected ? estimate_geometric_mean(rates, references, n) : (struct estimate){0};
    return json_pack("{s:o, s:o, s:i, s:s, s:s, s:o}", "value", bench_known_json(e.mean, !why[0]), "interval",
                     estimate_json(&e), "version", SUITE_VERSION, "definition",
                     "geometric mean, over all rows of the suite, of images_per_s over the reference's for the network",
                     "reference", SCORE_REFERENCE, "reason", json_text(why));
}
