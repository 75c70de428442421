// tuner.c - which kernels a device can be trusted with, how long they take, and what is remembered of both.
#include "tune/tuner.h"

#include <stdlib.h>
#include <string.h>

#include "tune/kernel_check.h"

#define KIND "tuning"

enum {
    MAX_TIMED = 9,        // runs of one kernel that are timed
    BUDGET_NS = 20000000, // of the timed runs of one kernel, about
    ALIGN = 256,          // of what lies in the scratch buffer
};

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

bool cdl_tuner_trusts(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel) {
    struct cdl_finding finding = {.kind = CDL_FOUND_CHECK}, earlier;
    char name[CDL_PROGRAM_NAME];
    cdl_check_key(finding.key, &kernel->program);
    if (cdl_findings_recall(t->dev, finding.key, &earlier))
        return earlier.passed;
    if (!cdl_tuner_ready(t) || cdl_tuner_failed(t, cdl_kernel_check(&finding.passed, &t->once, work, kernel)))
        return false;
    if (made_to_fail(t, &kernel->program))
        finding.passed = false;
    t->num_checked++;
    cdl_program_name(&kernel->program, name);
    if (!finding.passed)
        cdl_logf(&t->dev->log, CDL_LOG_WARN, "%s [%s]: the kernel %s (%s) gives wrong results here and is not used",
                 t->dev->info.name, t->dev->info.driver, name, kernel->program.fp16 ? "fp16" : "fp32");
    cdl_findings_remember(t->dev, &finding);
    return finding.passed;
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

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Runs the launch `count` times and gives the median time of one.
static cdl_result time_runs(struct cdl_tuner *t, VkPipeline pipeline, const struct cdl_launch *launch, int count,
                            double *ns) {
    double times[MAX_TIMED];
    cdl_result r = cdl_once_begin(&t->once);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < count; i++) {
        cdl_once_barrier(&t->once);
        cdl_once_timestamp(&t->once, 2 * (uint32_t)i);
        cdl_once_dispatch(&t->once, pipeline, launch);
        cdl_once_timestamp(&t->once, 2 * (uint32_t)i + 1);
    }
    r = cdl_once_run(&t->once, 2 * (uint32_t)count);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < count; i++)
        times[i] = cdl_once_ns(&t->once, 2 * (uint32_t)i, 2 * (uint32_t)i + 1);
    qsort(times, (size_t)count, sizeof *times, by_size);
    *ns = times[(count - 1) / 2];
    return r;
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
    } wanted[] = {{&out->src, cdl_work_src(work)}, {&out->dst, cdl_work_dst(work)}, {&out->residual, residual}};
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

cdl_result cdl_tuner_measure(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel,
                             double best_ns, double *ns) {
    VkPipeline pipeline;
    struct cdl_launch launch;
    struct cdl_addresses at;
    cdl_result r = cdl_pipeline_get(&pipeline, t->dev, &kernel->program);
    if (r == CDL_OK)
        r = cdl_tuner_reserve(t, lay_out(t, work, kernel, 0, &at));
    if (r == CDL_OK)
        r = cdl_tuner_fill(t);
    if (r != CDL_OK)
        return r;
    lay_out(t, work, kernel, t->scratch.address, &at);
    cdl_kernel_launch(kernel, work, t->batch, &at, &launch);
    t->num_measured++;
    r = time_runs(t, pipeline, &launch, 1, ns);
    const double limit = t->mode == CDL_TUNE_QUICK ? 1.5 : 3;
    if (r != CDL_OK || (best_ns > 0 && *ns > limit * best_ns))
        return r;
    const double affordable = *ns > 0 ? BUDGET_NS / *ns : MAX_TIMED;
    const int least = t->mode == CDL_TUNE_QUICK ? 2 : 3;
    const int count = affordable > MAX_TIMED ? MAX_TIMED : affordable < 3 ? least : (int)affordable;
    return time_runs(t, pipeline, &launch, count, ns);
}
