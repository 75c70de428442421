// kernels.c - legal kernels of each operation, and their dispatch.
#include "kernels/conv.h"

#include <math.h>
#include <string.h>

_Static_assert(sizeof(struct conv_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct preprocess_params) <= CDL_MAX_PUSH_BYTES, "push constants");
_Static_assert(sizeof(struct classify_params) <= CDL_MAX_PUSH_BYTES, "push constants");

static int c4_of(const struct cdl_value *v) { return cdl_padded_channels(v->channels) / 4; }

void cdl_set_constants(struct cdl_kernel *k, int count, const uint32_t *values) {
    memcpy(k->constants, values, (size_t)count * sizeof *values);
    k->num_constants = count;
}

void cdl_pointwise_kernel(struct cdl_kernel *out, const char *shader, bool fp16) {
    *out = (struct cdl_kernel){.shader = shader, .fp16 = fp16};
    cdl_set_constants(out, 1, (const uint32_t[]){CDL_POINTWISE_SIZE});
}

void cdl_reduce_kernel(struct cdl_kernel *out, const char *shader) {
    *out = (struct cdl_kernel){.shader = shader};
    cdl_set_constants(out, 1, (const uint32_t[]){CDL_REDUCE_SIZE});
}

// Where block b's input begins, in blocks of four channels; conv_direct.comp has the same line.
static int first_source_block(int block, int group_src, int group_dst, int src_c4, int span) {
    const int first = 4 * block / group_dst * group_src / 4;
    return first < src_c4 - span ? first : src_c4 - span;
}

int cdl_weight_rows(const struct cdl_kernel *k, const struct cdl_op *op) {
    return k->rows ? k->rows : op->kernel_h * (k->tap_columns ? k->tap_columns : op->kernel_w) * k->span * 4;
}

int cdl_source_span(const struct cdl_conv_shape *s) {
    const struct cdl_value *dst = s->dst;
    const int group_src = s->src->channels / s->op->groups, group_dst = dst->channels / s->op->groups;
    int span = 1;
    for (int block = 0; 4 * block < dst->channels; block++) {
        const int last_channel = 4 * block + 3 < dst->channels ? 4 * block + 3 : dst->channels - 1;
        const int first = 4 * block / group_dst * group_src / 4;
        const int end = ((last_channel / group_dst + 1) * group_src + 3) / 4;
        if (end - first > span)
            span = end - first;
    }
    return span;
}

void cdl_set_weights(struct cdl_kernel *k, const struct cdl_conv_shape *shape, int lanes, int span) {
    k->lanes = lanes;
    k->span = span;
    const size_t blocks = cdl_div_up((uint32_t)shape->dst_c4, (uint32_t)lanes) * (size_t)lanes;
    const size_t rows = (size_t)cdl_weight_rows(k, shape->op);
    const size_t elements = blocks * rows * 4;
    k->bias_offset = cdl_align_up(elements * (k->fp16 ? 2 : 4), 16);
    k->weight_bytes = k->bias_offset + (size_t)shape->dst_c4 * 16;
}

// The families of convolution kernels; a new one joins here, with a shader and a file of its own.
static const struct cdl_conv_family *const families[] = {
    &cdl_conv_coop,         &cdl_conv_coop2,        &cdl_conv_direct, &cdl_conv_grouped,
    &cdl_conv_grouped_coop, &cdl_conv_grouped_wide, &cdl_conv_half,   &cdl_conv_lanes,
    &cdl_conv_lanes_wide,   &cdl_conv_pair_coop,    &cdl_conv_tiled,
};

static const struct cdl_conv_family *family_of(const struct cdl_kernel *kernel) {
    for (size_t i = 0; i < CDL_COUNT(families); i++)
        if (!strcmp(families[i]->shader, kernel->shader))
            return families[i];
    return NULL;
}

struct cdl_conv_shape cdl_conv_shape_of(const struct cdl_graph *g, const struct cdl_op *op, const struct cdl_caps *caps,
                                        bool fp16) {
    const struct cdl_value *src = &g->values[op->src], *dst = &g->values[op->dst];
    return (struct cdl_conv_shape){
        .op = op, .src = src, .dst = dst, .src_c4 = c4_of(src), .dst_c4 = c4_of(dst), .caps = caps, .fp16 = fp16};
}

static int conv_kernels(const struct cdl_conv_shape *shape, struct cdl_kernel *out) {
    int n = 0;
    for (size_t i = 0; i < CDL_COUNT(families); i++) {
        const int first = n;
        if (!families[i]->list)
            continue;
        n += families[i]->list(shape, out + n, CDL_MAX_KERNELS - n);
        for (int j = first; j < n; j++) { // by rank, in the families' order among equals
            const struct cdl_kernel k = out[j];
            int at = j;
            for (; at > 0 && out[at - 1].rank > k.rank; at--)
                out[at] = out[at - 1];
            out[at] = k;
        }
    }
    return n;
}

