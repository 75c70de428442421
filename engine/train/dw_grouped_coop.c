// dw_grouped_coop.c - conv_dw_grouped_coop.comp: grouped 3x3 convolutions in fp16 on matrix units.
#include "kernels/grouped_window.h"
#include "train/dw.h"

#define CONSTANTS "conv_dw_grouped_coop_constants.h"
#include "kernels/constants.h"

enum {
    WIDEST_WINDOW = 32,  // its sums fill the registers
    LOAD_REGISTERS = 12, // four in flight, and where from: by what compilers took without spilling
};

// Pixels, and the most channels that a workgroup makes of them.
struct tile {
    uint32_t h, w, channels;
};

// Lines of 14 and two more are a matrix's 16; 7 is the last stage's side.
static const struct tile tiles[] = {{4, 14, 64}, {4, 14, 32}, {7, 7, 64}, {7, 7, 32}, {2, 14, 32}, {2, 7, 32}};

// As the shader counts it, as are the next two.
static uint32_t tile_pixels(const struct tile *t, uint32_t stride, const struct cdl_caps *caps) {
    return cdl_div_up(t->h * (t->w + 2 / stride), caps->matrix_k) * caps->matrix_k;
}

static uint32_t source_pixels(const struct tile *t, uint32_t stride, const struct cdl_caps *caps) {
    const uint32_t shift = 2 / stride, pitch = t->w + shift;
    return stride * stride * (tile_pixels(t, stride, caps) + shift * pitch + shift);
}

static size_t shared_bytes(const struct tile *t, uint32_t stride, uint32_t window, const struct cdl_caps *caps) {
    const size_t pixels = tile_pixels(t, stride, caps) + source_pixels(t, stride, caps);
    const size_t tile = pixels * (t->channels / 8 + 1), stage = 3 * t->channels * (window / 4 + 1);
    return 16 * (tile > stage ? tile : stage);
}

static uint32_t workgroup_size(const struct tile *t, uint32_t window, const struct cdl_caps *caps) {
    return 3 * t->channels / window * caps->matrix_subgroup;
}

static bool fits(const struct tile *t, uint32_t stride, uint32_t window, const struct cdl_caps *caps) {
    const uint32_t workgroup = workgroup_size(t, window, caps), lanes = caps->matrix_subgroup;
    const uint32_t units = t->channels / 8;
    const uint32_t loads = cdl_div_up(source_pixels(t, stride, caps) * units, workgroup) +
                           cdl_div_up(tile_pixels(t, stride, caps) * units, workgroup);
    const uint32_t factors = (window * caps->matrix_k + caps->matrix_m * caps->matrix_k) / 2 / lanes;
    return t->channels % window == 0 && workgroup <= caps->max_workgroup_size &&
           shared_bytes(t, stride, window, caps) <= caps->max_shared_bytes &&
           cdl_matrix_registers_fit(caps, factors, 3 * window * window / lanes + LOAD_REGISTERS * loads);
}

// Pixels that are multiplied, those beyond the picture too: to compare tiles by.
static uint64_t cost(const struct cdl_shape *s, const struct tile *t) {
    const uint64_t tiles_h = cdl_div_up((uint32_t)s->dst->height, t->h),
                   tiles_w = cdl_div_up((uint32_t)s->dst->width, t->w);
    return tiles_h * tiles_w * tile_pixels(t, (uint32_t)s->op->stride, s->caps);
}

static int list(const struct cdl_shape *s, struct cdl_dw_kernel *out, int cap) {
    const struct cdl_caps *caps = s->caps;
    const uint32_t window = cdl_grouped_window(s), stride = (uint32_t)s->op->stride;
    uint64_t costs[CDL_COUNT(tiles)];
    int n = 0;
    if (!window || window > WIDEST_WINDOW || window % caps->matrix_m || s->op->padding != 1)
        return 0;
    for (size_t i = 0; i < CDL_COUNT(tiles) && n < cap; i++) {
        const struct tile *t = &tiles[i];
        if (!fits(t, stride, window, caps))
            continue;
        const uint64_t price = cost(s, t);
        int at = n++;
        for (; at > 0 && costs[at - 1] > price; at--) { // the cheapest first
            out[at] = out[at - 1];
            costs[at] = costs[at - 1];
        }
        costs[at] = price;
        const uint32_t workgroup = workgroup_size(t, window, caps);
        out[at] = (struct cdl_dw_kernel){
            .program =
                {
                    .subgroup_size = caps->matrix_subgroup,
                    .constants =
                        {
                            [WORKGROUP] = workgroup,
                            [STRIDE] = stride,
                            [MATRIX_M] = caps->matrix_m,
                            [MATRIX_N] = caps->matrix_n,
                            [MATRIX_K] = caps->matrix_k,
                            [TILE_H] = t->h,
                            [TILE_W] = t->w,
                            [CHANNELS] = t->channels,
                            [WINDOW] = window,
                            [GROUP] = (uint32_t)(s->src->channels / s->op->groups),
                        },
                },
            .count = (size_t)s->images * cdl_div_up((uint32_t)s->dst->height, t->h) *
                     cdl_div_up((uint32_t)s->dst->width, t->w),
            .least = CDL_DW_LEAST / (t->h * t->w) + 1,
            .invocations = (size_t)cdl_div_up(4 * (uint32_t)s->dst_c4, t->channels) * workgroup,
        };
    }
    return n;
}

static uint64_t launch(const struct cdl_dw_kernel *k, struct train_dw_params *p) {
    const uint32_t *c = k->program.constants;
    const uint32_t count =
        (uint32_t)p->images * cdl_div_up((uint32_t)p->dst_h, c[TILE_H]) * cdl_div_up((uint32_t)p->dst_w, c[TILE_W]);
    p->splits = (int)cdl_div_up(count, (uint32_t)p->part);
    return (uint64_t)p->splits * cdl_div_up(4 * (uint32_t)p->dst_c4, c[CHANNELS]);
}

const struct cdl_dw_family cdl_dw_grouped_coop = {{"conv_dw_grouped_coop", constants, NUM_CONSTANTS}, list, launch};
