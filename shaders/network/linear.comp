// linear.comp - the classifier: dst[n][o] = bias[o] + sum over i of src[n][i] w[o][i].
//
// Features and logits are fp32; STORAGE_FP16 is that of the weights alone, of which a picture needs all: at batch 1
// their bytes are the layer's time. A workgroup makes BLOCKS blocks of 4 outputs for IMAGES pictures; its slices share
// the inputs out among themselves, and add their sums up in a fixed order.
//   src: float4[images][src_c4], dst: float4[images][dst_c4]
//   weights: storage4[ceil(dst_c4 / 8)][src_c4][4 in][8 blocks][4 out]
//   workgroups: ceil(images / IMAGES) * ceil(dst_c4 / BLOCKS)
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

#include "constants.glsl"
#include "linear_constants.h"
const int BLOCKS = 8, IMAGES = 8, SLICES = WORKGROUP / BLOCKS;

layout(push_constant) uniform Params { conv_params p; };

shared vec4 scratch[WORKGROUP];

void main() {
    const int columns = (p.dst_c4 + BLOCKS - 1) / BLOCKS;
    const int group = int(workgroup_index()) % columns, first = int(workgroup_index()) / columns * IMAGES;
    if (first >= p.images)
        return;
    const int t = int(gl_LocalInvocationID.x), slice = t / BLOCKS, block = t % BLOCKS;
    const int count = min(IMAGES, p.images - first);
    Floats4 src = Floats4(p.src);
    Storage4 weights = Storage4(p.weights);

    vec4 sum[IMAGES];
    [[unroll]] for (int i = 0; i < IMAGES; i++)
        sum[i] = vec4(0);
    for (int c = slice; c < p.src_c4; c += SLICES) {
        const int at = (group * p.src_c4 + c) * 4 * BLOCKS + block;
        const vec4 w0 = unpack4(weights.v[at]), w1 = unpack4(weights.v[at + BLOCKS]);
        const vec4 w2 = unpack4(weights.v[at + 2 * BLOCKS]), w3 = unpack4(weights.v[at + 3 * BLOCKS]);
        [[unroll]] for (int i = 0; i < IMAGES; i++)
            if (i < count) {
                const vec4 v = src.v[(first + i) * p.src_c4 + c];
                sum[i] += v.x * w0 + v.y * w1 + v.z * w2 + v.w * w3;
            }
    }

    const int out_block = group * BLOCKS + block;
    // Written so that compilers unroll both loops, whose sums then stay in registers: no break, and a shift where a
    // division would hide how often the inner one runs.
    [[unroll]] for (int i = 0; i < IMAGES; i++)
        if (i < count) {
            barrier(); // the sums of the picture before are read
            scratch[t] = sum[i];
            for (int half_size = SLICES / 2; half_size > 0; half_size >>= 1) {
                barrier();
                if (slice < half_size)
                    scratch[t] += scratch[t + half_size * BLOCKS];
            }
            if (slice == 0 && out_block < p.dst_c4)
                Floats4(p.dst).v[(first + i) * p.dst_c4 + out_block] = Floats4(p.bias).v[out_block] + scratch[t];
        }
}
