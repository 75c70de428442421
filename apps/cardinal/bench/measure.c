// measure.c - a visit of a row: latency, throughput, and the clock meanwhile.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MIN_RUNS = 3, MIN_IN_FLIGHT = 6, MAX_RUNS = 100000, BLOCKS_A_VISIT = 10, CLOCK_EVERY_MS = 100 };

struct visit {
    struct bench_session s;
    int number, duration_ms;
    double clock_read_at;
};

void bench_row_free(struct bench_row *row) {
    free(row->layers);
    free(row->ms);
    free(row->gpu_ms);
    free(row->preprocess_ms);
    row->layers = NULL;
    row->ms = row->gpu_ms = row->preprocess_ms = NULL;
    row->runs = row->capacity = row->num_layers = 0;
}

bool bench_row_is_ok(const struct bench_row *row) { return !strcmp(row->status, "ok"); }

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_percentile(double *values, int n, double p) {
    if (!n)
        return 0;
    qsort(values, (size_t)n, sizeof *values, by_size);
    const int rank = (int)ceil(p * n);
    return values[rank > 0 ? rank - 1 : 0];
}

static bool grow(double **values, int capacity) {
    double *grown = realloc(*values, (size_t)capacity * sizeof *grown);
    if (grown)
        *values = grown;
    return grown != NULL;
}

bool bench_row_add_run(struct bench_row *row, double ms, double gpu_ms, double preprocess_ms) {
    if (row->runs == row->capacity) {
        const int capacity = row->capacity ? 2 * row->capacity : 256;
        if (!grow(&row->ms, capacity) || !grow(&row->gpu_ms, capacity) || !grow(&row->preprocess_ms, capacity))
            return false;
        row->capacity = capacity;
    }
    row->ms[row->runs] = ms;
    row->gpu_ms[row->runs] = gpu_ms;
    row->preprocess_ms[row->runs++] = preprocess_ms;
    return true;
}

// Between runs, and not between all of them.
static void read_clock(struct visit *v) {
    struct bench_clock *c = &v->s.row->clock;
    const double now = now_ms();
    if (now - v->clock_read_at < CLOCK_EVERY_MS || c->num_readings == MAX_BLOCKS)
        return;
    const double mhz = sensors_clock(v->s.target->sensors);
    v->clock_read_at = now;
    if (mhz >= 0)
        c->readings[c->num_readings++] = mhz;
}

static cdl_result measure_latency(struct visit *v) {
    struct bench_row *row = v->s.row;
    const double start = now_ms(), block_ms = (double)v->duration_ms / BLOCKS_A_VISIT;
    double block_start = start, block_gpu_ms = 0;
    int block_runs = 0;
    cdl_result r = CDL_OK;
    for (int n = 0; r == CDL_OK && n < MAX_RUNS && (n < MIN_RUNS || now_ms() - start < v->duration_ms); n++) {
        const double before = now_ms();
        r = bench_session_run(&v->s);
        const double after = now_ms(), gpu_ms = (double)cdl_session_gpu_ns(v->s.session, 0) / 1e6;
        if (r == CDL_OK &&
            !bench_row_add_run(row, after - before, gpu_ms, (double)cdl_session_preprocess_ns(v->s.session, 0) / 1e6))
            r = CDL_ERR_NOMEM;
        block_gpu_ms += gpu_ms;
        block_runs++;
        if (after - block_start >= block_ms) {
            blocks_add(&row->device_rate, block_gpu_ms > 0 ? 1e3 * row->batch * block_runs / block_gpu_ms : 0,
                       v->number);
            block_gpu_ms = block_runs = 0;
            read_clock(v);
            block_start = now_ms();
        }
    }
    return r;
}

// Two runs in flight: while the device works on one, the host stages the other. Counted from the first result on, so
// that a block is time from result to result.
static cdl_result measure_throughput(struct visit *v) {
    struct bench_row *row = v->s.row;
    const double block_ms = (double)v->duration_ms / BLOCKS_A_VISIT;
    double start = 0, block_start = 0;
    cdl_result r = CDL_OK;
    int submitted = 0, finished = 0, block_runs = 0;
    for (; r == CDL_OK && submitted < BENCH_SLOTS; submitted++)
        r = bench_session_submit(&v->s, submitted);
    for (; r == CDL_OK && finished < submitted; finished++) {
        const int slot = finished % BENCH_SLOTS;
        r = bench_session_wait(&v->s, slot);
        const double now = now_ms();
        const bool full = submitted - finished == BENCH_SLOTS; // at the end the host has nothing to do beside
        if (r != CDL_OK)
            break;
        if (finished == 0) {
            start = block_start = now;
        } else if (full || finished < MIN_IN_FLIGHT) {
            block_runs++;
            if (now - block_start >= block_ms) {
                blocks_add(&row->rate, 1e3 * row->batch * block_runs / (now - block_start), v->number);
                block_runs = 0;
                block_start = now;
            }
        }
        if (submitted <= MIN_IN_FLIGHT || now - start < v->duration_ms) {
            r = bench_session_submit(&v->s, slot);
            submitted++;
        }
        read_clock(v);
    }
    row->throughput_runs += finished;
    return r;
}

cdl_result bench_measure(struct bench_row *row, const struct bench_target *target, int duration_ms) {
    struct visit v = {.number = row->visits, .duration_ms = duration_ms};
    const double clock_before = sensors_clock(target->sensors);
    cdl_result r = bench_session_open(&v.s, row, target, false);
    const bool sound = row->known != KNOWN_WRONG; // the speed of nonsense is of no interest
    if (r == CDL_OK && sound)
        r = bench_session_settle(&v.s);
    if (r == CDL_OK && sound)
        r = measure_latency(&v);
    if (r == CDL_OK && sound)
        r = measure_throughput(&v);
    sensors_read(target->sensors, &row->sensors); // while it is warm
    if (row->visits == 0)
        row->clock.before = clock_before;
    row->clock.after = row->sensors.clock_mhz;
    row->clock.during =
        row->clock.num_readings ? bench_percentile(row->clock.readings, row->clock.num_readings, 0.5) : -1;
    row->visits++;
    bench_session_judge(&v.s, r);
    bench_session_close(&v.s);
    return r;
}
