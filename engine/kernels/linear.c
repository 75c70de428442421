// linear.c - linear.comp: the classifier behind the pooled features.
#include "kernels/family.h"

#define CONSTANTS "linear_constants.h"
#include "kernels/constants.h"

enum { BLOCKS = 8, IMAGES = 8 }; // as in linear.comp

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    const struct cdl_op *op = s->op;
    struct cdl_shape stored = *s;
    stored.fp16 = s->session_fp16; // of the weights
    if (cap < 1 || !s->src->fp32 || !s->dst->fp32 || s->src->height * s->src->width != 1 || op->kernel_h != 1 ||
        op->kernel_w != 1 || op->padding != 0 || op->groups != 1 || op->relu || op->residual >= 0)
        return 0;
    *out = (struct cdl_kernel){
        .program = {.fp16 = stored.fp16, .constants = {[WORKGROUP] = s->caps->max_workgroup_size < 256 ? 128 : 256}},
        .weights = {cdl_conv_weights(&stored, BLOCKS, s->src_c4, 0, 0)},
    };
    return 1;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_workgroups(out,
                          (uint64_t)cdl_div_up((uint32_t)images, IMAGES) * cdl_div_up((uint32_t)s->dst_c4, BLOCKS));
}

const struct cdl_kernel_family cdl_linear = {{"linear", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
