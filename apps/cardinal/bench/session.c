// session.c - a session of a row, its first run, and whether outputs are what they should be.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/device_pictures.h"
#include "bench/known_logits.h"

_Static_assert((int)BENCH_PICTURES == (int)KNOWN_PICTURES, "known_logits.h is of these pictures");

// Of the largest logit: what may differ from sums in fp64. tests/pytorch/networks.py holds the same bounds.
static const double known_bounds[] = {[CDL_PRECISION_FP32] = 5e-4, [CDL_PRECISION_FP16] = 2e-2};

static cdl_result create_session(struct bench_session *s, bool timings) {
    const struct options *o = s->target->options;
    const size_t plane = (size_t)s->row->width * (size_t)s->row->height * 16;
    // The whole batch goes to the device in one part; tables and borders of pictures need some room more.
    const size_t staging = (size_t)s->row->batch * (plane + 65536);
    return cdl_session_create(&s->session, s->target->device, s->target->model->model,
                              cdl_session_params(.max_batch = s->row->batch, .width = o->width, .height = o->height,
                                                 .precision = s->row->precision, .num_slots = timings ? 1 : BENCH_SLOTS,
                                                 .no_fold = o->no_fold, .timings = timings, .tune = o->tune,
                                                 .staging_bytes = staging, .vulkan = s->row->input == BENCH_DEVICE));
}

static cdl_result make_input(struct bench_session *s) {
    struct bench_row *row = s->row;
    const bool on_device = row->input == BENCH_DEVICE;
    if (!bench_images_make(&s->images, s->target->model, on_device ? BENCH_PICTURES : row->batch, row->width,
                           row->height, row->input))
        return CDL_ERR_NOMEM;
    return on_device ? device_pictures_create(&s->pictures, s->target->device, s->images.images, BENCH_PICTURES,
                                              row->batch, s->reason, sizeof s->reason)
                     : CDL_OK;
}

// What known_logits.h has of this network, with these weights and of this size; NULL: nothing.
static const struct known_logits *find_known(const struct bench_session *s) {
    const struct options *o = s->target->options;
    const struct cdl_model_info *info = &s->target->model->info;
    const bool seeded = o->arch && o->seed == 0 && o->num_metadata == 0 && s->row->width == 224 &&
                        s->row->height == 224 && info->input_width == 224 && info->input_height == 224;
    for (const struct known_logits *k = known_logits; seeded && k->network; k++)
        if (!strcmp(k->network, s->row->network))
            return k;
    return NULL;
}

static void compare_with_known(struct bench_session *s) {
    const struct known_logits *k = find_known(s);
    const size_t classes = (size_t)s->target->model->info.num_classes;
    double error = 0;
    if (!k || s->row->known == KNOWN_WRONG)
        return;
    for (int image = 0; image < s->row->batch; image++)
        for (int i = 0; i < KNOWN_LOGITS; i++) {
            const double got = (double)s->reference[(size_t)image * classes + (size_t)(i * KNOWN_STEP)];
            const double difference = fabs(got - (double)k->logits[image % KNOWN_PICTURES][i]) / (double)k->largest;
            error = difference <= error ? error : difference; // one that is no number counts as the largest
        }
    s->row->known_error = error;
    s->row->known = error <= known_bounds[s->row->precision] ? KNOWN_RIGHT : KNOWN_WRONG;
}

static cdl_result first_run(struct bench_session *s) {
    struct bench_row *row = s->row;
    s->num_logits = (size_t)row->batch * (size_t)s->target->model->info.num_classes;
    s->reference = calloc(s->num_logits, sizeof *s->reference);
    if (!s->reference)
        return CDL_ERR_NOMEM;
    cdl_result r = bench_session_submit(s, 0);
    r = r == CDL_OK ? cdl_session_wait(s->session, 0, UINT64_MAX) : r;
    const float *logits = r == CDL_OK ? cdl_session_logits(s->session, 0, 0) : NULL;
    if (!logits)
        return r;
    memcpy(s->reference, logits, s->num_logits * sizeof *s->reference);
    for (size_t i = 0; i < s->num_logits; i++)
        s->not_finite = s->not_finite || !isfinite(s->reference[i]);
    compare_with_known(s);
    return r;
}

