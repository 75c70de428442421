// conv_pair_coop.c - conv_pair_coop.comp: a grouped 3x3 convolution and the 1x1 behind it in fp16 on matrix units.
//
// It saves what the 3x3 writes and the 1x1 reads, and pays with the second's weights, which every tile of pixels reads
// from the cache, and with matrix units that wait for them. Whether that is faster a measurement must tell.
#include "kernels/conv.h"

enum { KERNEL = 3, SUBGROUPS = 4, PAIR = 2, NARROWEST_WINDOW = 16, WIDEST_WINDOW = 64 };

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
    CHUNK,
    NUM_SUBGROUPS,
    MIDDLE,
    TILE_N,
    NUM_CONSTANTS
};

struct tile {
    uint32_t h, w;
};

// As the shader counts it.
static size_t shared_bytes(const struct tile *t, uint32_t stride, uint32_t chunk, uint32_t middle,
                           const struct cdl_caps *caps) {
    const uint32_t shift = (KERNEL - 1) / stride, plane_h = t->h + shift, plane_w = t->w + shift;
    const uint32_t row_matrices = cdl_div_up(t->h * plane_w, caps->matrix_m),
                   tile_matrices = cdl_div_up(t->h * t->w, caps->matrix_m);
    const size_t pixels =
        (size_t)(stride * stride - 1) * plane_h * plane_w + row_matrices * caps->matrix_m + shift * (plane_w + 1);
    const size_t stage = (size_t)SUBGROUPS * caps->matrix_m * (caps->matrix_n / 4 + 1);
    return 16 * (pixels * (chunk / 8 + 1) + stage + (size_t)tile_matrices * caps->matrix_m * (middle / 8 + 1));
}

static bool read_once(const struct cdl_graph *g, int value) {
    int reads = value == g->map || value == g->features || value == g->ops[g->num_ops - 1].dst;
    for (int i = 0; i < g->num_ops; i++)
        reads += (g->ops[i].src == value) + (g->ops[i].residual == value);
    return reads == 1;
}

static uint32_t window_of(const struct cdl_graph *g, const struct cdl_op *first) {
    const uint32_t group = (uint32_t)(g->values[first->src].channels / first->groups);
    return group > NARROWEST_WINDOW ? group : NARROWEST_WINDOW;
}

// Whether `op` and the one before it are such a pair, and the device can run it in some tile.
static bool is_pair(const struct cdl_graph *g, const struct cdl_op *op, const struct cdl_caps *caps) {
    const struct cdl_op *first = op - 1;
    if (op == g->ops || op->kind != CDL_OP_CONV || first->kind != CDL_OP_CONV || op->src != first->dst ||
        !read_once(g, first->dst))
        return false;
    const int channels = g->values[first->src].channels;
    const bool grouped = first->groups > 1 && first->kernel_h == KERNEL && first->kernel_w == KERNEL &&
                         first->stride <= 2 && first->relu && first->residual < 0 &&
                         g->values[first->dst].channels == channels;
    const bool pointwise =
        op->groups == 1 && op->kernel_h == 1 && op->kernel_w == 1 && op->stride == 1 && op->padding == 0;
    if (!grouped || !pointwise || g->values[op->dst].fp32 || !caps->matrix_m ||
        SUBGROUPS * caps->matrix_subgroup > caps->max_workgroup_size)
        return false;
    const uint32_t group = (uint32_t)(channels / first->groups), window = window_of(g, first);
    return window <= WIDEST_WINDOW && window % group == 0 && window % caps->matrix_n == 0 &&
           window % caps->matrix_k == 0 && (uint32_t)channels % window == 0 &&
           cdl_padded_channels(g->values[op->dst].channels) % 8 == 0;
}

static uint32_t even_side(int size, uint32_t longest) {
    const uint32_t parts = cdl_div_up((uint32_t)size, longest);
    return cdl_div_up((uint32_t)size, parts);
}

int cdl_pair_kernels_for(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps, bool fp16,
                         struct cdl_kernel *out, struct cdl_kernel *first) {
    static const struct tile longest[] = {{8, 8}, {4, 16}, {4, 8}};
    if (!fp16 || !is_pair(graph, op, caps))
        return 0;
    const struct cdl_op *op1 = op - 1;
    const struct cdl_conv_shape shape1 = cdl_conv_shape_of(graph, op1, caps, fp16),
                                shape2 = cdl_conv_shape_of(graph, op, caps, fp16);
    const uint32_t window = window_of(graph, op1), middle = (uint32_t)shape2.src_c4 * 4, stride = (uint32_t)op1->stride;
    int n = 0;
    *first = (struct cdl_kernel){.shader = "conv_pair_coop", .fp16 = true, .shared_window = true};
    cdl_set_weights(first, &shape1, (int)(window / 4), (int)(window / 4));
    for (size_t i = 0; i < CDL_COUNT(longest); i++) {
        const struct tile t = {even_side(shape2.dst->height, longest[i].h), even_side(shape2.dst->width, longest[i].w)};
        uint32_t chunk = WIDEST_WINDOW;
        while (chunk >= window &&
               (middle % chunk || shared_bytes(&t, stride, chunk, middle, caps) > caps->max_shared_bytes))
            chunk /= 2;
        if (chunk < window)
            continue;
        struct cdl_kernel *k = &out[n];
        const uint32_t constants[NUM_CONSTANTS] = {
            [WORKGROUP] = SUBGROUPS * caps->matrix_subgroup,
            [STRIDE] = stride,
            [PADDING] = (uint32_t)op1->padding,
            [RELU] = op->relu,
            [RESIDUAL] = op->residual >= 0,
            [MATRIX_M] = caps->matrix_m,
            [MATRIX_N] = caps->matrix_n,
            [MATRIX_K] = caps->matrix_k,
            [TILE_H] = t.h,
            [TILE_W] = t.w,
            [WINDOW] = window,
            [CHUNK] = chunk,
            [NUM_SUBGROUPS] = SUBGROUPS,
            [MIDDLE] = middle,
            [TILE_N] = 2 * PAIR * caps->matrix_n,
        };
        *k = (struct cdl_kernel){
            .shader = "conv_pair_coop", .fp16 = true, .subgroup_size = caps->matrix_subgroup, .pair = true, .rank = n};
        cdl_set_constants(k, NUM_CONSTANTS, constants);
        cdl_set_weights(k, &shape2, (int)(constants[TILE_N] / 4), shape2.src_c4);
        bool known = false;
        for (int j = 0; j < n; j++)
            known = known || cdl_same_pipeline(&out[j], k);
        n += !known;
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct conv_params *p, struct cdl_launch *out) {
    const uint64_t tiles = (uint64_t)cdl_div_up((uint32_t)p->dst_h, k->constants[TILE_H]) *
                           cdl_div_up((uint32_t)p->dst_w, k->constants[TILE_W]);
    cdl_launch_workgroups(out, (uint64_t)p->images * tiles);
}

const struct cdl_conv_family cdl_conv_pair_coop = {"conv_pair_coop", NULL, launch};
