// tuner.h - chooses the kernels and the segment of a plan on a device: by measurement, by what an earlier measurement
// found, or by rank; and only among kernels that compute what plain C does there.
#ifndef CDL_TUNER_H_
#define CDL_TUNER_H_

#include "plan/plan.h"
#include "tune/findings.h"
#include "vulkan/memory.h"
#include "vulkan/one_shot.h"

enum { CDL_QUICK_CANDIDATES = 4 }; // kernels of an operation that CDL_TUNE_QUICK measures: the ranks are good guesses

struct cdl_tuner {
    struct cdl_device *dev;
    cdl_tune mode;
    int batch;
    bool fp16;
    bool none_works;   // no kernel of an operation passed its check
    cdl_result result; // of the Vulkan work; the first failure stays
    struct cdl_once once;
    struct cdl_buffer scratch;
    int num_checked, num_measured;
    int num_timed, num_ranked; // convolutions whose kernel was chosen by its time, now or earlier, and by rank
};

// choose.c: for cdl_plan_params, with a tuner as choose_ctx. For `choose`: the index of the kernel to use among
// kernels[count], sorted by rank. -1: for one operation, none can be trusted, or tuner->result tells of a failure; for
// two, they stay apart.
int cdl_tuner_choose(void *tuner, const struct cdl_work *work, const struct cdl_kernel *kernels, int count);
// For `prepare`: compiles the pipelines that choosing will want, on all processors.
void cdl_tuner_prepare(void *tuner, const struct cdl_graph *graph);

// Which of programs[count], best guess first, a choice that is remembered by `key` will look at, unless one fails its
// check; returns how many: which[CDL_MAX_KERNELS]. key NULL: nothing is timed. *run: the choice will run them, as it
// does not know enough of them yet.
int cdl_tuner_foresee(struct cdl_tuner *tuner, const char *key, const struct cdl_program *programs, int count,
                      int *which, bool *run);

// choose_segment.c: sets the plan's segment.
cdl_result cdl_tuner_choose_segment(struct cdl_tuner *tuner, struct cdl_plan *plan);

// rivals.c: programs of which any may do something that is not in inference's lists, best guess first.
struct cdl_racer;
struct cdl_rivals {
    char key[CDL_FINDING_KEY];          // what the fastest is remembered by: equal keys mean equal questions
    const char *name;                   // of the layer, for the log
    const struct cdl_program *programs; // [count]
    int count;                          // 1 to CDL_MAX_KERNELS
    size_t scratch;                     // bytes that one needs to be timed, at most
    void *ctx;                          // of both:
    cdl_result (*check)(void *ctx, int index, struct cdl_once *once, bool *passed);
    // Sets pipelines, launches and their number, for data from address `scratch` on.
    cdl_result (*launch)(void *ctx, int index, uint64_t scratch, struct cdl_racer *racer);
};
// The index of the one to use; -1: none can be trusted, or tuner->result tells of a failure.
int cdl_tuner_choose_rival(struct cdl_tuner *tuner, const struct cdl_rivals *rivals);

// Frees its objects and saves what it found.
void cdl_tuner_finish(struct cdl_tuner *tuner);

// ---- for choose*.c

bool cdl_tuner_ready(struct cdl_tuner *tuner); // its objects are there; else tuner->result says why not
// Whether r, or an earlier result, is a failure; the first is kept in tuner->result.
bool cdl_tuner_failed(struct cdl_tuner *tuner, cdl_result r);
bool cdl_tuner_may_measure(const struct cdl_tuner *tuner); // its mode and the device's queue let it
// Whether the kernel passed its check on this device, now or earlier.
bool cdl_tuner_trusts(struct cdl_tuner *tuner, const struct cdl_work *work, const struct cdl_kernel *kernel);
// How a program is checked: as cdl_kernel_check, with `ctx` and `index` as they are here.
struct cdl_trial {
    cdl_result (*check)(void *ctx, int index, struct cdl_once *once, bool *passed);
    void *ctx;
    int index;
};
// The same of any program.
bool cdl_tuner_trusts_program(struct cdl_tuner *tuner, const struct cdl_program *program,
                              const struct cdl_trial *trial);
// A way to do some work: by one kernel, or by one for each of its operations.
struct cdl_contestant {
    const struct cdl_kernel *kernels[CDL_MAX_FUSED];
    int num_kernels;
};
// What its k-th kernel does.
static inline struct cdl_work cdl_contest_part(const struct cdl_work *work, const struct cdl_contestant *c, int k) {
    return c->num_kernels == 1 ? *work : (struct cdl_work){work->graph, &work->ops[k], 1};
}
// The fastest of up to CDL_MAX_KERNELS + 1 at the tuner's batch, see race.h; *ns: its time. All times are logged.
cdl_result cdl_tuner_contest(struct cdl_tuner *tuner, const struct cdl_work *work, const struct cdl_contestant *all,
                             int count, int *winner, double *ns);
cdl_result cdl_tuner_reserve(struct cdl_tuner *tuner, size_t size); // tuner->scratch
cdl_result cdl_tuner_fill(struct cdl_tuner *tuner); // all of it, with numbers good as values and weights
// What an earlier tuning found that was as thorough as this one; false: nothing.
bool cdl_tuner_recalls(struct cdl_tuner *tuner, const char *key, struct cdl_finding *out);

// ---- a device's findings, read from its cache folder at the first use

struct cdl_findings *cdl_findings_of(struct cdl_device *dev); // to be used under the device's lock; NULL: no memory
bool cdl_findings_recall(struct cdl_device *dev, const char *key, struct cdl_finding *out); // false: nothing is known
// Without memory for it, the next session measures again.
void cdl_findings_remember(struct cdl_device *dev, const struct cdl_finding *finding);

#endif // CDL_TUNER_H_