int cdl_kernels_for(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps, bool fp16,
                    struct cdl_kernel *out) {
    fp16 = fp16 && !graph->values[op->src].fp32;
    switch (op->kind) {
    case CDL_OP_CONV: {
        const struct cdl_conv_shape shape = cdl_conv_shape_of(graph, op, caps, fp16);
        return conv_kernels(&shape, out);
    }
    case CDL_OP_BATCH_NORM:
        *out = (struct cdl_kernel){
            .shader = "batch_norm", .fp16 = fp16, .weight_bytes = (size_t)c4_of(&graph->values[op->dst]) * 64};
        cdl_set_constants(out, 3, (const uint32_t[]){CDL_POINTWISE_SIZE, op->relu, op->residual >= 0});
        return 1;
    case CDL_OP_MAX_POOL:
        *out = (struct cdl_kernel){.shader = "max_pool", .fp16 = fp16};
        cdl_set_constants(out, 4,
                          (const uint32_t[]){CDL_POINTWISE_SIZE, (uint32_t)op->kernel_h, (uint32_t)op->stride,
                                             (uint32_t)op->padding});
        return 1;
    case CDL_OP_AVG_POOL: cdl_pointwise_kernel(out, "avg_pool", fp16); return 1;
    }
    return 0;
}

// ---- dispatch

void cdl_launch_workgroups(struct cdl_launch *launch, uint64_t count) {
    const uint64_t limit = 65535;
    const uint64_t rows = (count + limit - 1) / limit;
    launch->groups[1] = (uint32_t)rows;
    launch->groups[0] = (uint32_t)((count + rows - 1) / rows);
}

void cdl_launch_invocations(struct cdl_launch *launch, uint64_t count) {
    cdl_launch_workgroups(launch, (count + CDL_POINTWISE_SIZE - 1) / CDL_POINTWISE_SIZE);
}

static void launch_conv(const struct cdl_kernel *k, const struct cdl_value *src, const struct cdl_value *dst,
                        const struct cdl_op *op, int images, const struct cdl_addresses *at, struct cdl_launch *out) {
    const int dst_c4 = c4_of(dst);
    out->push_bytes = sizeof out->push.conv;
    out->push.conv = (struct conv_params){
        .src = at->src,
        .weights = at->weights,
        .bias = at->weights + k->bias_offset,
        .residual = at->residual,
        .dst = at->dst,
        .images = images,
        .src_h = src->height,
        .src_w = src->width,
        .src_c4 = c4_of(src),
        .dst_h = dst->height,
        .dst_w = dst->width,
        .dst_c4 = dst_c4,
        .group_src = src->channels / op->groups,
        .group_dst = dst->channels / op->groups,
    };
    if (k->pair) {
        out->push.conv.weights = at->first_weights;
        out->push.conv.group_src = (int)((at->weights - at->first_weights) / 16);
    }
    family_of(k)->launch(k, &out->push.conv, out);
}

void cdl_kernel_launch(const struct cdl_kernel *kernel, const struct cdl_graph *graph, const struct cdl_op *op,
                       int images, const struct cdl_addresses *at, struct cdl_launch *out) {
    const struct cdl_value *src = &graph->values[(kernel->pair ? op - 1 : op)->src], *dst = &graph->values[op->dst];
    const int c4 = c4_of(dst);
    const uint64_t blocks = (uint64_t)images * (uint64_t)dst->height * (uint64_t)dst->width * (uint64_t)c4;
    memset(out, 0, sizeof *out);
    switch (op->kind) {
    case CDL_OP_CONV: launch_conv(kernel, src, dst, op, images, at, out); return;
    case CDL_OP_BATCH_NORM:
        out->push_bytes = sizeof out->push.batch_norm;
        out->push.batch_norm = (struct batch_norm_params){
            .src = at->src,
            .residual = at->residual,
            .dst = at->dst,
            .statistics = at->weights,
            .pixels = images * dst->height * dst->width,
            .c4 = c4,
            .epsilon = CDL_BATCH_NORM_EPSILON,
        };
        break;
    case CDL_OP_MAX_POOL:
    case CDL_OP_AVG_POOL:
        out->push_bytes = sizeof out->push.pool;
        out->push.pool = (struct pool_params){
            .src = at->src,
            .dst = at->dst,
            .images = images,
            .src_h = src->height,
            .src_w = src->width,
            .dst_h = dst->height,
            .dst_w = dst->width,
            .c4 = c4,
        };
        break;
    }
    cdl_launch_invocations(out, blocks);
}

bool cdl_same_pipeline(const struct cdl_kernel *a, const struct cdl_kernel *b) {
    return !strcmp(a->shader, b->shader) && a->fp16 == b->fp16 && a->subgroup_size == b->subgroup_size &&
           a->num_constants == b->num_constants &&
           !memcmp(a->constants, b->constants, (size_t)a->num_constants * sizeof *a->constants);
}

void cdl_kernel_name(const struct cdl_kernel *kernel, char *out, size_t size) {
    cdl_format_text(out, size, "%s ", kernel->shader);
    for (int i = 0; i < kernel->num_constants; i++)
        cdl_format_text(out + strlen(out), size - strlen(out), i ? ",%u" : "%u", kernel->constants[i]);
    cdl_format_text(out + strlen(out), size - strlen(out), " %s", kernel->fp16 ? "fp16" : "fp32");
}

