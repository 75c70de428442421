// cases.c - the case table. Sizes are small and odd: what goes wrong does so at edges.
#include "support/cases.h"

#include <stdio.h>
#include <string.h>

#define RELU .relu = true
#define RES .residual = true
#define NORM .norm = true
#define SQUARE(n, h, w, from, to, k, s, p, g) \
    .kind = CASE_CONV, .images = n, .height = h, .width = w, .channels = from, .dst_channels = to, .kernel_h = k, \
    .kernel_w = k, .stride = s, .padding = p, .groups = g
#define CONV(...) \
    { SQUARE(__VA_ARGS__) }
#define CONV_WITH(with, ...) \
    { SQUARE(__VA_ARGS__), with }
#define COMMA , // between two options of CONV_WITH
#define RECTANGLE(n, h, w, from, to, kh, kw, s, p, g) \
    { \
        .kind = CASE_CONV, .images = n, .height = h, .width = w, .channels = from, .dst_channels = to, .kernel_h = kh, \
        .kernel_w = kw, .stride = s, .padding = p, .groups = g \
    }
#define LINEAR(n, from, to) \
    { \
        .kind = CASE_LINEAR, .images = n, .height = 1, .width = 1, .channels = from, .dst_channels = to, \
        .kernel_h = 1, .kernel_w = 1, .stride = 1, .groups = 1 \
    }
#define NORMED(n, h, w, c, ...) \
    { \
        .kind = CASE_BATCH_NORM, .images = n, .height = h, .width = w, .channels = c, .dst_channels = c, .stride = 1, \
        __VA_ARGS__ \
    }
#define MAX_POOL(n, h, w, c, k, s, p) \
    { \
        .kind = CASE_MAX_POOL, .images = n, .height = h, .width = w, .channels = c, .dst_channels = c, .kernel_h = k, \
        .kernel_w = k, .stride = s, .padding = p \
    }
#define AVG_POOL(n, h, w, c) \
    { .kind = CASE_AVG_POOL, .images = n, .height = h, .width = w, .channels = c, .dst_channels = c }
#define AVG_POOL_LINEAR(n, h, w, from, to) \
    { \
        .kind = CASE_AVG_POOL_LINEAR, .images = n, .height = h, .width = w, .channels = from, .dst_channels = to, \
        .kernel_h = 1, .kernel_w = 1, .stride = 1, .groups = 1 \
    }
#define CLASSIFY(n, classes) \
    { .kind = CASE_CLASSIFY, .images = n, .height = 1, .width = 1, .channels = classes, .dst_channels = classes }
#define IMPORT(n, h, w) \
    { .kind = CASE_IMPORT, .images = n, .height = h, .width = w, .channels = 3, .dst_channels = 3 }
#define PREPROCESS(w, h, short_side, ch, cw, turn) \
    { \
        .kind = CASE_PREPROCESS, .images = 1, .height = h, .width = w, .channels = 3, .dst_channels = 3, \
        .resize = short_side, .crop_height = ch, .crop_width = cw, .orientation = turn \
    }
#define BICUBIC(w, h, short_side, ch, cw, turn) \
    { \
        .kind = CASE_PREPROCESS, .images = 1, .height = h, .width = w, .channels = 3, .dst_channels = 3, \
        .resize = short_side, .crop_height = ch, .crop_width = cw, .orientation = turn, .bicubic = true \
    }

