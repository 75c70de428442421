#include "tune/tune.h"

#include <stdlib.h>
#include <string.h>

#include "tune/kernel_check.h"

#define KIND "tuning"

enum {
    QUICK_CANDIDATES = 3, // the ranks are good guesses
    MAX_TIMED = 9,        // runs of one kernel that are timed
    BUDGET_NS = 20000000, // of the timed runs of one kernel, about
};

static void open_table(struct cdl_device *dev, void *data) {
    size_t size;
    char *text = dev->cache_dir ? cdl_cache_read(&size, dev->cache_dir, KIND, &dev->cache_key, &dev->log) : NULL;
    if (text)
        cdl_tuning_parse(data, text, size);
    free(text);
}

static void save_table(struct cdl_device *dev, struct cdl_tuning *table) {
    size_t size = 0;
    char *text = NULL;
    cdl_mutex_lock(&dev->lock);
    if (dev->cache_dir && table->changed) {
        text = cdl_tuning_format(table, &size);
        table->changed = false;
    }
    cdl_mutex_unlock(&dev->lock);
    if (text)
        cdl_cache_write(text, size, dev->cache_dir, KIND, &dev->cache_key, &dev->log);
    free(text);
}

static void close_table(struct cdl_device *dev, void *data) {
    save_table(dev, data);
    cdl_tuning_free(data);
}

struct cdl_tuning *cdl_tuning_of(struct cdl_device *dev) {
    static const struct cdl_device_data_kind kind = {sizeof(struct cdl_tuning), open_table, close_table};
    return cdl_device_data(dev, &kind);
}

void cdl_tuning_save(struct cdl_device *dev) {
    struct cdl_tuning *table = cdl_tuning_of(dev);
    if (table)
        save_table(dev, table);
}

bool cdl_tuning_recall(struct cdl_device *dev, const char *key, char value[CDL_TUNING_VALUE]) {
    const struct cdl_tuning *table = cdl_tuning_of(dev);
    if (!table)
        return false;
    cdl_mutex_lock(&dev->lock);
    const char *found = cdl_tuning_find(table, key);
    if (found)
        cdl_format_text(value, CDL_TUNING_VALUE, "%s", found);
    cdl_mutex_unlock(&dev->lock);
    return found != NULL;
}

// Without memory for it, the next session measures again.
void cdl_tuning_remember(struct cdl_device *dev, const char *key, const char *value) {
    struct cdl_tuning *table = cdl_tuning_of(dev);
    if (!table)
        return;
    cdl_mutex_lock(&dev->lock);
    cdl_tuning_set(table, key, value);
    cdl_mutex_unlock(&dev->lock);
}

static bool failed(struct cdl_tuner *t, cdl_result r) {
    if (r != CDL_OK && t->result == CDL_OK)
        t->result = r;
    return t->result != CDL_OK;
}

bool cdl_tuner_ready(struct cdl_tuner *t) { return t->once.dev || !failed(t, cdl_once_create(&t->once, t->dev)); }

// ---- trust

// Whether the kernel passed its self-test on this device, now or earlier.
bool cdl_tuner_trusts(struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op,
                      const struct cdl_kernel *kernel) {
    char key[CDL_TUNING_KEY], value[CDL_TUNING_VALUE];
    bool passed = false;
    cdl_tuning_test_key(key, kernel);
    if (cdl_tuning_recall(t->dev, key, value))
        return !strcmp(value, "passed");
    if (!cdl_tuner_ready(t) || failed(t, cdl_self_test(&passed, &t->once, graph, op, kernel)))
        return false;
    if (t->dev->failing_kernel && strstr(key, t->dev->failing_kernel))
        passed = false;
    t->num_tests++;
    if (!passed)
        cdl_logf(&t->dev->log, CDL_LOG_WARN, "%s [%s]: the kernel %s gives wrong results here and is not used",
                 t->dev->info.name, t->dev->info.driver, key + strlen("test "));
    cdl_tuning_remember(t->dev, key, passed ? "passed" : "failed");
    return passed;
}

// ---- measurement

cdl_result cdl_tune_reserve(struct cdl_tuner *t, size_t size) {
    if (t->scratch.size >= size)
        return CDL_OK;
    cdl_buffer_destroy(&t->scratch, t->dev);
    return cdl_buffer_create(&t->scratch, t->dev, size, CDL_MEMORY_DEVICE, "tuning");
}

