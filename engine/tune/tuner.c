// tuner.c - which kernels a device can be trusted with, how long they take, and what is remembered of both.
#include "tune/tuner.h"

#include <stdlib.h>
#include <string.h>

#include "tune/kernel_check.h"
#include "tune/race.h"

#define KIND "tuning"

enum { ALIGN = 256 }; // of what lies in the scratch buffer

// ---- findings

static void open_findings(struct cdl_device *dev, void *data) {
    size_t size;
    char *text = dev->cache_dir ? cdl_cache_read(&size, dev->cache_dir, KIND, &dev->cache_key, &dev->log) : NULL;
    if (text)
        cdl_findings_parse(data, text, size);
    free(text);
}

static void save_findings(struct cdl_device *dev, struct cdl_findings *findings) {
    size_t size = 0;
    char *text = NULL;
    cdl_mutex_lock(&dev->lock);
    if (dev->cache_dir && findings->changed) {
        text = cdl_findings_format(findings, &size);
        findings->changed = false;
    }
    cdl_mutex_unlock(&dev->lock);
    if (text)
        cdl_cache_write(text, size, dev->cache_dir, KIND, &dev->cache_key, &dev->log);
    free(text);
}

static void close_findings(struct cdl_device *dev, void *data) {
    save_findings(dev, data);
    cdl_findings_free(data);
}

struct cdl_findings *cdl_findings_of(struct cdl_device *dev) {
    static const struct cdl_device_data_kind kind = {
        .size = sizeof(struct cdl_findings), .open = open_findings, .close = close_findings};
    return cdl_device_data(dev, &kind);
}

bool cdl_findings_recall(struct cdl_device *dev, const char *key, struct cdl_finding *out) {
    const struct cdl_findings *findings = cdl_findings_of(dev);
    if (!findings)
        return false;
    cdl_mutex_lock(&dev->lock);
    const struct cdl_finding *found = cdl_findings_find(findings, key);
    if (found)
        *out = *found;
    cdl_mutex_unlock(&dev->lock);
    return found != NULL;
}

void cdl_findings_remember(struct cdl_device *dev, const struct cdl_finding *finding) {
    struct cdl_findings *findings = cdl_findings_of(dev);
    if (!findings)
        return;
    cdl_mutex_lock(&dev->lock);
    cdl_findings_set(findings, finding);
    cdl_mutex_unlock(&dev->lock);
}

bool cdl_tuner_recalls(struct cdl_tuner *t, const char *key, struct cdl_finding *out) {
    return cdl_findings_recall(t->dev, key, out) && (t->mode != CDL_TUNE_FULL || out->mode == CDL_TUNE_FULL);
}

// ---- the tuner

bool cdl_tuner_failed(struct cdl_tuner *t, cdl_result r) {
    if (r != CDL_OK && t->result == CDL_OK)
        t->result = r;
    return t->result != CDL_OK;
}

bool cdl_tuner_ready(struct cdl_tuner *t) {
    return t->once.dev || !cdl_tuner_failed(t, cdl_once_create(&t->once, t->dev));
}

bool cdl_tuner_may_measure(const struct cdl_tuner *t) { return t->mode != CDL_TUNE_OFF && t->dev->timestamp_bits; }

void cdl_tuner_finish(struct cdl_tuner *t) {
    cdl_buffer_destroy(&t->scratch, t->dev);
    cdl_once_destroy(&t->once);
    if (t->num_checked + t->num_measured)
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "%d kernels checked, %d timed", t->num_checked, t->num_measured);
    struct cdl_findings *findings = cdl_findings_of(t->dev);
    if (findings)
        save_findings(t->dev, findings);
}

// ---- trust

static bool made_to_fail(const struct cdl_tuner *t, const struct cdl_program *program) {
    char text[CDL_PROGRAM_TEXT];
    cdl_program_text(program, text);
    return t->dev->failing_kernel && strstr(text, t->dev->failing_kernel);
}

bool cdl_tuner_trusts_program(struct cdl_tuner *t, const struct cdl_program *program, const struct cdl_trial *trial) {
    struct cdl_finding finding = {.kind = CDL_FOUND_CHECK}, earlier;
    char name[CDL_PROGRAM_NAME];
    cdl_check_key(finding.key, program);
    if (cdl_findings_recall(t->dev, finding.key, &earlier))
        return earlier.passed;
    if (!cdl_tuner_ready(t) || cdl_tuner_failed(t, trial->check(trial->ctx, trial->index, &t->once, &finding.passed)))
        return false;
    if (made_to_fail(t, program))
        finding.passed = false;
    t->num_checked++;
    cdl_program_name(program, name);
    if (!finding.passed)
        cdl_logf(&t->dev->log, CDL_LOG_WARN, "%s [%s]: the kernel %s (%s) gives wrong results here and is not used",
                 t->dev->info.name, t->dev->info.driver, name, program->fp16 ? "fp16" : "fp32");
    cdl_findings_remember(t->dev, &finding);
    return finding.passed;
}

struct inference {
    const struct cdl_work *work;
    const struct cdl_kernel *kernel;
};

