// conv_grouped_persist.c - conv_grouped_persist.comp: grouped 3x3 convolution in fp16 on matrix units whose workgroups
// live through many tiles, their weights in registers.
#include "kernels/grouped_window.h"

#define CONSTANTS "conv_grouped_persist_constants.h"
#include "kernels/constants.h"

enum { MOST_CHANNELS = 64, RESIDENT = 3, TAPS = CDL_GROUPED_KERNEL * CDL_GROUPED_KERNEL };
enum { MOST_PRODUCTS_SOFTWARE = 64 }; // see conv_persist.c

struct tile {
    uint32_t h, w, channels;
};

// How the shader divides a tile among its subgroups: matrices of sums, and of weights.
struct share {
    uint32_t rows, columns, weights;
};

static uint32_t row_matrices(const struct cdl_shape *s, const struct tile *t) {
    const uint32_t shift = (CDL_GROUPED_KERNEL - 1) / (uint32_t)s->op->stride;
    return cdl_div_up(t->h * (t->w + shift), s->caps->matrix_m);
}

static struct share share_of(const struct cdl_shape *s, const struct tile *t, uint32_t window) {
    const uint32_t columns = t->channels / s->caps->matrix_n;
    const uint32_t teams = columns < CDL_GROUPED_SUBGROUPS ? columns : CDL_GROUPED_SUBGROUPS;
    return (struct share){
        .rows = cdl_div_up(row_matrices(s, t), CDL_GROUPED_SUBGROUPS / teams),
        .columns = columns / teams,
        .weights = columns / teams * TAPS * (window / s->caps->matrix_k),
    };
}

// As the shader counts it.
static size_t shared_bytes(const struct cdl_shape *s, const struct tile *t) {
    const size_t source = cdl_grouped_source_units(s->caps, t->h, t->w, (uint32_t)s->op->stride, t->channels);
    const size_t sums = (size_t)row_matrices(s, t) * s->caps->matrix_m * (t->channels / 4 + 1);
    return 16 * (source > sums ? source : sums);
}

static bool fits(const struct cdl_shape *s, const struct tile *t, uint32_t window) {
    const struct cdl_caps *caps = s->caps;
    const struct share share = share_of(s, t, window);
    const uint32_t lanes = caps->matrix_subgroup, workgroup = CDL_GROUPED_SUBGROUPS * lanes;
    const uint32_t stride = (uint32_t)s->op->stride;
    const uint32_t source = ((t->h - 1) * stride + 3) * ((t->w - 1) * stride + 3) * t->channels / 8;
    const uint32_t factors = (share.weights * caps->matrix_n + caps->matrix_m) * caps->matrix_k / 2 / lanes;
    const uint32_t sums = share.rows * share.columns * caps->matrix_m * caps->matrix_n / lanes;
    if (caps->software && share.weights * share.rows > MOST_PRODUCTS_SOFTWARE)
        return false;
    return t->channels % window == 0 && workgroup % (t->channels / 8) == 0 &&
           shared_bytes(s, t) <= caps->max_shared_bytes &&
           cdl_matrix_registers_fit(caps, factors, sums + 4 * cdl_div_up(source, workgroup));
}

static struct cdl_kernel describe(const struct cdl_shape *s, const struct tile *t, uint32_t window) {
    const struct cdl_caps *caps = s->caps;
    return (struct cdl_kernel){
        .program =
            {
                .fp16 = true,
                .subgroup_size = caps->matrix_subgroup,
                .constants =
                    {
                        [WORKGROUP] = CDL_GROUPED_SUBGROUPS * caps->matrix_subgroup,
                        CDL_OP_CONSTANTS(s->op),
                        [MATRIX_M] = caps->matrix_m,
                        [MATRIX_N] = caps->matrix_n,
                        [MATRIX_K] = caps->matrix_k,
                        [TILE_H] = t->h,
                        [TILE_W] = t->w,
                        [WINDOW] = window,
                        [CHANNELS] = t->channels,
                        [SUBGROUPS] = CDL_GROUPED_SUBGROUPS,
                        [WORKGROUPS] = RESIDENT * caps->processors,
                    },
            },
        .weights = {cdl_grouped_weights(s, window)},
        .cost = cdl_grouped_matrix_cost(s, t->h, t->w, window, t->channels, shared_bytes(s, t)),
    };
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const uint32_t window = cdl_grouped_window(s), longest[] = {14, 7};
    int n = 0;
    for (size_t i = 0; window && i < CDL_COUNT(longest); i++) {
        if (longest[i] > 7 && s->dst->width <= 7)
            continue; // the smaller tile covers it
        const uint32_t h = cdl_even_side(s->dst->height, 8), w = cdl_even_side(s->dst->width, longest[i]);
        for (uint32_t channels = MOST_CHANNELS; channels >= window && n < cap; channels /= 2) {
            const struct tile t = {h, w, channels};
            const bool spare = channels > window && channels >= 2 * (uint32_t)s->dst_c4 * 4; // half of it is empty
            if (!spare && fits(s, &t, window))
                out[n++] = describe(s, &t, window);
        }
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint32_t *c = k->program.constants;
    const uint64_t tiles = (uint64_t)images * cdl_div_up((uint32_t)s->dst->height, c[TILE_H]) *
                           cdl_div_up((uint32_t)s->dst->width, c[TILE_W]);
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_persistent(out, tiles, cdl_div_up((uint32_t)s->dst_c4 * 4, c[CHANNELS]), c[WORKGROUPS]);
}

const struct cdl_kernel_family cdl_conv_grouped_persist = {
    {"conv_grouped_persist", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
