// conv_params.h - push constants of every convolution kernel; see params.h. A file of its own, for the committed
// SPIR-V in spirv/ depends on it.
#ifndef CDL_CONV_PARAMS_H_
#define CDL_CONV_PARAMS_H_

#ifdef GL_core_profile
#define ADDRESS uvec2
#else
#include <stdint.h>
#define ADDRESS uint64_t
#endif

struct conv_params {
    ADDRESS src;      // [images][src_h][src_w][src_c4] storage4
    ADDRESS weights;  // see the kernel
    ADDRESS bias;     // float[4 * dst_c4]
    ADDRESS residual; // like dst; read only when the constant ADD_RESIDUAL is set
    ADDRESS dst;      // [images][dst_h][dst_w][dst_c4] storage4
    int images;
    int src_h, src_w, src_c4;
    int dst_h, dst_w, dst_c4;
    int group_src, group_dst; // channels in and out of one group
};

// conv_pair_coop.comp, conv_pair_persist.comp
struct conv_pair_params {
    ADDRESS src;                       // [images][src_h][src_w][src_c4] storage4
    ADDRESS first_weights, first_bias; // of the first convolution, see the kernel; float[4 * src_c4]
    ADDRESS weights, bias;             // of the second, see the kernel; float[4 * dst_c4]
    ADDRESS residual;                  // like dst; read only when the constant ADD_RESIDUAL is set
    ADDRESS dst;                       // [images][dst_h][dst_w][dst_c4] storage4
    int images;
    int src_h, src_w, src_c4;
    int dst_h, dst_w, dst_c4;
};

#endif // CDL_CONV_PARAMS_H_
