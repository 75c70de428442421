// schedule.c - the recipe, and the learning rate of an epoch.
#include <math.h>

#include "train/training.h"

static double or_default(const struct decimal *given, double standard) {
    return given->given ? given->value : standard;
}

struct recipe recipe_of(const struct options *o) {
    return (struct recipe){
        .epochs = o->epochs ? o->epochs : 90,
        .batch = o->batch ? o->batch : 32,
        .accumulate = o->accumulate ? o->accumulate : 1,
        .lr_step = o->lr_step ? o->lr_step : 30,
        .warmup = o->warmup,
        .lr = or_default(&o->lr, 0.1),
        .lr_gamma = or_default(&o->lr_gamma, 0.1),
        .cosine = o->schedule == 2,
    };
}

double learning_rate(const struct recipe *r, int epoch) {
    const double pi = 3.14159265358979323846;
    if (epoch < r->warmup)
        return r->lr * (0.01 + 0.99 * epoch / r->warmup);
    epoch -= r->warmup;
    if (r->cosine)
        return r->lr * (1 + cos(pi * epoch / (r->epochs > r->warmup ? r->epochs - r->warmup : 1))) / 2;
    double rate = r->lr;
    for (int i = r->lr_step; i <= epoch; i += r->lr_step)
        rate *= r->lr_gamma;
    return rate;
}