cdl_result bench_session_open(struct bench_session *s, struct bench_row *row, const struct bench_target *target,
                              bool timings) {
    const struct cdl_model_info *info = &target->model->info;
    *s = (struct bench_session){.target = target, .row = row};
    row->width = target->options->width ? target->options->width : info->input_width;
    row->height = target->options->height ? target->options->height : info->input_height;
    target->diagnostics->captured = s->reason;
    target->diagnostics->captured_size = sizeof s->reason;
    cdl_result r = create_session(s, timings);
    if (r != CDL_OK)
        return r;
    struct cdl_session_info got;
    cdl_session_get_info(s->session, &got);
    row->precision = got.precision; // what AUTO became
    row->width = got.width;
    row->height = got.height;
    if (!timings) {
        row->memory = got;
        row->device_bytes = got.weight_bytes + got.activation_bytes + got.staging_bytes;
    }
    r = make_input(s);
    return r == CDL_OK ? first_run(s) : r;
}

void bench_session_close(struct bench_session *s) {
    cdl_session_destroy(&s->session);
    device_pictures_destroy(&s->pictures);
    bench_images_free(&s->images);
    free(s->reference);
    s->reference = NULL;
    s->target->diagnostics->captured = NULL;
}

cdl_result bench_session_submit(struct bench_session *s, int slot) {
    return s->pictures ? device_pictures_submit(s->pictures, s->session, slot)
                       : cdl_session_submit(s->session, slot, s->images.images, s->row->batch);
}

cdl_result bench_session_wait(struct bench_session *s, int slot) {
    const cdl_result r = cdl_session_wait(s->session, slot, UINT64_MAX);
    if (r != CDL_OK)
        return r;
    const float *logits = cdl_session_logits(s->session, slot, 0);
    s->differs = s->differs || !logits || memcmp(logits, s->reference, s->num_logits * sizeof *logits) != 0;
    return r;
}

cdl_result bench_session_run(struct bench_session *s) {
    const cdl_result r = bench_session_submit(s, 0);
    return r == CDL_OK ? bench_session_wait(s, 0) : r;
}

cdl_result bench_session_settle(struct bench_session *s) {
    enum { WINDOW_MS = 50, AT_MOST_MS = 500 };
    const double start = now_ms();
    double before = 0;
    cdl_result r = CDL_OK;
    while (r == CDL_OK && now_ms() - start < AT_MOST_MS) {
        const double window = now_ms();
        int runs = 0;
        for (; r == CDL_OK && (runs == 0 || now_ms() - window < WINDOW_MS); runs++)
            r = bench_session_run(s);
        const double each = (now_ms() - window) / runs;
        if (before > 0 && fabs(each / before - 1) < 0.02)
            break;
        before = each;
    }
    return r;
}

void bench_row_judge(struct bench_row *row, cdl_result r, const char *reason) {
    char why[sizeof row->reason] = "";
    if (!strncmp(row->status, "failed", 6))
        return; // at an earlier visit
    if (r != CDL_OK && !reason[0])
        reason = cdl_result_str(r);
    snprintf(why, sizeof why, "%s", reason);
    snprintf(row->reason, sizeof row->reason, "%s", why);
    if (r == CDL_ERR_UNSUPPORTED)
        snprintf(row->status, sizeof row->status, "unsupported");
    else if (why[0])
        snprintf(row->status, sizeof row->status, "failed: %.480s", why);
    else
        snprintf(row->status, sizeof row->status, "ok");
}

static void find_fault(struct bench_session *s) {
    const struct bench_row *row = s->row;
    s->reason[0] = 0;
    if (s->not_finite)
        snprintf(s->reason, sizeof s->reason, "the outputs are not finite");
    else if (row->known == KNOWN_WRONG)
        snprintf(s->reason, sizeof s->reason,
                 "wrong outputs: %.2g of the largest logit away from what is known; at most %.2g may be",
                 row->known_error, known_bounds[row->precision]);
    else if (s->differs)
        snprintf(s->reason, sizeof s->reason, "outputs of a timed run differ from those before it");
}

void bench_session_judge(struct bench_session *s, cdl_result r) {
    if (r == CDL_OK)
        find_fault(s);
    bench_row_judge(s->row, r, s->reason);
}
