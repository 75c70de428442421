// rank.c - which kernel is tried first: all guesses about speed stand here. The tuner measures; without it, and to
// choose what is worth measuring, the guess decides.
#include <math.h>

#include "kernels/family.h"
#include "kernels/workarounds.h"

// All families: the only place that knows them. A new family is declared and entered here.
#define FAMILIES(X) \
    /* name, rank of its best kernel on a GPU and on a CPU driver */ \
    X(cdl_conv_coop, 1, 60) \
    X(cdl_conv_coop2, 16, 70) /* slower than conv_coop on every shape of an H200: its stores are of single halves */ \
    X(cdl_conv_direct, 20, 20) \
    X(cdl_conv_grouped, 16, 16) \
    X(cdl_conv_grouped_coop, 1, 60) \
    X(cdl_conv_grouped_half, 5, 60) \
    X(cdl_conv_grouped_persist, 2, 60) /* not measured yet: among the first, not the first */ \
    X(cdl_conv_grouped_wide, 10, 10) \
    X(cdl_conv_half, 5, 60) \
    X(cdl_conv_lanes, 16, 16) \
    X(cdl_conv_lanes_wide, 10, 10) \
    X(cdl_conv_pair_coop, 1, 60) \
    X(cdl_conv_pair_persist, 2, 60) /* not measured yet: among the first, not the first */ \
    X(cdl_conv_persist, 1, 60) \
    X(cdl_conv_persist_narrow, 1, 60) \
    X(cdl_conv_tiled, 10, 40) \
    X(cdl_linear, 1, 70) /* a CPU driver converts halves one by one */ \
    X(cdl_batch_norm, 1, 1) \
    X(cdl_max_pool, 1, 1) \
    X(cdl_avg_pool, 1, 1) \
    X(cdl_avg_pool_linear, 1, 1)

#define DECLARE(family, gpu, cpu) extern const struct cdl_kernel_family family;
FAMILIES(DECLARE)
#undef DECLARE

#define ADDRESS_OF(family, gpu, cpu) &family,
static const struct cdl_kernel_family *const families[] = {FAMILIES(ADDRESS_OF)};
#undef ADDRESS_OF

#define RANKS(family, gpu, cpu) {gpu, cpu},
static const struct { int gpu, cpu; } first_rank[] = {FAMILIES(RANKS)};
#undef RANKS

const struct cdl_kernel_family *const *cdl_families(int *count) {
    *count = (int)CDL_COUNT(families);
    return families;
}

static bool prefers_small_tiles(const struct cdl_caps *caps) { return cdl_workarounds(caps) & CDL_SMALL_TILES; }

bool cdl_few_registers(const struct cdl_caps *caps) { return cdl_workarounds(caps) & CDL_FEW_REGISTERS; }

// The limits are what the compilers of docs/results/vendor-shaders.md manage without spilling.
bool cdl_matrix_registers_fit(const struct cdl_caps *caps, uint32_t factors, uint32_t others) {
    const uint32_t flags = cdl_workarounds(caps);
    const uint32_t most = flags & CDL_FEW_REGISTERS ? 64 : flags & CDL_128_REGISTERS ? 104 : 232;
    return caps->software || (flags & CDL_FACTORS_TWICE ? 2 : 1) * factors + others <= most;
}

static int base_rank(const struct cdl_kernel_family *family, const struct cdl_caps *caps) {
    size_t i = 0;
    while (families[i] != family)
        i++;
    if (family == &cdl_conv_grouped && prefers_small_tiles(caps))
        return first_rank[i].cpu + 10;
    return caps->software ? first_rank[i].cpu : first_rank[i].gpu;
}

void cdl_rank_kernels(const struct cdl_caps *caps, struct cdl_kernel *kernels, int count) {
    for (int i = 0; i < count; i++) {
        const int base = base_rank(kernels[i].family, caps);
        kernels[i].rank = base;
        for (int j = 0; j < count; j++)
            kernels[i].rank += base_rank(kernels[j].family, caps) == base &&
                               (kernels[j].cost < kernels[i].cost || (kernels[j].cost == kernels[i].cost && j < i));
    }
}

