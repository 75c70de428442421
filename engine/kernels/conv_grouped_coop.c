// conv_grouped_coop.c - conv_grouped_coop.comp: grouped 3x3 convolution in fp16 on matrix units.
#include "kernels/conv.h"

enum { KERNEL = 3, SUBGROUPS = 4, NARROWEST_WINDOW = 16, WIDEST_WINDOW = 64, MOST_CHANNELS = 64 };

enum { // constants
    WORKGROUP,
    STRIDE,
    PADDING,
    RELU,
    RESIDUAL,
    MATRIX_M,
    MATRIX_N,
    MATRIX_K,
    TILE_H,
    TILE_W,
    WINDOW,
    CHANNELS,
    NUM_SUBGROUPS,
    NUM_CONSTANTS
};

struct tile {
    uint32_t h, w, channels;
};

// As the shader counts it.
static size_t shared_bytes(const struct tile *t, uint32_t stride, const struct cdl_caps *caps) {
    const uint32_t shift = (KERNEL - 1) / stride, plane_h = t->h + shift, plane_w = t->w + shift;
    const uint32_t row_matrices = cdl_div_up(t->h * plane_w, caps->matrix_m);
    const size_t pixels =
        (size_t)(stride * stride - 1) * plane_h * plane_w + row_matrices * caps->matrix_m + shift * (plane_w + 1);
    const size_t stage = (size_t)SUBGROUPS * caps->matrix_m * (caps->matrix_n / 4 + 1);
    return 16 * (pixels * (t->channels / 8 + 1) + stage);
}

// The side of the fewest equal tiles that cover `size` and are at most `longest`.
static uint32_t even_side(int size, uint32_t longest) {
    const uint32_t parts = cdl_div_up((uint32_t)size, longest);
    return cdl_div_up((uint32_t)size, parts);
}

static uint32_t workgroups(const struct cdl_conv_shape *s, const struct tile *t) {
    return cdl_div_up((uint32_t)s->dst->height, t->h) * cdl_div_up((uint32_t)s->dst->width, t->w) *
           cdl_div_up((uint32_t)s->dst_c4 * 4, t->channels);
}

static void describe(const struct cdl_conv_shape *s, const struct tile *t, uint32_t window, struct cdl_kernel *k) {
    const struct cdl_caps *caps = s->caps;
    const uint32_t constants[NUM_CONSTANTS] = {
        [WORKGROUP] = SUBGROUPS * caps->matrix_subgroup,
        [STRIDE] = (uint32_t)s->op->stride,
        [PADDING] = (uint32_t)s->op->padding,
        [RELU] = s->op->relu,
        [RESIDUAL] = s->op->residual >= 0,
        [MATRIX_M] = caps->matrix_m,
        [MATRIX_N] = caps->matrix_n,
        [MATRIX_K] = caps->matrix_k,
        [TILE_H] = t->h,
        [TILE_W] = t->w,
        [WINDOW] = window,
        [CHANNELS] = t->channels,
        [NUM_SUBGROUPS] = SUBGROUPS,
    };
    *k = (struct cdl_kernel){
        .shader = "conv_grouped_coop", .fp16 = true, .subgroup_size = caps->matrix_subgroup, .shared_window = true};
    cdl_set_constants(k, NUM_CONSTANTS, constants);
    cdl_set_weights(k, s, (int)(window / 4), (int)(window / 4));
}

static int list(const struct cdl_conv_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    const struct cdl_caps *caps = s->caps;
    const uint32_t group = (uint32_t)(s->src->channels / op->groups), stride = (uint32_t)op->stride;
    const uint32_t window = group > NARROWEST_WINDOW ? group : NARROWEST_WINDOW;
    const uint32_t longest[] = {14, 7};
    int n = 0;
    if (!s->fp16 || !caps->matrix_m || op->groups == 1 || s->src->channels != s->dst->channels || s->src_c4 % 2 ||
        s->dst->fp32 || op->kernel_h != KERNEL || op->kernel_w != KERNEL || stride > 2 || window > WIDEST_WINDOW ||
        window % group || window % caps->matrix_n || window % caps->matrix_k ||
        SUBGROUPS * caps->matrix_subgroup > caps->max_workgroup_size)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(longest); i++) {
        if (longest[i] > 7 && s->dst->width <= 7)
            continue; // the smaller tile covers it
        const uint32_t h = even_side(s->dst->height, 8), w = even_side(s->dst->width, longest[i]);
        for (uint32_t channels = MOST_CHANNELS; channels >= window && n < cap; channels /= 2) {
            const struct tile t = {h, w, channels};
            const bool spare = channels > window && channels >= 2 * (uint32_t)s->dst_c4 * 4; // half of it is empty
            if (channels % window || spare || shared_bytes(&t, stride, caps) > caps->max_shared_bytes)
                continue;
            describe(s, &t, window, &out[n]);
            // The largest tile that gives a large GPU enough to do with one image; else the smallest.
            const int index = n;
            out[n++].rank = caps->software ? 60 + index : workgroups(s, &t) >= 128 ? 1 + index : 9 - index;
        }
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t tiles = (uint64_t)cdl_div_up((uint32_t)p->dst_h, k->constants[TILE_H]) *
                           cdl_div_up((uint32_t)p->dst_w, k->constants[TILE_W]);
    cdl_launch_workgroups(out,
                          (uint64_t)p->images * tiles * cdl_div_up((uint32_t)p->dst_c4 * 4, k->constants[CHANNELS]));
}

const struct cdl_conv_family cdl_conv_grouped_coop = {"conv_grouped_coop", list, launch};
