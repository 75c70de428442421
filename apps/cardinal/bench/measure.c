// measure.c - one row: latency, throughput, and the time of every layer.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { MIN_RUNS = 3, MAX_RUNS = 100000, MAX_LAYER_RUNS = 15, SLOTS = 2 };

struct measurement {
    const struct bench_target *target;
    struct bench_row *row;
    cdl_session *session;
    struct cdl_pixels *images; // [batch]
    float *reference;          // [batch][classes], of the run before the timed ones
    size_t num_logits;
    double *ms;     // [MAX_RUNS]
    double *gpu_ms; // [MAX_RUNS]
    bool differs, not_finite;
    char reason[400];
};

void bench_row_free(struct bench_row *row) {
    free(row->layers);
    row->layers = NULL;
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(const double *sorted, int n, double p) { // nearest rank
    const int rank = (int)ceil(p * n);
    return n ? sorted[rank > 0 ? rank - 1 : 0] : 0;
}

static uint32_t next_random(uint32_t *state) { // xorshift32, Marsaglia 2003
    *state ^= *state << 13;
    *state ^= *state >> 17;
    return *state ^= *state << 5;
}

bool bench_images_make(struct cdl_pixels **out, const struct loaded_model *model, int count, int width, int height,
                       enum bench_input input) {
    const struct cdl_model_info *info = &model->info;
    const bool tensor = input == BENCH_TENSOR;
    const int short_side = width < height ? width : height;
    const int recipe_side = info->input_width < info->input_height ? info->input_width : info->input_height;
    const int resized = (int)lround((double)info->resize_size * short_side / recipe_side);
    if (!tensor) { // preprocessing resizes the short side to `resized`, the other in proportion
        const int w = width > height ? (int)((double)resized * width / height) : resized;
        height = height > width ? (int)((double)resized * height / width) : resized;
        width = w;
    }
    const size_t values = (size_t)width * (size_t)height * (tensor ? 3 : 1), bytes = values * 4;
    uint32_t state = 2463534242u;
    struct cdl_pixels *images = calloc((size_t)count, sizeof *images);
    uint8_t *pool = images ? malloc(bytes * (size_t)count) : NULL;
    *out = images;
    if (!pool)
        return false;
    for (size_t i = 0; i < values * (size_t)count; i++) {
        const uint32_t word = next_random(&state);
        const float f = (float)(int32_t)word / 1e9f; // within +-2.1, as normalised pixels are
        memcpy(pool + 4 * i, tensor ? (const void *)&f : (const void *)&word, 4);
    }
    for (int i = 0; i < count; i++)
        images[i] = (struct cdl_pixels){.data = pool + (size_t)i * bytes,
                                        .width = width,
                                        .height = height,
                                        .format = tensor ? CDL_FORMAT_TENSOR_F32 : CDL_FORMAT_RGBA8};
    return true;
}

void bench_images_free(struct cdl_pixels **images) {
    if (*images)
        free((void *)(uintptr_t)(*images)[0].data);
    free(*images);
    *images = NULL;
}

static cdl_result open_session(struct measurement *m, bool timings) {
    const struct options *o = m->target->options;
    const size_t plane = (size_t)m->row->width * (size_t)m->row->height * 16;
    // The whole batch goes to the device in one part; tables and borders of pictures need some room more.
    const size_t staging = (size_t)m->row->batch * (plane + 65536);
    return cdl_session_create(&m->session, m->target->device, m->target->model->model,
                              cdl_session_params(.max_batch = m->row->batch, .width = o->width, .height = o->height,
                                                 .precision = m->row->precision, .num_slots = timings ? 1 : SLOTS,
                                                 .no_fold = o->no_fold, .timings = timings, .tune = o->tune,
                                                 .staging_bytes = staging));
}

// Compares the slot's outputs with the reference.
static void check_outputs(struct measurement *m, int slot) {
    const float *logits = cdl_session_logits(m->session, slot, 0);
    m->differs = m->differs || !logits || memcmp(logits, m->reference, m->num_logits * sizeof *logits) != 0;
}

static cdl_result reference_run(struct measurement *m) {
    struct bench_row *row = m->row;
    m->num_logits = (size_t)row->batch * (size_t)m->target->model->info.num_classes;
    m->reference = malloc(m->num_logits * sizeof *m->reference);
    m->ms = malloc(MAX_RUNS * sizeof *m->ms);
    m->gpu_ms = malloc(MAX_RUNS * sizeof *m->gpu_ms);
    if (!m->reference || !m->ms || !m->gpu_ms)
        return CDL_ERR_NOMEM;
    cdl_result r = cdl_session_run(m->session, m->images, row->batch);
    if (r != CDL_OK)
        return r;
    memcpy(m->reference, cdl_session_logits(m->session, 0, 0), m->num_logits * sizeof *m->reference);
    for (size_t i = 0; i < m->num_logits; i++)
        m->not_finite = m->not_finite || !isfinite(m->reference[i]);
    return r;
}

static cdl_result warm_up(struct measurement *m) { // a quarter of the duration: clocks and caches settle
    const double end = now_ms() + 0.25 * m->target->options->duration_ms;
    cdl_result r = CDL_OK;
    do
        r = cdl_session_run(m->session, m->images, m->row->batch);
    while (r == CDL_OK && now_ms() < end);
    return r;
}

static cdl_result measure_latency(struct measurement *m) {
    struct bench_row *row = m->row;
    const double start = now_ms();
    cdl_result r = CDL_OK;
    int n = 0;
    while (r == CDL_OK && n < MAX_RUNS && (n < MIN_RUNS || now_ms() - start < m->target->options->duration_ms)) {
        const double before = now_ms();
        r = cdl_session_run(m->session, m->images, row->batch);
        m->ms[n] = now_ms() - before;
        m->gpu_ms[n++] = (double)cdl_session_gpu_ns(m->session, 0) / 1e6;
        if (r == CDL_OK)
            check_outputs(m, 0);
    }
    if (r != CDL_OK)
        return r;
    double sum = 0, squares = 0;
    for (int i = 0; i < n; i++)
        sum += m->ms[i];
    row->runs = n;
    row->mean_ms = sum / n;
    for (int i = 0; i < n; i++)
        squares += (m->ms[i] - row->mean_ms) * (m->ms[i] - row->mean_ms);
    row->deviation_ms = sqrt(squares / n);
    qsort(m->ms, (size_t)n, sizeof *m->ms, by_size);
    qsort(m->gpu_ms, (size_t)n, sizeof *m->gpu_ms, by_size);
    row->p50_ms = percentile(m->ms, n, 0.5);
    row->p90_ms = percentile(m->ms, n, 0.9);
    row->p99_ms = percentile(m->ms, n, 0.99);
    row->gpu_ms = percentile(m->gpu_ms, n, 0.5);
    return r;
}

// Two runs in flight: while the device works on one, the host stages the other.
static cdl_result measure_throughput(struct measurement *m) {
    const double start = now_ms();
    double elapsed = 0;
    cdl_result r = CDL_OK;
    int submitted = 0, finished = 0;
    for (; r == CDL_OK && submitted < SLOTS; submitted++)
        r = cdl_session_submit(m->session, submitted, m->images, m->row->batch);
    while (r == CDL_OK && finished < submitted) {
        const int slot = finished % SLOTS;
        r = cdl_session_wait(m->session, slot, UINT64_MAX);
        elapsed = now_ms() - start;
        if (r != CDL_OK)
            break;
        check_outputs(m, slot);
        finished++;
        if (submitted < MIN_RUNS || elapsed < m->target->options->duration_ms) {
            r = cdl_session_submit(m->session, slot, m->images, m->row->batch);
            submitted++;
        }
    }
    m->row->throughput_runs = finished;
    m->row->images_per_s = elapsed > 0 ? 1e3 * m->row->batch * finished / elapsed : 0;
    return r;
}

// Medians of every layer's time over a few runs of a session that keeps layers apart.
static cdl_result measure_layers(struct measurement *m) {
    struct bench_row *row = m->row;
    struct cdl_timing *timings = NULL;
    double *us = NULL;
    int count = 0, n = 0;
    cdl_result r = cdl_session_run(m->session, m->images, row->batch); // warm-up
    if (r == CDL_OK)
        r = cdl_session_timings(m->session, 0, NULL, 0, &count);
    if (r != CDL_OK || count == 0)
        return r;
    timings = calloc((size_t)count, sizeof *timings);
    us = calloc((size_t)count * MAX_LAYER_RUNS, sizeof *us);
    row->layers = calloc((size_t)count, sizeof *row->layers);
    if (!timings || !us || !row->layers)
        r = CDL_ERR_NOMEM;
    const double start = now_ms();
    for (; r == CDL_OK && n < MAX_LAYER_RUNS && (n < MIN_RUNS || now_ms() - start < m->target->options->duration_ms);
         n++) {
        r = cdl_session_run(m->session, m->images, row->batch);
        if (r == CDL_OK)
            r = cdl_session_timings(m->session, 0, timings, count, &count);
        for (int i = 0; r == CDL_OK && i < count; i++)
            us[i * MAX_LAYER_RUNS + n] = (double)timings[i].gpu_ns / 1e3;
        if (r == CDL_OK)
            check_outputs(m, 0);
    }
    for (int i = 0; r == CDL_OK && i < count; i++) {
        struct bench_layer *layer = &row->layers[i];
        qsort(us + i * MAX_LAYER_RUNS, (size_t)n, sizeof *us, by_size);
        *layer = (struct bench_layer){
            .us = percentile(us + i * MAX_LAYER_RUNS, n, 0.5), .flops = timings[i].flops, .bytes = timings[i].bytes};
        snprintf(layer->layer, sizeof layer->layer, "%s", timings[i].layer);
        snprintf(layer->operation, sizeof layer->operation, "%s", timings[i].operation);
        snprintf(layer->kernel, sizeof layer->kernel, "%s", timings[i].kernel);
        row->num_layers = i + 1;
    }
    free(timings);
    free(us);
    return r;
}

static cdl_result measure(struct measurement *m) {
    struct bench_row *row = m->row;
    cdl_result r = open_session(m, false);
    if (r != CDL_OK)
        return r;
    cdl_session_get_info(m->session, &row->memory);
    row->precision = row->memory.precision; // what AUTO became
    row->width = row->memory.width;
    row->height = row->memory.height;
    row->device_bytes = row->memory.weight_bytes + row->memory.activation_bytes + row->memory.staging_bytes;
    if (!bench_images_make(&m->images, m->target->model, row->batch, row->width, row->height, row->input))
        r = CDL_ERR_NOMEM;
    if (r == CDL_OK)
        r = reference_run(m);
    if (r == CDL_OK)
        r = warm_up(m);
    if (r == CDL_OK)
        r = measure_latency(m);
    if (r == CDL_OK)
        r = measure_throughput(m);
    row->sensors = bench_read_sensors(&m->target->info); // while it is warm
    if (r != CDL_OK)
        return r;
    cdl_session_destroy(&m->session);
    r = open_session(m, true);
    if (r == CDL_OK)
        r = measure_layers(m);
    const double roof = bench_compute_roof(m->target, row->precision);
    for (int i = 0; i < row->num_layers; i++) // 5 %: two measurements of one thing differ a little
        row->num_above_peak +=
            roof > 0 && row->layers[i].us > 0 && (double)row->layers[i].flops / row->layers[i].us / 1e3 > 1.05 * roof;
    return r;
}

static void fail(struct bench_row *row, cdl_result r, const char *reason) {
    if (r == CDL_ERR_UNSUPPORTED)
        snprintf(row->status, sizeof row->status, "unsupported");
    else
        snprintf(row->status, sizeof row->status, "failed: %s", reason);
    snprintf(row->reason, sizeof row->reason, "%s", reason);
}

cdl_result bench_measure(struct bench_row *row, const struct bench_target *target) {
    struct measurement m = {.target = target, .row = row};
    const struct cdl_model_info *info = &target->model->info;
    row->width = target->options->width ? target->options->width : info->input_width;
    row->height = target->options->height ? target->options->height : info->input_height;
    target->diagnostics->captured = m.reason;
    target->diagnostics->captured_size = sizeof m.reason;
    const cdl_result r = measure(&m);
    cdl_session_destroy(&m.session);
    target->diagnostics->captured = NULL;
    bench_images_free(&m.images);
    free(m.reference);
    free(m.ms);
    free(m.gpu_ms);
    if (r != CDL_OK)
        fail(row, r, m.reason[0] ? m.reason : cdl_result_str(r));
    else if (m.not_finite)
        snprintf(row->status, sizeof row->status, "failed: the outputs are not finite");
    else if (m.differs)
        snprintf(row->status, sizeof row->status, "failed: outputs of a timed run differ from those before it");
    else
        snprintf(row->status, sizeof row->status, "ok");
    return r;
}
