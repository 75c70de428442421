// tally.h - what came out of an evaluation, and the figures that follow from it.
#ifndef CARDINAL_TALLY_H_
#define CARDINAL_TALLY_H_

#include "eval/set.h"

enum { EVAL_RANKS = 5, ECE_BINS = 15 };
enum eval_state { EVAL_OPEN, EVAL_DONE, EVAL_FAILED };

struct eval_result {
    enum eval_state state;
    int top[EVAL_RANKS];    // classes, best first; -1 where the model has fewer
    float prob, truth_prob; // of top[0]; of the item's truth, 0 where that is not known
};

bool eval_top1(const struct eval_item *i, const struct eval_result *r); // by ReaL labels where there are any

struct tally {
    int classes;
    uint64_t images, failed, top1, top5;
    struct class_tally {
        uint64_t images, top1, top5; // of the pictures of this class
        uint64_t said;               // pictures of which it was the first answer
    } * by_class;                    // [classes]
    // Calibration: pictures by the probability of their first answer, in 15 bins of equal width, (0, 1/15] and so on.
    struct calibration_bin {
        uint64_t images, right;
        double prob; // sum
    } bins[ECE_BINS];
};

bool tally_open(struct tally *t, int classes); // false: no memory, after a line on stderr
void tally_close(struct tally *t);
void tally_add(struct tally *t, const struct eval_item *item, const struct eval_result *result);

// Expected calibration error (Guo et al. 2017, "On calibration of modern neural networks"): over the bins, the mean
// of |accuracy - mean probability|, weighted by pictures. 0 without pictures.
double tally_ece(const struct tally *t);
// The mean of the classes' top-1 accuracies, each class alike, of classes that have pictures.
double tally_class_mean(const struct tally *t, int *classes);

// Pictures of class `truth` of which `said` was the first answer, for all pairs that occur.
struct confusion {
    int truth, said;
    uint64_t images;
};
// Sorted by truth, then said; malloc'd, NULL where there are none or no memory is left.
struct confusion *tally_confusions(const struct eval_set *set, const struct eval_result *results, size_t *count);

#endif // CARDINAL_TALLY_H_
