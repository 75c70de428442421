// suite.h - fixed sets of rows, and the score that they give.
//
// A suite's rows never change under one version: what is added or changed makes a new one, and results of different
// versions are not compared.
#ifndef CARDINAL_SUITE_H_
#define CARDINAL_SUITE_H_

#include <stdbool.h>

#include "cdl/cdl.h"

enum bench_input { BENCH_PIXELS, BENCH_TENSOR, BENCH_DEVICE, BENCH_TRAINING }; // the last: pixels, to learn from
enum suite_choice { SUITE_NONE, SUITE_STANDARD, SUITE_QUICK };
enum { SUITE_VERSION = 1, SUITE_ROUNDS = 3, SUITE_MAX_ROWS = 64, SUITE_MAX_GROUPS = 4 };

struct suite_rows { // every combination of them
    const char *network;
    int batches[8]; // 0 ends them
    cdl_precision precisions[3];
    enum bench_input inputs[3];
    int num_precisions, num_inputs;
};

struct suite {
    const char *name;
    struct suite_rows rows[SUITE_MAX_GROUPS]; // a NULL network ends them
    int visit_ms;                             // of each of a visit's two measurements
    int budget_s;                             // after which no row is visited again, but for SUITE_ROUNDS times
    int sustain_s;                            // 0: without a sustained run
    int sustain_batch;
};

const struct suite *suite_find(enum suite_choice choice, bool software); // NULL: SUITE_NONE
int suite_count(const struct suite *s);                                  // of its rows

// ---- the score: the geometric mean, over all rows of the suite, of images a second over those of a reference machine:
// docs/results/llvmpipe.md's, which runs ResNeXt-50 32x4d 4 times a second, and other networks as fast by their
// multiply-adds.
#define SCORE_REFERENCE \
    "llvmpipe of Mesa 22.3.6 on two cores of an AMD EPYC: 4 images/s of ResNeXt-50 32x4d (batch 1, " \
    "fp32, from pixels), " \
    "other networks by their multiply-adds"
double score_reference(const char *network); // images a second; 0: none

#endif // CARDINAL_SUITE_H_
