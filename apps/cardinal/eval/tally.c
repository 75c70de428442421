// tally.c - see tally.h.
#include "eval/tally.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool eval_is_right(const struct eval_item *item, int id) {
    if (!item->real)
        return id == item->truth && id >= 0;
    for (int i = 0; i < item->num_real; i++)
        if (item->real[i] == id)
            return true;
    return false;
}

bool eval_top1(const struct eval_item *i, const struct eval_result *r) { return eval_is_right(i, r->top[0]); }

static bool eval_top5(const struct eval_item *i, const struct eval_result *r) {
    for (int rank = 0; rank < EVAL_RANKS; rank++)
        if (eval_is_right(i, r->top[rank]))
            return true;
    return false;
}

bool tally_open(struct tally *t, int classes) {
    *t = (struct tally){.classes = classes, .by_class = calloc((size_t)classes, sizeof *t->by_class)};
    if (!t->by_class)
        complain("out of memory");
    return t->by_class != NULL;
}

void tally_close(struct tally *t) {
    free(t->by_class);
    *t = (struct tally){0};
}

void tally_add(struct tally *t, const struct eval_item *item, const struct eval_result *result) {
    t->failed += result->state == EVAL_FAILED;
    if (result->state != EVAL_DONE)
        return;
    const bool top1 = eval_top1(item, result), top5 = eval_top5(item, result);
    t->images++;
    t->top1 += top1;
    t->top5 += top5;
    if (item->truth >= 0) {
        struct class_tally *c = &t->by_class[item->truth];
        c->images++;
        c->top1 += top1;
        c->top5 += top5;
    }
    t->by_class[result->top[0]].said++;
    int bin = (int)ceil((double)result->prob * ECE_BINS) - 1;
    bin = bin < 0 ? 0 : bin >= ECE_BINS ? ECE_BINS - 1 : bin;
    t->bins[bin].images++;
    t->bins[bin].right += top1;
    t->bins[bin].prob += (double)result->prob;
}

double tally_ece(const struct tally *t) {
    double sum = 0;
    for (int i = 0; i < ECE_BINS; i++)
        sum += fabs((double)t->bins[i].right - t->bins[i].prob);
    return t->images ? sum / (double)t->images : 0;
}

double tally_class_mean(const struct tally *t, int *classes) {
    double sum = 0;
    *classes = 0;
    for (int i = 0; i < t->classes; i++)
        if (t->by_class[i].images) {
            sum += (double)t->by_class[i].top1 / (double)t->by_class[i].images;
            ++*classes;
        }
    return *classes ? sum / *classes : 0;
}

static int compare_pairs(const void *a, const void *b) {
    const struct confusion *x = a, *y = b;
    return x->truth != y->truth ? (x->truth > y->truth) - (x->truth < y->truth)
                                : (x->said > y->said) - (x->said < y->said);
}

struct confusion *tally_confusions(const struct eval_set *set, const struct eval_result *results, size_t *count) {
    struct confusion *pairs = calloc(set->count + 1, sizeof *pairs);
    size_t n = 0;
    for (size_t i = 0; pairs && i < set->count; i++)
        if (results[i].state == EVAL_DONE && set->items[i].truth >= 0)
            pairs[n++] = (struct confusion){set->items[i].truth, results[i].top[0], 1};
    if (n > 1)
        qsort(pairs, n, sizeof *pairs, compare_pairs);
    *count = 0;
    for (size_t i = 0; i < n; i++)
        if (i > 0 && compare_pairs(&pairs[*count - 1], &pairs[i]) == 0)
            pairs[*count - 1].images++;
        else
            pairs[(*count)++] = pairs[i];
    if (*count == 0) {
        free(pairs);
        pairs = NULL;
    }
    return pairs;
}
