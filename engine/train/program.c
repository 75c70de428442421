// program.c - makes a training program: see program.h; what its parts share.
#include "train/program.h"

#include <stdlib.h>
#include <string.h>

#include "graph/resnet.h"
#include "train/derive.h"

// ---- what forward.c and backward.c build on

bool cdl_derive_failed(struct cdl_derivation *d, cdl_result r) {
    if (d->result == CDL_OK)
        d->result = r;
    return d->result != CDL_OK;
}

static void no_memory(struct cdl_derivation *d) {
    if (d->result == CDL_OK)
        d->result = cdl_fail(d->log, CDL_ERR_NOMEM, "out of memory while planning the training");
}

int cdl_derive_value(struct cdl_derivation *d, enum cdl_train_room room, size_t at, size_t bytes) {
    struct cdl_train_program *p = d->p;
    struct cdl_train_value *values = cdl_grow(p->values, (size_t)p->num_values, &p->value_capacity, sizeof *values);
    if (!values || d->result != CDL_OK) {
        p->values = values ? values : p->values;
        no_memory(d);
        return -1;
    }
    p->values = values;
    values[p->num_values] = (struct cdl_train_value){room, at, bytes, -2, -2};
    return p->num_values++;
}

int cdl_derive_like(struct cdl_derivation *d, int graph_value) {
    return cdl_derive_value(d, CDL_ROOM_ARENA, 0,
                            cdl_value_bytes(&d->p->graph.values[graph_value], d->p->fp16) * (size_t)d->p->batch);
}

static int slot_of(struct cdl_derivation *d, enum cdl_train_room room, int parameter) {
    const struct cdl_parameter *p = &d->p->parameters.items[parameter];
    return cdl_derive_value(d, room, p->at * sizeof(float), cdl_parameter_slot(p) * sizeof(float));
}

int cdl_derive_parameter(struct cdl_derivation *d, const struct cdl_tensor *tensor) {
    const int i = cdl_parameters_find(&d->p->parameters, tensor);
    return i >= 0 ? slot_of(d, CDL_ROOM_PARAMETERS, i) : -1;
}

int cdl_derive_gradient(struct cdl_derivation *d, const struct cdl_tensor *tensor) {
    const int i = cdl_parameters_find(&d->p->parameters, tensor);
    return i >= 0 && d->p->parameters.items[i].trainable ? slot_of(d, CDL_ROOM_GRADIENTS, i) : -1;
}

int cdl_derive_scaling(struct cdl_derivation *d) {
    return cdl_derive_value(d, CDL_ROOM_SCALING, 0, sizeof(struct cdl_train_scaling));
}

struct cdl_train_step *cdl_derive_step(struct cdl_derivation *d, enum cdl_train_kind kind, int op) {
    struct cdl_train_program *p = d->p;
    struct cdl_train_step *steps = cdl_grow(p->steps, (size_t)p->num_steps, &p->step_capacity, sizeof *steps);
    if (!steps) {
        no_memory(d);
        return NULL;
    }
    p->steps = steps;
    if (d->result != CDL_OK)
        return NULL;
    struct cdl_train_step *step = &steps[p->num_steps++];
    *step = (struct cdl_train_step){.kind = kind, .op = op, .part = 1};
    for (int i = 0; i < CDL_NUM_TRAIN_ROLES; i++)
        step->values[i] = -1;
    return step;
}

void cdl_derive_end(struct cdl_derivation *d, struct cdl_train_step *step, uint32_t writes) {
    step->writes = writes;
    if (step->kind != CDL_TRAIN_FORWARD && step->kind != CDL_TRAIN_DX && step->kind != CDL_TRAIN_DX_STRIDED &&
        step->kind != CDL_TRAIN_DW && step->kind != CDL_TRAIN_DW_SUM)
        step->kernel.program = cdl_train_kernel(d->p, step, d->params->caps);
}

