// dw_lanes.c - conv_dw_lanes.comp: dense convolutions on CPU drivers, whose lanes hand values to one another.
#include "train/dw.h"

#define CONSTANTS "conv_dw_lanes_constants.h"
#include "kernels/constants.h"

enum {
    CACHED = 1 << 20, // bytes of the source and the gradient that a part reads
    RUN = 64,         // pixels
};

// For drivers with 64-bit integers, see common.glsl.
static const struct cdl_shader wide = {"conv_dw_lanes_wide", constants, NUM_CONSTANTS};

// Whether pixel i of the result comes of pixel i of the source alone: lines are then whatever length suits.
static bool reads_as_it_lies(const uint32_t *c) {
    return c[KERNEL_H] == 1 && c[KERNEL_W] == 1 && c[STRIDE] == 1 && c[PADDING] == 0;
}

static int list(const struct cdl_shape *s, struct cdl_dw_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    const struct cdl_caps *caps = s->caps;
    const uint32_t lanes = caps->subgroup_size;
    // The first convolution's one block of channels would leave most lanes without any.
    const uint32_t most = 2 * s->src_c4 < 32 ? 2 * (uint32_t)s->src_c4 : 32;
    int n = 0;
    if (op->groups != 1 || !caps->software || !caps->subgroup_shuffle || lanes < 2 || lanes > most)
        return 0;
    // Sums of two columns share what is loaded, as long as they fit a first-level cache.
    for (uint32_t columns = lanes > 8 || cdl_div_up((uint32_t)s->dst_c4, lanes) % 2 ? 1 : 2; columns > 0 && n < cap;
         columns /= 2) {
        struct cdl_dw_kernel *k = &out[n++];
        *k = (struct cdl_dw_kernel){
            .program =
                {
                    .shader = caps->int64 ? &wide : NULL,
                    .subgroup_size = lanes,
                    .constants =
                        {
                            [LANES] = lanes,
                            CDL_KERNEL_SIDES(op),
                            [STRIDE] = (uint32_t)op->stride,
                            [PADDING] = (uint32_t)op->padding,
                            [COLUMNS] = columns,
                            [DEPTH] = 4,
                        },
                },
            .invocations = 1,
        };
        // All workgroups of a part run after one another: what they read stays in a processor's second-level cache.
        const bool runs = reads_as_it_lies(k->program.constants);
        const size_t each = runs ? RUN : (size_t)s->dst->width;
        k->count = runs ? (cdl_dw_pixels(s) + RUN - 1) / RUN : (size_t)s->images * (size_t)s->dst->height;
        k->least = CACHED / (16 * ((size_t)s->src_c4 + (size_t)s->dst_c4) * each);
        k->least = k->least ? k->least : 1;
    }
    return n;
}

static uint64_t launch(const struct cdl_dw_kernel *k, struct train_dw_params *p) {
    const uint32_t *c = k->program.constants;
    if (reads_as_it_lies(c)) {
        p->images = 1;
        p->src_h = p->dst_h = (int)cdl_div_up((uint32_t)p->pixels, RUN);
        p->src_w = p->dst_w = RUN;
    }
    p->splits = (int)cdl_div_up((uint32_t)(p->images * p->dst_h), (uint32_t)p->part);
    return (uint64_t)p->splits * c[KERNEL_H] * c[KERNEL_W] * cdl_div_up((uint32_t)p->src_c4, c[LANES]) *
           cdl_div_up((uint32_t)p->dst_c4, c[LANES] * c[COLUMNS]);
}

const struct cdl_dw_family cdl_dw_lanes = {{"conv_dw_lanes", constants, NUM_CONSTANTS}, list, launch};
