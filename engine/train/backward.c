// backward.c - the backward half of a training program: from the last operation to the first that something learns in
// or before, the gradients of its parameters and of what it read.
#include <string.h>

#include "train/derive.h"

// Whether something of the operation learns, and so of everything behind it.
static void find_wanted(struct cdl_derivation *d) {
    const struct cdl_graph *g = &d->p->graph;
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        const struct cdl_tensor *own[] = {op->weight, op->bias, op->norm.weight};
        bool wanted = d->wanted[op->src] || (op->residual >= 0 && d->wanted[op->residual]);
        for (size_t k = 0; k < CDL_COUNT(own) && !wanted; k++) {
            const int p = cdl_parameters_find(&d->p->parameters, own[k]);
            wanted = p >= 0 && d->p->parameters.items[p].trainable;
        }
        d->wanted[op->dst] = wanted;
    }
}

// The partial sums; *kernel: what makes them. Returns their value; -1 after a failure.
static int add_dw(struct cdl_derivation *d, int i, int gradient, struct cdl_dw_kernel *kernel) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const struct cdl_shape shape = cdl_shape_of(&d->p->graph, op, d->params->caps, d->p->batch, d->p->fp16);
    if (!cdl_derive_dw(d, &shape, kernel))
        return -1;
    const int partial = cdl_derive_value(d, CDL_ROOM_ARENA, 0, (size_t)kernel->parts * cdl_dw_bytes(&shape));
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_DW, i);
    if (!step)
        return -1;
    step->dw = *kernel;
    step->kernel.program = kernel->program;
    step->values[CDL_ROLE_SRC] = d->activations[op->src];
    step->values[CDL_ROLE_GRADIENT] = gradient;
    step->values[CDL_ROLE_PARTIAL] = partial;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_PARTIAL));
    return partial;
}

static void add_dw_sum(struct cdl_derivation *d, int i, int partial, const struct cdl_dw_kernel *kernel) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const struct cdl_shape shape = cdl_shape_of(&d->p->graph, op, d->params->caps, d->p->batch, d->p->fp16);
    const int weight_gradient = cdl_derive_gradient(d, op->weight);
    struct cdl_train_step *step = partial >= 0 ? cdl_derive_step(d, CDL_TRAIN_DW_SUM, i) : NULL;
    if (!step)
        return;
    step->dw = *kernel;
    step->kernel.program = cdl_dw_sum(kernel, &shape);
    step->values[CDL_ROLE_PARTIAL] = partial;
    step->values[CDL_ROLE_WEIGHT_GRADIENT] = weight_gradient;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_WEIGHT_GRADIENT));
}

static void add_bias(struct cdl_derivation *d, int i, int gradient) {
    const int bias_gradient = cdl_derive_gradient(d, d->p->graph.ops[i].bias);
    struct cdl_train_step *step = bias_gradient >= 0 ? cdl_derive_step(d, CDL_TRAIN_BIAS, i) : NULL;
    if (!step)
        return;
    step->values[CDL_ROLE_GRADIENT] = gradient;
    step->values[CDL_ROLE_BIAS_GRADIENT] = bias_gradient;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_BIAS_GRADIENT));
}

bool cdl_derive_spreads(const struct cdl_op *op) {
    return op->stride > 1 && op->kernel_h == 1 && op->kernel_w == 1 && op->padding == 0;
}

// Whether no forward convolution gives the gradient of its source: at a stride, or padded differently to either side.
static bool gathers(const struct cdl_op *op) {
    return op->stride != 1 || op->kernel_h != op->kernel_w || op->padding >= op->kernel_h;
}

// From the gradient of the pixels that a 1x1 convolution read at a stride.
static void add_spread(struct cdl_derivation *d, int i, int read, int before) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const int made = cdl_derive_like(d, op->src);
    struct cdl_train_step *step = cdl_derive_step(d, CDL_TRAIN_DX_SPREAD, i);
    if (!step)
        return;
    step->values[CDL_ROLE_GRADIENT] = read;
    step->values[CDL_ROLE_RESIDUAL] = before;
    step->values[CDL_ROLE_SRC_GRADIENT] = d->gradients[op->src] = made;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_SRC_GRADIENT));
}

// The weights for add_dx, and *kernel, which reads them. Returns their value; -1 after a failure.
static int add_packing(struct cdl_derivation *d, int i, struct cdl_kernel *kernel) {
    struct cdl_train_program *p = d->p;
    const struct cdl_op *op = &p->graph.ops[i];
    const bool spreads = cdl_derive_spreads(op), adds = d->gradients[op->src] >= 0;
    p->back.ops[i].residual = adds && !spreads ? p->back.ops[i].dst : -1;
    if (!(gathers(op) && !spreads ? cdl_derive_dx(d, op, adds, kernel) : cdl_derive_kernel(d, &p->back, i, kernel)))
        return -1;
    return cdl_derive_pack(d, CDL_TRAIN_PACK_BACK, i, kernel);
}

