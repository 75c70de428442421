// choose.c - the kernel for an operation, or for two. One kernel does the work of two operations only where it was
// measured to be faster than the two that they have by themselves, as what it saves depends on the device's caches; or
// where nothing was measured, and the guess is that it is (cdl_kernel.beats_apart).
#include <stdlib.h>

#include "tune/tuner.h"

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

// Adds up to `most` trusted kernels to the contestants. false: tuner->result tells of a failure.
static bool enter(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels, int count,
                  int most, struct cdl_contestant *all, int *num) {
    for (int i = 0, entered = 0; i < count && entered < most; i++) {
        if (cdl_tuner_trusts(t, work, &kernels[i])) {
            all[(*num)++] = (struct cdl_contestant){{&kernels[i]}, 1};
            entered++;
        }
        if (t->result != CDL_OK)
            return false;
    }
    return true;
}

// The fastest trusted kernel among the first `candidates`; -1: none, or failure. *ns: its time; 0: there is not the
// memory to measure, and the first trusted one may have to do, as the session may still fit.
static int measure_all(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels, int count,
                       int candidates, double *ns) {
    struct cdl_contestant all[CDL_MAX_KERNELS];
    int num = 0, winner = 0;
    *ns = 0;
    if (!cdl_tuner_ready(t) || !enter(t, work, kernels, count, candidates, all, &num) || num == 0)
        return -1;
    const cdl_result r = cdl_tuner_contest(t, work, all, num, &winner, ns);
    if (r != CDL_ERR_NOMEM && cdl_tuner_failed(t, r))
        return -1;
    const struct cdl_kernel *best = all[r == CDL_OK ? winner : 0].kernels[0];
    return (int)(best - kernels);
}

static int choose_for_one(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels,
                          int count) {
    char key[CDL_FINDING_KEY];
    if (work->ops[0].kind != CDL_OP_CONV) // one kernel each, which the project's tests cover
        return 0;
    cdl_work_key(key, work, t->batch, t->fp16);
    int chosen = recall(t, key, kernels, count);
    if (chosen >= 0 && chosen < count && cdl_tuner_trusts(t, work, &kernels[chosen])) {
        t->num_timed++;
        return chosen;
    }
    chosen = -1;
    if (cdl_tuner_may_measure(t)) {
        double ns = 0;
        chosen = measure_all(t, work, kernels, count, t->mode == CDL_TUNE_QUICK ? CDL_QUICK_CANDIDATES : count, &ns);
        if (chosen >= 0 && ns > 0)
            remember(t, key, &kernels[chosen], ns);
        *(ns > 0 ? &t->num_timed : &t->num_ranked) += 1;
    } else {
        for (int i = 0; i < count && chosen < 0 && t->result == CDL_OK; i++)
            if (cdl_tuner_trusts(t, work, &kernels[i]))
                chosen = i;
        t->num_ranked++;
    }
    t->none_works = t->none_works || (chosen < 0 && t->result == CDL_OK);
    return chosen;
}

// Finds the kernel that the operation was measured to be fastest with by itself, or the only one that it has, in
// list[CDL_MAX_KERNELS]; NULL: that is not known.
static const struct cdl_kernel *own_kernel(struct cdl_tuner *t, const struct cdl_work *alone, struct cdl_kernel *list) {
    struct cdl_finding found;
    char key[CDL_FINDING_KEY];
    cdl_work_key(key, alone, t->batch, t->fp16);
    if (alone->ops[0].kind != CDL_OP_CONV)
        return cdl_kernels_for(alone, t->batch, &t->dev->caps, t->fp16, list) > 0 ? &list[0] : NULL;
    if (!cdl_findings_recall(t->dev, key, &found) || found.kind != CDL_FOUND_KERNEL)
        return NULL;
    const int i = cdl_kernel_by_id(list, cdl_kernels_for(alone, t->batch, &t->dev->caps, t->fp16, list), found.kernel);
    return i >= 0 ? &list[i] : NULL;
}

// The first trusted kernel that is guessed to be faster than the two by themselves; -1: none.
static int guess_for_two(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels,
                         int count) {
    for (int i = 0; i < count && t->result == CDL_OK; i++)
        if (kernels[i].beats_apart && cdl_tuner_trusts(t, work, &kernels[i]))
            return i;
    return -1;
}

