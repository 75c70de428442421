// launch.c - push constants and workgroups of a training program's steps.
#include <string.h>

#include "train/derive.h"

enum { NORM_MOMENTUM_PERCENT = 10 }; // of a batch's statistics in the running ones: PyTorch's default

// A step about to be launched.
struct launching {
    const struct cdl_train_program *p;
    const struct cdl_train_step *step;
    const struct cdl_op *op; // NULL: of no operation
    const struct cdl_value *src, *dst;
    const uint64_t *rooms;
    int images, src_c4, dst_c4, src_pixels, dst_pixels;
};

static uint64_t at(const struct launching *l, enum cdl_train_role role) {
    const int v = l->step->values[role];
    return v >= 0 ? l->rooms[l->p->values[v].room] + l->p->values[v].at : 0;
}

static int div_up(int a, int b) { return (a + b - 1) / b; }

static void push(struct cdl_launch *out, const void *params, size_t size) {
    memcpy(out->push.bytes, params, size);
    out->push_bytes = (uint32_t)size;
}
#define PUSH(out, params) \
    do { \
        _Static_assert(sizeof(params) <= CDL_MAX_PUSH_BYTES, "push constants"); \
        push(out, &(params), sizeof(params)); \
    } while (0)

// packed weights: of the convolution that reads them, which for PACK_BACK is the one of p->back.
static void launch_pack(const struct launching *l, struct cdl_launch *out) {
    const bool back = l->step->kind == CDL_TRAIN_PACK_BACK;
    const struct cdl_weight_layout *layout = &l->step->kernel.weights[0];
    const struct cdl_value *src = back ? l->dst : l->src, *dst = back ? l->src : l->dst;
    const int dst_c4 = cdl_c4(dst);
    const struct train_pack_params p = {
        .weight = at(l, CDL_ROLE_WEIGHT),
        .bias = at(l, CDL_ROLE_BIAS),
        .dst = at(l, CDL_ROLE_PACKED),
        .bias_offset = (int)layout->bias_offset,
        .lanes = layout->lanes,
        .span = layout->span,
        .tap_columns = layout->tap_columns,
        .rows = layout->rows,
        .blocks = div_up(dst_c4, layout->lanes) * layout->lanes,
        .kernel_h = l->op->kernel_h,
        .kernel_w = l->op->kernel_w,
        .src_c4 = cdl_c4(src),
        .dst_c4 = dst_c4,
        .dst_channels = dst->channels,
        .group_src = src->channels / l->op->groups,
        .group_dst = dst->channels / l->op->groups,
    };
    PUSH(out, p);
    cdl_launch_invocations(out, (uint64_t)p.blocks * (uint64_t)div_up(p.rows, 4) + (uint64_t)dst_c4);
}

// One of inference's kernels, forward or on turned weights.
static void launch_inference(const struct launching *l, struct cdl_launch *out) {
    const bool back = l->step->kind == CDL_TRAIN_DX;
    const struct cdl_graph *graph = back ? &l->p->back : &l->p->graph;
    const struct cdl_work work = {graph, &graph->ops[l->step->op], 1};
    const struct cdl_addresses addresses = {
        .src = at(l, back ? CDL_ROLE_GRADIENT : CDL_ROLE_SRC),
        .residual = at(l, CDL_ROLE_RESIDUAL),
        .dst = at(l, back ? CDL_ROLE_SRC_GRADIENT : CDL_ROLE_DST),
        .weights = {at(l, CDL_ROLE_PACKED)},
    };
    cdl_kernel_launch(&l->step->kernel, &work, l->images, &addresses, out);
}

