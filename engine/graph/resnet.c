#include "graph/resnet.h"

#include <stdlib.h>
#include <string.h>

#include "model/architectures.h"

struct builder {
    struct cdl_graph *graph;
    const struct cdl_model *model;
    const cdl_log *log;
    bool fold;
    bool *used; // [tensors of the model] or NULL: those that the network needs
    size_t op_capacity, value_capacity;
};

static cdl_result add_value(struct builder *b, int height, int width, int channels, int *out) {
    struct cdl_graph *g = b->graph;
    struct cdl_value *values = cdl_grow(g->values, (size_t)g->num_values, &b->value_capacity, sizeof *values);
    if (!values)
        return cdl_fail(b->log, CDL_ERR_NOMEM, "out of memory while building the network");
    g->values = values;
    g->values[g->num_values] = (struct cdl_value){height, width, channels, false};
    *out = g->num_values++;
    return CDL_OK;
}

// Appends `op` with a new value of the given shape as its dst.
static cdl_result add_op(struct builder *b, struct cdl_op op, int height, int width, int channels) {
    struct cdl_graph *g = b->graph;
    cdl_result r = add_value(b, height, width, channels, &op.dst);
    if (r != CDL_OK)
        return r;
    struct cdl_op *ops = cdl_grow(g->ops, (size_t)g->num_ops, &b->op_capacity, sizeof *ops);
    if (!ops)
        return cdl_fail(b->log, CDL_ERR_NOMEM, "out of memory while building the network");
    g->ops = ops;
    g->ops[g->num_ops++] = op;
    return CDL_OK;
}

static void shape_text(const struct cdl_tensor *t, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < t->num_dims && used + 1 < size; i++) {
        cdl_format_text(out + used, size - used, i ? ", %lld" : "%lld", (long long)t->shape[i]);
        used = strlen(out);
    }
}

// The tensor `prefix`.`suffix`; a dimension of -1 in `shape` may be anything from 1 to 2^20.
static cdl_result find_tensor(const struct builder *b, const char *prefix, const char *suffix, int num_dims,
                              const int64_t *shape, const struct cdl_tensor **out) {
    char name[160], found[96], wanted[96] = "";
    cdl_format_text(name, sizeof name, "%s.%s", prefix, suffix);
    const struct cdl_tensor *t = cdl_model_find(b->model, name);
    if (!t)
        return cdl_fail(b->log, CDL_ERR_FORMAT,
                        "%s: tensor %s is missing; is this a whole torchvision-style ResNet or ResNeXt state dict?",
                        b->model->what, name);
    bool fits = t->num_dims == num_dims;
    for (int i = 0; fits && i < num_dims; i++)
        fits = shape[i] >= 0 ? t->shape[i] == shape[i] : t->shape[i] >= 1 && t->shape[i] <= 1 << 20;
    if (!fits) {
        struct cdl_tensor expected = {.num_dims = num_dims};
        memcpy(expected.shape, shape, (size_t)num_dims * sizeof *shape);
        shape_text(t, found, sizeof found);
        shape_text(&expected, wanted, sizeof wanted);
        return cdl_fail(b->log, CDL_ERR_FORMAT, "%s: tensor %s has shape [%s], expected [%s] (-1: any)", b->model->what,
                        name, found, wanted);
    }
    if (!cdl_tensor_is_readable(t))
        return cdl_fail(b->log, CDL_ERR_FORMAT,
                        "%s: tensor %s has elements of a type that cannot be read (integers, 8-bit floats, quantized); "
                        "convert it in PyTorch with model.float() and save the state_dict again",
                        b->model->what, name);
    if (b->used)
        b->used[t - b->model->list.items] = true;
    *out = t;
    return CDL_OK;
}

static cdl_result find_batch_norm(const struct builder *b, const char *prefix, int channels,
                                  struct cdl_batch_norm *out) {
    const int64_t shape[] = {channels};
    cdl_result r = find_tensor(b, prefix, "weight", 1, shape, &out->weight);
    if (r == CDL_OK)
        r = find_tensor(b, prefix, "bias", 1, shape, &out->bias);
    if (r == CDL_OK)
        r = find_tensor(b, prefix, "running_mean", 1, shape, &out->mean);
    if (r == CDL_OK)
        r = find_tensor(b, prefix, "running_var", 1, shape, &out->variance);
    return r;
}

