// batch_norm.c - batch_norm.comp: a batch norm that was not folded into the convolution before it.
#include "kernels/family.h"

#define CONSTANTS "batch_norm_constants.h"
#include "kernels/constants.h"

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    (void)cap;
    *out = (struct cdl_kernel){
        .program =
            {
                .fp16 = s->fp16,
                .constants =
                    {
                        [WORKGROUP] = CDL_POINTWISE_SIZE,
                        [RELU] = s->op->relu,
                        [ADD_RESIDUAL] = s->op->residual >= 0,
                    },
            },
        .weights = {{.bytes = (size_t)s->dst_c4 * 64}},
    };
    return 1;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    (void)k;
    out->push_bytes = sizeof out->push.batch_norm;
    out->push.batch_norm = (struct batch_norm_params){
        .src = at->src,
        .residual = at->residual,
        .dst = at->dst,
        .statistics = at->weights[0],
        .pixels = images * s->dst->height * s->dst->width,
        .c4 = s->dst_c4,
        .epsilon = CDL_BATCH_NORM_EPSILON,
    };
    cdl_launch_invocations(out, (uint64_t)out->push.batch_norm.pixels * (uint64_t)s->dst_c4);
}

const struct cdl_kernel_family cdl_batch_norm = {
    {"batch_norm", constants, NUM_CONSTANTS}, CDL_OP_BATCH_NORM, 1, list, launch};