// ---- costs

enum { UNITS = 128 }; // that run a workgroup at a time on a large GPU; a small one has the same order of tiles

double cdl_tile_cost(const struct cdl_shape *s, uint32_t m, uint32_t n, uint32_t invocations) {
    const uint32_t pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    const uint32_t tiles = cdl_div_up(pixels, m) * cdl_div_up((uint32_t)s->dst_c4 * 4, n);
    // A tile of m x n loads m + n values per m n products: small ones wait for memory.
    const double loads = 1 + 16.0 / m + 16.0 / n;
    return (double)cdl_div_up(tiles, UNITS) * m * n / invocations * loads;
}

// ---- matrix units: microseconds, fitted to what an H200 took for products of the networks' sizes, at batch 1 and 128
// (tests/golden/tuning/h200.txt); a device of another speed has much the same order.

struct matrix_work {
    double pixels, depth, channels; // rows of the product, what a sum adds up, columns
    double megabytes;               // that are read and written at least, without weights
};

static struct matrix_work matrix_work(const struct cdl_shape *s) {
    struct matrix_work w = {
        .pixels = (double)s->images * s->dst->height * s->dst->width,
        .depth = (double)s->op->kernel_h * s->op->kernel_w * s->src_c4 * 4,
        .channels = s->dst_c4 * 4,
    };
    const double read = (double)s->images * s->src->height * s->src->width * s->src_c4 * 4;
    const double written = w.pixels * w.channels;
    w.megabytes = 2e-6 * (read + written * (s->op->residual >= 0 ? 2 : 1));
    return w;
}

static double processors(const struct cdl_caps *caps) { return caps->processors ? caps->processors : UNITS; }

// How many times a processor does what `tiles` of them share; few tiles leave some of them idle.
static double rounds(double tiles, double workers) {
    return tiles < 4 * workers ? ceil(tiles / workers) : tiles / workers;
}

bool cdl_pooling_again_pays(const struct cdl_shape *s, uint32_t columns) {
    // What a processor reads out of the cache in about 4 us, at 64 bytes a cycle: the dispatch saved takes 1.7 us, and
    // then its own reads. Not measured yet.
    enum { MOST_BYTES = 512 << 10 };
    const size_t bytes = (size_t)(s->src->height * s->src->width) * (size_t)s->src_c4 * (s->fp16 ? 8 : 16);
    return !s->caps->software && bytes <= MOST_BYTES && s->images * (double)columns <= processors(s->caps);
}

double cdl_matrix_cost(const struct cdl_shape *s, const struct cdl_matrix_tile *t, uint32_t step) {
    const struct matrix_work w = matrix_work(s);
    const double each = rounds(ceil(w.pixels / t->m) * ceil(w.channels / t->n), processors(s->caps));
    const double depth = ceil(w.depth / step) * step;
    const double staged = (t->m + t->n) * depth; // halves into shared memory, and out of it as matrices
    const double loaded = ((double)t->subgroups_n * t->m + (double)t->subgroups_m * t->n) * depth;
    const double sums = (double)t->splits * t->m * t->n;
    // Large parts of a subgroup, and large workgroups, leave a processor with few that could run while others wait.
    const uint32_t part = t->m / t->subgroups_m * (t->n / t->subgroups_n);
    const double alone = part >= 64 * 64 ? 1.6 : t->splits == 1 && t->subgroups_m * t->subgroups_n > 4 ? 1.2 : 1;
    const double busy = alone * each * (17e-6 * staged + 16e-6 * loaded + 48e-6 * sums + 0.46);
    const double waiting = ceil(each / 3) * 0.3 * depth / step; // for each step's loads, three workgroups at a time
    return 3 + 0.31 * w.megabytes + fmax(busy, waiting);
}

