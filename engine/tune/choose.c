// choose.c - the kernel for an operation, or for two. One kernel does the work of two operations only where it was
// measured to be faster than the two that they have by themselves: what it saves depends on the device's caches.
#include <stdlib.h>

#include "tune/tuner.h"

static const double CLEARLY_FASTER = 0.97; // than what it replaces: a guess gives way to that, not to noise

// The kernel that an earlier tuning found; count: it found that two operations stay apart; -1: nothing that helps.
static int recall(struct cdl_tuner *t, const char *key, const struct cdl_kernel *kernels, int count) {
    struct cdl_finding found;
    if (!cdl_tuner_recalls(t, key, &found) || found.kind != CDL_FOUND_KERNEL)
        return -1;
    return found.kernel ? cdl_kernel_by_id(kernels, count, found.kernel) : count;
}

static void remember(struct cdl_tuner *t, const char *key, const struct cdl_kernel *kernel, double ns) {
    struct cdl_finding found = {.kind = CDL_FOUND_KERNEL,
                                .mode = t->mode,
                                .ns = (uint64_t)ns,
                                .kernel = kernel ? cdl_program_id(&kernel->program) : 0};
    cdl_format_text(found.key, sizeof found.key, "%s", key);
    cdl_findings_remember(t->dev, &found);
}

static void log_time(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernel, double ns) {
    char name[CDL_PROGRAM_NAME];
    cdl_program_name(&kernel->program, name);
    cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "tuning %s%s: %.1f us by %s", work->ops[work->num_ops - 1].name,
             work->num_ops > 1 ? " with what is before it" : "", ns / 1e3, name);
}

// The fastest trusted kernel among the first `candidates` and its time; -1: none, or failure. *best_ns: the time to
// beat, 0: none. A kernel without the memory to measure it wins with time 0 where there is no other: the session may
// still fit.
static int measure_all(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels, int count,
                       int candidates, double *best_ns) {
    int best = -1, tried = 0;
    if (!cdl_tuner_ready(t))
        return -1;
    for (int i = 0; i < count && tried < candidates; i++) {
        double ns;
        if (!cdl_tuner_trusts(t, work, &kernels[i])) {
            if (t->result != CDL_OK)
                return -1;
            continue;
        }
        tried++;
        const cdl_result r = cdl_tuner_measure(t, work, &kernels[i], *best_ns, &ns);
        if (r == CDL_ERR_NOMEM)
            return best < 0 && work->num_ops == 1 ? i : best;
        if (cdl_tuner_failed(t, r))
            return -1;
        log_time(t, work, &kernels[i], ns);
        if (*best_ns <= 0 || ns < CLEARLY_FASTER * *best_ns) {
            best = i;
            *best_ns = ns;
        }
    }
    return best;
}

static int choose_for_one(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels,
                          int count) {
    char key[CDL_FINDING_KEY];
    if (work->ops[0].kind != CDL_OP_CONV) // one kernel each, which the project's tests cover
        return 0;
    cdl_work_key(key, work, t->batch, t->fp16);
    int chosen = recall(t, key, kernels, count);
    if (chosen >= 0 && chosen < count && cdl_tuner_trusts(t, work, &kernels[chosen]))
        return chosen;
    chosen = -1;
    if (cdl_tuner_may_measure(t)) {
        double ns = 0;
        chosen = measure_all(t, work, kernels, count, t->mode == CDL_TUNE_QUICK ? CDL_QUICK_CANDIDATES : count, &ns);
        if (chosen >= 0 && ns > 0)
            remember(t, key, &kernels[chosen], ns);
    } else {
        for (int i = 0; i < count && chosen < 0 && t->result == CDL_OK; i++)
            if (cdl_tuner_trusts(t, work, &kernels[i]))
                chosen = i;
    }
    t->none_works = t->none_works || (chosen < 0 && t->result == CDL_OK);
    return chosen;
}

// What the operation's own kernel was measured to take, 0: that is not known.
static double recall_ns(struct cdl_tuner *t, const struct cdl_graph *graph, const struct cdl_op *op) {
    const struct cdl_work alone = {graph, op, 1};
    struct cdl_finding found;
    char key[CDL_FINDING_KEY];
    cdl_work_key(key, &alone, t->batch, t->fp16);
    return cdl_findings_recall(t->dev, key, &found) && found.kind == CDL_FOUND_KERNEL ? (double)found.ns : 0;
}

static int choose_for_two(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels,
                          int count) {
    char key[CDL_FINDING_KEY];
    cdl_work_key(key, work, t->batch, t->fp16);
    const int known = recall(t, key, kernels, count);
    if (known >= 0)
        return known < count && cdl_tuner_trusts(t, work, &kernels[known]) ? known : -1;
    const double first = recall_ns(t, work->graph, &work->ops[0]), second = recall_ns(t, work->graph, &work->ops[1]);
    if (!cdl_tuner_may_measure(t) || first <= 0 || second <= 0)
        return -1;
    double ns = first + second;
    const int chosen = measure_all(t, work, kernels, count, count, &ns);
    if (t->result == CDL_OK)
        remember(t, key, chosen >= 0 ? &kernels[chosen] : NULL, ns);
    return t->result == CDL_OK ? chosen : -1;
}

int cdl_tuner_choose(void *tuner, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    struct cdl_tuner *t = tuner;
    if (t->result != CDL_OK)
        return -1;
    return work->num_ops == 1 ? choose_for_one(t, work, kernels, count) : choose_for_two(t, work, kernels, count);
}

// ---- ahead of choosing

// The programs of the kernels that choosing for the operation will look at, unless one fails its check; up to `cap` of
// them.
static int foresee(struct cdl_tuner *t, const struct cdl_work *work, struct cdl_program *out, int cap) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    char key[CDL_FINDING_KEY];
    const int count = cdl_kernels_for(work, t->batch, &t->dev->caps, t->fp16, kernels);
    int first = 0, wanted = 1;
    if (work->ops[0].kind == CDL_OP_CONV) {
        cdl_work_key(key, work, t->batch, t->fp16);
        first = recall(t, key, kernels, count);
        if (first < 0 || first == count) {
            first = 0;
            wanted = t->mode == CDL_TUNE_FULL ? count : t->mode == CDL_TUNE_QUICK ? CDL_QUICK_CANDIDATES : 1;
        }
    }
    int n = 0;
    for (int i = first; i < count && n < wanted && n < cap; i++)
        out[n++] = kernels[i].program;
    return n;
}

void cdl_tuner_prepare(void *tuner, const struct cdl_graph *graph) {
    struct cdl_tuner *t = tuner;
    const int cap = graph->num_ops * (t->mode == CDL_TUNE_OFF ? 1 : CDL_MAX_KERNELS);
    struct cdl_program *programs = malloc((size_t)cap * sizeof *programs);
    int n = 0;
    for (int i = 0; programs && i < graph->num_ops; i++) {
        const struct cdl_work work = {graph, &graph->ops[i], 1};
        n += foresee(t, &work, programs + n, cap - n);
    }
    if (n > 0)
        cdl_pipelines_prepare(t->dev, programs, n);
    free(programs);
}