struct conv_spec {
    const char *conv, *norm; // module paths
    int src, residual;
    int kernel, stride; // padding is kernel / 2
    int groups;         // 0: as the weight's second dimension tells
    bool relu;
};

// Adds convolution, batch norm, residual addition and ReLU, as one operation when folding and as two otherwise. *dst
// becomes the value that holds the result.
static cdl_result add_conv(struct builder *b, const struct conv_spec *s, int *dst) {
    const struct cdl_value src = b->graph->values[s->src];
    const struct cdl_tensor *weight;
    struct cdl_batch_norm norm;
    const int64_t shape[] = {-1, s->groups ? src.channels / s->groups : -1, s->kernel, s->kernel};
    cdl_result r = find_tensor(b, s->conv, "weight", 4, shape, &weight);
    if (r != CDL_OK)
        return r;
    const int channels = (int)weight->shape[0], group_src = (int)weight->shape[1];
    const int groups = src.channels / group_src;
    if (src.channels % group_src || channels % groups)
        return cdl_fail(b->log, CDL_ERR_FORMAT,
                        "%s: tensor %s.weight, [%d, %d, %d, %d], does not fit its %d input channels", b->model->what,
                        s->conv, channels, group_src, s->kernel, s->kernel, src.channels);
    if ((r = find_batch_norm(b, s->norm, channels, &norm)) != CDL_OK)
        return r;
    const struct cdl_tensor *bias = NULL; // superfluous before a batch norm, but some networks have it
    char bias_name[96];
    cdl_format_text(bias_name, sizeof bias_name, "%s.bias", s->conv);
    if (cdl_model_find(b->model, bias_name)) {
        r = find_tensor(b, s->conv, "bias", 1, (const int64_t[]){channels}, &bias);
        if (r != CDL_OK)
            return r;
    }

    const int padding = s->kernel / 2;
    const int height = (src.height + 2 * padding - s->kernel) / s->stride + 1;
    const int width = (src.width + 2 * padding - s->kernel) / s->stride + 1;
    struct cdl_op conv = {
        .kind = CDL_OP_CONV,
        .src = s->src,
        .residual = -1,
        .weight = weight,
        .bias = bias,
        .groups = groups,
        .kernel_h = s->kernel,
        .kernel_w = s->kernel,
        .stride = s->stride,
        .padding = padding,
    };
    cdl_format_text(conv.name, sizeof conv.name, "%s", s->conv);
    if (b->fold) {
        conv.norm = norm;
        conv.relu = s->relu;
        conv.residual = s->residual;
        r = add_op(b, conv, height, width, channels);
    } else {
        r = add_op(b, conv, height, width, channels);
        if (r != CDL_OK)
            return r;
        struct cdl_op bn = {.kind = CDL_OP_BATCH_NORM,
                            .src = b->graph->num_values - 1,
                            .residual = s->residual,
                            .relu = s->relu,
                            .norm = norm};
        cdl_format_text(bn.name, sizeof bn.name, "%s", s->norm);
        r = add_op(b, bn, height, width, channels);
    }
    *dst = b->graph->num_values - 1;
    return r;
}

// What stands for a shortcut without weights: a 1x1 convolution W with W[offset + i][i] = 1. Its values repeat along
// diagonals, so that a view of O + I numbers is all of it: W[o][i] = values[I - 1 + o - i].
static cdl_result add_made_shortcut(struct builder *b, const char *name, int src, int stride, int channels, int *dst) {
    const struct cdl_value from = b->graph->values[src];
    const int offset = b->model->recipe.shortcut == CDL_SHORTCUT_A ? (channels - from.channels) / 2 : 0;
    const size_t count = (size_t)channels + (size_t)from.channels - 1;
    struct cdl_made_weight *made = calloc(1, sizeof *made + count * sizeof *made->values);
    if (!made)
        return cdl_fail(b->log, CDL_ERR_NOMEM, "out of memory while building the network");
    made->next = b->graph->made;
    b->graph->made = made;
    made->values[from.channels - 1 + offset] = 1;
    made->tensor = (struct cdl_tensor){
        .name = "shortcut",
        .dtype = CDL_DTYPE_F32,
        .num_dims = 4,
        .shape = {channels, from.channels, 1, 1},
        .stride = {1, -1, 1, 1},
        .data = (const uint8_t *)(made->values + from.channels - 1),
    };
    struct cdl_op op = {
        .kind = CDL_OP_CONV,
        .src = src,
        .residual = -1,
        .weight = &made->tensor,
        .groups = 1,
        .kernel_h = 1,
        .kernel_w = 1,
        .stride = stride,
    };
    cdl_format_text(op.name, sizeof op.name, "%s", name);
    const cdl_result r = add_op(b, op, (from.height - 1) / stride + 1, (from.width - 1) / stride + 1, channels);
    *dst = b->graph->num_values - 1;
    return r;
}

