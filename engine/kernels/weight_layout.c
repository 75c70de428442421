// weight_layout.c - batch norm folded into a convolution's weights, and both written as a kernel wants them.
#include "kernels/weight_layout.h"

#include <math.h>
#include <string.h>

static int c4_of(const struct cdl_value *v) { return cdl_padded_channels(v->channels) / 4; }

size_t cdl_weights_scratch(const struct cdl_op *op) {
    if (op->kind == CDL_OP_CONV)
        return (size_t)cdl_tensor_row_size(op->weight) + 6 * (size_t)cdl_tensor_rows(op->weight);
    if (op->kind == CDL_OP_BATCH_NORM)
        return (size_t)cdl_tensor_row_size(op->norm.weight);
    return 0;
}

// y = (conv(x) + conv_bias - mean) / sqrt(variance + epsilon) * weight + bias, as scale * conv(x) + shift
static void fold_scale_and_shift(const struct cdl_op *op, int channels, float *scratch, float *scale, float *shift) {
    for (int i = 0; i < channels; i++) {
        scale[i] = 1;
        shift[i] = 0;
    }
    if (op->bias)
        cdl_tensor_read_row(op->bias, 0, shift);
    if (!op->norm.weight)
        return;
    float *mean = scratch, *variance = scratch + channels, *conv_bias = variance + channels;
    memcpy(conv_bias, shift, (size_t)channels * sizeof *shift);
    cdl_tensor_read_row(op->norm.weight, 0, scale);
    cdl_tensor_read_row(op->norm.bias, 0, shift);
    cdl_tensor_read_row(op->norm.mean, 0, mean);
    cdl_tensor_read_row(op->norm.variance, 0, variance);
    for (int i = 0; i < channels; i++) {
        // In double: the folded weights carry one rounding, not three.
        const double s = scale[i] / sqrt((double)variance[i] + (double)CDL_BATCH_NORM_EPSILON);
        scale[i] = (float)s;
        shift[i] = (float)(shift[i] + ((double)conv_bias[i] - mean[i]) * s);
    }
}

// Where block b's input begins, in blocks of four channels; conv_direct.comp and conv_grouped.comp have the same line.
static int first_source_block(int block, int group_src, int group_dst, int src_c4, int span) {
    const int first = 4 * block / group_dst * group_src / 4;
    return first < src_c4 - span ? first : src_c4 - span;
}

// The input block that block b's first row of weights belongs to.
static int first_row_block(const struct cdl_weight_layout *l, int block, int group_src, int group_dst, int src_c4) {
    if (l->shared_window) // of lanes blocks in and out alike
        return block / l->lanes * l->lanes;
    return l->span == src_c4 ? 0 : first_source_block(block, group_src, group_dst, src_c4, l->span);
}

static void pack_conv(const struct cdl_weight_layout *l, const struct cdl_value *src, const struct cdl_value *dst,
                      const struct cdl_op *op, float *scratch, uint8_t *out) {
    const int channels = dst->channels, src_c4 = c4_of(src);
    const int group_src = src->channels / op->groups, group_dst = channels / op->groups;
    const int taps = op->kernel_h * op->kernel_w, lanes = l->lanes;
    float *row = scratch, *scale = row + cdl_tensor_row_size(op->weight), *shift = scale + channels;
    fold_scale_and_shift(op, channels, shift + channels, scale, shift);

    memset(out, 0, l->bytes);
    memcpy(out + l->bias_offset, shift, (size_t)channels * sizeof *shift);
    for (int o = 0; o < channels; o++) {
        cdl_tensor_read_row(op->weight, o, row);
        const int block = o / 4, group = o / group_dst;
        const int first = first_row_block(l, block, group_src, group_dst, src_c4);
        for (int c = 0; c < group_src; c++) {
            const int in = group * group_src + c - 4 * first;
            for (int tap = 0; tap < taps; tap++) {
                const int column = tap / op->kernel_w * l->tap_columns + tap % op->kernel_w;
                const size_t row_index =
                    (size_t)(block / lanes) * (size_t)l->rows + (size_t)column * (size_t)l->span * 4 + (size_t)in;
                const size_t at = (row_index * (size_t)lanes + (size_t)(block % lanes)) * 4 + (size_t)(o % 4);
                const float w = row[c * taps + tap] * scale[o];
                if (l->fp16)
                    ((uint16_t *)(void *)out)[at] = cdl_f32_to_f16(w);
                else
                    ((float *)(void *)out)[at] = w;
            }
        }
    }
}

static void pack_batch_norm(const struct cdl_weight_layout *l, const struct cdl_value *dst, const struct cdl_op *op,
                            float *scratch, uint8_t *out) {
    const struct cdl_tensor *parts[] = {op->norm.weight, op->norm.bias, op->norm.mean, op->norm.variance};
    const size_t pitch = (size_t)c4_of(dst) * 16;
    memset(out, 0, l->bytes);
    for (int i = 0; i < 4; i++) {
        cdl_tensor_read_row(parts[i], 0, scratch);
        memcpy(out + (size_t)i * pitch, scratch, (size_t)dst->channels * sizeof *scratch);
    }
}

void cdl_weights_pack(const struct cdl_weight_layout *layout, const struct cdl_graph *graph, const struct cdl_op *op,
                      float *scratch, uint8_t *dst) {
    const struct cdl_value *src = &graph->values[op->src], *to = &graph->values[op->dst];
    if (op->kind == CDL_OP_CONV)
        pack_conv(layout, src, to, op, scratch, dst);
    else if (op->kind == CDL_OP_BATCH_NORM)
        pack_batch_norm(layout, to, op, scratch, dst);
}
