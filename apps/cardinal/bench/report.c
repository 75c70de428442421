// report.c - rows and layers as text and JSON.
#include <string.h>

#include "bench/bench.h"
#include "commands/report.h"
#include "system/text.h"

static bool is_ok(const struct bench_row *row) { return !strcmp(row->status, "ok"); }
static double rate(double amount, double us) { return us > 0 ? amount / us / 1e3 : 0; } // 1e9 a second
static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

double bench_compute_roof(const struct bench_target *t, cdl_precision precision) {
    const struct cdl_peaks *p = &t->peaks;
    double roof = p->fp32_gflops;
    if (precision == CDL_PRECISION_FP16) {
        roof = p->fp16_gflops > roof ? p->fp16_gflops : roof;
        roof = p->matrix_gflops > roof ? p->matrix_gflops : roof;
    }
    return roof;
}

// ---- text

void bench_print_row_heading(FILE *file) {
    fprintf(file, "%-20s %5s %5s %9s %9s %9s %9s %9s %9s %6s  %s\n", "network", "batch", "prec", "p50 ms", "p90 ms",
            "p99 ms", "gpu ms", "images/s", "device MB", "arena", "status");
}

static void print_start(FILE *file, const char *what, const struct bench_start *s) {
    if (s->total_ms <= 0)
        return;
    fprintf(file,
            "  %s: %.0f ms from start to result (device %.0f, model %.0f, session %.0f, first run %.0f); %d pipelines",
            what, s->total_ms, s->device_ms, s->model_ms, s->session_ms, s->run_ms, s->pipelines);
    if (s->pipelines_compiled >= 0)
        fprintf(file, ", %d compiled\n", s->pipelines_compiled);
    else
        fprintf(file, ", the driver does not tell how many it compiled\n");
}

void bench_print_row(FILE *file, const struct bench_row *row) {
    fprintf(file, "%-20s %5d %5s ", path_name(row->network), row->batch, precision_name(row->precision));
    if (!is_ok(row)) {
        fprintf(file, "%s\n", row->status);
        if (!strcmp(row->status, "unsupported"))
            fprintf(file, "  %s\n", row->reason);
    } else {
        char gpu[32] = "-";
        if (row->gpu_ms > 0)
            snprintf(gpu, sizeof gpu, "%.3f", row->gpu_ms);
        fprintf(file, "%9.3f %9.3f %9.3f %9s %9.1f %9.1f %6.2f  %s\n", row->p50_ms, row->p90_ms, row->p99_ms, gpu,
                row->images_per_s, (double)row->device_bytes / 1e6,
                (double)row->memory.activation_bytes / (double)row->memory.live_bytes, row->status);
        if (row->num_above_peak)
            fprintf(file, "  %d layers claim more than the device's measured peak: do not trust them\n",
                    row->num_above_peak);
    }
    print_start(file, "cold start, no caches", &row->cold);
    print_start(file, "warm start", &row->warm);
    if (row->start_error[0])
        fprintf(file, "  start: %s\n", row->start_error);
    fflush(file); // the next row may take minutes
}

// What the layers of one kind take together.
static void print_shares(FILE *file, const struct bench_row *row, double total_us) {
    double total_bytes = 0;
    for (int i = 0; i < row->num_layers; i++)
        total_bytes += (double)row->layers[i].bytes;
    fprintf(file, "\n%-24s %6s %11s %7s %9s %8s %14s\n", "operation", "layers", "us", "time %", "GFLOP/s", "GB/s",
            "moved bytes %");
    for (int i = 0; i < row->num_layers; i++) {
        bool seen = false;
        for (int j = 0; j < i; j++)
            seen = seen || !strcmp(row->layers[j].operation, row->layers[i].operation);
        if (seen)
            continue;
        double us = 0, flops = 0, bytes = 0;
        int count = 0;
        for (int j = i; j < row->num_layers; j++) {
            const struct bench_layer *l = &row->layers[j];
            if (strcmp(l->operation, row->layers[i].operation) != 0)
                continue;
            us += l->us;
            flops += (double)l->flops;
            bytes += (double)l->bytes;
            count++;
        }
        fprintf(file, "%-24s %6d %11.1f %7.1f %9.1f %8.2f %14.1f\n", row->layers[i].operation, count, us,
                percent(us, total_us), rate(flops, us), rate(bytes, us), percent(bytes, total_bytes));
    }
    fputc('\n', file);
}

void bench_print_layers(FILE *file, const struct bench_row *row, const struct bench_target *t) {
    const double roof = bench_compute_roof(t, row->precision);
    double total = 0;
    for (int i = 0; i < row->num_layers; i++)
        total += row->layers[i].us;
    if (total <= 0)
        return;
    fprintf(file, "\n%s, batch %d, %s: layers one after another, without overlap; %% of the measured peaks\n",
            path_name(row->network), row->batch, precision_name(row->precision));
    fprintf(file, "%-24s %-12s %11s %6s %9s %5s %8s %5s  %s\n", "layer", "operation", "us", "time %", "GFLOP/s", "%",
            "GB/s", "%", "kernel");
    for (int i = 0; i < row->num_layers; i++) {
        const struct bench_layer *l = &row->layers[i];
        const double gflops = rate((double)l->flops, l->us), gbytes = rate((double)l->bytes, l->us);
        fprintf(file, "%-24s %-12s %11.1f %6.1f %9.1f %5.1f %8.2f %5.1f  %s\n", l->layer, l->operation, l->us,
                percent(l->us, total), gflops, percent(gflops, roof), gbytes, percent(gbytes, t->peaks.memory_gbytes),
                l->kernel);
    }
    fprintf(file, "%-24s %-12s %11.1f\n", "sum", "", total);
    print_shares(file, row, total);
}

