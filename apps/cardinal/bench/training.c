// training.c - a visit of a row that learns: steps one at a time, steps in flight, and the time of every dispatch.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "cdl/cdl_train.h"

// Few, so that a device that needs seconds for a step is measured; a rate at which weights stay finite.
enum { MIN_STEPS = 3, MAX_STEPS = 10000, MAX_TIMED = 9, BLOCKS_A_VISIT = 10 };
static const float learning_rate = 1e-3f;

struct training_run {
    const struct bench_target *target;
    struct bench_row *row;
    cdl_trainer *trainer;
    struct bench_images images;
    struct cdl_train_picture *pictures; // [batch]
    float losses[BENCH_LOSSES];         // of the first steps
    uint64_t steps;
    char reason[400], fault[100]; // what the library says; what the losses do
};

static cdl_result submit(struct training_run *t) {
    return cdl_trainer_step(t->trainer, t->pictures, t->row->batch, 0, learning_rate);
}

// *gpu_ms: of the step; NULL: not asked for.
static cdl_result take(struct training_run *t, double *gpu_ms) {
    struct cdl_train_result result;
    const cdl_result r = cdl_trainer_result(t->trainer, true, &result);
    if (r != CDL_OK)
        return r;
    if (t->steps < BENCH_LOSSES)
        t->losses[t->steps] = result.loss;
    t->steps++;
    if (gpu_ms)
        *gpu_ms = (double)result.gpu_ns / 1e6;
    if (!isfinite(result.loss))
        snprintf(t->fault, sizeof t->fault, "the loss of step %llu is no number", (unsigned long long)t->steps);
    return CDL_OK;
}

static cdl_result step(struct training_run *t, double *gpu_ms) {
    const cdl_result r = submit(t);
    return r == CDL_OK ? take(t, gpu_ms) : r;
}

static cdl_result make_pictures(struct training_run *t) {
    const struct bench_row *row = t->row;
    const int classes = t->target->model->info.num_classes;
    t->pictures = calloc((size_t)row->batch, sizeof *t->pictures);
    if (!t->pictures ||
        !bench_images_make(&t->images, t->target->model, row->batch, row->width, row->height, row->input))
        return CDL_ERR_NOMEM;
    for (int i = 0; i < row->batch; i++)
        t->pictures[i] = (struct cdl_train_picture){t->images.images[i], i % BENCH_PICTURES % classes, (uint64_t)i};
    return CDL_OK;
}

// The first steps from the same weights with the same pictures have the same losses, to the bit, at every visit.
static cdl_result first_steps(struct training_run *t) {
    struct bench_row *row = t->row;
    cdl_result r = CDL_OK;
    while (r == CDL_OK && t->steps < BENCH_LOSSES)
        r = step(t, NULL);
    if (r != CDL_OK)
        return r;
    if (row->has_losses && memcmp(row->losses, t->losses, sizeof row->losses) != 0)
        snprintf(t->fault, sizeof t->fault, "the same steps had other losses than before");
    memcpy(row->losses, t->losses, sizeof row->losses);
    row->has_losses = true;
    return r;
}

static cdl_result open_run(struct training_run *t, struct bench_row *row, const struct bench_target *target,
                           bool timings) {
    const struct options *o = target->options;
    const struct cdl_model_info *model = &target->model->info;
    struct cdl_trainer_info info;
    *t = (struct training_run){.target = target, .row = row};
    target->diagnostics->captured = t->reason;
    target->diagnostics->captured_size = sizeof t->reason;
    row->width = o->width ? o->width : model->input_width;
    row->height = o->height ? o->height : model->input_height;
    row->precision = row->precision == CDL_PRECISION_AUTO ? CDL_PRECISION_FP32 : row->precision;
    const size_t plane = (size_t)row->width * (size_t)row->height * 16;
    cdl_result r = cdl_trainer_create(
        &t->trainer, target->device, target->model->model,
        cdl_trainer_params(.batch = row->batch, .width = row->width, .height = row->height, .precision = row->precision,
                           .recompute = o->checkpoint_stages, .timings = timings, .tune = o->tune,
                           .staging_bytes = (size_t)row->batch * (plane + 65536)));
    if (r != CDL_OK)
        return r;
    cdl_trainer_get_info(t->trainer, &info);
    row->memory = (struct cdl_session_info){.weight_bytes = info.parameter_bytes,
                                            .activation_bytes = info.activation_bytes,
                                            .live_bytes = info.activation_bytes};
    row->device_bytes = info.parameter_bytes + info.activation_bytes + info.staging_bytes;
    r = make_pictures(t);
    return r == CDL_OK ? first_steps(t) : r;
}