static void launch_norm(const struct launching *l, struct cdl_launch *out) {
    const struct train_norm_params p = {
        .src = at(l, CDL_ROLE_SRC),
        .residual = at(l, CDL_ROLE_RESIDUAL),
        .dst = at(l, CDL_ROLE_DST),
        .partial = at(l, CDL_ROLE_PARTIAL),
        .statistics = at(l, CDL_ROLE_STATISTICS),
        .weight = at(l, CDL_ROLE_WEIGHT),
        .bias = at(l, CDL_ROLE_BIAS),
        .mean = at(l, CDL_ROLE_MEAN),
        .variance = at(l, CDL_ROLE_VARIANCE),
        .pixels = l->src_pixels,
        .c4 = l->src_c4,
        .chunks = div_up(l->src_pixels, l->step->part),
        .chunk = l->step->part,
        .momentum = (float)NORM_MOMENTUM_PERCENT / 100,
        .epsilon = CDL_BATCH_NORM_EPSILON,
    };
    PUSH(out, p);
    const uint32_t *constants = l->step->kernel.program.constants;
    if (l->step->kind == CDL_TRAIN_NORM_SUMS)
        cdl_launch_columns(out, (uint64_t)p.chunks * (uint64_t)p.c4, constants[0], constants[1]); // WORKGROUP, ROWS
    else if (l->step->kind == CDL_TRAIN_NORM_FINISH)
        cdl_launch_workgroups(out, (uint64_t)p.c4);
    else
        cdl_launch_invocations(out, (uint64_t)div_up(p.pixels, 4) * (uint64_t)p.c4);
}

static void launch_norm_back(const struct launching *l, struct cdl_launch *out) {
    const struct train_norm_back_params p = {
        .src = at(l, CDL_ROLE_SRC),
        .dst = at(l, CDL_ROLE_DST),
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .masked = at(l, CDL_ROLE_MASKED),
        .src_gradient = at(l, CDL_ROLE_SRC_GRADIENT),
        .partial = at(l, CDL_ROLE_PARTIAL),
        .sums = at(l, CDL_ROLE_SUMS),
        .statistics = at(l, CDL_ROLE_STATISTICS),
        .weight = at(l, CDL_ROLE_WEIGHT),
        .bias = at(l, CDL_ROLE_BIAS),
        .weight_gradient = at(l, CDL_ROLE_WEIGHT_GRADIENT),
        .bias_gradient = at(l, CDL_ROLE_BIAS_GRADIENT),
        .pixels = l->src_pixels,
        .c4 = l->src_c4,
        .chunks = div_up(l->src_pixels, l->step->part),
        .chunk = l->step->part,
    };
    PUSH(out, p);
    const uint32_t *constants = l->step->kernel.program.constants;
    if (l->step->kind == CDL_TRAIN_NORM_BACK_SUMS)
        cdl_launch_columns(out, (uint64_t)p.chunks * (uint64_t)p.c4, constants[0], constants[5]); // WORKGROUP, ROWS
    else if (l->step->kind == CDL_TRAIN_NORM_BACK_FINISH)
        cdl_launch_workgroups(out, (uint64_t)p.c4);
    else
        cdl_launch_invocations(out, (uint64_t)div_up(p.pixels, 4) * (uint64_t)p.c4);
}

static void launch_pool(const struct launching *l, struct cdl_launch *out) {
    const struct train_pool_params p = {
        .src = at(l, CDL_ROLE_SRC),
        .dst = at(l, CDL_ROLE_DST),
        .positions = at(l, CDL_ROLE_POSITIONS),
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .src_gradient = at(l, CDL_ROLE_SRC_GRADIENT),
        .images = l->images,
        .src_h = l->src->height,
        .src_w = l->src->width,
        .dst_h = l->dst->height,
        .dst_w = l->dst->width,
        .c4 = l->src_c4,
    };
    PUSH(out, p);
    cdl_launch_invocations(out, (uint64_t)(l->step->kind == CDL_TRAIN_MAX_POOL ? l->dst_pixels : l->src_pixels) *
                                    (uint64_t)p.c4);
}

