// dw.c - see dw.h: the families of dW, their order, and what they share.
#include "train/dw.h"

#include <string.h>

#define CONSTANTS "conv_dw_sum_constants.h"
#include "kernels/constants.h"

// All families: the only place that knows them.
#define FAMILIES(X) \
    /* name, rank on a GPU and on a CPU driver: lower is tried first */ \
    X(cdl_dw_coop, 1, 4) /* not measured on hardware yet, as is the next */ \
    X(cdl_dw_grouped_coop, 1, 4) \
    X(cdl_dw_lanes, 4, 1) \
    X(cdl_dw_registers, 3, 2) \
    X(cdl_dw_tiled, 2, 3) /* a CPU driver gathers each lane's loads from shared memory as from any other */

#define DECLARE(family, gpu, cpu) extern const struct cdl_dw_family family;
FAMILIES(DECLARE)
#undef DECLARE

#define ENTRY(family, gpu, cpu) {&family, gpu, cpu},
static const struct {
    const struct cdl_dw_family *family;
    int gpu, cpu;
} families[] = {FAMILIES(ENTRY)};
#undef ENTRY

int cdl_train_parts(size_t wanted, size_t count, size_t least, size_t bytes, int *part) {
    const size_t memory = (size_t)64 << 20;
    size_t parts = wanted > 1 ? wanted : 1;
    parts = parts < memory / bytes + 1 ? parts : memory / bytes + 1;
    parts = parts < count / least + 1 ? parts : count / least + 1;
    *part = (int)((count + parts - 1) / parts);
    return (int)((count + (size_t)*part - 1) / (size_t)*part);
}

// So many parts that they keep the device busy.
static size_t wanted_parts(const struct cdl_caps *caps, const struct cdl_dw_kernel *k) {
    if (caps->software)
        return 512 / k->invocations + 1;
    // A processor hides what loads take with some 500 invocations at least, and four workgroups leave little of it idle
    // when the last ones run. Not one part more: a few workgroups beyond whole rounds would take a round of their own.
    const size_t workgroups = 4 * (size_t)k->program.constants[WORKGROUP];
    return caps->processors * (workgroups > 512 ? workgroups : 512) / k->invocations;
}

// Enough that a column's sum is not one long chain of loads, and four terms for each at least.
static int rows_of_sum(const struct cdl_caps *caps, int parts) {
    int rows = 1;
    while (!caps->software && rows < 16 && parts >= 8 * rows)
        rows *= 2;
    return rows;
}

int cdl_dw_span(const struct cdl_shape *s) { return s->op->groups == 1 ? s->src_c4 : cdl_source_span(s); }

size_t cdl_dw_bytes(const struct cdl_shape *s) {
    return cdl_dw_taps(s->op) * 4 * (size_t)cdl_dw_span(s) * (size_t)s->dst_c4 * 16;
}

int cdl_dw_kernels(const struct cdl_shape *s, struct cdl_dw_kernel *out) {
    int n = 0;
    for (int rank = 1; rank <= (int)CDL_COUNT(families); rank++)
        for (size_t i = 0; i < CDL_COUNT(families); i++) {
            const struct cdl_dw_family *family = families[i].family;
            if ((s->caps->software ? families[i].cpu : families[i].gpu) != rank)
                continue;
            const int from = n;
            n += family->list(s, out + n, CDL_MAX_DW_KERNELS - n);
            for (int k = from; k < n; k++) {
                out[k].family = family;
                if (!out[k].program.shader)
                    out[k].program.shader = &family->shader;
                out[k].program.fp16 = s->fp16;
                out[k].parts = cdl_train_parts(wanted_parts(s->caps, &out[k]), out[k].count, out[k].least,
                                               cdl_dw_bytes(s), &out[k].part);
                out[k].sum_rows = rows_of_sum(s->caps, out[k].parts);
            }
        }
    return n;
}

static uint32_t sum_workgroup(const struct cdl_dw_kernel *k) {
    return k->sum_rows > 1 ? CDL_REDUCE_SIZE : CDL_POINTWISE_SIZE;
}

struct cdl_program cdl_dw_sum(const struct cdl_dw_kernel *k, const struct cdl_shape *s) {
    // For CPU drivers, see WIDE_LOADS in common.glsl.
    static const struct cdl_shader plain = {"conv_dw_sum", constants, NUM_CONSTANTS},
                                   wide = {"conv_dw_sum_wide", constants, NUM_CONSTANTS};
    return (struct cdl_program){
        .shader = s->caps->software && s->caps->int64 ? &wide : &plain,
        .constants =
            {
                [WORKGROUP] = sum_workgroup(k),
                CDL_KERNEL_SIDES(s->op),
                [WHOLE_BLOCKS] = s->dst->channels / s->op->groups % 4 == 0,
                [FOURS] = s->src->channels / s->op->groups % 4 == 0,
                [ROWS] = (uint32_t)k->sum_rows,
            },
    };
}

void cdl_dw_launch(const struct cdl_dw_kernel *k, bool sum, const struct cdl_shape *s, int images,
                   const struct cdl_dw_addresses *at, struct cdl_launch *out) {
    const struct cdl_op *op = s->op;
    struct train_dw_params p = {
        .src = at->src,
        .gradient = at->gradient,
        .partial = at->partial,
        .weight_gradient = at->weight_gradient,
        .images = images,
        .src_h = s->src->height,
        .src_w = s->src->width,
        .src_c4 = s->src_c4,
        .dst_h = s->dst->height,
        .dst_w = s->dst->width,
        .dst_c4 = s->dst_c4,
        .group_src = s->src->channels / op->groups,
        .group_dst = s->dst->channels / op->groups,
        .dst_channels = s->dst->channels,
        .span = cdl_dw_span(s),
        .part = k->part,
        .pixels = images * s->dst->height * s->dst->width,
    };
    memset(out, 0, sizeof *out);
    const uint64_t workgroups = k->family->launch(k, &p);
    if (sum)
        cdl_launch_columns(out,
                           (uint64_t)cdl_dw_taps(op) * cdl_div_up((uint32_t)p.dst_c4, 4) *
                               cdl_div_up((uint32_t)p.group_src, 4) * 4,
                           sum_workgroup(k), (uint32_t)k->sum_rows);
    else
        cdl_launch_workgroups(out, workgroups);
    _Static_assert(sizeof p <= CDL_MAX_PUSH_BYTES, "push constants");
    memcpy(out->push.bytes, &p, sizeof p);
    out->push_bytes = sizeof p;
}