static void close_run(struct training_run *t, cdl_result r) {
    bench_row_judge(t->row, r, r == CDL_OK ? t->fault : t->reason);
    cdl_trainer_destroy(&t->trainer);
    bench_images_free(&t->images);
    free(t->pictures);
    t->target->diagnostics->captured = NULL;
}

static cdl_result measure_steps(struct training_run *t, int duration_ms) {
    const double start = now_ms();
    cdl_result r = CDL_OK;
    for (int n = 0; r == CDL_OK && n < MAX_STEPS && (n < MIN_STEPS || now_ms() - start < duration_ms); n++) {
        const double before = now_ms();
        double gpu_ms = 0;
        r = step(t, &gpu_ms);
        if (r == CDL_OK && !bench_row_add_run(t->row, now_ms() - before, gpu_ms, 0))
            r = CDL_ERR_NOMEM;
    }
    return r;
}

// Two steps in flight, as in measure.c.
static cdl_result measure_rate(struct training_run *t, int duration_ms) {
    struct bench_row *row = t->row;
    const double block_ms = (double)duration_ms / BLOCKS_A_VISIT;
    cdl_result r = submit(t);
    double start = now_ms(), block_start = start;
    int steps = 0, in_block = 0;
    for (; r == CDL_OK && steps < MAX_STEPS && (steps <= MIN_STEPS || now_ms() - start < duration_ms); steps++) {
        r = submit(t);
        if (r == CDL_OK)
            r = take(t, NULL);
        const double now = now_ms();
        in_block += steps > 0;
        if (steps == 0) {
            start = block_start = now;
        } else if (now - block_start >= block_ms) {
            blocks_add(&row->rate, 1e3 * row->batch * in_block / (now - block_start), row->visits);
            in_block = 0;
            block_start = now;
        }
    }
    row->throughput_runs += steps;
    return r == CDL_OK ? take(t, NULL) : r;
}

cdl_result bench_measure_training(struct bench_row *row, const struct bench_target *target, int duration_ms) {
    struct training_run t;
    cdl_result r = open_run(&t, row, target, false);
    if (r == CDL_OK)
        r = measure_steps(&t, duration_ms);
    if (r == CDL_OK)
        r = measure_rate(&t, duration_ms);
    sensors_read(target->sensors, &row->sensors);
    row->clock.during = row->clock.after = row->sensors.clock_mhz;
    row->visits++;
    close_run(&t, r);
    return r;
}

static void keep_layer(struct bench_layer *out, const struct cdl_train_timing *timing, double us) {
    static const char *const phases[] = {"forward", "backward", "update"};
    *out = (struct bench_layer){.us = us, .flops = timing->flops, .bytes = timing->bytes};
    snprintf(out->layer, sizeof out->layer, "%s", timing->layer);
    snprintf(out->operation, sizeof out->operation, "%s: %s", phases[timing->phase], timing->operation);
    snprintf(out->kernel, sizeof out->kernel, "%s", timing->kernel);
}

static cdl_result time_dispatches(struct training_run *t, int count, int duration_ms) {
    struct bench_row *row = t->row;
    struct cdl_train_timing *timings = calloc((size_t)count, sizeof *timings);
    double *us = calloc((size_t)count * MAX_TIMED, sizeof *us), run_ms[MAX_TIMED] = {0};
    const double start = now_ms();
    int steps = 0;
    row->layers = calloc((size_t)count, sizeof *row->layers);
    cdl_result r = timings && us && row->layers ? CDL_OK : CDL_ERR_NOMEM;
    for (; r == CDL_OK && steps < MAX_TIMED && (steps < MIN_STEPS || now_ms() - start < duration_ms); steps++) {
        r = step(t, NULL);
        if (r == CDL_OK)
            r = cdl_trainer_timings(t->trainer, timings, count, &count);
        for (int i = 0; r == CDL_OK && i < count; i++) {
            us[i * MAX_TIMED + steps] = (double)timings[i].gpu_ns / 1e3;
            run_ms[steps] += (double)timings[i].gpu_ns / 1e6;
        }
    }
    for (int i = 0; r == CDL_OK && i < count; i++)
        keep_layer(&row->layers[i], &timings[i], bench_percentile(us + i * MAX_TIMED, steps, 0.5));
    row->num_layers = r == CDL_OK ? count : 0;
    row->layers_run_ms = bench_percentile(run_ms, steps, 0.5);
    free(timings);
    free(us);
    return r;
}

cdl_result bench_measure_training_layers(struct bench_row *row, const struct bench_target *target, int duration_ms) {
    struct training_run t;
    int count = 0;
    cdl_result r = open_run(&t, row, target, true);
    if (r == CDL_OK)
        r = cdl_trainer_timings(t.trainer, NULL, 0, &count);
    if (r == CDL_OK && count > 0)
        r = time_dispatches(&t, count, duration_ms);
    close_run(&t, r);
    return r;
}