bool cdl_derive_kernel(struct cdl_derivation *d, const struct cdl_graph *graph, int op, struct cdl_kernel *out) {
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const struct cdl_work work = {graph, &graph->ops[op], 1};
    if (d->result != CDL_OK)
        return false;
    const int listed = cdl_kernels_for(&work, d->params->batch, d->params->caps, d->p->fp16, kernels);
    int count = 0;
    for (int i = 0; i < listed; i++) // a gradient's many small terms would be lost in sums of halves
        if (kernels[i].half_products == 0)
            kernels[count++] = kernels[i];
    const int chosen = d->params->choose ? d->params->choose(d->params->choose_ctx, &work, kernels, count) : 0;
    if (chosen < 0 || chosen >= count)
        return !cdl_derive_failed(d, cdl_fail(d->log, CDL_ERR_UNSUPPORTED,
                                              "%s: none of its %d kernels works on this device%s", graph->ops[op].name,
                                              count, d->p->fp16 ? " in fp16; take fp32" : ""));
    *out = kernels[chosen];
    return true;
}

bool cdl_derive_dw(struct cdl_derivation *d, const struct cdl_shape *shape, struct cdl_dw_kernel *out) {
    struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS];
    if (d->result != CDL_OK)
        return false;
    const int count = cdl_dw_kernels(shape, kernels);
    const int chosen = d->params->choose_dw ? d->params->choose_dw(d->params->choose_ctx, shape, kernels, count) : 0;
    if (chosen < 0 || chosen >= count)
        return !cdl_derive_failed(d,
                                  cdl_fail(d->log, CDL_ERR_UNSUPPORTED,
                                           "%s: none of the %d kernels for the gradient of its weights works on this "
                                           "device%s",
                                           shape->op->name, count, d->p->fp16 ? " in fp16; take fp32" : ""));
    *out = kernels[chosen];
    return true;
}

bool cdl_derive_dx(struct cdl_derivation *d, const struct cdl_op *op, bool adds, struct cdl_kernel *out) {
    const struct cdl_train_program_params *params = d->params;
    if (d->result != CDL_OK)
        return false;
    const struct cdl_shape shape = cdl_shape_of(&d->p->graph, op, params->caps, params->batch, d->p->fp16);
    *out = cdl_dx_kernel(&shape, adds);
    return !params->trust_dx || !cdl_derive_failed(d, params->trust_dx(params->choose_ctx, &shape, adds));
}

int cdl_derive_pack(struct cdl_derivation *d, enum cdl_train_kind kind, int op, const struct cdl_kernel *kernel) {
    const struct cdl_op *o = &d->p->graph.ops[op];
    const int weight = cdl_derive_parameter(d, o->weight);
    const int bias = kind == CDL_TRAIN_PACK ? cdl_derive_parameter(d, o->bias) : -1;
    const int packed = cdl_derive_value(d, CDL_ROOM_ARENA, 0, (size_t)kernel->weights[0].bytes);
    struct cdl_train_step *step = cdl_derive_step(d, kind, op);
    if (!step)
        return -1;
    step->kernel.weights[0] = kernel->weights[0];
    step->values[CDL_ROLE_WEIGHT] = weight;
    step->values[CDL_ROLE_BIAS] = bias;
    step->values[CDL_ROLE_PACKED] = packed;
    cdl_derive_end(d, step, CDL_ROLE_BIT(CDL_ROLE_PACKED));
    return packed;
}

int cdl_derive_chunks(const struct cdl_derivation *d, const struct cdl_value *value, int *chunk) {
    const struct cdl_caps *caps = d->params->caps;
    const size_t c4 = (size_t)cdl_c4(value), pixels = (size_t)d->p->batch * (size_t)(value->height * value->width);
    const size_t rows = cdl_train_norm_rows(caps);
    // These sums are as fast as memory is, if enough loads are on their way: on a GPU, of a thousand invocations a
    // processor. A row has eight terms at least.
    const size_t wanted = caps->software ? 512 / c4 + 1 : 1024 * (size_t)caps->processors / (c4 * rows);
    return cdl_train_parts(wanted, pixels, caps->software ? 32 : 8 * rows, c4 * 32, chunk);
}

// ---- the whole

