// train.glsl - what the kernels in shaders/train/ share: storage and indices as in inference, and their push constants.
#include "common.glsl"
#include "train_params.h"

// struct cdl_train_scaling in engine/train/program.h.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Scaling {
    float scale;
    uint good, skipped;
    float norm, factor;
};

// Where block `block` of four output channels begins to read, in blocks of four input channels; weight_layout.c has the
// same line.
int first_source_block(int block, int group_src, int group_dst, int src_c4, int span) {
    return min(4 * block / group_dst * group_src / 4, src_c4 - span);
}
