// rivals.c - see tuner.h: the choice among programs that are not in inference's lists.
#include "tune/race.h"
#include "tune/tuner.h"

static bool trusts(struct cdl_tuner *t, const struct cdl_rivals *r, int i) {
    const struct cdl_trial trial = {r->check, r->ctx, i};
    return cdl_tuner_trusts_program(t, &r->programs[i], &trial);
}

// The one that an earlier tuning found; -1: nothing that helps.
static int recall(struct cdl_tuner *t, const struct cdl_rivals *r) {
    struct cdl_finding found;
    if (!cdl_tuner_recalls(t, r->key, &found) || found.kind != CDL_FOUND_KERNEL)
        return -1;
    for (int i = 0; i < r->count; i++)
        if (cdl_program_id(&r->programs[i]) == found.kernel)
            return trusts(t, r, i) ? i : -1;
    return -1;
}

// The first that can be trusted.
static int by_rank(struct cdl_tuner *t, const struct cdl_rivals *r) {
    for (int i = 0; i < r->count && t->result == CDL_OK; i++)
        if (trusts(t, r, i))
            return i;
    return -1;
}

static cdl_result race(struct cdl_tuner *t, const struct cdl_rivals *r, const int *which, int count, int *winner,
                       double *ns) {
    struct cdl_racer racers[CDL_MAX_KERNELS];
    cdl_result result = cdl_tuner_reserve(t, r->scratch);
    if (result == CDL_OK)
        result = cdl_tuner_fill(t);
    for (int i = 0; result == CDL_OK && i < count; i++)
        result = r->launch(r->ctx, which[i], t->scratch.address, &racers[i]);
    if (result == CDL_OK)
        result = cdl_race(&t->once, racers, count, t->mode == CDL_TUNE_QUICK, winner);
    if (result != CDL_OK)
        return result;
    for (int i = 0; i < count; i++) {
        char name[CDL_PROGRAM_NAME];
        cdl_program_name(&r->programs[which[i]], name);
        cdl_logf(&t->dev->log, CDL_LOG_DEBUG, "tuning %s: %.1f us by %s%s", r->name, cdl_racer_ns(&racers[i]) / 1e3,
                 name, i == *winner ? ", the fastest" : "");
    }
    *ns = cdl_racer_ns(&racers[*winner]);
    t->num_measured += count;
    return CDL_OK;
}

// The fastest of those that can be trusted; *ns: its time. 0: there is not the memory to measure, and the first has to
// do.
static int measure(struct cdl_tuner *t, const struct cdl_rivals *r, double *ns) {
    const int most = t->mode == CDL_TUNE_QUICK ? CDL_QUICK_CANDIDATES : r->count;
    int which[CDL_MAX_KERNELS], count = 0, winner = 0;
    for (int i = 0; i < r->count && count < most && t->result == CDL_OK; i++)
        if (trusts(t, r, i))
            which[count++] = i;
    *ns = 0;
    if (count == 0 || !cdl_tuner_ready(t))
        return -1;
    const cdl_result result = race(t, r, which, count, &winner, ns);
    if (result != CDL_ERR_NOMEM && cdl_tuner_failed(t, result))
        return -1;
    return which[result == CDL_OK ? winner : 0];
}

int cdl_tuner_choose_rival(struct cdl_tuner *t, const struct cdl_rivals *r) {
    struct cdl_finding found = {.kind = CDL_FOUND_KERNEL, .mode = t->mode};
    double ns;
    if (t->result != CDL_OK)
        return -1;
    const int known = recall(t, r);
    if (known >= 0 || t->result != CDL_OK)
        return t->result == CDL_OK ? known : -1;
    if (!cdl_tuner_may_measure(t))
        return by_rank(t, r);
    const int chosen = measure(t, r, &ns);
    if (chosen >= 0 && ns > 0) {
        found.ns = (uint64_t)ns;
        found.kernel = cdl_program_id(&r->programs[chosen]);
        cdl_format_text(found.key, sizeof found.key, "%s", r->key);
        cdl_findings_remember(t->dev, &found);
    }
    return chosen;
}
