// params.h - push constants, one struct per kernel family, shared by C and GLSL.
//
// ADDRESS is a buffer device address: kernels have no descriptors. In GLSL it is a uvec2, which a kernel turns
// into the reference it needs: SwiftShader cannot convert one reference type to another. Sizes are in
// elements, `_c4` counts groups of four channels. Channels are padded to a multiple of 8 (the network's
// input: 4) with zeros.
#ifndef CDL_PARAMS_H_
#define CDL_PARAMS_H_

#include "conv_params.h"

// batch_norm.comp
struct batch_norm_params {
    ADDRESS src, residual, dst; // [pixels][c4] storage4
    ADDRESS statistics;         // float[4][4 * c4]: weight, bias, mean, variance
    int pixels, c4;
    float epsilon;
};

// max_pool.comp, avg_pool.comp
struct pool_params {
    ADDRESS src; // [images][src_h][src_w][c4]
    ADDRESS dst; // [images][dst_h][dst_w][c4]
    int images, src_h, src_w, dst_h, dst_w, c4;
};

// avg_pool_linear.comp
struct avg_pool_linear_params {
    ADDRESS src;           // [images][src_h][src_w][channels] storage4
    ADDRESS weights, bias; // see the kernel; float[4 * dst_c4]
    ADDRESS features;      // float[images][channels]: the averages
    ADDRESS dst;           // float[images][4 * dst_c4]
    int images, src_h, src_w, dst_c4;
};

// classify.comp
struct classify_params {
    ADDRESS src;    // float[images][src_stride]: the linear layer's output
    ADDRESS logits; // float[images][classes]
    ADDRESS probs;  // float[images][classes]
    ADDRESS order;  // uint[images][sort_size]: class numbers, best first
    int images, classes, src_stride;
    int sort_size; // power of two >= classes
};

// preprocess.comp: one job is a range of rows of one picture's place in the batch
struct preprocess_job {
    ADDRESS pixels;           // packed RGBA8 words; 0: a descriptor names the pixels
    ADDRESS columns;          // int[dst_w] first source column, then int[dst_w][column_taps] coefficients
    ADDRESS rows;             // int[num_rows] first source row, then int[num_rows][row_taps] coefficients
    ADDRESS dst;              // [dst_h][dst_w] storage4, this picture's place
    int base, step_x, step_y; // upright pixel (x, y) lies at word base + x step_x + y step_y; in a view, at column (the
                              // lower 16 bits of that) and row (the upper)
    int column_taps, row_taps;
    int first_row, num_rows;
    int swap_rb; // 1: pixels are BGRA
    int linear;  // 1: a view reads linear light, to be encoded as sRGB
};
struct preprocess_params {
    ADDRESS jobs; // preprocess_job[num_jobs]
    int num_jobs, dst_w, max_rows;
    float mean_r, mean_g, mean_b, std_r, std_g, std_b; // of 0...1
};

// import.comp: planar float tensor to the network's input
struct import_params {
    ADDRESS src; // float[images][3][dst_h][dst_w]
    ADDRESS dst; // [images][dst_h][dst_w] storage4
    int images, dst_h, dst_w;
};

#endif // CDL_PARAMS_H_
