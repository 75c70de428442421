// conv_pair_coop.c - conv_pair_coop.comp: a grouped 3x3 convolution and the 1x1 behind it in fp16 on matrix units.
//
// It saves what the 3x3 writes and the 1x1 reads, and pays with the second's weights, which every tile of pixels reads
// from the cache, and with matrix units that wait for them. Whether that is faster a measurement must tell.
#include "kernels/grouped_window.h"

#define CONSTANTS "conv_pair_coop_constants.h"
#include "kernels/constants.h"

enum { COLUMNS = 2 }; // matrices of the second convolution that a subgroup makes at a time: TWO in the shader

struct tile {
    uint32_t h, w;
};

// As the shader counts it.
static size_t shared_bytes(const struct tile *t, uint32_t stride, uint32_t chunk, uint32_t middle,
                           const struct cdl_caps *caps) {
    const uint32_t tile_matrices = cdl_div_up(t->h * t->w, caps->matrix_m);
    return 16 * (cdl_grouped_source_units(caps, t->h, t->w, stride, chunk) + cdl_grouped_stage_units(caps) +
                 (size_t)tile_matrices * caps->matrix_m * (middle / 8 + 1));
}

// The most channels of the middle at a time that shared memory has room for; 0: not even a window.
static uint32_t chunk_of(const struct tile *t, uint32_t stride, uint32_t window, uint32_t middle,
                         const struct cdl_caps *caps) {
    uint32_t chunk = CDL_WIDEST_WINDOW;
    while (chunk >= window && (middle % chunk || shared_bytes(t, stride, chunk, middle, caps) > caps->max_shared_bytes))
        chunk /= 2;
    return chunk >= window ? chunk : 0;
}

static int list(const struct cdl_shape *shapes, struct cdl_kernel *out, int cap) {
    static const struct tile longest[] = {{8, 8}, {4, 16}, {4, 8}};
    const struct cdl_caps *caps = shapes[0].caps;
    const struct cdl_op *first = shapes[0].op, *second = shapes[1].op;
    const uint32_t window = cdl_pair_window(shapes), middle = (uint32_t)shapes[1].src_c4 * 4,
                   stride = (uint32_t)first->stride;
    int n = 0;
    for (size_t i = 0; window && i < CDL_COUNT(longest) && n < cap; i++) {
        const struct tile t = {cdl_even_side(shapes[1].dst->height, longest[i].h),
                               cdl_even_side(shapes[1].dst->width, longest[i].w)};
        const uint32_t chunk = chunk_of(&t, stride, window, middle, caps), tile_n = 2 * COLUMNS * caps->matrix_n;
        bool known = chunk == 0;
        for (int j = 0; j < n && !known; j++)
            known = out[j].program.constants[TILE_H] == t.h && out[j].program.constants[TILE_W] == t.w;
        if (known)
            continue;
        out[n] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = true,
                    .subgroup_size = caps->matrix_subgroup,
                    .constants =
                        {
                            [WORKGROUP] = CDL_GROUPED_SUBGROUPS * caps->matrix_subgroup,
                            [STRIDE] = stride,
                            [PADDING] = (uint32_t)first->padding,
                            [RELU] = second->relu,
                            [ADD_RESIDUAL] = second->residual >= 0,
                            [MATRIX_M] = caps->matrix_m,
                            [MATRIX_N] = caps->matrix_n,
                            [MATRIX_K] = caps->matrix_k,
                            [TILE_H] = t.h,
                            [TILE_W] = t.w,
                            [WINDOW] = window,
                            [CHUNK] = chunk,
                            [SUBGROUPS] = CDL_GROUPED_SUBGROUPS,
                            [MIDDLE] = middle,
                            [TILE_N] = tile_n,
                        },
                },
            .weights = {cdl_grouped_weights(&shapes[0], window),
                        cdl_conv_weights(&shapes[1], (int)(tile_n / 4), shapes[1].src_c4, 0, 0)},
            .cost = n,
        };
        n++;
    }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const struct cdl_value *dst = s[1].dst;
    const uint64_t tiles = (uint64_t)cdl_div_up((uint32_t)dst->height, k->program.constants[TILE_H]) *
                           cdl_div_up((uint32_t)dst->width, k->program.constants[TILE_W]);
    cdl_push_pair(k, s, images, at, out);
    cdl_launch_workgroups(out, (uint64_t)images * tiles);
}

const struct cdl_kernel_family cdl_conv_pair_coop = {
    {"conv_pair_coop", constants, NUM_CONSTANTS}, CDL_OP_CONV, 2, list, launch};