const struct op_case op_cases[] = {
    // images, height, width, channels, to, kernel, stride, padding, groups
    // ---- 1x1: the two of a bottleneck, the downsample, and what does not divide
    CONV(1, 1, 1, 8, 8, 1, 1, 0, 1),
    CONV(1, 1, 1, 1, 1, 1, 1, 0, 1),
    CONV(2, 7, 7, 64, 128, 1, 1, 0, 1),
    CONV_WITH(RELU COMMA NORM, 1, 14, 14, 128, 64, 1, 1, 0, 1),
    CONV_WITH(RELU COMMA RES COMMA NORM, 2, 7, 5, 64, 256, 1, 1, 0, 1),
    CONV_WITH(RELU COMMA RES, 5, 3, 3, 40, 72, 1, 1, 0, 1),
    CONV(5, 9, 7, 20, 36, 1, 1, 0, 1),
    CONV_WITH(RES, 1, 33, 47, 12, 17, 1, 1, 0, 1),
    CONV_WITH(RELU, 2, 13, 11, 3, 9, 1, 1, 0, 1),
    CONV(1, 5, 6, 256, 24, 1, 1, 0, 1),
    CONV(1, 2, 3, 1030, 70, 1, 1, 0, 1),
    CONV_WITH(NORM, 2, 14, 14, 64, 128, 1, 2, 0, 1),
    CONV(5, 7, 9, 24, 40, 1, 2, 0, 1),
    CONV(1, 10, 8, 16, 16, 1, 3, 0, 1),
    CONV(1, 4, 5, 8, 16, 1, 1, 1, 1), // padding under a 1x1: a frame of bias
    CONV(1, 6, 5, 24, 24, 1, 1, 0, 3),
    CONV_WITH(RELU, 2, 4, 4, 32, 64, 1, 1, 0, 8),
    // Workgroups that live through many tiles of pixels: the last tile of pixels and of channels not full.
    CONV_WITH(RELU COMMA NORM, 2, 19, 17, 64, 136, 1, 1, 0, 1),
    CONV_WITH(RELU COMMA RES COMMA NORM, 3, 11, 13, 16, 264, 1, 1, 0, 1),
    CONV_WITH(NORM, 3, 15, 11, 64, 88, 1, 2, 0, 1),
    CONV_WITH(RELU COMMA NORM, 2, 15, 13, 3, 40, 3, 2, 1, 1), // such a stem
    // ---- 3x3 dense: basic blocks and small-image stems
    CONV(1, 1, 1, 8, 8, 3, 1, 1, 1),
    CONV_WITH(RELU COMMA NORM, 1, 8, 8, 3, 64, 3, 1, 1, 1),
    CONV_WITH(RELU COMMA RES COMMA NORM, 2, 7, 9, 64, 64, 3, 1, 1, 1),
    CONV(5, 5, 5, 13, 21, 3, 1, 1, 1),
    CONV_WITH(RELU, 2, 15, 11, 16, 24, 3, 2, 1, 1),
    CONV(1, 33, 47, 4, 8, 3, 2, 1, 1),
    CONV(1, 9, 9, 8, 8, 3, 1, 0, 1),
    CONV(1, 7, 6, 8, 16, 3, 3, 1, 1),
    CONV(1, 4, 3, 8, 8, 3, 1, 3, 1), // padding beyond the kernel's reach
    // ---- 3x3 grouped: ResNeXt. Channels per group 1, 2, 3, 4, 6, 8, 16, 32, 64
    CONV(1, 5, 7, 8, 8, 3, 1, 1, 8),
    CONV_WITH(RELU, 2, 9, 9, 32, 32, 3, 2, 1, 32),
    CONV(1, 6, 5, 13, 13, 3, 1, 1, 13),
    CONV(1, 7, 7, 12, 24, 3, 1, 1, 12), // depthwise with a multiplier
    CONV_WITH(RELU COMMA NORM, 1, 6, 6, 64, 64, 3, 1, 1, 32),
    CONV(1, 5, 6, 24, 24, 3, 1, 1, 8),
    CONV(2, 5, 6, 21, 21, 3, 2, 1, 7),
    CONV_WITH(RELU COMMA NORM, 1, 14, 14, 128, 128, 3, 1, 1, 32),
    CONV_WITH(RELU COMMA NORM, 2, 13, 11, 128, 128, 3, 2, 1, 32),
    CONV_WITH(RELU COMMA NORM, 5, 7, 7, 64, 64, 3, 1, 1, 16),
    CONV_WITH(RELU, 9, 4, 5, 32, 32, 3, 1, 1, 8), // more images than workgroups that live through many tiles
    CONV(1, 33, 47, 8, 8, 3, 1, 1, 2),
    CONV(1, 6, 7, 24, 24, 3, 1, 1, 4),
    CONV(1, 5, 5, 36, 18, 3, 1, 1, 6), // 6 in, 3 out per group
    CONV_WITH(RELU COMMA NORM, 1, 9, 7, 256, 256, 3, 1, 1, 32),
    CONV_WITH(RELU COMMA NORM, 2, 8, 8, 64, 64, 3, 2, 1, 8),
    CONV_WITH(RELU, 1, 7, 7, 64, 64, 3, 1, 1, 4),
    CONV(1, 4, 5, 512, 512, 3, 1, 1, 32),
    CONV(1, 5, 4, 96, 96, 3, 1, 1, 3),
    CONV_WITH(NORM, 1, 3, 5, 1024, 1024, 3, 1, 1, 32),
    CONV(2, 3, 3, 128, 128, 3, 2, 1, 2),
    CONV(1, 4, 4, 256, 256, 3, 1, 1, 64),
    CONV_WITH(RES COMMA RELU, 1, 6, 6, 48, 24, 3, 1, 1, 4), // 12 in, 6 out per group
    CONV_WITH(RES, 2, 5, 5, 20, 20, 3, 1, 1, 2),
    // ---- 5x5, 7x7: the ImageNet stem and its like
    CONV(1, 11, 9, 6, 10, 5, 1, 2, 1),
    CONV_WITH(RELU, 1, 9, 12, 16, 16, 5, 2, 2, 4),
    CONV_WITH(RELU COMMA NORM, 1, 32, 32, 3, 64, 7, 2, 3, 1),
    CONV_WITH(RELU, 2, 33, 47, 3, 5, 7, 2, 3, 1),
    CONV(5, 7, 7, 3, 8, 7, 2, 3, 1),
    CONV(1, 13, 10, 8, 8, 7, 3, 3, 2),
    CONV(1, 2, 3, 3, 16, 7, 1, 3, 1), // the picture is smaller than the kernel
    // ---- rectangles: height then width
    RECTANGLE(1, 6, 9, 8, 16, 1, 3, 1, 0, 1),
    RECTANGLE(2, 9, 6, 12, 12, 3, 1, 2, 1, 1),
    RECTANGLE(1, 8, 8, 16, 16, 3, 5, 1, 2, 4),

    LINEAR(1, 64, 10),
    LINEAR(2, 512, 1000),
    LINEAR(5, 20, 3),
    LINEAR(1, 9, 1),
    LINEAR(5, 2048, 37),

    NORMED(1, 1, 1, 8, .relu = false),
    NORMED(2, 7, 5, 24, RELU),
    NORMED(5, 3, 4, 13, RES),
    NORMED(1, 33, 47, 20, RELU, RES),

    MAX_POOL(1, 1, 1, 8, 3, 2, 1),
    MAX_POOL(2, 33, 47, 64, 3, 2, 1),
    MAX_POOL(5, 8, 8, 13, 3, 2, 1),
    MAX_POOL(1, 9, 6, 24, 3, 1, 1),
    MAX_POOL(1, 8, 10, 16, 2, 2, 0),
    MAX_POOL(1, 7, 9, 5, 5, 3, 2),

    AVG_POOL(1, 1, 1, 8),
    AVG_POOL(2, 7, 7, 64),
    AVG_POOL(5, 3, 2, 13),
    AVG_POOL(1, 33, 47, 20),
    AVG_POOL(2, 10, 5, 2048),
    AVG_POOL(1, 224, 224, 8), // what a network of small strides leaves

    AVG_POOL_LINEAR(1, 1, 1, 8, 8),
    AVG_POOL_LINEAR(1, 7, 7, 2048, 1000),
    AVG_POOL_LINEAR(5, 3, 2, 13, 3),
    AVG_POOL_LINEAR(2, 1, 9, 516, 37), // a line longer than what is on its way at a time; not every slice has as much
    AVG_POOL_LINEAR(3, 17, 8, 64, 70),

    CLASSIFY(1, 1),
    CLASSIFY(2, 2),
    CLASSIFY(5, 10),
    CLASSIFY(1, 37),
    CLASSIFY(2, 128),
    CLASSIFY(2, 257),
    CLASSIFY(5, 1000),
    CLASSIFY(1, 1001),
    CLASSIFY(1, 21841),

    IMPORT(1, 1, 1),
    IMPORT(2, 33, 47),
    IMPORT(5, 32, 32),

    // width, height, resize, crop height, crop width, orientation
    PREPROCESS(3, 5, 8, 7, 7, 1),
    PREPROCESS(32, 32, 32, 32, 32, 1),
    PREPROCESS(100, 75, 32, 28, 30, 1),
    PREPROCESS(75, 100, 32, 28, 30, 2),
    PREPROCESS(64, 48, 40, 33, 47, 3),
    PREPROCESS(48, 64, 40, 33, 47, 4),
    PREPROCESS(61, 47, 24, 24, 24, 5),
    PREPROCESS(61, 47, 24, 24, 20, 6),
    PREPROCESS(47, 61, 24, 20, 24, 7),
    PREPROCESS(47, 61, 24, 24, 24, 8),
    PREPROCESS(1, 200, 20, 16, 16, 1),
    PREPROCESS(500, 333, 16, 16, 16, 6),
    PREPROCESS(12, 9, 9, 20, 25, 1), // a black border around the picture
    PREPROCESS(1, 1, 1, 1, 1, 1),
    BICUBIC(3, 5, 8, 7, 7, 1),
    BICUBIC(32, 32, 32, 32, 32, 1),
    BICUBIC(100, 75, 32, 28, 30, 1),
    BICUBIC(64, 48, 40, 33, 47, 3),
    BICUBIC(61, 47, 24, 24, 20, 6),
    BICUBIC(1, 200, 20, 16, 16, 1),
    BICUBIC(12, 9, 9, 20, 25, 8), // a black border around the picture
    BICUBIC(2, 1, 1, 1, 1, 1),
};
const int num_op_cases = sizeof op_cases / sizeof op_cases[0];

