// conv_grouped_coop.c - conv_grouped_coop.comp: grouped 3x3 convolution in fp16 on matrix units.
#include "kernels/grouped_window.h"

#define CONSTANTS "conv_grouped_coop_constants.h"
#include "kernels/constants.h"

enum { MOST_CHANNELS = 64 };

struct tile {
    uint32_t h, w, channels;
};

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
                    },
            },
        .weights = {cdl_grouped_weights(s, window)},
        .cost = cdl_grouped_matrix_cost(
            s, t->h, t->w, window, t->channels,
            16 * cdl_grouped_source_units(caps, t->h, t->w, (uint32_t)s->op->stride, t->channels)),
    };
}

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const uint32_t window = cdl_grouped_window(s), longest[] = {14, 7};
    int n = 0;
    if (!window)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(longest); i++) {
        if (longest[i] > 7 && s->dst->width <= 7)
            continue; // the smaller tile covers it
        const uint32_t h = cdl_even_side(s->dst->height, 8), w = cdl_even_side(s->dst->width, longest[i]);
        for (uint32_t channels = MOST_CHANNELS; channels >= window && n < cap; channels /= 2) {
            const struct tile t = {h, w, channels};
            const bool spare = channels > window && channels >= 2 * (uint32_t)s->dst_c4 * 4; // half of it is empty
            const size_t units =
                cdl_grouped_source_units(caps, h, w, (uint32_t)s->op->stride, channels) + cdl_grouped_stage_units(caps);
            if (channels % window || spare || 16 * units > caps->max_shared_bytes)
                continue;
            out[n++] = describe(s, &t, window);
        }
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint64_t tiles = (uint64_t)cdl_div_up((uint32_t)s->dst->height, k->program.constants[TILE_H]) *
                           cdl_div_up((uint32_t)s->dst->width, k->program.constants[TILE_W]);
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_workgroups(out, (uint64_t)images * tiles *
                                   cdl_div_up((uint32_t)s->dst_c4 * 4, k->program.constants[CHANNELS]));
}

const struct cdl_kernel_family cdl_conv_grouped_coop = {
    {"conv_grouped_coop", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