int cdl_kernel_named(const struct cdl_kernel *kernels, int count, const char *name) {
    char text[160];
    for (int i = 0; i < count; i++) {
        cdl_kernel_name(&kernels[i], text, sizeof text);
        if (!strcmp(name, text))
            return i;
    }
    return -1;
}

// ---- weights

size_t cdl_kernel_scratch(const struct cdl_op *op) {
    if (op->kind == CDL_OP_CONV)
        return (size_t)cdl_tensor_row_size(op->weight) + 5 * (size_t)cdl_tensor_rows(op->weight);
    if (op->kind == CDL_OP_BATCH_NORM)
        return (size_t)cdl_tensor_row_size(op->norm.weight);
    return 0;
}

// y = (conv(x) - mean) / sqrt(variance + epsilon) * weight + bias, as scale * conv(x) + shift
static void fold_scale_and_shift(const struct cdl_op *op, int channels, float *scratch, float *scale, float *shift) {
    for (int i = 0; i < channels; i++) {
        scale[i] = 1;
        shift[i] = 0;
    }
    if (op->bias)
        cdl_tensor_read_row(op->bias, 0, shift);
    if (!op->norm.weight)
        return;
    float *mean = scratch, *variance = scratch + channels;
    cdl_tensor_read_row(op->norm.weight, 0, scale);
    cdl_tensor_read_row(op->norm.bias, 0, shift);
    cdl_tensor_read_row(op->norm.mean, 0, mean);
    cdl_tensor_read_row(op->norm.variance, 0, variance);
    for (int i = 0; i < channels; i++) {
        // In double: the folded weights carry one rounding, not three.
        const double s = scale[i] / sqrt((double)variance[i] + (double)CDL_BATCH_NORM_EPSILON);
        scale[i] = (float)s;
        shift[i] = (float)(shift[i] - mean[i] * s);
    }
}

// The input block that block b's first row of weights belongs to.
static int first_row_block(const struct cdl_kernel *k, int block, int group_src, int group_dst, int src_c4) {
    if (k->shared_window) // of lanes blocks in and out alike
        return block / k->lanes * k->lanes;
    return k->span == src_c4 ? 0 : first_source_block(block, group_src, group_dst, src_c4, k->span);
}

static void pack_conv(const struct cdl_kernel *k, const struct cdl_value *src, const struct cdl_value *dst,
                      const struct cdl_op *op, float *scratch, uint8_t *out) {
    const int channels = dst->channels, src_c4 = c4_of(src);
    const int group_src = src->channels / op->groups, group_dst = channels / op->groups;
    const int taps = op->kernel_h * op->kernel_w, lanes = k->lanes, span = k->span;
    const int tap_columns = k->tap_columns ? k->tap_columns : op->kernel_w;
    const size_t rows = (size_t)cdl_weight_rows(k, op);
    float *row = scratch, *scale = row + cdl_tensor_row_size(op->weight), *shift = scale + channels;
    fold_scale_and_shift(op, channels, shift + channels, scale, shift);

    memset(out, 0, k->weight_bytes);
    memcpy(out + k->bias_offset, shift, (size_t)channels * sizeof *shift);
    for (int o = 0; o < channels; o++) {
        cdl_tensor_read_row(op->weight, o, row);
        const int block = o / 4, group = o / group_dst;
        const int first = first_row_block(k, block, group_src, group_dst, src_c4);
        for (int c = 0; c < group_src; c++) {
            const int in = group * group_src + c - 4 * first;
            for (int tap = 0; tap < taps; tap++) {
                const int column = tap / op->kernel_w * tap_columns + tap % op->kernel_w;
                const size_t row_index =
                    (size_t)(block / lanes) * rows + (size_t)column * (size_t)span * 4 + (size_t)in;
                const size_t at = (row_index * (size_t)lanes + (size_t)(block % lanes)) * 4 + (size_t)(o % 4);
                const float w = row[c * taps + tap] * scale[o];
                if (k->fp16)
                    ((uint16_t *)(void *)out)[at] = cdl_f32_to_f16(w);
                else
                    ((float *)(void *)out)[at] = w;
            }
        }
    }
}

void cdl_kernel_pack(const struct cdl_kernel *kernel, const struct cdl_graph *graph, const struct cdl_op *op,
                     float *scratch, uint8_t *dst) {
    const struct cdl_value *src = &graph->values[op->src], *to = &graph->values[op->dst];
    if (op->kind == CDL_OP_CONV) {
        pack_conv(kernel, src, to, op, scratch, dst);
    } else if (op->kind == CDL_OP_BATCH_NORM) {
        const struct cdl_tensor *parts[] = {op->norm.weight, op->norm.bias, op->norm.mean, op->norm.variance};
        const size_t pitch = (size_t)c4_of(to) * 16;
        memset(dst, 0, kernel->weight_bytes);
        for (int i = 0; i < 4; i++) {
            cdl_tensor_read_row(parts[i], 0, scratch);
            memcpy(dst + (size_t)i * pitch, scratch, (size_t)to->channels * sizeof *scratch);
        }
    }
}
