// conv_grouped.c - conv_grouped.comp: grouped convolution by register tiles.
#include "kernels/family.h"

#define CONSTANTS "conv_grouped_constants.h"
#include "kernels/constants.h"

enum { LANES = 8 }; // of the weights' layout

// `held`: rows of the kernel whose weights an invocation holds at a time, 0: all of them, for a CPU driver, where loads
// are dear. Its last tile is a GPU's, which is tested there.
static const struct tile {
    uint32_t lines, pixels, held;
} gpu_tiles[] = {{1, 4, 1}, {1, 2, 1}, {1, 7, 1}}, cpu_tiles[] = {{2, 7, 0}, {1, 7, 0}, {1, 4, 0}, {1, 4, 1}};

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct tile *tiles = s->caps->software ? cpu_tiles : gpu_tiles;
    const struct cdl_op *op = s->op;
    if (op->groups == 1 || op->kernel_h != op->kernel_w || op->kernel_h > 3)
        return 0;
    const int span = cdl_source_span(s);
    int n = 0;
    const int count = s->caps->software && op->kernel_h > 1 ? CDL_COUNT(cpu_tiles) : CDL_COUNT(gpu_tiles);
    for (int i = 0; i < count && n < cap; i++) {
        const struct tile *t = &tiles[i];
        if (t->lines * t->pixels > 4 && cdl_few_registers(s->caps))
            continue;
        out[n++] = (struct cdl_kernel){
            .program =
                {
                    .fp16 = s->fp16,
                    .constants =
                        {
                            [WORKGROUP] = CDL_POINTWISE_SIZE,
                            [KERNEL] = (uint32_t)op->kernel_h,
                            CDL_OP_CONSTANTS(op),
                            [SPAN] = (uint32_t)span,
                            [LINES] = t->lines,
                            [PIXELS] = t->pixels,
                            [HELD] = t->held ? t->held : (uint32_t)op->kernel_h,
                        },
                },
            .weights = {cdl_conv_weights(s, LANES, span, 0, 0)},
            .cost = s->caps->software ? i : cdl_grouped_strip_cost(s, 4, t->pixels), // a CPU's: in the table's order
        };
    }
    return n;
}

// With 64-bit loads, see WIDE_LOADS in common.glsl.
static int list_wide(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    return s->caps->software && s->caps->int64 ? list(s, out, cap < 3 ? cap : 3) : 0;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    const uint64_t tiles = (uint64_t)cdl_div_up((uint32_t)s->dst->height, k->program.constants[LINES]) *
                           cdl_div_up((uint32_t)s->dst->width, k->program.constants[PIXELS]);
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_invocations(out, (uint64_t)images * tiles * (uint64_t)s->dst_c4);
}

const struct cdl_kernel_family cdl_conv_grouped = {
    {"conv_grouped", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
const struct cdl_kernel_family cdl_conv_grouped_wide = {
    {"conv_grouped_wide", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list_wide, launch};