// One kernel for both, or the two by themselves: these come first, and so win where it makes no difference.
static int choose_for_two(struct cdl_tuner *t, const struct cdl_work *work, const struct cdl_kernel *kernels,
                          int count) {
    struct cdl_kernel lists[CDL_MAX_FUSED][CDL_MAX_KERNELS];
    struct cdl_contestant all[CDL_MAX_KERNELS + 1] = {{.num_kernels = 2}};
    char key[CDL_FINDING_KEY];
    int num = 1, winner = 0;
    double ns = 0;
    cdl_work_key(key, work, t->batch, t->fp16);
    const int known = recall(t, key, kernels, count);
    if (known >= 0)
        return known < count && cdl_tuner_trusts(t, work, &kernels[known]) ? known : -1;
    for (int i = 0; i < 2; i++) {
        const struct cdl_work alone = {work->graph, &work->ops[i], 1};
        all[0].kernels[i] = own_kernel(t, &alone, lists[i]);
    }
    if (!cdl_tuner_may_measure(t) || !all[0].kernels[0] || !all[0].kernels[1])
        return guess_for_two(t, work, kernels, count);
    if (!cdl_tuner_ready(t) || !enter(t, work, kernels, count, count, all, &num))
        return -1;
    const cdl_result r = num > 1 ? cdl_tuner_contest(t, work, all, num, &winner, &ns) : CDL_OK;
    if (r == CDL_ERR_NOMEM || cdl_tuner_failed(t, r))
        return -1;
    remember(t, key, winner > 0 ? all[winner].kernels[0] : NULL, ns);
    return winner > 0 ? (int)(all[winner].kernels[0] - kernels) : -1;
}

int cdl_tuner_choose(void *tuner, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    struct cdl_tuner *t = tuner;
    if (t->result != CDL_OK)
        return -1;
    return work->num_ops == 1 ? choose_for_one(t, work, kernels, count) : choose_for_two(t, work, kernels, count);
}

// ---- ahead of choosing

// Whether the program's check was made; *passed: with which result.
static bool is_checked(struct cdl_tuner *t, const struct cdl_program *program, bool *passed) {
    struct cdl_finding found;
    char key[CDL_FINDING_KEY];
    cdl_check_key(key, program);
    if (!cdl_findings_recall(t->dev, key, &found))
        return false;
    *passed = found.passed;
    return true;
}

int cdl_tuner_foresee(struct cdl_tuner *t, const char *key, const struct cdl_program *programs, int count, int *which,
                      bool *run) {
    struct cdl_finding found;
    bool passed;
    const bool recalled = key && cdl_tuner_recalls(t, key, &found) && found.kind == CDL_FOUND_KERNEL;
    for (int i = 0; recalled && i < count; i++)
        if (cdl_program_id(&programs[i]) == found.kernel) {
            const bool known = is_checked(t, &programs[i], &passed);
            if (known && !passed)
                break;
            *which = i;
            *run = !known;
            return 1;
        }
    *run = key && cdl_tuner_may_measure(t);
    const int wanted = !*run ? 1 : t->mode == CDL_TUNE_FULL ? count : CDL_QUICK_CANDIDATES;
    int n = 0;
    for (int i = 0; i < count && n < wanted; i++) {
        const bool known = is_checked(t, &programs[i], &passed);
        if (known && !passed)
            continue;
        *run = *run || !known;
        which[n++] = i;
    }
    return n;
}

void cdl_tuner_prepare(void *tuner, const struct cdl_graph *graph) {
    struct cdl_tuner *t = tuner;
    struct cdl_program *programs = malloc((size_t)graph->num_ops * CDL_MAX_KERNELS * sizeof *programs);
    int n = 0;
    for (int i = 0; programs && i < graph->num_ops; i++) {
        const struct cdl_work work = {graph, &graph->ops[i], 1};
        struct cdl_kernel kernels[CDL_MAX_KERNELS];
        struct cdl_program own[CDL_MAX_KERNELS];
        char key[CDL_FINDING_KEY];
        int which[CDL_MAX_KERNELS];
        bool run;
        const int count = cdl_kernels_for(&work, t->batch, &t->dev->caps, t->fp16, kernels);
        for (int k = 0; k < count; k++)
            own[k] = kernels[k].program;
        cdl_work_key(key, &work, t->batch, t->fp16);
        const bool has_choice = work.ops[0].kind == CDL_OP_CONV;
        const int wanted = cdl_tuner_foresee(t, has_choice ? key : NULL, own, count, which, &run);
        for (int k = 0; k < wanted; k++)
            programs[n++] = own[which[k]];
    }
    if (n > 0)
        cdl_pipelines_prepare(t->dev, programs, n);
    free(programs);
}
