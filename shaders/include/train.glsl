// train.glsl - what the kernels in shaders/train/ share: storage and indices as in inference, and their push constants.
#include "common.glsl"
#include "train_params.h"

// Four floats; with WIDE_LOADS (see common.glsl) by half as many gathers on a CPU driver.
#ifdef WIDE_LOADS
layout(buffer_reference, std430, buffer_reference_align = 16) buffer WideFloats4 { u64vec2 v[]; };
vec4 load_floats4(uvec2 address, int at) {
    const u64vec2 s = WideFloats4(address).v[at];
    return uintBitsToFloat(uvec4(unpack32(s.x), unpack32(s.y)));
}
void store_floats4(uvec2 address, int at, vec4 v) {
    const uvec4 bits = floatBitsToUint(v);
    WideFloats4(address).v[at] = u64vec2(pack64(bits.xy), pack64(bits.zw));
}
#else
vec4 load_floats4(uvec2 address, int at) { return Floats4(address).v[at]; }
void store_floats4(uvec2 address, int at, vec4 v) { Floats4(address).v[at] = v; }
#endif

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

// Batch norm (Ioffe & Szegedy, 2015), with inverse = 1 / sqrt(variance + epsilon). The same bits in every kernel: on
// the way back the ReLU's mask is found by it.
vec4 normalise(vec4 x, vec4 mean, vec4 inverse, vec4 weight, vec4 bias) {
    precise vec4 y = (x - mean) * inverse * weight + bias;
    return y;
}

// Where block `block` of four output channels begins to read, in blocks of four input channels; weight_layout.c has the
// same line.
int first_source_block(int block, int group_src, int group_dst, int src_c4, int span) {
    return min(4 * block / group_dst * group_src / 4, src_c4 - span);
}
