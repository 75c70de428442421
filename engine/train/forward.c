// forward.c - the forward half of a training program, and the loss.
#include "train/derive.h"

// Weights are packed first, all together: no dispatch then waits for its own.
static void add_packing(struct cdl_derivation *d) {
    for (int i = 0; i < d->p->graph.num_ops; i++)
        if (d->p->graph.ops[i].kind == CDL_OP_CONV && cdl_derive_kernel(d, &d->p->graph, i, &d->kernels[i]))
            d->packed[i] = cdl_derive_pack(d, CDL_TRAIN_PACK, i, &d->kernels[i]);
}

static void add_inference(struct cdl_derivation *d, int i) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const int dst = cdl_derive_like(d, op->dst);
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_FORWARD, i);
    if (!step)
        return;
    step->kernel = d->kernels[i];
    step->values[CDL_ROLE_SRC] = d->activations[op->src];
    step->values[CDL_ROLE_PACKED] = d->packed[i];
    step->values[CDL_ROLE_DST] = d->activations[op->dst] = dst;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_DST));
}

static size_t pixels_of(const struct cdl_derivation *d, int value) {
    const struct cdl_value *v = &d->p->graph.values[value];
    return (size_t)d->p->batch * (size_t)v->height * (size_t)v->width;
}

static void add_norm_apply(struct cdl_derivation *d, int i) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const int weight = cdl_derive_parameter(d, op->norm.weight), bias = cdl_derive_parameter(d, op->norm.bias);
    const int dst = cdl_derive_like(d, op->dst);
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_NORM_APPLY, i);
    if (!step)
        return;
    step->values[CDL_ROLE_SRC] = d->activations[op->src];
    step->values[CDL_ROLE_RESIDUAL] = op->residual >= 0 ? d->activations[op->residual] : -1;
    step->values[CDL_ROLE_STATISTICS] = d->statistics[i];
    step->values[CDL_ROLE_WEIGHT] = weight;
    step->values[CDL_ROLE_BIAS] = bias;
    step->values[CDL_ROLE_DST] = d->activations[op->dst] = dst;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_DST));
}

static void add_norm(struct cdl_derivation *d, int i) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const size_t c4 = (size_t)cdl_c4(&d->p->graph.values[op->src]);
    const int trained = cdl_derive_gradient(d, op->norm.weight);
    const int mean = cdl_derive_parameter(d, op->norm.mean), variance = cdl_derive_parameter(d, op->norm.variance);
    const int statistics = cdl_derive_value(d, CDL_ROOM_ARENA, 0, c4 * 32);
    struct cdl_train_step *step;
    int part = 1, parts = 1, partial = -1;
    if (trained >= 0) { // else the running statistics stay, and serve
        parts = cdl_derive_chunks(d, &d->p->graph.values[op->src], &part);
        partial = cdl_derive_value(d, CDL_ROOM_ARENA, 0, (size_t)parts * c4 * 32);
        if (!(step = cdl_derive_step(d, CDL_TRAIN_NORM_SUMS, i)))
            return;
        step->part = part;
        step->values[CDL_ROLE_SRC] = d->activations[op->src];
        step->values[CDL_ROLE_PARTIAL] = partial;
        cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_PARTIAL));
    }
    if (!(step = cdl_derive_step(d, CDL_TRAIN_NORM_FINISH, i)))
        return;
    step->part = part;
    step->values[CDL_ROLE_PARTIAL] = partial;
    step->values[CDL_ROLE_STATISTICS] = d->statistics[i] = statistics;
    step->values[CDL_ROLE_MEAN] = mean;
    step->values[CDL_ROLE_VARIANCE] = variance;
    cdl_derive_end(d, step,
                   CDL_ROLE_BIT(CDL_ROLE_STATISTICS) |
                       (trained >= 0 ? CDL_ROLE_BIT(CDL_ROLE_MEAN) | CDL_ROLE_BIT(CDL_ROLE_VARIANCE) : 0));
    add_norm_apply(d, i);
}