// ---- JSON

static void add_real(json_t *o, const char *name, double value) { json_object_set_new(o, name, json_real(value)); }
static void add_integer(json_t *o, const char *name, json_int_t value) {
    json_object_set_new(o, name, json_integer(value));
}
static void add_text(json_t *o, const char *name, const char *text) { json_object_set_new(o, name, json_text(text)); }
static void add_known(json_t *o, const char *name, double value, bool known, const char *otherwise) {
    json_object_set_new(o, name, known ? json_real(value) : json_text(otherwise));
}

json_t *bench_peaks_json(const struct cdl_peaks *p) {
    json_t *o = json_object();
    add_known(o, "fp32_gflops", p->fp32_gflops, p->fp32_gflops > 0, "unsupported");
    add_known(o, "fp16_gflops", p->fp16_gflops, p->fp16_gflops > 0, "unsupported");
    add_known(o, "matrix_gflops", p->matrix_gflops, p->matrix_gflops > 0, "unsupported");
    add_known(o, "int8_gops", p->int8_gops, p->int8_gops > 0, "unsupported");
    add_known(o, "memory_gbytes_per_s", p->memory_gbytes, p->memory_gbytes > 0, "unsupported");
    return o;
}

static json_t *layer_json(const struct bench_layer *l, double roof, double memory_roof) {
    const double gflops = rate((double)l->flops, l->us), gbytes = rate((double)l->bytes, l->us);
    json_t *o = json_object();
    add_text(o, "layer", l->layer);
    add_text(o, "operation", l->operation);
    add_text(o, "kernel", l->kernel);
    add_real(o, "us", l->us);
    add_real(o, "gflops", gflops);
    add_real(o, "gbytes_per_s", gbytes);
    add_known(o, "percent_of_peak_gflops", percent(gflops, roof), roof > 0, "not available");
    add_known(o, "percent_of_peak_gbytes_per_s", percent(gbytes, memory_roof), memory_roof > 0, "not available");
    return o;
}

static json_t *start_json(const struct bench_start *s) {
    if (s->total_ms <= 0)
        return json_text("not available");
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
        add_text(o, "pipelines_compiled", "not available");
    return o;
}

static void add_figures(json_t *o, const struct bench_row *row) {
    const struct bench_sensors *s = &row->sensors;
    add_real(o, "p50_ms", row->p50_ms);
    add_real(o, "p90_ms", row->p90_ms);
    add_real(o, "p99_ms", row->p99_ms);
    add_real(o, "mean_ms", row->mean_ms);
    add_real(o, "deviation_ms", row->deviation_ms);
    add_known(o, "gpu_ms", row->gpu_ms, row->gpu_ms > 0, "not available");
    add_real(o, "images_per_s", row->images_per_s);
    add_integer(o, "runs", row->runs);
    add_integer(o, "throughput_runs", row->throughput_runs);
    add_text(o, "input", input_names[row->input]);
    add_integer(o, "height", row->height);
    add_integer(o, "width", row->width);
    add_integer(o, "device_bytes", (json_int_t)row->device_bytes);
    add_integer(o, "weight_bytes", (json_int_t)row->memory.weight_bytes);
    add_integer(o, "activation_bytes", (json_int_t)row->memory.activation_bytes);
    add_integer(o, "live_bytes", (json_int_t)row->memory.live_bytes);
    add_known(o, "clock_mhz", s->clock_mhz, s->clock_mhz >= 0, "not available");
    add_known(o, "memory_clock_mhz", s->memory_clock_mhz, s->memory_clock_mhz >= 0, "not available");
    add_known(o, "power_watts", s->power_watts, s->power_watts >= 0, "not available");
    add_known(o, "temperature_c", s->temperature_c, s->temperature_c >= 0, "not available");
    if (row->num_above_peak)
        add_integer(o, "layers_above_peak", row->num_above_peak);
}

json_t *bench_row_json(const struct bench_row *row, const struct bench_target *t) {
    json_t *o = json_object(), *layers = json_array();
    add_text(o, "network", row->network);
    add_text(o, "device", t->info.name);
    add_integer(o, "batch", row->batch);
    add_text(o, "precision", precision_name(row->precision));
    add_text(o, "status", row->status);
    if (is_ok(row))
        add_figures(o, row);
    else
        add_text(o, "reason", row->reason);
    if (t->options->start) {
        json_object_set_new(o, "cold_start", start_json(&row->cold));
        json_object_set_new(o, "warm_start", start_json(&row->warm));
    }
    for (int i = 0; i < row->num_layers; i++)
        json_array_append_new(
            layers, layer_json(&row->layers[i], bench_compute_roof(t, row->precision), t->peaks.memory_gbytes));
    json_object_set_new(o, "layers", layers);
    return o;
}