double cdl_persistent_cost(const struct cdl_shape *s, const struct cdl_matrix_tile *t, uint32_t resident) {
    const struct matrix_work w = matrix_work(s);
    const double columns = ceil(w.channels / t->n);
    const double workgroups = fmax(1, floor(resident * processors(s->caps) / columns));
    const double each = resident * ceil(ceil(w.pixels / t->m) / workgroups);
    const double staged = t->m * w.depth, loaded = (double)t->subgroups_n * t->m * w.depth, sums = (double)t->m * t->n;
    const double weights = resident * w.depth * t->n;                   // into registers, before the first product
    const double unknown = t->splits > 1 || cdl_is_narrow(s) ? 2.5 : 1; // never measured: behind what was
    return unknown * (5.4 + 0.17 * w.megabytes + 206e-6 * weights +
                      each * (20e-6 * staged + 2.9e-6 * loaded + 22e-6 * sums + 0.27));
}

double cdl_grouped_matrix_cost(const struct cdl_shape *s, uint32_t h, uint32_t w, uint32_t window, uint32_t channels,
                               size_t shared_bytes) {
    const struct cdl_caps *caps = s->caps;
    const uint32_t stride = (uint32_t)s->op->stride, subgroups = 4, together = 2; // rows of matrices at a time
    const double tiles = (double)s->images * cdl_div_up((uint32_t)s->dst->height, h) *
                         cdl_div_up((uint32_t)s->dst->width, w) * cdl_div_up((uint32_t)s->dst_c4 * 4, channels);
    const double each = rounds(tiles, processors(caps));
    const double source = (double)((h - 1) * stride + 3) * ((w - 1) * stride + 3) * channels;
    // A subgroup's columns of matrices, and its turns for each: what the slowest one does.
    const uint32_t columns = cdl_div_up(channels, caps->matrix_n), teams = columns < subgroups ? columns : subgroups;
    const uint32_t rows = cdl_div_up(h * (w + 2 / stride), caps->matrix_m);
    const uint32_t turns = cdl_div_up(rows, subgroups / teams * together);
    const double products = (double)cdl_div_up(columns, teams) * turns * together * window / caps->matrix_k * 9;
    return 4.2 + each * (41e-6 * source + 25.7e-3 * products + 41e-6 * (double)shared_bytes);
}

// A workgroup's multiply-adds, and its loads and shuffles, which on llvmpipe equal three tenths of a pixel's
// multiply-adds for each pixel and ten pixels' for each column.
double cdl_lanes_cost(const struct cdl_shape *s, uint32_t rows, uint32_t columns) {
    const uint32_t lanes = s->caps->subgroup_size, pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    const uint32_t loads = prefers_small_tiles(s->caps) ? 0 : 3 * rows + 100 * columns;
    return (double)cdl_div_up(pixels, rows) * cdl_div_up((uint32_t)s->dst_c4, lanes * columns) *
           (10 * rows * columns + loads);
}

// An invocation's loads, of 16 bytes, and its multiply-adds, of which a processor does eight in a load's time; a GPU
// that not even such invocations fill takes as long as one of them.
double cdl_grouped_strip_cost(const struct cdl_shape *s, uint32_t channels, uint32_t pixels) {
    const struct cdl_op *op = s->op;
    const double invocations =
        (double)s->images * s->dst->height * cdl_div_up((uint32_t)s->dst->width, pixels) * s->dst_c4 * 4 / channels;
    const double group = (double)s->src->channels / op->groups, taps = op->kernel_h * op->kernel_w;
    const double columns = (double)(pixels - 1) * op->stride + op->kernel_w;
    const double loads = group * (taps + op->kernel_h * columns / 4), products = group * taps * channels * pixels;
    return fmax(1, invocations / (512.0 * processors(s->caps))) * (8 * loads + products);
}

// The largest tile that gives a large GPU enough to do with one image; else the smallest.
double cdl_grouped_tile_cost(const struct cdl_shape *s, uint32_t h, uint32_t w, uint32_t channels, int index) {
    const uint32_t workgroups = cdl_div_up((uint32_t)s->dst->height, h) * cdl_div_up((uint32_t)s->dst->width, w) *
                                cdl_div_up((uint32_t)s->dst_c4 * 4, channels);
    return s->caps->software || workgroups >= UNITS ? index : 1000 - index;
}
