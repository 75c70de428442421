// report.c - rows and layers as text, while a bench runs.
#include <string.h>

#include "bench/bench.h"
#include "commands/report.h"
#include "system/text.h"

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
    fprintf(file, "%-20s %5s %5s %-6s %9s %9s %9s %9s %9s %6s %9s  %s\n", "network", "batch", "prec", "input", "p50 ms",
            "p90 ms", "p99 ms", "gpu ms", "images/s", "+- %", "device MB", "status");
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

// What a reader should know of the row's figures.
static void print_flags(FILE *file, const struct bench_row *row, const struct bench_target *t) {
    const double max = sensors_limits(t->sensors).max_clock_mhz, mhz = row->clock.during;
    if (mhz > 0 && max > 0 && 100 * mhz < LOW_CLOCK_PERCENT * max)
        fprintf(file, "  clock %.0f of %.0f MHz: below %d %%, so this is not the device's rate\n", mhz, max,
                LOW_CLOCK_PERCENT);
    else if (mhz > 0 && max > 0)
        fprintf(file, "  clock %.0f of %.0f MHz\n", mhz, max);
    else if (mhz > 0)
        fprintf(file, "  clock %.0f MHz\n", mhz);
    if (row->num_above_peak)
        fprintf(file, "  %d layers claim more than the device's measured peak: do not trust them\n",
                row->num_above_peak);
    if (row->above_peak)
        fprintf(file, "  the whole run claims more than the device's measured peak: do not trust it\n");
}

void bench_print_row(FILE *file, struct bench_row *row, const struct bench_target *t) {
    const int n = row->runs;
    fprintf(file, "%-20s %5d %5s %-6s ", path_name(row->network), row->batch, precision_name(row->precision),
            input_names[row->input]);
    if (!bench_row_is_ok(row)) {
        fprintf(file, "%s\n", row->status);
        if (!strcmp(row->status, "unsupported"))
            fprintf(file, "  %s\n", row->reason);
    } else {
        char gpu[32] = "-", width[32] = "-";
        const double gpu_ms = bench_percentile(row->gpu_ms, n, 0.5);
        const struct estimate e = blocks_estimate(&row->rate);
        if (gpu_ms > 0)
            snprintf(gpu, sizeof gpu, "%.3f", gpu_ms);
        if (e.degrees > 0)
            snprintf(width, sizeof width, "%.1f", 100 * estimate_half_width(&e));
        fprintf(file, "%9.3f %9.3f %9.3f %9s %9.1f %6s %9.1f  %s\n", bench_percentile(row->ms, n, 0.5),
                bench_percentile(row->ms, n, 0.9), bench_percentile(row->ms, n, 0.99), gpu, e.mean, width,
                (double)row->device_bytes / 1e6, row->status);
        print_flags(file, row, t);
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
    fprintf(file, "\n%-34s %6s %11s %7s %9s %8s %14s\n", "operation", "layers", "us", "time %", "GFLOP/s", "GB/s",
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
        fprintf(file, "%-34s %6d %11.1f %7.1f %9.1f %8.2f %14.1f\n", row->layers[i].operation, count, us,
                percent(us, total_us), rate(flops, us), rate(bytes, us), percent(bytes, total_bytes));
    }
    fputc('\n', file);
}

void bench_print_layers(FILE *file, const struct bench_row *row, const struct bench_target *t) {
    const double roof = bench_compute_roof(t, row->precision);
    double total = 0;
    int width = 12;
    for (int i = 0; i < row->num_layers; i++) {
        const int length = (int)strlen(row->layers[i].operation);
        total += row->layers[i].us;
        width = length > width ? length : width;
    }
    if (total <= 0)
        return;
    fprintf(file, "\n%s, batch %d, %s: layers within whole runs, kept apart; %% of the measured peaks\n",
            path_name(row->network), row->batch, precision_name(row->precision));
    fprintf(file, "%-24s %-*s %11s %6s %9s %5s %8s %5s  %s\n", "layer", width, "operation", "us", "time %", "GFLOP/s",
            "%", "GB/s", "%", "kernel");
    for (int i = 0; i < row->num_layers; i++) {
        const struct bench_layer *l = &row->layers[i];
        const double gflops = rate((double)l->flops, l->us), gbytes = rate((double)l->bytes, l->us);
        fprintf(file, "%-24s %-*s %11.1f %6.1f %9.1f %5.1f %8.2f %5.1f  %s\n", l->layer, width, l->operation, l->us,
                percent(l->us, total), gflops, percent(gflops, roof), gbytes, percent(gbytes, t->peaks.memory_gbytes),
                l->kernel);
    }
    fprintf(file, "%-24s %-*s %11.1f", "sum", width, "", total);
    const double run_us = 1e3 * row->layers_run_ms, part = percent(total, run_us);
    fprintf(file, "  %.1f %% of the run of %.1f us that they were timed in%s\n", part, run_us,
            part < 95 && row->input != BENCH_TRAINING ? "; the rest is softmax, order and results" : "");
    print_shares(file, row, total);
}

void bench_print_score(FILE *file, const json_t *score, const struct suite *suite) {
    const json_t *value = json_object_get(score, "value"), *interval = json_object_get(score, "interval");
    if (json_is_number(value)) {
        fprintf(file, "\nscore of %s version %d: %.2f", suite->name, SUITE_VERSION, json_number_value(value));
        if (json_is_object(interval))
            fprintf(file, " +- %.1f %%", json_number_value(json_object_get(interval, "half_width_percent")));
        fprintf(file, "\n  the mean over the rows of images/s over those of %s\n", SCORE_REFERENCE);
    } else {
        fprintf(file, "\nno score of %s version %d: %s\n", suite->name, SUITE_VERSION,
                json_string_value(json_object_get(score, "reason")));
    }
}

void bench_print_sustained(FILE *file, const json_t *s) {
    const json_t *interval = json_object_get(s, "interval");
    fprintf(file, "\nsustained for %.0f s, %s, batch %d: %.1f images/s at first, %.1f at last",
            json_number_value(json_object_get(s, "asked_seconds")), json_string_value(json_object_get(s, "network")),
            (int)json_integer_value(json_object_get(s, "batch")),
            json_number_value(json_object_get(s, "first_images_per_s")),
            json_number_value(json_object_get(s, "last_images_per_s")));
    if (json_is_array(interval))
        fprintf(file, ", %.3f to %.3f of it", json_number_value(json_array_get(interval, 0)),
                json_number_value(json_array_get(interval, 1)));
    fprintf(file, ": %s\n", json_is_true(json_object_get(s, "throttled")) ? "it throttles" : "no throttling is seen");
}
