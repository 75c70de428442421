// pool.c - max_pool.comp and avg_pool.comp, which averages all pixels of an image.
#include "kernels/family.h"

#define CONSTANTS "max_pool_constants.h"
#include "kernels/constants.h"

enum { AVG_BLOCKS = 8, AVG_ROWS = 8 }; // as in avg_pool.comp

static int list_max(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    (void)cap;
    *out = (struct cdl_kernel){
        .program =
            {
                .fp16 = s->fp16,
                .constants =
                    {
                        [WORKGROUP] = CDL_POINTWISE_SIZE,
                        [KERNEL] = (uint32_t)s->op->kernel_h,
                        [STRIDE] = (uint32_t)s->op->stride,
                        [PADDING] = (uint32_t)s->op->padding,
                    },
            },
    };
    return 1;
}

static int list_avg(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    (void)cap;
    *out = (struct cdl_kernel){.program = {.fp16 = s->fp16, .constants = {[WORKGROUP] = AVG_BLOCKS * AVG_ROWS}}};
    return 1;
}

static void push(const struct cdl_shape *s, int images, const struct cdl_addresses *at, struct cdl_launch *out) {
    out->push_bytes = sizeof out->push.pool;
    out->push.pool = (struct pool_params){
        .src = at->src,
        .dst = at->dst,
        .images = images,
        .src_h = s->src->height,
        .src_w = s->src->width,
        .dst_h = s->dst->height,
        .dst_w = s->dst->width,
        .c4 = s->dst_c4,
    };
}

static void launch_max(const struct cdl_kernel *k, const struct cdl_shape *s, int images,
                       const struct cdl_addresses *at, struct cdl_launch *out) {
    (void)k;
    push(s, images, at, out);
    cdl_launch_invocations(out,
                           (uint64_t)images * (uint64_t)s->dst->height * (uint64_t)s->dst->width * (uint64_t)s->dst_c4);
}

static void launch_avg(const struct cdl_kernel *k, const struct cdl_shape *s, int images,
                       const struct cdl_addresses *at, struct cdl_launch *out) {
    (void)k;
    push(s, images, at, out);
    cdl_launch_workgroups(out, (uint64_t)images * cdl_div_up((uint32_t)s->dst_c4, AVG_BLOCKS));
}

const struct cdl_kernel_family cdl_max_pool = {
    {"max_pool", constants, NUM_CONSTANTS}, CDL_OP_MAX_POOL, 1, list_max, launch_max};
const struct cdl_kernel_family cdl_avg_pool = {
    {"avg_pool", cdl_workgroup_constant, 1}, CDL_OP_AVG_POOL, 1, list_avg, launch_avg};
