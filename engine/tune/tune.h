// tune.h - chooses each operation's kernel on a device: by measurement, by what an earlier measurement said, or by
// rank; and only among those that passed their self-test.
#ifndef CDL_TUNE_H_
#define CDL_TUNE_H_

#include "plan/plan.h"
#include "tune/table.h"
#include "vulkan/memory.h"
#include "vulkan/one_shot.h"

struct cdl_tuner {
    struct cdl_device *dev;
    cdl_tune mode;
    int batch;
    bool fp16;
    bool none_works;   // no kernel of an operation passed its test
    cdl_result result; // of the Vulkan work; the first failure stays
    struct cdl_once once;
    struct cdl_buffer scratch;
    int num_tests, num_measured;
};

// For cdl_plan_params.choose, with a tuner as its context: the index of the kernel to use among kernels[count],
// which are sorted by rank; -1: none can be trusted, or tuner->result tells of a failure.
int cdl_tune_choose(void *tuner, const struct cdl_graph *graph, const struct cdl_op *op,
                    const struct cdl_kernel *kernels, int count);
// For `choose_pair`.
int cdl_tune_pair(void *tuner, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernels,
                  int count);
// For `prepare`: compiles the pipelines that choosing will want, on all processors.
void cdl_tune_prepare(void *tuner, const struct cdl_graph *graph);
// Sets the plan's segment.
cdl_result cdl_tune_segment(struct cdl_tuner *tuner, struct cdl_plan *plan);
void cdl_tuner_finish(struct cdl_tuner *tuner); // frees its objects and saves what it learnt

// For tune_*.c.
bool cdl_tuner_ready(struct cdl_tuner *tuner); // its objects are there; else tuner->result says why not
// Whether the kernel passed its self-test on this device, now or earlier.
bool cdl_tuner_trusts(struct cdl_tuner *tuner, const struct cdl_graph *graph, const struct cdl_op *op,
                      const struct cdl_kernel *kernel);
// *ns: the kernel's time for the operation at the tuner's batch. Stops after the warm-up when that already took much
// longer than `best_ns` (0: none yet).
cdl_result cdl_tune_measure(struct cdl_tuner *tuner, const struct cdl_graph *graph, const struct cdl_op *op,
                            const struct cdl_kernel *kernel, double best_ns, double *ns);
cdl_result cdl_tune_reserve(struct cdl_tuner *tuner, size_t size); // tuner->scratch
cdl_result cdl_tune_fill(struct cdl_tuner *tuner);                 // all of it, with numbers good as values and weights
const char *cdl_tuner_mode(const struct cdl_tuner *tuner);         // the first word of what it finds
// What an earlier tuning found that was as thorough as this one.
bool cdl_tuner_recalls(struct cdl_tuner *tuner, const char *key, char value[CDL_TUNING_VALUE]);
bool cdl_tuning_recall(struct cdl_device *dev, const char *key, char value[CDL_TUNING_VALUE]);
void cdl_tuning_remember(struct cdl_device *dev, const char *key, const char *value);
void cdl_tuning_pair_key(char out[CDL_TUNING_KEY], const struct cdl_graph *graph, const struct cdl_op *op, int batch);
void cdl_tuning_segment_key(char out[CDL_TUNING_KEY], const struct cdl_plan *plan);

// The device's table, read from its cache folder at the first use; NULL: no memory. Under the device's lock.
struct cdl_tuning *cdl_tuning_of(struct cdl_device *dev);
void cdl_tuning_save(struct cdl_device *dev); // to the cache folder, when it changed

#endif // CDL_TUNE_H_
