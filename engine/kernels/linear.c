// linear.c - linear.comp, the classifier behind the pooled features; avg_pool_linear.comp, which pools, too.
#include "kernels/family.h"

#define CONSTANTS "linear_constants.h"
#include "kernels/constants.h"

enum { BLOCKS = 8, IMAGES = 8 }; // as in the shaders
enum { POOLING_SIZE = 512 };     // invocations that a map of many channels keeps busy

static bool is_linear(const struct cdl_shape *s) {
    const struct cdl_op *op = s->op;
    return s->src->fp32 && s->dst->fp32 && s->src->height * s->src->width == 1 && op->kernel_h == 1 &&
           op->kernel_w == 1 && op->padding == 0 && op->groups == 1 && !op->relu && op->residual < 0;
}

static struct cdl_weight_layout weights_of(const struct cdl_shape *s) {
    struct cdl_shape stored = *s;
    stored.fp16 = s->session_fp16; // of the weights
    return cdl_conv_weights(&stored, BLOCKS, s->src_c4, 0, 0);
}

static uint32_t columns_of(const struct cdl_shape *s) { return cdl_div_up((uint32_t)s->dst_c4, BLOCKS); }

static int list(const struct cdl_shape *s, struct cdl_kernel *out, int cap) {
    if (cap < 1 || !is_linear(s))
        return 0;
    *out = (struct cdl_kernel){
        .program = {.fp16 = s->session_fp16,
                    .constants = {[WORKGROUP] = s->caps->max_workgroup_size < 256 ? 128 : 256}},
        .weights = {weights_of(s)},
    };
    return 1;
}

static void launch(const struct cdl_kernel *k, const struct cdl_shape *s, int images, const struct cdl_addresses *at,
                   struct cdl_launch *out) {
    cdl_push_conv(k, s, images, at, out);
    cdl_launch_workgroups(out, (uint64_t)cdl_div_up((uint32_t)images, IMAGES) * columns_of(s));
}

// ---- behind the average

static int list_pooling(const struct cdl_shape *shapes, struct cdl_kernel *out, int cap) {
    const struct cdl_caps *caps = shapes[0].caps;
    uint32_t size = POOLING_SIZE;
    while (size > caps->max_workgroup_size)
        size /= 2;
    if (cap < 1 || !is_linear(&shapes[1]) || 16 * (size_t)(shapes[1].src_c4 + (int)size) > caps->max_shared_bytes)
        return 0;
    *out = (struct cdl_kernel){
        .program = {.fp16 = shapes[1].session_fp16,
                    .constants = {[WORKGROUP] = size, [SOURCE_C4] = (uint32_t)shapes[1].src_c4}},
        .weights = {{0}, weights_of(&shapes[1])},
        .keeps_middle = true,
        .beats_apart = cdl_pooling_again_pays(&shapes[0], columns_of(&shapes[1])),
    };
    return 1;
}

static void launch_pooling(const struct cdl_kernel *k, const struct cdl_shape *s, int images,
                           const struct cdl_addresses *at, struct cdl_launch *out) {
    out->push_bytes = sizeof out->push.avg_pool_linear;
    out->push.avg_pool_linear = (struct avg_pool_linear_params){
        .src = at->src,
        .weights = at->weights[1],
        .bias = at->weights[1] + k->weights[1].bias_offset,
        .features = at->middle,
        .dst = at->dst,
        .images = images,
        .src_h = s[0].src->height,
        .src_w = s[0].src->width,
        .dst_c4 = s[1].dst_c4,
    };
    cdl_launch_workgroups(out, (uint64_t)images * columns_of(&s[1]));
}

const struct cdl_kernel_family cdl_linear = {{"linear", constants, NUM_CONSTANTS}, CDL_OP_CONV, 1, list, launch};
const struct cdl_kernel_family cdl_avg_pool_linear = {
    {"avg_pool_linear", constants, NUM_CONSTANTS}, CDL_OP_AVG_POOL, 2, list_pooling, launch_pooling};