static void add_max_pool(struct cdl_derivation *d, int i) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const size_t c4 = (size_t)cdl_c4(&d->p->graph.values[op->dst]);
    const int dst = cdl_derive_like(d, op->dst);
    const int positions = cdl_derive_value(d, CDL_ROOM_ARENA, 0, pixels_of(d, op->dst) * c4 * sizeof(uint32_t));
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_MAX_POOL, i);
    if (!step)
        return;
    step->values[CDL_ROLE_SRC] = d->activations[op->src];
    step->values[CDL_ROLE_DST] = d->activations[op->dst] = dst;
    step->values[CDL_ROLE_POSITIONS] = d->positions[i] = positions;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_DST) | CDL_ROLE_BIT(CDL_ROLE_POSITIONS));
}

static void add_loss(struct cdl_derivation *d) {
    struct cdl_train_program *p = d->p;
    const size_t batch = (size_t)p->batch;
    const int labels = cdl_derive_value(d, CDL_ROOM_INPUT, CDL_INPUT_LABELS, batch * sizeof(struct train_target));
    const int each = cdl_derive_value(d, CDL_ROOM_ARENA, 0, batch * 2 * sizeof(float));
    const int gradient = cdl_derive_like(d, p->graph.output), scaling = cdl_derive_scaling(d);
    p->logits = d->activations[p->graph.output];
    p->result = cdl_derive_value(d, CDL_ROOM_ARENA, 0, 2 * sizeof(float));
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_LOSS, -1);
    if (!step)
        return;
    step->values[CDL_ROLE_DST] = p->logits;
    step->values[CDL_ROLE_LABELS] = labels;
    step->values[CDL_ROLE_GRADIENT] = d->gradients[p->graph.output] = gradient;
    step->values[CDL_ROLE_SCALING] = scaling;
    step->values[CDL_ROLE_EACH] = each;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_GRADIENT) | CDL_ROLE_BIT(CDL_ROLE_EACH));
    if (!(step = cdl_derive_step(d, CDL_TRAIN_LOSS_SUM, -1)))
        return;
    step->values[CDL_ROLE_EACH] = each;
    step->values[CDL_ROLE_RESULT] = p->result;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_RESULT));
}

void cdl_derive_forward(struct cdl_derivation *d) {
    const struct cdl_graph *g = &d->p->graph;
    d->activations[0] = d->p->input = cdl_derive_like(d, 0);
    add_packing(d);
    for (int i = 0; i < g->num_ops && d->result == CDL_OK; i++) {
        switch (g->ops[i].kind) {
        case CDL_OP_CONV: add_inference(d, i); break;
        case CDL_OP_BATCH_NORM: add_norm(d, i); break;
        case CDL_OP_MAX_POOL: add_max_pool(d, i); break;
        case CDL_OP_AVG_POOL:
            if (cdl_derive_kernel(d, g, i, &d->kernels[i]))
                add_inference(d, i);
            break;
        }
    }
    if (d->result == CDL_OK)
        add_loss(d);
}

static bool read_behind(const struct cdl_graph *g, int value, int end) {
    for (int i = end; i < g->num_ops; i++)
        if (g->ops[i].src == value || g->ops[i].residual == value)
            return true;
    return value == g->output;
}

void cdl_derive_again(struct cdl_derivation *d, int first, int end) {
    const struct cdl_graph *g = &d->p->graph;
    for (int i = first; i < end && d->result == CDL_OK; i++) {
        const enum cdl_op_kind kind = g->ops[i].kind;
        if (read_behind(g, g->ops[i].dst, end))
            continue;
        if (kind == CDL_OP_CONV)
            add_inference(d, i);
        else if (kind == CDL_OP_BATCH_NORM)
            add_norm_apply(d, i); // with the statistics that are there
    }
}
