// tiles.c - what the families that compute in tiles of pixels x channels share.
#include "kernels/conv.h"

bool cdl_few_registers(const struct cdl_caps *caps) { return !caps->software && caps->max_shared_bytes <= 32768; }

void cdl_launch_tiles(struct cdl_launch *launch, const struct conv_params *p, uint32_t m, uint32_t n) {
    const uint64_t pixels = (uint64_t)p->images * (uint64_t)p->dst_h * (uint64_t)p->dst_w;
    cdl_launch_workgroups(launch, (pixels + m - 1) / m * cdl_div_up((uint32_t)p->dst_c4 * 4, n));
}

double cdl_tile_cost(const struct cdl_conv_shape *s, uint32_t m, uint32_t n, uint32_t invocations) {
    const uint32_t units =
        128; // that run a workgroup at a time on a large GPU; a small one has the same order of tiles
    const uint32_t pixels = (uint32_t)s->dst->height * (uint32_t)s->dst->width;
    const uint32_t tiles = cdl_div_up(pixels, m) * cdl_div_up((uint32_t)s->dst_c4 * 4, n);
    // A tile of m x n loads m + n values per m n products: small ones wait for memory.
    const double loads = 1 + 16.0 / m + 16.0 / n;
    return (double)cdl_div_up(tiles, units) * m * n / invocations * loads;
}

void cdl_rank_by_cost(struct cdl_kernel *kernels, const double *cost, int count, int base) {
    for (int i = 0; i < count; i++) {
        kernels[i].rank = base;
        for (int j = 0; j < count; j++)
            kernels[i].rank += cost[j] < cost[i] || (cost[j] == cost[i] && j < i);
    }
}