static cdl_result check_sizes(const struct cdl_train_program *p, const cdl_log *log) {
    for (int i = 0; i < p->graph.num_values; i++) {
        const struct cdl_value *v = &p->graph.values[i];
        size_t elements;
        // Kernels index blocks of four channels with 32-bit signed integers.
        if (!cdl_mul_size((size_t)v->height * (size_t)v->width, (size_t)cdl_padded_channels(v->channels), &elements) ||
            !cdl_mul_size(elements, (size_t)p->batch, &elements) || elements / 4 > INT32_MAX / 2)
            return cdl_fail(log, CDL_ERR_UNSUPPORTED,
                            "a layer of %dx%dx%d at batch %d is too large; use a smaller batch or input size",
                            v->height, v->width, v->channels, p->batch);
    }
    return p->parameters.size > INT32_MAX / 2
               ? cdl_fail(log, CDL_ERR_UNSUPPORTED, "a network of %zu parameters is too large", p->parameters.size)
               : CDL_OK;
}

// The convolution that takes the gradient of each forward one's result to that of its source: the same kernel turned,
// padded to the other side. Its residual is what it adds to.
static cdl_result make_back(struct cdl_train_program *p, const cdl_log *log) {
    const struct cdl_graph *g = &p->graph;
    struct cdl_graph *b = &p->back;
    b->ops = calloc((size_t)g->num_ops, sizeof *b->ops);
    b->values = calloc((size_t)(g->num_values + g->num_ops), sizeof *b->values);
    if (!b->ops || !b->values)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning the training");
    b->num_ops = g->num_ops;
    b->num_values = g->num_values + g->num_ops;
    memcpy(b->values, g->values, (size_t)g->num_values * sizeof *b->values);
    for (int i = 0; i < g->num_ops; i++) {
        const struct cdl_op *op = &g->ops[i];
        b->ops[i] = (struct cdl_op){
            .kind = op->kind,
            .src = op->dst,
            .residual = -1,
            .dst = op->src,
            .kernel_h = op->kernel_h,
            .kernel_w = op->kernel_w,
            .stride = 1,
            .padding = op->kernel_h - 1 - op->padding,
            .groups = op->groups,
        };
        memcpy(b->ops[i].name, op->name, sizeof op->name);
        b->values[g->num_values + i] = g->values[op->dst];
        b->values[g->num_values + i].channels = g->values[op->src].channels;
        if (op->kind == CDL_OP_CONV && cdl_derive_spreads(op))
            b->ops[i].dst = g->num_values + i;
    }
    return CDL_OK;
}

static cdl_result derive(struct cdl_train_program *p, const struct cdl_train_program_params *params,
                         const cdl_log *log) {
    const size_t values = (size_t)p->graph.num_values, ops = (size_t)p->graph.num_ops;
    struct cdl_derivation d = {.p = p, .params = params, .log = log};
    int *numbers = malloc((2 * values + 3 * ops) * sizeof *numbers);
    d.wanted = calloc(values, sizeof *d.wanted);
    d.kernels = calloc(ops, sizeof *d.kernels);
    if (!numbers || !d.wanted || !d.kernels) {
        no_memory(&d);
    } else {
        memset(numbers, 0xff, (2 * values + 3 * ops) * sizeof *numbers); // -1
        d.activations = numbers;
        d.gradients = numbers + values;
        d.statistics = d.gradients + values;
        d.positions = d.statistics + ops;
        d.packed = d.positions + ops;
        cdl_derive_forward(&d);
        p->first_backward = p->num_steps;
        if (d.result == CDL_OK)
            cdl_derive_backward(&d);
        cdl_derive_update(&d);
    }
    free(numbers);
    free(d.wanted);
    free(d.kernels);
    return d.result;
}

cdl_result cdl_train_program_of(struct cdl_train_program *out, const struct cdl_graph *graph,
                                const struct cdl_train_program_params *params, const cdl_log *log) {
    *out = (struct cdl_train_program){
        .graph = *graph,
        .batch = params->batch,
        .fp16 = params->fp16,
        .label_smoothing = params->label_smoothing,
        .momentum = params->momentum,
        .weight_decay = params->weight_decay,
        .norm_weight_decay = params->norm_weight_decay,
        .clip_grad_norm = params->clip_grad_norm,
        .input_bytes = cdl_align_up(CDL_INPUT_LABELS + (size_t)params->batch * sizeof(struct train_target), 256),
    };
    cdl_result r = cdl_parameters_create(&out->parameters, &out->graph, params->freeze, log);
    if (r == CDL_OK)
        r = check_sizes(out, log);
    if (r == CDL_OK)
        r = make_back(out, log);
    if (r == CDL_OK)
        r = derive(out, params, log);
    if (r == CDL_OK)
        r = cdl_train_program_place(out, log);
    if (r != CDL_OK)
        cdl_train_program_destroy(out);
    return r;
}