static void add_dx(struct cdl_derivation *d, int i, int gradient, int packed, const struct cdl_kernel *kernel) {
    struct cdl_train_program *p = d->p;
    const struct cdl_op *op = &p->graph.ops[i];
    const bool spreads = cdl_derive_spreads(op);
    const int before = d->gradients[op->src];
    const size_t bytes = cdl_value_bytes(&p->back.values[p->back.ops[i].dst], p->fp16);
    const int made = cdl_derive_value(d, CDL_ROOM_ARENA, 0, bytes * (size_t)p->batch);
    struct cdl_train_step *step = cdl_derive_step(d, gathers(op) && !spreads ? CDL_TRAIN_DX_STRIDED : CDL_TRAIN_DX, i);
    if (!step)
        return;
    step->kernel = *kernel;
    step->values[CDL_ROLE_GRADIENT] = gradient;
    step->values[CDL_ROLE_PACKED] = packed;
    step->values[CDL_ROLE_RESIDUAL] = spreads ? -1 : before;
    step->values[CDL_ROLE_SRC_GRADIENT] = d->gradients[op->src] = made;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_SRC_GRADIENT));
}

// The gradients of weights and of the source need the same and do not need each other: they run at once, and so do the
// sum of the one and what comes next of the other. Weights are packed first, beside what makes the gradient.
static void add_conv(struct cdl_derivation *d, int i, int gradient) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const bool learns = cdl_derive_gradient(d, op->weight) >= 0, wanted = d->wanted[op->src];
    const int before = d->gradients[op->src];
    struct cdl_kernel kernel;
    struct cdl_dw_kernel dw;
    const int packed = wanted ? add_packing(d, i, &kernel) : -1;
    const int partial = learns ? add_dw(d, i, gradient, &dw) : -1;
    add_bias(d, i, gradient);
    if (packed >= 0)
        add_dx(d, i, gradient, packed, &kernel);
    if (partial >= 0)
        add_dw_sum(d, i, partial, &dw);
    if (packed >= 0 && cdl_derive_spreads(op))
        add_spread(d, i, d->gradients[op->src], before);
}

// What batch norm's backward steps share.
static struct cdl_train_step *norm_step(struct cdl_derivation *d, enum cdl_train_kind kind, int i, int part) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    struct cdl_train_step *step = cdl_derive_step(d, kind, i);
    if (!step)
        return NULL;
    step->part = part;
    step->values[CDL_ROLE_STATISTICS] = d->statistics[i];
    step->values[CDL_ROLE_SRC] = d->activations[op->src];
    return step;
}

// What tells the ReLU's mask: its result, or, where nothing was added in front of it, what that was made of.
static void add_mask(struct cdl_derivation *d, struct cdl_train_step *step, const struct cdl_op *op) {
    if (op->residual >= 0) {
        step->values[CDL_ROLE_DST] = d->activations[op->dst];
        return;
    }
    step->values[CDL_ROLE_WEIGHT] = cdl_derive_parameter(d, op->norm.weight);
    step->values[CDL_ROLE_BIAS] = cdl_derive_parameter(d, op->norm.bias);
}

static void add_norm_sums(struct cdl_derivation *d, int i, int gradient, int masked, int partial, int part) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    struct cdl_train_step *step = norm_step(d, CDL_TRAIN_NORM_BACK_SUMS, i, part);
    if (!step)
        return;
    if (op->relu)
        add_mask(d, step, op);
    step->values[CDL_ROLE_GRADIENT] = gradient;
    step->values[CDL_ROLE_MASKED] = masked;
    step->values[CDL_ROLE_PARTIAL] = partial;
    cdl_derive_end(d, step,
                   CDL_ROLE_BIT(CDL_ROLE_PARTIAL) | (masked >= 0 ? CDL_ROLE_BIT(CDL_ROLE_MASKED) : UINT32_C(0)));
}