static int reach(const struct op_case *c, int size, int kernel) {
    if (c->kind == CASE_AVG_POOL || c->kind == CASE_AVG_POOL_LINEAR)
        return 1;
    return c->kind == CASE_CONV || c->kind == CASE_MAX_POOL ? (size + 2 * c->padding - kernel) / c->stride + 1 : size;
}

int case_dst_height(const struct op_case *c) { return reach(c, c->height, c->kernel_h); }
int case_dst_width(const struct op_case *c) { return reach(c, c->width, c->kernel_w); }

void case_text(const struct op_case *c, char *out, size_t size) {
    static const char *const kinds[] = {
        "conv",       "linear", "batch norm", "max-pool", "avg-pool", "avg-pool and linear", "softmax and top-k",
        "preprocess", "import"};
    int n = snprintf(out, size, "%s %dx%dx%d, %d -> %d channels", kinds[c->kind], c->images, c->height, c->width,
                     c->channels, c->dst_channels);
    if (c->kind == CASE_CONV || c->kind == CASE_MAX_POOL)
        n += snprintf(out + n, size - (size_t)n, ", kernel %dx%d, stride %d, padding %d, groups %d", c->kernel_h,
                      c->kernel_w, c->stride, c->padding, c->groups);
    if (c->kind == CASE_PREPROCESS)
        n += snprintf(out + n, size - (size_t)n, ", %s resize %d, crop %dx%d, orientation %d",
                      c->bicubic ? "bicubic" : "bilinear", c->resize, c->crop_height, c->crop_width, c->orientation);
    snprintf(out + n, size - (size_t)n, "%s%s%s", c->relu ? ", relu" : "", c->residual ? ", residual" : "",
             c->norm ? ", batch norm" : "");
}