static void launch_dx_strided(const struct launching *l, struct cdl_launch *out) {
    const struct cdl_shape shape = cdl_shape_of(&l->p->graph, l->op, NULL, l->p->batch, l->p->fp16);
    const struct cdl_dx_addresses addresses = {
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .weights = at(l, CDL_ROLE_PACKED),
        .added = at(l, CDL_ROLE_RESIDUAL),
        .src_gradient = at(l, CDL_ROLE_SRC_GRADIENT),
    };
    cdl_dx_launch(&l->step->kernel.program, &shape, l->images, &addresses, out);
}

static void launch_dx_spread(const struct launching *l, struct cdl_launch *out) {
    const struct train_dx_params p = {
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .added = at(l, CDL_ROLE_RESIDUAL),
        .src_gradient = at(l, CDL_ROLE_SRC_GRADIENT),
        .images = l->images,
        .src_h = l->src->height,
        .src_w = l->src->width,
        .src_c4 = l->src_c4,
        .dst_h = l->dst->height,
        .dst_w = l->dst->width,
        .dst_c4 = l->dst_c4,
    };
    PUSH(out, p);
    cdl_launch_invocations(out, (uint64_t)l->src_pixels * (uint64_t)l->src_c4);
}

static void launch_dw(const struct launching *l, struct cdl_launch *out) {
    const struct cdl_shape shape = cdl_shape_of(&l->p->graph, l->op, NULL, l->p->batch, l->p->fp16);
    const struct cdl_dw_addresses addresses = {
        .src = at(l, CDL_ROLE_SRC),
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .partial = at(l, CDL_ROLE_PARTIAL),
        .weight_gradient = at(l, CDL_ROLE_WEIGHT_GRADIENT),
    };
    cdl_dw_launch(&l->step->dw, l->step->kind == CDL_TRAIN_DW_SUM, &shape, l->images, &addresses, out);
}

static void launch_loss(const struct launching *l, struct cdl_launch *out) {
    const struct cdl_graph *g = &l->p->graph;
    const struct train_loss_params p = {
        .logits = at(l, CDL_ROLE_DST),
        .targets = at(l, CDL_ROLE_LABELS),
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .scaling = at(l, CDL_ROLE_SCALING),
        .each = at(l, CDL_ROLE_EACH),
        .result = at(l, CDL_ROLE_RESULT),
        .images = l->images,
        .classes = g->num_classes,
        .stride = cdl_padded_channels(g->num_classes),
        .smoothing = l->p->label_smoothing,
    };
    PUSH(out, p);
    cdl_launch_workgroups(out, l->step->kind == CDL_TRAIN_LOSS ? (uint64_t)l->images : 1);
}

static void launch_gradients(const struct launching *l, struct cdl_launch *out) {
    const size_t count4 = l->p->parameters.trainable / 4;
    const struct train_gradient_params p = {
        .gradients = at(l, CDL_ROLE_GRADIENTS),
        .partial = at(l, CDL_ROLE_PARTIAL),
        .scaling = at(l, CDL_ROLE_SCALING),
        .count4 = (int)count4,
        .chunks = div_up((int)count4, l->step->part),
        .chunk = l->step->part,
        .scales = l->p->fp16,
        .most = l->p->clip_grad_norm,
    };
    PUSH(out, p);
    cdl_launch_workgroups(out, l->step->kind == CDL_TRAIN_GRADIENT_SUMS ? (uint64_t)p.chunks : 1);
}

static void launch_update(const struct launching *l, struct cdl_launch *out) {
    const struct cdl_train_value *range = &l->p->values[l->step->values[CDL_ROLE_PARAMETERS]];
    const bool norm = l->step->kind == CDL_TRAIN_UPDATE_NORM;
    const struct train_sgd_params p = {
        .parameters = at(l, CDL_ROLE_PARAMETERS),
        .momentum = at(l, CDL_ROLE_MOMENTUM),
        .gradients = at(l, CDL_ROLE_GRADIENTS),
        .rates = at(l, CDL_ROLE_RATE),
        .scaling = at(l, CDL_ROLE_SCALING),
        .count4 = (int)(range->bytes / 16),
        .decay = norm ? l->p->norm_weight_decay : l->p->weight_decay,
        .keep = l->p->momentum,
    };
    PUSH(out, p);
    cdl_launch_invocations(out, (uint64_t)p.count4);
}

