// rank.c - which kernel is tried first: all guesses about speed stand here. The tuner measures; without it, and to
// choose what is worth measuring, the guess decides.
#include "kernels/family.h"
#include "kernels/workarounds.h"

// All families: the only place that knows them. A new family is declared and entered here.
#define FAMILIES(X) \
    /* name, rank of its best kernel on a GPU and on a CPU driver */ \
    X(cdl_conv_coop, 1, 60) \
    X(cdl_conv_coop2, 8, 70) /* behind conv_coop until a GPU says otherwise: its stores are of single halves */ \
    X(cdl_conv_direct, 20, 20) \
    X(cdl_conv_grouped, 16, 16) \
    X(cdl_conv_grouped_coop, 1, 60) \
    X(cdl_conv_grouped_wide, 10, 10) \
    X(cdl_conv_half, 5, 60) \
    X(cdl_conv_lanes, 16, 16) \
    X(cdl_conv_lanes_wide, 10, 10) \
    X(cdl_conv_pair_coop, 1, 60) \
    X(cdl_conv_tiled, 10, 40) \
    X(cdl_linear, 1, 70) /* a CPU driver converts halves one by one */ \
    X(cdl_batch_norm, 1, 1) \
    X(cdl_max_pool, 1, 1) \
    X(cdl_avg_pool, 1, 1)

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

static int base_rank(const struct cdl_kernel_family *family, const struct cdl_caps *caps) {
    size_t i = 0;
    while (families[i] != family)
        i++;
    if (family == &cdl_conv_grouped && prefers_small_tiles(caps))
        return first_rank[i].cpu + 10;
    return caps->software ? first_rank[i].cpu : first_rank[i].gpu;
}

void cdl_rank_family(const struct cdl_kernel_family *family, const struct cdl_caps *caps, struct cdl_kernel *kernels,
                     int count) {
    const int base = base_rank(family, caps);
    for (int i = 0; i < count; i++) {
        kernels[i].rank = base;
        for (int j = 0; j < count; j++)
            kernels[i].rank += kernels[j].cost < kernels[i].cost || (kernels[j].cost == kernels[i].cost && j < i);
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

// A workgroup's multiply-adds, and its loads and shuffles, which on llvmpipe equal three tenths of a pixel's
// multiply-adds for each pixel and ten pixels' for each column.
double cdl_lanes_cost(const struct cdl_shape *s, uint32_t rows, uint32_t columns) {
    const uint32_t lanes = s->caps->subgroup_size, pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    const uint32_t loads = prefers_small_tiles(s->caps) ? 0 : 3 * rows + 100 * columns;
    return (double)cdl_div_up(pixels, rows) * cdl_div_up((uint32_t)s->dst_c4, lanes * columns) *
           (10 * rows * columns + loads);
}

// The largest tile that gives a large GPU enough to do with one image; else the smallest.
double cdl_grouped_tile_cost(const struct cdl_shape *s, uint32_t h, uint32_t w, uint32_t channels, int index) {
    const uint32_t workgroups = cdl_div_up((uint32_t)s->dst->height, h) * cdl_div_up((uint32_t)s->dst->width, w) *
                                cdl_div_up((uint32_t)s->dst_c4 * 4, channels);
    return s->caps->software || workgroups >= UNITS ? index : 1000 - index;
}