static void add_norm(struct cdl_derivation *d, int i, int gradient) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const struct cdl_value *v = &d->p->graph.values[op->src];
    const size_t c4 = (size_t)cdl_c4(v);
    const int weight_gradient = cdl_derive_gradient(d, op->norm.weight);
    const int bias_gradient = cdl_derive_gradient(d, op->norm.bias);
    const bool trained = weight_gradient >= 0, keep = op->residual >= 0 && d->wanted[op->residual];
    const int masked = keep ? cdl_derive_like(d, op->dst) : -1;
    int part, sums = -1;
    const int parts = cdl_derive_chunks(d, v, &part);
    if (trained || keep) {
        const int partial = cdl_derive_value(d, CDL_ROOM_ARENA, 0, (size_t)parts * c4 * 32);
        add_norm_sums(d, i, gradient, masked, partial, part);
        sums = trained ? cdl_derive_value(d, CDL_ROOM_ARENA, 0, c4 * 32) : -1;
        struct cdl_train_step *step = trained ? cdl_derive_step(d, CDL_TRAIN_NORM_BACK_FINISH, i) : NULL;
        if (step) {
            step->part = part;
            step->values[CDL_ROLE_PARTIAL] = partial;
            step->values[CDL_ROLE_SUMS] = sums;
            step->values[CDL_ROLE_WEIGHT_GRADIENT] = weight_gradient;
            step->values[CDL_ROLE_BIAS_GRADIENT] = bias_gradient;
            cdl_derive_end(d, step,
                           CDL_ROLE_BIT(CDL_ROLE_SUMS) | CDL_ROLE_BIT(CDL_ROLE_WEIGHT_GRADIENT) |
                               CDL_ROLE_BIT(CDL_ROLE_BIAS_GRADIENT));
        }
    }
    if (keep) {
        // A block's sum is the last to read its shortcut: nothing has been added to that gradient yet.
        if (d->gradients[op->residual] >= 0)
            cdl_derive_failed(d, cdl_fail(d->log, CDL_ERR_UNSUPPORTED,
                                          "%s: a layer behind it reads its shortcut, which training does not know",
                                          op->name));
        d->gradients[op->residual] = masked;
    }
    if (!d->wanted[op->src])
        return;
    const int made = cdl_derive_like(d, op->src), weight = cdl_derive_parameter(d, op->norm.weight);
    struct cdl_train_step *step = norm_step(d, CDL_TRAIN_NORM_BACK_APPLY, i, part);
    if (!step)
        return;
    if (op->relu && !keep)
        add_mask(d, step, op);
    step->values[CDL_ROLE_GRADIENT] = keep ? masked : gradient;
    step->values[CDL_ROLE_SUMS] = sums;
    step->values[CDL_ROLE_WEIGHT] = weight;
    step->values[CDL_ROLE_SRC_GRADIENT] = d->gradients[op->src] = made;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_SRC_GRADIENT));
}

static void add_pool(struct cdl_derivation *d, int i, int gradient) {
    const struct cdl_op *op = &d->p->graph.ops[i];
    const bool max = op->kind == CDL_OP_MAX_POOL;
    if (!d->wanted[op->src])
        return;
    const int made = cdl_derive_like(d, op->src);
    struct cdl_train_step *step = cdl_derive_step(d, max ? CDL_TRAIN_MAX_POOL_BACK : CDL_TRAIN_AVG_POOL_BACK, i);
    if (!step)
        return;
    step->values[CDL_ROLE_POSITIONS] = d->positions[i];
    step->values[CDL_ROLE_GRADIENT] = gradient;
    step->values[CDL_ROLE_SRC_GRADIENT] = d->gradients[op->src] = made;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_SRC_GRADIENT));
}

// Operations of a stage have the first part of their names in common: "layer1".
static bool same_stage(const struct cdl_op *a, const struct cdl_op *b) {
    const size_t length = strcspn(a->name, ".");
    return a->name[length] && !strncmp(a->name, b->name, length + 1);
}

// What lies in the stage of operation i again, where this is the stage's last; *begun: its first.
static void enter_stage(struct cdl_derivation *d, int i, int *begun) {
    const struct cdl_op *ops = d->p->graph.ops;
    if (i >= *begun || !strchr(ops[i].name, '.'))
        return;
    int first = i, end = i + 1;
    while (first > 0 && same_stage(&ops[i], &ops[first - 1]))
        first--;
    while (end < *begun && same_stage(&ops[i], &ops[end]))
        end++;
    cdl_derive_again(d, first, end);
    *begun = first;
}

void cdl_derive_backward(struct cdl_derivation *d) {
    const struct cdl_graph *g = &d->p->graph;
    int begun = g->num_ops;
    find_wanted(d);
    for (int i = g->num_ops - 1; i >= 0 && d->result == CDL_OK; i--) {
        const struct cdl_op *op = &g->ops[i];
        const int gradient = d->gradients[op->dst];
        if (!d->wanted[op->dst] || gradient < 0)
            continue;
        if (d->params->recompute)
            enter_stage(d, i, &begun);
        switch (op->kind) {
        case CDL_OP_CONV: add_conv(d, i, gradient); break;
        case CDL_OP_BATCH_NORM: add_norm(d, i, gradient); break;
        case CDL_OP_MAX_POOL:
        case CDL_OP_AVG_POOL: add_pool(d, i, gradient); break;
        }
    }
}
