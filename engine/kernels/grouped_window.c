#include "kernels/grouped_window.h"

enum { NARROWEST = 16 };

uint32_t cdl_grouped_window(const struct cdl_shape *s) {
    const struct cdl_op *op = s->op;
    const struct cdl_caps *caps = s->caps;
    if (!s->fp16 || !caps->matrix_m || op->groups == 1 || s->src->channels != s->dst->channels || s->src_c4 % 2 ||
        s->dst->fp32 || op->kernel_h != CDL_GROUPED_KERNEL || op->kernel_w != CDL_GROUPED_KERNEL || op->stride > 2 ||
        CDL_GROUPED_SUBGROUPS * caps->matrix_subgroup > caps->max_workgroup_size)
        return 0;
    const uint32_t group = (uint32_t)(s->src->channels / op->groups);
    const uint32_t window = group > NARROWEST ? group : NARROWEST;
    return window > CDL_WIDEST_WINDOW || window % group || window % caps->matrix_n || window % caps->matrix_k ? 0
                                                                                                              : window;
}

uint32_t cdl_pair_window(const struct cdl_shape shapes[2]) {
    const struct cdl_op *first = shapes[0].op, *second = shapes[1].op;
    const uint32_t window = cdl_grouped_window(&shapes[0]);
    const bool pointwise = second->groups == 1 && second->kernel_h == 1 && second->kernel_w == 1 &&
                           second->stride == 1 && second->padding == 0;
    return window && first->relu && first->residual < 0 && pointwise && cdl_is_dense_fp16(&shapes[1]) &&
                   (uint32_t)shapes[0].src->channels % window == 0
               ? window
               : 0;
}

void cdl_push_pair(const struct cdl_kernel *k, const struct cdl_shape s[2], int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    out->push_bytes = sizeof out->push.conv_pair;
    out->push.conv_pair = (struct conv_pair_params){
        .src = at->src,
        .first_weights = at->weights[0],
        .first_bias = at->weights[0] + k->weights[0].bias_offset,
        .weights = at->weights[1],
        .bias = at->weights[1] + k->weights[1].bias_offset,
        .residual = at->residual,
        .dst = at->dst,
        .images = images,
        .src_h = s[0].src->height,
        .src_w = s[0].src->width,
        .src_c4 = s[0].src_c4,
        .dst_h = s[1].dst->height,
        .dst_w = s[1].dst->width,
        .dst_c4 = s[1].dst_c4,
    };
}

struct cdl_weight_layout cdl_grouped_weights(const struct cdl_shape *s, uint32_t window) {
    struct cdl_weight_layout l = cdl_conv_weights(s, (int)(window / 4), (int)(window / 4), 0, 0);
    l.shared_window = 1;
    return l;
}

size_t cdl_grouped_source_units(const struct cdl_caps *caps, uint32_t h, uint32_t w, uint32_t stride,
                                uint32_t channels) {
    const uint32_t shift = (CDL_GROUPED_KERNEL - 1) / stride, plane_h = h + shift, plane_w = w + shift;
    const uint32_t row_matrices = cdl_div_up(h * plane_w, caps->matrix_m);
    const size_t pixels =
        (size_t)(stride * stride - 1) * plane_h * plane_w + row_matrices * caps->matrix_m + shift * (plane_w + 1);
    return pixels * (channels / 8 + 1);
}

size_t cdl_grouped_stage_units(const struct cdl_caps *caps) {
    return (size_t)CDL_GROUPED_SUBGROUPS * caps->matrix_m * (caps->matrix_n / 4 + 1);
}
