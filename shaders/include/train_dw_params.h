// train_dw_params.h - push constants of conv_dw*.comp; see train_params.h. A file of its own, for the committed SPIR-V
// in spirv/ depends on it.
#ifndef CDL_TRAIN_DW_PARAMS_H_
#define CDL_TRAIN_DW_PARAMS_H_

#include "conv_params.h"

struct train_dw_params {
    ADDRESS src;             // storage4[images][src_h][src_w][src_c4]
    ADDRESS gradient;        // storage4[images][dst_h][dst_w][dst_c4]
    ADDRESS partial;         // float4[splits][kernel_h][kernel_w][4 span][dst_c4]
    ADDRESS weight_gradient; // float[dst channels][group_src][kernel_h][kernel_w]
    int images, src_h, src_w, src_c4, dst_h, dst_w, dst_c4;
    int group_src, group_dst, dst_channels;
    int span, splits;
    int part;   // of each split but the last: rows of pixels, pixels (conv_dw_tiled, _coop) or tiles (_grouped_coop)
    int pixels; // of the gradient: conv_dw_lanes.comp's last row may be shorter
};

#endif // CDL_TRAIN_DW_PARAMS_H_
