// tune.h - chooses each operation's kernel on a device: by measurement, by what an earlier measurement said, or by rank;
// and only among those that passed their self-test.
#ifndef CDL_TUNE_H_
#define CDL_TUNE_H_

#include "vk_once.h"

struct cdl_tuner {
    struct cdl_device *dev;
    cdl_tune mode;
    int batch;
    bool fp16;
    bool none_works;  // no kernel of an operation passed its test
    cdl_result result; // of the Vulkan work; the first failure stays
    struct cdl_once once;
    struct cdl_buffer scratch;
    int num_tests, num_measured;
};

// For cdl_plan_params.choose, with a tuner as its context: the index of the kernel to use among kernels[count],
// which are sorted by rank; -1: none can be trusted, or tuner->result tells of a failure.
int cdl_tune_choose(void *tuner, const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_kernel *kernels, int count);
// For `prepare`: compiles the pipelines that choosing will want, on all processors.
void cdl_tune_prepare(void *tuner, const struct cdl_graph *graph);
void cdl_tuner_finish(struct cdl_tuner *tuner); // frees its objects and saves what it learnt

// The device's table, from and to its cache folder.
void cdl_tuning_open(struct cdl_device *dev);
void cdl_tuning_save(struct cdl_device *dev);

#endif // CDL_TUNE_H_