// How many channels a block gives, by its last convolution; 0: it is missing or misshapen, as will be found.
static int block_channels(const struct builder *b, const char *conv) {
    char name[96];
    cdl_format_text(name, sizeof name, "%s.weight", conv);
    const struct cdl_tensor *t = cdl_model_find(b->model, name);
    return t && t->num_dims == 4 && t->shape[0] >= 1 && t->shape[0] <= 1 << 20 ? (int)t->shape[0] : 0;
}

// One residual block. A stride sits in the bottleneck's 3x3 (torchvision's "ResNet V1.5"), in a basic block's first.
static cdl_result add_block(struct builder *b, const char *path, int stride, int *value) {
    char conv[3][80], norm[3][80], name[160], down_conv[80], down_norm[80];
    for (int i = 0; i < 3; i++) {
        cdl_format_text(conv[i], sizeof conv[i], "%s.conv%d", path, i + 1);
        cdl_format_text(norm[i], sizeof norm[i], "%s.bn%d", path, i + 1);
    }
    cdl_format_text(name, sizeof name, "%s.weight", conv[2]);
    const bool bottleneck = cdl_model_find(b->model, name) != NULL;
    cdl_format_text(down_conv, sizeof down_conv, "%s.downsample.0", path);
    cdl_format_text(down_norm, sizeof down_norm, "%s.downsample.1", path);
    cdl_format_text(name, sizeof name, "%s.weight", down_conv);
    const bool downsample = cdl_model_find(b->model, name) != NULL;

    const int src = *value;
    int residual = src, hidden = src;
    cdl_result r = CDL_OK;
    const int channels = block_channels(b, conv[bottleneck ? 2 : 1]), came = b->graph->values[src].channels;
    const bool changes = channels != came || stride != 1;
    if (downsample)
        r = add_conv(b, &(struct conv_spec){down_conv, down_norm, src, -1, 1, stride, 1, false}, &residual);
    else if (changes && channels >= came && b->model->recipe.shortcut != CDL_SHORTCUT_NONE)
        r = add_made_shortcut(b, down_conv, src, stride, channels, &residual);
    else if (changes && channels > 0)
        return cdl_fail(
            b->log, CDL_ERR_FORMAT,
            "%s: %s %s from %d to %d channels, but there are no weights for its shortcut, %s.weight. If the "
            "network has shortcuts without weights (ResNet option A), metadata shortcut=a says so (zeros "
            "before and after the channels) or shortcut=a-end (after them); else the tensor is missing, or "
            "stage_strides is wrong",
            b->model->what, path, stride != 1 ? "halves the picture and goes" : "goes", came, channels, down_conv);
    if (r == CDL_OK && bottleneck) {
        r = add_conv(b, &(struct conv_spec){conv[0], norm[0], src, -1, 1, 1, 1, true}, &hidden);
        if (r == CDL_OK)
            r = add_conv(b, &(struct conv_spec){conv[1], norm[1], hidden, -1, 3, stride, 0, true}, &hidden);
        if (r == CDL_OK)
            r = add_conv(b, &(struct conv_spec){conv[2], norm[2], hidden, residual, 1, 1, 1, true}, value);
    } else if (r == CDL_OK) {
        r = add_conv(b, &(struct conv_spec){conv[0], norm[0], src, -1, 3, stride, 0, true}, &hidden);
        if (r == CDL_OK)
            r = add_conv(b, &(struct conv_spec){conv[1], norm[1], hidden, residual, 3, 1, 0, true}, value);
    }
    if (r != CDL_OK)
        return r;
    const struct cdl_value *from = &b->graph->values[residual], *to = &b->graph->values[*value];
    if (from->channels != to->channels || from->height != to->height || from->width != to->width)
        return cdl_fail(b->log, CDL_ERR_FORMAT,
                        "%s: %s adds %dx%dx%d to %dx%dx%d; a tensor %s.weight is misshapen, or stage_strides is wrong",
                        b->model->what, path, from->height, from->width, from->channels, to->height, to->width,
                        to->channels, down_conv);
    return CDL_OK;
}

