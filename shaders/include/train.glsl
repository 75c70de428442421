// train.glsl - what the kernels in shaders/train/ share: storage and indices as in inference, and their push constants.
#include "common.glsl"
#include "train_params.h"

// struct cdl_train_scaling in engine/train/program.h.
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Scaling {
    float scale;
    uint good, skipped;
    float norm, factor;
};

// A gradient from storage. In half precision one beyond its range was stored as the largest finite number: as infinity
// it makes sums that gradient_norm.comp notices.
#ifdef STORAGE_FP16
vec4 beyond_range(vec4 g) {
    return mix(g, vec4(uintBitsToFloat(0x7f800000u)), greaterThanEqual(abs(g), vec4(65504.0)));
}
#define unpack_gradient4(s) beyond_range(unpack4(s))
#else
#define unpack_gradient4(s) unpack4(s)
#endif

// Where block `block` of four output channels begins to read, in blocks of four input channels; weight_layout.c has the
// same line.
int first_source_block(int block, int group_src, int group_dst, int src_c4, int span) {
    return min(4 * block / group_dst * group_src / 4, src_c4 - span);
}
