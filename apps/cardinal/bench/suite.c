// suite.c - see suite.h.
#include "bench/suite.h"

#include <stddef.h>
#include <string.h>

#define RESNEXT50 "resnext50_32x4d"
#define RESNEXT101 "resnext101_32x8d"
#define BOTH_PRECISIONS .precisions = {CDL_PRECISION_FP16, CDL_PRECISION_FP32}, .num_precisions = 2
#define ONLY_FP32 .precisions = {CDL_PRECISION_FP32}, .num_precisions = 1
#define BOTH_INPUTS .inputs = {BENCH_DEVICE, BENCH_PIXELS}, .num_inputs = 2
#define ONLY_DEVICE .inputs = {BENCH_DEVICE}, .num_inputs = 1

static const struct suite standard = {
    .name = "standard",
    .rows = {{RESNEXT50, {1, 8, 32, 128}, BOTH_PRECISIONS, BOTH_INPUTS},
             {RESNEXT101, {1, 8, 32, 128}, BOTH_PRECISIONS, BOTH_INPUTS}},
    .visit_ms = 400,
    .budget_s = 210,
    .sustain_s = 30,
    .sustain_batch = 32,
};
static const struct suite quick = {
    .name = "quick",
    .rows = {{RESNEXT50, {1, 32}, BOTH_PRECISIONS, BOTH_INPUTS}},
    .visit_ms = 250,
    .budget_s = 40,
};
static const struct suite standard_cpu = {
    .name = "standard-cpu",
    .rows = {{RESNEXT50, {1}, ONLY_FP32, BOTH_INPUTS},
             {RESNEXT50, {2}, ONLY_FP32, ONLY_DEVICE},
             {RESNEXT50, {1}, .precisions = {CDL_PRECISION_FP16}, .num_precisions = 1, ONLY_DEVICE},
             {RESNEXT101, {1}, ONLY_FP32, ONLY_DEVICE}},
    .visit_ms = 1000,
    .budget_s = 180,
    .sustain_s = 20,
    .sustain_batch = 1,
};
static const struct suite quick_cpu = {
    .name = "quick-cpu",
    .rows = {{RESNEXT50, {1}, ONLY_FP32, BOTH_INPUTS}},
    .visit_ms = 1000,
    .budget_s = 40,
};

const struct suite *suite_find(enum suite_choice choice, bool software) {
    switch (choice) {
    case SUITE_STANDARD: return software ? &standard_cpu : &standard;
    case SUITE_QUICK: return software ? &quick_cpu : &quick;
    case SUITE_NONE: break;
    }
    return NULL;
}

int suite_count(const struct suite *s) {
    int count = 0;
    for (const struct suite_rows *r = s->rows; r < s->rows + SUITE_MAX_GROUPS && r->network; r++)
        for (int i = 0; i < 8 && r->batches[i]; i++)
            count += r->num_precisions * r->num_inputs;
    return count;
}

double score_reference(const char *network) {
    static const struct {
        const char *network;
        double images_per_s;
    } rates[] = {{RESNEXT50, 4.0}, {RESNEXT101, 4.0 * 4.23 / 16.41}}; // 1e9 multiply-adds an image
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
        if (!strcmp(rates[i].network, network))
            return rates[i].images_per_s;
    return 0;
}