static cdl_result add_stem(struct builder *b, int height, int width, int *value) {
    const struct cdl_recipe *recipe = &b->model->recipe;
    const struct cdl_tensor *conv1 = cdl_model_find(b->model, "conv1.weight");
    if (conv1 && conv1->num_dims == 4 && conv1->shape[1] != 3)
        return cdl_fail(
            b->log, CDL_ERR_FORMAT,
            "%s: takes pictures of %lld channel%s (conv1.weight); only networks for 3, red, green and blue, "
            "are supported",
            b->model->what, (long long)conv1->shape[1], conv1->shape[1] == 1 ? "" : "s");
    cdl_result r = find_tensor(b, "conv1", "weight", 4, (const int64_t[]){-1, 3, -1, -1}, &conv1);
    if (r != CDL_OK)
        return r;
    const int kernel = (int)conv1->shape[2];
    if (kernel % 2 == 0 || kernel > 15 || conv1->shape[3] != kernel)
        return cdl_fail(b->log, CDL_ERR_FORMAT,
                        "%s: tensor conv1.weight has a %dx%d kernel; odd square ones up to 15x15 are known",
                        b->model->what, kernel, (int)conv1->shape[3]);
    const int stride = recipe->stem_stride ? recipe->stem_stride : kernel >= 7 ? 2 : 1;
    const bool pool = recipe->stem_pool >= 0 ? recipe->stem_pool != 0 : kernel >= 7;
    r = add_value(b, height, width, 3, value);
    if (r == CDL_OK)
        r = add_conv(b, &(struct conv_spec){"conv1", "bn1", *value, -1, kernel, stride, 1, true}, value);
    if (r != CDL_OK || !pool)
        return r;
    const struct cdl_value src = b->graph->values[*value];
    const struct cdl_op op = {.kind = CDL_OP_MAX_POOL,
                              .name = "maxpool",
                              .src = *value,
                              .residual = -1,
                              .kernel_h = 3,
                              .kernel_w = 3,
                              .stride = 2,
                              .padding = 1};
    r = add_op(b, op, (src.height - 1) / 2 + 1, (src.width - 1) / 2 + 1, src.channels);
    *value = b->graph->num_values - 1;
    return r;
}

static bool has_block(const struct cdl_model *model, int stage, int block) {
    char name[64];
    cdl_format_text(name, sizeof name, "layer%d.%d.conv1.weight", stage + 1, block);
    return cdl_model_find(model, name) != NULL;
}

static cdl_result add_head(struct builder *b, int value) {
    const struct cdl_value src = b->graph->values[value];
    const struct cdl_tensor *weight, *bias;
    cdl_result r = find_tensor(b, "fc", "weight", 2, (const int64_t[]){-1, src.channels}, &weight);
    if (r == CDL_OK)
        r = find_tensor(b, "fc", "bias", 1, (const int64_t[]){weight->shape[0]}, &bias);
    if (r != CDL_OK)
        return r;
    b->graph->num_classes = (int)weight->shape[0];
    const struct cdl_op pool = {.kind = CDL_OP_AVG_POOL, .name = "avgpool", .src = value, .residual = -1};
    if ((r = add_op(b, pool, 1, 1, src.channels)) != CDL_OK)
        return r;
    b->graph->map = value;
    b->graph->features = b->graph->num_values - 1;
    b->graph->values[b->graph->features].fp32 = true;
    const struct cdl_op linear = {.kind = CDL_OP_CONV,
                                  .name = "fc",
                                  .src = b->graph->features,
                                  .residual = -1,
                                  .kernel_h = 1,
                                  .kernel_w = 1,
                                  .stride = 1,
                                  .groups = 1,
                                  .weight = weight,
                                  .bias = bias};
    if ((r = add_op(b, linear, 1, 1, b->graph->num_classes)) != CDL_OK)
        return r;
    b->graph->output = b->graph->num_values - 1;
    b->graph->values[b->graph->output].fp32 = true;
    return CDL_OK;
}

