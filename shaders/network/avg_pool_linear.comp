// avg_pool_linear.comp - the global average and the classifier behind it: dst[n][o] = bias[o] + sum over i of
// features[n][i] w[o][i], features[n] being the average of all pixels of src[n].
//
// With few images a dispatch that averages takes longer to begin and end than to run. So a workgroup, which makes
// BLOCKS blocks of 4 outputs of one picture, averages that picture's whole map by itself, out of the cache: in fp32, in
// shared memory, lines summed first as in avg_pool.comp. The picture's first workgroup writes the averages down. Then
// slices share the inputs out among themselves as in linear.comp; STORAGE_FP16 is that of map and weights.
//   src: storage4[images][src_h][src_w][src_c4], features: float4[images][src_c4], dst: float4[images][dst_c4]
//   weights: storage4[ceil(dst_c4 / BLOCKS)][src_c4][4 in][BLOCKS][4 out]
//   workgroups: images * ceil(dst_c4 / BLOCKS); SOURCE_C4 = src_c4
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "common.glsl"

#include "constants.glsl"
#include "linear_constants.h"
const int BLOCKS = 8, SLICES = WORKGROUP / BLOCKS; // as in linear.c
const int TOGETHER = 8;                            // pixels on their way at a time

layout(push_constant) uniform Params { avg_pool_linear_params p; };

shared vec4 averages[SOURCE_C4], scratch[WORKGROUP];

void average_map(int n, bool keep) {
    for (int block = int(gl_LocalInvocationID.x); block < SOURCE_C4; block += WORKGROUP) {
        vec4 sum = vec4(0);
        for (int y = 0; y < p.src_h; y++) {
            const int line = (n * p.src_h + y) * p.src_w * SOURCE_C4 + block;
            vec4 part = vec4(0);
            for (int x = 0; x < p.src_w; x += TOGETHER) {
                vec4 pixels[TOGETHER]; // those beyond the line are its last one, and do not count
                [[unroll]] for (int j = 0; j < TOGETHER; j++)
                    pixels[j] = unpack4(Storage4(p.src).v[line + min(x + j, p.src_w - 1) * SOURCE_C4]);
                [[unroll]] for (int j = 0; j < TOGETHER; j++)
                    part += x + j < p.src_w ? pixels[j] : vec4(0);
            }
            sum += part;
        }
        sum /= float(p.src_h * p.src_w);
        averages[block] = sum;
        if (keep)
            Floats4(p.features).v[n * SOURCE_C4 + block] = sum;
    }
}

void main() {
    const int columns = (p.dst_c4 + BLOCKS - 1) / BLOCKS;
    const int group = int(workgroup_index()) % columns, n = int(workgroup_index()) / columns;
    if (n >= p.images)
        return;
    average_map(n, group == 0);
    barrier();

    const int t = int(gl_LocalInvocationID.x), slice = t / BLOCKS, block = t % BLOCKS;
    Storage4 weights = Storage4(p.weights);
    vec4 sum = vec4(0);
    for (int c = slice; c < SOURCE_C4; c += SLICES) {
        const int at = (group * SOURCE_C4 + c) * 4 * BLOCKS + block;
        const vec4 v = averages[c];
        sum += v.x * unpack4(weights.v[at]) + v.y * unpack4(weights.v[at + BLOCKS]) +
               v.z * unpack4(weights.v[at + 2 * BLOCKS]) + v.w * unpack4(weights.v[at + 3 * BLOCKS]);
    }
    scratch[t] = sum;
    for (int half_size = SLICES / 2; half_size > 0; half_size >>= 1) {
        barrier();
        if (slice < half_size)
            scratch[t] += scratch[t + half_size * BLOCKS];
    }
    const int out_block = group * BLOCKS + block;
    if (slice == 0 && out_block < p.dst_c4)
        Floats4(p.dst).v[n * p.dst_c4 + out_block] = Floats4(p.bias).v[out_block] + scratch[t];
}
