// update.c - the last part of a training program, which needs all gradients: their norm, then the update.
#include "train/derive.h"

enum { MAX_CHUNKS = 1024, LEAST_CHUNK = 512 }; // of the sums of squares: blocks of four that one is worth

static void add_norm(struct cdl_derivation *d, int scaling) {
    const size_t trainable = d->p->parameters.trainable, count4 = trainable / 4;
    size_t chunk = (count4 + MAX_CHUNKS - 1) / MAX_CHUNKS;
    chunk = chunk > LEAST_CHUNK ? chunk : LEAST_CHUNK;
    const int gradients = cdl_derive_value(d, CDL_ROOM_GRADIENTS, 0, trainable * sizeof(float));
    const int partial = cdl_derive_value(d, CDL_ROOM_ARENA, 0, (count4 + chunk - 1) / chunk * sizeof(float));
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_GRADIENT_SUMS, -1);
    if (!step)
        return;
    step->part = (int)chunk;
    step->values[CDL_ROLE_GRADIENTS] = gradients;
    step->values[CDL_ROLE_PARTIAL] = partial;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_PARTIAL));
    if (!(step = cdl_derive_step(d, CDL_TRAIN_GRADIENT_NORM, -1)))
        return;
    step->part = (int)chunk;
    step->values[CDL_ROLE_PARTIAL] = partial;
    step->values[CDL_ROLE_SCALING] = scaling;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_SCALING));
}

// Of the parameters with weight decay, and of those with batch norm's.
static void add_sgd(struct cdl_derivation *d, int scaling) {
    const struct cdl_parameters *all = &d->p->parameters;
    const size_t ends[] = {0, all->decayed, all->trainable};
    const int rate = cdl_derive_value(d, CDL_ROOM_INPUT, CDL_INPUT_RATE, sizeof(float));
    for (int i = 0; i < 2; i++) {
        const size_t at = ends[i] * sizeof(float), bytes = (ends[i + 1] - ends[i]) * sizeof(float);
        if (bytes == 0)
            continue;
        const int parameters = cdl_derive_value(d, CDL_ROOM_PARAMETERS, at, bytes);
        const int momentum = cdl_derive_value(d, CDL_ROOM_MOMENTUM, at, bytes);
        const int gradients = cdl_derive_value(d, CDL_ROOM_GRADIENTS, at, bytes);
        struct cdl_train_step *step = cdl_derive_step(d, i ? CDL_TRAIN_UPDATE_NORM : CDL_TRAIN_UPDATE, -1);
        if (!step)
            return;
        step->values[CDL_ROLE_PARAMETERS] = parameters;
        step->values[CDL_ROLE_MOMENTUM] = momentum;
        step->values[CDL_ROLE_GRADIENTS] = gradients;
        step->values[CDL_ROLE_RATE] = rate;
        step->values[CDL_ROLE_SCALING] = scaling;
        cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_PARAMETERS) | CDL_ROLE_BIT(CDL_ROLE_MOMENTUM));
    }
}

void cdl_derive_update(struct cdl_derivation *d) {
    const int scaling = cdl_derive_scaling(d);
    d->p->first_update = d->p->num_steps;
    add_norm(d, scaling);
    add_sgd(d, scaling);
}