static void launch_average(const struct launching *l, struct cdl_launch *out) {
    const struct train_average_params p = {
        .parameters = at(l, CDL_ROLE_PARAMETERS),
        .averages = at(l, CDL_ROLE_AVERAGES),
        .rates = at(l, CDL_ROLE_RATE),
        .count4 = (int)(l->p->parameters.size / 4),
    };
    PUSH(out, p);
    cdl_launch_invocations(out, (uint64_t)p.count4);
}

static void launch_bias(const struct launching *l, struct cdl_launch *out) {
    const struct train_bias_params p = {
        .gradient = at(l, CDL_ROLE_GRADIENT),
        .bias_gradient = at(l, CDL_ROLE_BIAS_GRADIENT),
        .pixels = l->dst_pixels,
        .c4 = l->dst_c4,
    };
    PUSH(out, p);
    cdl_launch_workgroups(out, (uint64_t)p.c4);
}

void cdl_train_launch(const struct cdl_train_program *p, int step, int images,
                      const uint64_t rooms[CDL_NUM_TRAIN_ROOMS], struct cdl_launch *out) {
    struct launching l = {.p = p, .step = &p->steps[step], .rooms = rooms, .images = images};
    if (l.step->op >= 0) {
        l.op = &p->graph.ops[l.step->op];
        l.src = &p->graph.values[l.op->src];
        l.dst = &p->graph.values[l.op->dst];
        l.src_c4 = cdl_c4(l.src);
        l.dst_c4 = cdl_c4(l.dst);
        l.src_pixels = images * l.src->height * l.src->width;
        l.dst_pixels = images * l.dst->height * l.dst->width;
    }
    memset(out, 0, sizeof *out);
    switch (l.step->kind) {
    case CDL_TRAIN_PACK:
    case CDL_TRAIN_PACK_BACK: launch_pack(&l, out); break;
    case CDL_TRAIN_FORWARD:
    case CDL_TRAIN_DX: launch_inference(&l, out); break;
    case CDL_TRAIN_NORM_SUMS:
    case CDL_TRAIN_NORM_FINISH:
    case CDL_TRAIN_NORM_APPLY: launch_norm(&l, out); break;
    case CDL_TRAIN_NORM_BACK_SUMS:
    case CDL_TRAIN_NORM_BACK_FINISH:
    case CDL_TRAIN_NORM_BACK_APPLY: launch_norm_back(&l, out); break;
    case CDL_TRAIN_MAX_POOL:
    case CDL_TRAIN_MAX_POOL_BACK:
    case CDL_TRAIN_AVG_POOL_BACK: launch_pool(&l, out); break;
    case CDL_TRAIN_LOSS:
    case CDL_TRAIN_LOSS_SUM: launch_loss(&l, out); break;
    case CDL_TRAIN_DX_STRIDED: launch_dx_strided(&l, out); break;
    case CDL_TRAIN_DX_SPREAD: launch_dx_spread(&l, out); break;
    case CDL_TRAIN_DW:
    case CDL_TRAIN_DW_SUM: launch_dw(&l, out); break;
    case CDL_TRAIN_BIAS: launch_bias(&l, out); break;
    case CDL_TRAIN_GRADIENT_SUMS:
    case CDL_TRAIN_GRADIENT_NORM: launch_gradients(&l, out); break;
    case CDL_TRAIN_UPDATE:
    case CDL_TRAIN_UPDATE_NORM: launch_update(&l, out); break;
    case CDL_TRAIN_AVERAGE: launch_average(&l, out); break;
    case CDL_NUM_TRAIN_KINDS: break;
    }
}
