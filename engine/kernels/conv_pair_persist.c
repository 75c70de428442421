// conv_pair_persist.c - conv_pair_persist.comp: a grouped 3x3 convolution and the 1x1 behind it in fp16 on matrix units
// whose workgroups live through many tiles, the weights of both in registers.
//
// Unlike conv_pair_coop.c it reads no weights while it runs. What it pays with is the middle once for each column tile:
// one where the registers hold the second's weights whole.
#include "kernels/grouped_window.h"

#define CONSTANTS "conv_pair_persist_constants.h"
#include "kernels/constants.h"

enum { TAPS = CDL_GROUPED_KERNEL * CDL_GROUPED_KERNEL, TOGETHER = 2 }; // as in the shader
enum { NUM_SUBGROUPS = 8 };
enum { PLACES = 24 }; // registers of what is neither matrices nor loads, by the compilers that took most
enum { MOST_PRODUCTS_SOFTWARE = 96 }; // see conv_persist.c

struct tile {
    uint32_t h, w, n; // n: channels out
};

// How the shader divides a tile among its subgroups: matrices of sums of the first convolution and of the second, and
// of weights.
struct share {
    uint32_t rows, first_rows, first_columns, columns, first_weights, weights;
};

static uint32_t stride_of(const struct cdl_shape s[2]) { return (uint32_t)s[0].op->stride; }
static uint32_t middle_of(const struct cdl_shape s[2]) { return (uint32_t)s[1].src_c4 * 4; }

static struct share share_of(const struct cdl_shape s[2], const struct tile *t, uint32_t window) {
    const struct cdl_caps *caps = s[0].caps;
    const uint32_t shift = (CDL_GROUPED_KERNEL - 1) / stride_of(s), all = middle_of(s) / caps->matrix_n;
    const uint32_t teams = all < NUM_SUBGROUPS ? all : NUM_SUBGROUPS;
    struct share out = {.rows = cdl_div_up(t->h * (t->w + shift), caps->matrix_m),
                        .first_columns = all / teams,
                        .columns = t->n / caps->matrix_n / NUM_SUBGROUPS};
    out.first_rows = cdl_div_up(out.rows, NUM_SUBGROUPS / teams);
    out.first_weights = out.first_columns * TAPS * (window / caps->matrix_k);
    out.weights = out.columns * (middle_of(s) / caps->matrix_k);
    return out;
}

// As the shader counts it.
static size_t shared_bytes(const struct cdl_shape s[2], const struct tile *t) {
    const struct cdl_caps *caps = s[0].caps;
    const uint32_t shift = (CDL_GROUPED_KERNEL - 1) / stride_of(s);
    const size_t source = cdl_grouped_source_units(caps, t->h, t->w, stride_of(s), middle_of(s));
    const size_t sums = (size_t)cdl_div_up(t->h * (t->w + shift), caps->matrix_m) * caps->matrix_m * (t->n / 8 + 1);
    return 16 * ((source > sums ? source : sums) + (t->n + middle_of(s)) / 4);
}

// The registers of an invocation where it needs most of them, in the first convolution or in the second.
static bool registers_fit(const struct cdl_shape s[2], const struct tile *t, const struct share *share) {
    const struct cdl_caps *caps = s[0].caps;
    const uint32_t lanes = caps->matrix_subgroup, workgroup = NUM_SUBGROUPS * lanes, stride = stride_of(s);
    const uint32_t source = ((t->h - 1) * stride + 3) * ((t->w - 1) * stride + 3) * middle_of(s) / 8;
    const uint32_t next = 4 * cdl_div_up(source, workgroup);
    const uint32_t added = s[1].op->residual >= 0 ? 4 * cdl_div_up(t->h * t->w * t->n / 8, workgroup) : 0;
    const uint32_t sum = caps->matrix_m * caps->matrix_n / lanes;
    const uint32_t first = share->first_rows * share->first_columns * sum;
    // Those that are done are halves.
    const uint32_t second = share->columns * sum * TOGETHER + share->columns * sum / 2 * share->rows + added;
    const uint32_t factors = ((share->first_weights + share->weights) * caps->matrix_n + TOGETHER * caps->matrix_m) *
                             caps->matrix_k / 2 / lanes;
    return cdl_matrix_registers_fit(caps, factors, PLACES + next + (first > second ? first : second));
}