cdl_result cdl_train_program_create(struct cdl_train_program *out, const struct cdl_model *model,
                                    const struct cdl_train_program_params *params, const cdl_log *log) {
    struct cdl_graph graph;
    *out = (struct cdl_train_program){.batch = 0};
    const cdl_result r = cdl_graph_create(&graph, model, params->height, params->width, false, log);
    return r == CDL_OK ? cdl_train_program_of(out, &graph, params, log) : r;
}

void cdl_train_program_destroy(struct cdl_train_program *p) {
    cdl_parameters_destroy(&p->parameters);
    cdl_graph_destroy(&p->graph);
    cdl_graph_destroy(&p->back);
    free(p->steps);
    free(p->values);
    *p = (struct cdl_train_program){0};
}

// ---- text

const char *cdl_train_kind_text(enum cdl_train_kind kind) {
    static const char *const texts[CDL_NUM_TRAIN_KINDS] = {
        [CDL_TRAIN_PACK] = "pack weights",
        [CDL_TRAIN_PACK_BACK] = "pack turned weights",
        [CDL_TRAIN_FORWARD] = "forward",
        [CDL_TRAIN_NORM_SUMS] = "batch norm sums",
        [CDL_TRAIN_NORM_FINISH] = "batch norm statistics",
        [CDL_TRAIN_NORM_APPLY] = "batch norm",
        [CDL_TRAIN_MAX_POOL] = "max-pool",
        [CDL_TRAIN_LOSS] = "cross-entropy",
        [CDL_TRAIN_LOSS_SUM] = "loss",
        [CDL_TRAIN_NORM_BACK_SUMS] = "batch norm backward sums",
        [CDL_TRAIN_NORM_BACK_FINISH] = "batch norm gradients",
        [CDL_TRAIN_NORM_BACK_APPLY] = "batch norm backward",
        [CDL_TRAIN_MAX_POOL_BACK] = "max-pool backward",
        [CDL_TRAIN_AVG_POOL_BACK] = "average backward",
        [CDL_TRAIN_DX] = "dX",
        [CDL_TRAIN_DX_STRIDED] = "dX",
        [CDL_TRAIN_DX_SPREAD] = "dX spread",
        [CDL_TRAIN_DW] = "dW",
        [CDL_TRAIN_DW_SUM] = "dW sum",
        [CDL_TRAIN_BIAS] = "bias gradient",
        [CDL_TRAIN_GRADIENT_SUMS] = "gradient sums",
        [CDL_TRAIN_GRADIENT_NORM] = "gradient norm",
        [CDL_TRAIN_UPDATE] = "update",
        [CDL_TRAIN_UPDATE_NORM] = "update of batch norms",
        [CDL_TRAIN_AVERAGE] = "averages",
    };
    return texts[kind];
}

const char *cdl_train_step_name(const struct cdl_train_program *p, int step) {
    return p->steps[step].op >= 0 ? p->graph.ops[p->steps[step].op].name : "all";
}

void cdl_train_program_log(const struct cdl_train_program *p, const cdl_log *log) {
    if (!log || !log->fn || log->level < CDL_LOG_DEBUG)
        return;
    for (int i = 0; i < p->num_steps; i++) {
        char name[CDL_PROGRAM_NAME];
        cdl_program_name(&p->steps[i].kernel.program, name);
        cdl_logf(log, CDL_LOG_DEBUG, "%s%-22s %-24s %s", p->steps[i].barrier_before ? "| " : "  ",
                 cdl_train_step_name(p, i), cdl_train_kind_text(p->steps[i].kind), name);
    }
    cdl_logf(log, CDL_LOG_DEBUG,
             "%d steps, %zu parameters of which %zu learn; activations and gradients %zu bytes "
             "(largest live set %zu)",
             p->num_steps, p->parameters.size, p->parameters.trainable, p->arena_bytes, p->live_bytes);
}