static cdl_result build(struct cdl_graph *out, const struct cdl_model *model, int height, int width, bool fold,
                        bool *used, const cdl_log *log) {
    *out = (struct cdl_graph){0};
    struct builder b = {.graph = out, .model = model, .log = log, .fold = fold, .used = used};
    cdl_format_text(out->architecture, sizeof out->architecture, "%s", model->recipe.architecture);
    int value = 0;
    cdl_result r = add_stem(&b, height, width, &value);
    if (r == CDL_OK && !has_block(model, 0, 0))
        r = cdl_fail(
            log, CDL_ERR_FORMAT,
            "%s: tensor layer1.0.conv1.weight is missing; is this a torchvision-style ResNet or ResNeXt state dict?",
            model->what);
    for (int stage = 0; r == CDL_OK && stage < 4 && has_block(model, stage, 0); stage++) {
        const int chosen = model->recipe.stage_strides[stage];
        const int stride = chosen ? chosen : stage ? 2 : 1;
        for (int block = 0; r == CDL_OK && has_block(model, stage, block); block++) {
            char path[48];
            cdl_format_text(path, sizeof path, "layer%d.%d", stage + 1, block);
            r = add_block(&b, path, block ? 1 : stride, &value);
        }
    }
    if (r == CDL_OK)
        r = add_head(&b, value);
    if (r != CDL_OK)
        cdl_graph_destroy(out);
    return r;
}

cdl_result cdl_graph_create(struct cdl_graph *out, const struct cdl_model *model, int height, int width, bool fold,
                            const cdl_log *log) {
    return build(out, model, height, width, fold, NULL, log);
}

static int count_blocks(const struct cdl_model *model, int stage) {
    int n = 0;
    while (has_block(model, stage, n))
        n++;
    return n;
}

cdl_result cdl_infer_architecture(const struct cdl_model *model, char name[64], int *num_classes, bool *used,
                                  const cdl_log *log) {
    struct cdl_graph graph;
    const struct cdl_recipe *recipe = &model->recipe;
    cdl_result r = build(&graph, model, recipe->input_height, recipe->input_width, true, used, log);
    if (r != CDL_OK)
        return r;
    *num_classes = graph.num_classes;
    cdl_graph_destroy(&graph);

    int blocks[4];
    for (int i = 0; i < 4; i++)
        blocks[i] = count_blocks(model, i);
    const struct cdl_tensor *conv1 = cdl_model_find(model, "layer1.0.conv1.weight");
    const struct cdl_tensor *conv2 = cdl_model_find(model, "layer1.0.conv2.weight");
    const bool bottleneck = cdl_model_find(model, "layer1.0.conv3.weight") != NULL;
    const int group_width = (int)conv2->shape[1], groups = (int)(conv1->shape[0] / conv2->shape[1]);

    for (int i = 0; i < cdl_num_architectures; i++) {
        const struct cdl_architecture *known = &cdl_architectures[i];
        if (known->bottleneck == bottleneck && !memcmp(known->blocks, blocks, sizeof blocks) &&
            known->groups == groups && known->width_per_group == group_width) {
            cdl_format_text(name, 64, "%s", known->name);
            return CDL_OK;
        }
    }
    char list[40] = "";
    for (int i = 0; i < 4 && blocks[i]; i++)
        cdl_format_text(list + strlen(list), sizeof list - strlen(list), "%s%d", i ? "," : "", blocks[i]);
    cdl_format_text(name, 64, "%s [%s] %dx%d%s", groups > 1 ? "resnext" : "resnet", list, groups, group_width,
                    bottleneck ? "d" : "");
    return CDL_OK;
}