static cdl_result check_inference(void *ctx, int index, struct cdl_once *once, bool *passed) {
    const struct inference *i = ctx;
    (void)index;
    return cdl_kernel_check(passed, once, i->work, i->kernel);
}

bool cdl_tuner_trusts(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel) {
    struct inference i = {work, kernel};
    const struct cdl_trial trial = {check_inference, &i, 0};
    return cdl_tuner_trusts_program(t, &kernel->program, &trial);
}

// ---- measurement

cdl_result cdl_tuner_reserve(struct cdl_tuner *t, size_t size) {
    if (t->scratch.size >= size)
        return CDL_OK;
    cdl_buffer_destroy(&t->scratch, t->dev);
    return cdl_buffer_create(&t->scratch, t->dev, size, CDL_MEMORY_DEVICE, "tuning");
}

// Numbers small enough for any sum of them, as halves (1) and as floats (0.008); zeros would draw less power
// than real data do and so flatter some kernels.
cdl_result cdl_tuner_fill(struct cdl_tuner *t) {
    cdl_result r = cdl_once_begin(&t->once);
    if (r != CDL_OK)
        return r;
    t->dev->vkd.CmdFillBuffer(t->once.commands, t->scratch.handle, 0, VK_WHOLE_SIZE, 0x3c003c00);
    return cdl_once_run(&t->once, 0);
}

// Where the work's values and weights lie in the scratch buffer; returns what they take.
static size_t lay_out(const struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                      uint64_t base, struct cdl_addresses *out) {
    const struct cdl_value *values = work->graph->values;
    const int residual = cdl_work_residual(work);
    uint64_t at = base;
    const struct {
        uint64_t *address;
        int value;
    } wanted[] = {{&out->src, cdl_work_src(work)},
                  {&out->dst, cdl_work_dst(work)},
                  {&out->residual, residual},
                  {&out->middle, kernel->keeps_middle ? work->ops[0].dst : -1}};
    *out = (struct cdl_addresses){0};
    for (size_t i = 0; i < CDL_COUNT(wanted); i++)
        if (wanted[i].value >= 0) {
            *wanted[i].address = at;
            at += cdl_align_up((size_t)t->batch * cdl_value_bytes(&values[wanted[i].value], t->fp16), ALIGN);
        }
    for (int i = 0; i < work->num_ops; i++) {
        out->weights[i] = at;
        at += cdl_align_up(kernel->weights[i].bytes, ALIGN);
    }
    return (size_t)(at - base);
}

static cdl_result add_launch(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                             const struct cdl_addresses *at, struct cdl_racer *racer) {
    const int n = racer->num_launches++;
    cdl_kernel_launch(kernel, work, t->batch, at, &racer->launches[n]);
    return cdl_pipeline_get(&racer->pipelines[n], t->dev, &kernel->program);
}

// The largest of what the contestants need of the scratch buffer.
static size_t scratch_of(const struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_contestant *all,
                         int count) {
    struct cdl_addresses at;
    size_t most = 0;
    for (int i = 0; i < count; i++)
        for (int k = 0; k < all[i].num_kernels; k++) {
            const struct cdl_work part = cdl_contest_part(work, &all[i], k);
            const size_t bytes = lay_out(t, &part, all[i].kernels[k], 0, &at);
            most = bytes > most ? bytes : most;
        }
    return most;
}

static void log_time(const struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_contestant *c,
                     const struct cdl_racer *racer, bool won) {
    char names[CDL_MAX_FUSED][CDL_PROGRAM_NAME] = {"", ""};
    for (int i = 0; i < c->num_kernels; i++)
        cdl_program_name(&c->kernels[i]->program, names[i]);
    cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "tuning %s%s: %.1f us by %s%s%s%s", work->ops[work->num_ops - 1].name,
             work->num_ops > 1 ? " with what is before it" : "", cdl_racer_ns(racer) / 1e3, names[0],
             c->num_kernels > 1 ? ", " : "", names[1], won ? ", the fastest" : "");
}

cdl_result cdl_tuner_contest(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_contestant *all,
                             int count, int *winner, double *ns) {
    struct cdl_racer racers[CDL_MAX_KERNELS + 1];
    cdl_result r = cdl_tuner_reserve(t, scratch_of(t, work, all, count));
    if (r == CDL_OK)
        r = cdl_tuner_fill(t);
    for (int i = 0; r == CDL_OK && i < count; i++) {
        racers[i].num_launches = 0;
        for (int k = 0; r == CDL_OK && k < all[i].num_kernels; k++) {
            const struct cdl_work part = cdl_contest_part(work, &all[i], k);
            struct cdl_addresses at;
            lay_out(t, &part, all[i].kernels[k], t->scratch.address, &at);
            r = add_launch(t, &part, all[i].kernels[k], &at, &racers[i]);
        }
    }
    if (r == CDL_OK)
        r = cdl_race(&t->once, racers, count, t->mode == CDL_TUNE_QUICK, winner);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < count; i++)
        log_time(t, work, &all[i], &racers[i], i == *winner);
    *ns = cdl_racer_ns(&racers[*winner]);
    t->num_measured += count;
    return r;
}