static size_t value_bytes(const struct cdl_tuner *t, const struct cdl_value *v) {
    return cdl_align_up((size_t)t->batch * (size_t)v->height * (size_t)v->width *
                            (size_t)cdl_padded_channels(v->channels) * (t->fp16 && !v->fp32 ? 2 : 4),
                        256);
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

// Numbers small enough for any sum of them, as halves (1) and as floats (0.008); zeros would draw less power
// than real data do and so flatter some kernels.
cdl_result cdl_tune_fill(struct cdl_tuner *t) {
    cdl_result r = cdl_once_begin(&t->once);
    if (r != CDL_OK)
        return r;
    t->dev->vkd.CmdFillBuffer(t->once.commands, t->scratch.handle, 0, VK_WHOLE_SIZE, 0x3c003c00);
    return cdl_once_run(&t->once, 0);
}

// Bytes of the weights of a pair's first operation.
static size_t first_weights(const struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS], first = {0};
    cdl_pair_kernels_for(graph, op, &t->dev->caps, t->fp16, kernels, &first);
    return cdl_align_up(first.weight_bytes, 256);
}

// *ns: the kernel's time for the operation at the tuner's batch. Stops after the warm-up when that already took much
// longer than `best_ns` (0: none yet).
cdl_result cdl_tune_measure(struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op,
                            const struct cdl_kernel *kernel, double best_ns, double *ns) {
    const size_t first = kernel->pair ? first_weights(t, graph, op) : 0;
    const size_t src = value_bytes(t, &graph->values[(kernel->pair ? op - 1 : op)->src]),
                 dst = value_bytes(t, &graph->values[op->dst]);
    const size_t residual = op->residual >= 0 ? value_bytes(t, &graph->values[op->residual]) : 0;
    VkPipeline pipeline;
    struct cdl_launch launch;
    cdl_result r = cdl_pipeline_get(&pipeline, t->dev, kernel);
    if (r == CDL_OK)
        r = cdl_tune_reserve(t, src + dst + residual + first + kernel->weight_bytes);
    if (r == CDL_OK)
        r = cdl_tune_fill(t);
    if (r != CDL_OK)
        return r;
    const uint64_t base = t->scratch.address;
    const struct cdl_addresses at = {.src = base,
                                     .dst = base + src,
                                     .residual = residual ? base + src + dst : 0,
                                     .weights = base + src + dst + residual + first,
                                     .first_weights = base + src + dst + residual};
    cdl_kernel_launch(kernel, graph, op, t->batch, &at, &launch);
    r = time_runs(t, pipeline, &launch, 1, ns);
    const double limit = t->mode == CDL_TUNE_QUICK ? 1.5 : 3;
    if (r != CDL_OK || (best_ns > 0 && *ns > limit * best_ns))
        return r;
    const double affordable = *ns > 0 ? BUDGET_NS / *ns : MAX_TIMED;
    const int count = affordable > MAX_TIMED ? MAX_TIMED
                      : affordable < 3       ? (t->mode == CDL_TUNE_QUICK ? 2 : 3)
                                             : (int)affordable;
    return time_runs(t, pipeline, &launch, count, ns);
}

// The fastest trusted kernel and its time, 0 when there was no memory to take it; -1: none, or failure.
static int tune(struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op,
                const struct cdl_kernel *kernels, int count, double *best_ns) {
    const int candidates = t->mode == CDL_TUNE_QUICK ? QUICK_CANDIDATES : count;
    int best = -1, tried = 0;
    *best_ns = 0;
    if (!cdl_tuner_ready(t))
        return -1;
    for (int i = 0; i < count && tried < candidates; i++) {
        double ns;
        if (!cdl_tuner_trusts(t, graph, op, &kernels[i])) {
            if (t->result != CDL_OK)
                return -1;
            continue;
        }
        tried++;
        const cdl_result r = cdl_tune_measure(t, graph, op, &kernels[i], *best_ns, &ns);
        if (r == CDL_ERR_NOMEM) // the session itself may still fit
            return best < 0 ? i : best;
        if (failed(t, r))
            return -1;
        t->num_measured++;
        char name[160];
        cdl_kernel_name(&kernels[i], name, sizeof name);
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "tuning %s: %.1f us by %s", op->name, ns / 1e3, name);
        // A guess gives way to what is clearly faster, not to noise.
        if (best < 0 || ns < 0.97 * *best_ns) {
            best = i;
            *best_ns = ns;
        }
    }
    return best;
}

