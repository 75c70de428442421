// train_params.h - push constants of the kernels in shaders/train/; see params.h for the habits.
//
// `parameters` is what the trainer keeps of a tensor: float, in PyTorch's order. Values of the network and their
// gradients are storage4 [images][height][width][c4], as in inference.
#ifndef CDL_TRAIN_PARAMS_H_
#define CDL_TRAIN_PARAMS_H_

#include "conv_params.h"
#include "train_dw_params.h"

// pack_weights.comp; sizes are those of the convolution that will read `dst`
struct train_pack_params {
    ADDRESS weight;  // float[dst channels][group_src][kernel_h][kernel_w]; TRANSPOSED: of the forward convolution
    ADDRESS bias;    // float[4 * dst_c4], read with HAS_BIAS
    ADDRESS dst;     // the layout of engine/kernels/weight_layout.h
    int bias_offset; // bytes from dst
    int lanes, span, tap_columns, rows, blocks; // of the layout; blocks: a multiple of lanes
    int kernel_h, kernel_w;
    int src_c4, dst_c4, dst_channels, group_src, group_dst;
};

// norm_sums.comp, norm_finish.comp, norm_apply.comp
struct train_norm_params {
    ADDRESS src;        // storage4[pixels][c4]: what is normalised
    ADDRESS residual;   // like src
    ADDRESS dst;        // like src
    ADDRESS partial;    // float4[chunks][2][c4]: mean and sum of squared distances from it, of a chunk's pixels
    ADDRESS statistics; // float4[2][c4]: mean, 1 / sqrt(variance + epsilon)
    ADDRESS weight, bias, mean, variance; // parameters, float4[c4]; the last two are running statistics
    int pixels, c4, chunks, chunk;        // chunk: pixels of each but the last
    float momentum, epsilon;
};

// norm_back_sums.comp, norm_back_finish.comp, norm_back_apply.comp
struct train_norm_back_params {
    ADDRESS src, dst;     // storage4[pixels][c4]: the forward step's source and result
    ADDRESS gradient;     // like dst: the loss by dst; norm_back_apply: by what the ReLU got, where that was kept
    ADDRESS masked;       // like dst: the loss by what the ReLU got, written with WRITE_MASKED
    ADDRESS src_gradient; // like src
    ADDRESS partial;      // float4[chunks][2][c4]
    ADDRESS sums;         // float4[2][c4]: of masked, and of masked * normalised source
    ADDRESS statistics, weight, bias;       // as in train_norm_params
    ADDRESS weight_gradient, bias_gradient; // float4[c4]
    int pixels, c4, chunks, chunk;
};

// conv_dx.comp; dx_spread.comp, whose gradient has the source's channels
struct train_dx_params {
    ADDRESS gradient;     // storage4[images][dst_h][dst_w][dst_c4]: the loss by the convolution's result
    ADDRESS weights;      // as conv_direct.comp reads them, of the transposed convolution
    ADDRESS added;        // like src_gradient, read with ADD
    ADDRESS src_gradient; // storage4[images][src_h][src_w][src_c4]
    int images, src_h, src_w, src_c4, dst_h, dst_w, dst_c4;
    int group_src, group_dst; // channels in and out of one group of the forward convolution
};

// bias_gradient.comp
struct train_bias_params {
    ADDRESS gradient;      // storage4[pixels][c4]
    ADDRESS bias_gradient; // float4[c4]
    int pixels, c4;
};

// max_pool_keep.comp, max_pool_back.comp, avg_pool_back.comp
struct train_pool_params {
    ADDRESS src;          // storage4[images][src_h][src_w][c4]
    ADDRESS dst;          // storage4[images][dst_h][dst_w][c4]
    ADDRESS positions;    // uint[images][dst_h][dst_w][c4]: a byte a channel, where in its window the largest lies
    ADDRESS gradient;     // like dst
    ADDRESS src_gradient; // like src
    int images, src_h, src_w, dst_h, dst_w, c4;
};

// cross_entropy.comp, cross_entropy_sum.comp
struct train_target {
    int label, other;
    float share; // of the label; the rest is the other's
    int unused;
};
struct train_loss_params {
    ADDRESS logits;   // float[images][stride]
    ADDRESS targets;  // train_target[images]
    ADDRESS gradient; // float[images][stride]: of the batch's mean loss, times the scale
    ADDRESS scaling;  // see struct cdl_train_scaling
    ADDRESS each;     // float[images][2]: an image's loss, and 1 where its label has the largest logit
    ADDRESS result;   // float[2]: the mean of the first, the sum of the second
    int images, classes, stride;
    float smoothing;
};

// gradient_sums.comp, gradient_norm.comp
struct train_gradient_params {
    ADDRESS gradients;         // float4[count4]: all of them
    ADDRESS partial;           // float[chunks]
    ADDRESS scaling;           // see struct cdl_train_scaling
    int count4, chunks, chunk; // chunk: blocks of four of each but the last
    int scales;                // 1: the loss scale follows what happens; 0: it stays
    float most;                // the norm that gradients are clipped to; 0: they are not
};

// sgd.comp
struct train_sgd_params {
    ADDRESS parameters, momentum, gradients; // float4[count4]
    ADDRESS rates;                           // float[1]: the learning rate; float[1]: for average.comp
    ADDRESS scaling;                         // see struct cdl_train_scaling
    int count4;
    float decay, keep; // of a parameter into its gradient; of the momentum into itself
};

// average.comp
struct train_average_params {
    ADDRESS parameters, averages; // float4[count4]
    ADDRESS rates;                // as in train_sgd_params; the second is the share of the parameters
    int count4;
};

// gradient_mix.comp
struct train_mix_params {
    ADDRESS sum, gradient, dst; // float4[count4]
    int count4;
    float of_sum, of_gradient; // factors
};

// jitter.comp
struct train_jitter {
    float brightness, contrast, saturation; // factors; 1: as it is
    int order; // what comes first to third, two bits each from the lowest: 0 brightness, 1 contrast, 2 saturation
};
struct train_jitter_params {
    ADDRESS pictures; // storage4[images][pixels]
    ADDRESS jitters;  // train_jitter[images]
    int images, pixels;
    float mean_r, mean_g, mean_b, std_r, std_g, std_b; // of 0...1
};

// mixup.comp
struct train_mixup_params {
    ADDRESS pictures; // storage4[images][pixels]
    int images, pixels;
    float share; // of a picture's own
};

#endif // CDL_TRAIN_PARAMS_H_