static bool fits(const struct cdl_shape s[2], const struct tile *t, uint32_t window) {
    const struct cdl_caps *caps = s[0].caps;
    const uint32_t middle = middle_of(s), workgroup = NUM_SUBGROUPS * caps->matrix_subgroup;
    const uint32_t columns = middle / caps->matrix_n;
    const struct share share = share_of(s, t, window);
    const uint32_t products =
        share.first_rows * share.first_weights + share.rows * share.weights; // of matrices, all unrolled
    if (caps->software && products > MOST_PRODUCTS_SOFTWARE)
        return false;
    return workgroup <= caps->max_workgroup_size && workgroup % (middle / 8) == 0 && workgroup % (t->n / 8) == 0 &&
           (columns % NUM_SUBGROUPS == 0 || NUM_SUBGROUPS % columns == 0) && middle % caps->matrix_k == 0 &&
           shared_bytes(s, t) <= caps->max_shared_bytes && registers_fit(s, t, &share);
}

static struct cdl_kernel describe(const struct cdl_shape s[2], const struct tile *t, uint32_t window, int index) {
    const struct cdl_caps *caps = s[0].caps;
    const struct cdl_op *first = s[0].op, *second = s[1].op;
    return (struct cdl_kernel){
        .program =
            {
                .fp16 = true,
                .subgroup_size = caps->matrix_subgroup,
                .constants =
                    {
                        [WORKGROUP] = NUM_SUBGROUPS * caps->matrix_subgroup,
                        [STRIDE] = (uint32_t)first->stride,
                        [PADDING] = (uint32_t)first->padding,
                        [RELU] = second->relu,
                        [ADD_RESIDUAL] = second->residual >= 0,
                        [MATRIX_M] = caps->matrix_m,
                        [MATRIX_N] = caps->matrix_n,
                        [MATRIX_K] = caps->matrix_k,
                        [TILE_H] = t->h,
                        [TILE_W] = t->w,
                        [WINDOW] = window,
                        [MIDDLE] = middle_of(s),
                        [TILE_N] = t->n,
                        [SUBGROUPS] = NUM_SUBGROUPS,
                        [WORKGROUPS] = caps->processors,
                    },
            },
        .half_products = second->residual >= 0, // a rounded sum is what the residual is added to
        .weights = {cdl_grouped_weights(&s[0], window), cdl_conv_weights(&s[1], (int)(t->n / 4), s[1].src_c4, 0, 0)},
        .cost = index,
    };
}

// Column tiles of twice the middle, of as much, or of half of it, the widest that fits: each makes the middle anew.
static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    static const struct { uint32_t h, w; } longest[] = {{4, 14}, {8, 8}, {4, 10}, {4, 8}};
    const struct cdl_caps *caps = s[0].caps;
    const uint32_t window = caps->matrix_half_sums ? cdl_pair_window(s) : 0;
    int n = 0;
    for (uint32_t wide = 2 * middle_of(s); window && n == 0 && wide >= middle_of(s) / 2; wide /= 2)
        for (size_t i = 0; i < CDL_COUNT(longest) && n < cap; i++) {
            const struct tile t = {cdl_even_side(s[1].dst->height, longest[i].h),
                                   cdl_even_side(s[1].dst->width, longest[i].w),
                                   (uint32_t)cdl_align_up(wide, NUM_SUBGROUPS * caps->matrix_n)};
            bool known = false;
            for (int j = 0; j < n && !known; j++)
                known = out[j].program.constants[TILE_H] == t.h && out[j].program.constants[TILE_W] == t.w;
            if (!known && fits(s, &t, window)) {
                out[n] = describe(s, &t, window, n);
                n++;
            }
        }
    return n;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint32_t *c = k->program.constants;
    const uint64_t tiles = (uint64_t)images * cdl_div_up((uint32_t)s[1].dst->height, c[TILE_H]) *
                           cdl_div_up((uint32_t)s[1].dst->width, c[TILE_W]);
    cdl_push_pair(k, s, images, at, out);
    cdl_launch_persistent(out, tiles, cdl_div_up((uint32_t)s[1].dst_c4 * 4, c[TILE_N]), c[WORKGROUPS]);
}

const struct cdl_kernel_family cdl_conv_pair_persist = {
    {"conv_pair_persist", constants, NUM_CONSTANTS}, CDL_OP_CONV, 2, list, launch};