// ---- choice

const char *cdl_tuner_mode(const struct cdl_tuner *t) { return t->mode == CDL_TUNE_FULL ? "full" : "quick"; }

bool cdl_tuner_recalls(struct cdl_tuner *t, const char *key, char value[CDL_TUNING_VALUE]) {
    return cdl_tuning_recall(t->dev, key, value) && (t->mode != CDL_TUNE_FULL || !strncmp(value, "full ", 5));
}

// The kernel that an earlier tuning found, as a value "quick 12.5 us by NAME"; -1: none that helps.
static int recall_winner(struct cdl_tuner *t, const char *key, const struct cdl_kernel *kernels, int count) {
    char value[CDL_TUNING_VALUE];
    const char *by = cdl_tuner_recalls(t, key, value) ? strstr(value, " by ") : NULL;
    return by ? cdl_kernel_named(kernels, count, by + strlen(" by ")) : -1;
}

// The kernels that cdl_tune_choose will look at, unless one fails its test: writes up to `cap` of them.
static int foresee(struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op, struct cdl_kernel *out,
                   int cap) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    char key[CDL_TUNING_KEY];
    const int count = cdl_kernels_for(graph, op, &t->dev->caps, t->fp16, kernels);
    int first = 0, wanted = 1;
    if (op->kind == CDL_OP_CONV) {
        cdl_tuning_shape_key(key, graph, op, t->batch, t->fp16);
        first = recall_winner(t, key, kernels, count);
        if (first < 0) {
            first = 0;
            wanted = t->mode == CDL_TUNE_FULL ? count : t->mode == CDL_TUNE_QUICK ? QUICK_CANDIDATES : 1;
        }
    }
    int n = 0;
    for (int i = first; i < count && n < wanted && n < cap; i++)
        out[n++] = kernels[i];
    return n;
}

void cdl_tune_prepare(void *tuner, const struct cdl_graph *graph) {
    struct cdl_tuner *t = tuner;
    const int cap = graph->num_ops * (t->mode == CDL_TUNE_OFF ? 1 : CDL_MAX_KERNELS);
    struct cdl_kernel *kernels = malloc((size_t)cap * sizeof *kernels);
    int n = 0;
    for (int i = 0; kernels && i < graph->num_ops; i++)
        n += foresee(t, graph, &graph->ops[i], kernels + n, cap - n);
    if (n > 0)
        cdl_pipelines_prepare(t->dev, kernels, n);
    free(kernels);
}

int cdl_tune_choose(void *tuner, const struct cdl_graph *graph, const struct cdl_op *op,
                    const struct cdl_kernel *kernels, int count) {
    struct cdl_tuner *t = tuner;
    char key[CDL_TUNING_KEY], value[CDL_TUNING_VALUE], name[160];
    double ns;
    if (t->result != CDL_OK)
        return -1;
    if (op->kind != CDL_OP_CONV) // one kernel each, which the project's tests cover
        return 0;
    cdl_tuning_shape_key(key, graph, op, t->batch, t->fp16);
    int chosen = recall_winner(t, key, kernels, count);
    if (chosen >= 0 && cdl_tuner_trusts(t, graph, op, &kernels[chosen]))
        return chosen;
    chosen = -1;
    if (t->mode != CDL_TUNE_OFF && t->dev->timestamp_bits) {
        chosen = tune(t, graph, op, kernels, count, &ns);
        if (chosen >= 0 && ns > 0) {
            cdl_kernel_name(&kernels[chosen], name, sizeof name);
            cdl_format_text(value, sizeof value, "%s %.1f us by %s", cdl_tuner_mode(t), ns / 1e3, name);
            cdl_tuning_remember(t->dev, key, value);
        }
    } else {
        for (int i = 0; i < count && chosen < 0 && t->result == CDL_OK; i++)
            if (cdl_tuner_trusts(t, graph, op, &kernels[i]))
                chosen = i;
    }
    t->none_works = t->none_works || (chosen < 0 && t->result == CDL_OK);
    return chosen;
}

void cdl_tuner_finish(struct cdl_tuner *t) {
    cdl_buffer_destroy(&t->scratch, t->dev);
    cdl_once_destroy(&t->once);
    if (t->num_tests + t->num_measured)
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "%d kernels tested, %d timed", t->num_tests, t->num_measured);
    cdl_tuning_save(t->dev);
}
