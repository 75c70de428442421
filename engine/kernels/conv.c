// conv.c - what the families of convolutions share.
#include "kernels/family.h"

struct conv_params cdl_conv_params(const struct cdl_kernel *k, const struct cdl_shape *s, int images,
                                   const struct cdl_addresses *at) {
    return (struct conv_params){
        .src = at->src,
        .weights = at->weights[0],
        .bias = at->weights[0] + k->weights[0].bias_offset,
        .residual = at->residual,
        .dst = at->dst,
        .images = images,
        .src_h = s->src->height,
        .src_w = s->src->width,
        .src_c4 = s->src_c4,
        .dst_h = s->dst->height,
        .dst_w = s->dst->width,
        .dst_c4 = s->dst_c4,
        .group_src = s->src->channels / s->op->groups,
        .group_dst = s->dst->channels / s->op->groups,
    };
}

void cdl_push_conv(const struct cdl_kernel *k, const struct cdl_shape *shape, int images,
                   const struct cdl_addresses *at, struct cdl_launch *out) {
    out->push_bytes = sizeof out->push.conv;
    out->push.conv = cdl_conv_params(k, shape, images, at);
}

struct cdl_weight_layout cdl_conv_weights(const struct cdl_shape *s, int lanes, int span, int tap_columns, int rows) {
    tap_columns = tap_columns ? tap_columns : s->op->kernel_w;
    rows = rows ? rows : s->op->kernel_h * tap_columns * span * 4;
    const size_t blocks = cdl_div_up((uint32_t)s->dst_c4, (uint32_t)lanes) * (size_t)lanes;
    const size_t elements = blocks * (size_t)rows * 4;
    const size_t bias_offset = cdl_align_up(elements * (s->fp16 ? 2 : 4), 16);
    return (struct cdl_weight_layout){
        .bytes = bias_offset + (size_t)s->dst_c4 * 16,
        .bias_offset = bias_offset,
        .fp16 = s->fp16,
        .lanes = lanes,
        .span = span,
        .tap_columns = tap_columns,
        .rows = rows,
    };
}

int cdl_source_span(const struct cdl_shape *s) {
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

// ---- matrix products in tiles

bool cdl_is_dense_fp16(const struct cdl_shape *s) {
    return s->fp16 && s->op->groups == 1 && s->dst_c4 % 2 == 0 && !s->dst->fp32;
}

bool cdl_is_narrow(const struct cdl_shape *s) { return s->src_c4 == 1; }

struct cdl_weight_layout cdl_matrix_weights(const struct cdl_shape *s, uint32_t width, uint32_t depth, bool two_taps) {
    const uint32_t columns = (uint32_t)(two_taps ? (s->op->kernel_w + 1) / 2 * 2 : s->op->kernel_w);
    const uint32_t rows = (uint32_t)(s->op->kernel_h * s->src_c4 * 4) * columns;
    return cdl_conv_weights(s, (int)(width / 4), s->src_c4, (int)columns, (int)(cdl_div_up(rows, depth) * depth));
}

uint32_t cdl_even_side(int size, uint32_t longest) {
    const uint32_t parts = cdl_div_up((uint32_t)size, longest);
    return cdl_div_up((uint32_t)size, parts);
}

void cdl_launch_tiles(struct cdl_launch *launch, uint32_t m, uint32_t n) {
    const struct conv_params *p = &launch->push.conv;
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    cdl_launch_workgroups(launch, (pixels + m - 1) / m * cdl_div_up((uint32_t)p->dst_c4 * 4, n));
}
