// avg_pool.comp - global average; the sum and the result are fp32 whatever the storage.
//
// A workgroup makes BLOCKS blocks of 4 channels of one picture; each of its ROWS rows of invocations takes every
// ROWS-th line of the map. Sums of lines are summed: one running sum over a map of 224 x 224 would lose the last eight
// bits of each pixel.
//   src: storage4[images][src_h][src_w][c4], dst: float4[images][c4]
//   workgroups: images * ceil(c4 / BLOCKS)
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

const int BLOCKS = 8, ROWS = 8; // as in pool.c

layout(push_constant) uniform Params { pool_params p; };

shared vec4 sums[ROWS][BLOCKS];

void main() {
    const int columns = (p.c4 + BLOCKS - 1) / BLOCKS;
    const int n = int(workgroup_index()) / columns, t = int(gl_LocalInvocationID.x), row = t / BLOCKS;
    const int block = int(workgroup_index()) % columns * BLOCKS + t % BLOCKS;
    if (n >= p.images)
        return;
    vec4 sum = vec4(0);
    for (int y = row; y < p.src_h && block < p.c4; y += ROWS) {
        const int line = (n * p.src_h + y) * p.src_w * p.c4 + block;
        vec4 part = vec4(0);
        for (int x = 0; x < p.src_w; x++)
            part += unpack4(Storage4(p.src).v[line + x * p.c4]);
        sum += part;
    }
    sums[row][t % BLOCKS] = sum;
    barrier();
    if (row > 0 || block >= p.c4)
        return;
    for (int i = 1; i < ROWS; i++)
        sum += sums[i][t % BLOCKS];
    Floats4(p.dst).v[n * p.c4 + block] = sum / float(p.src_h * p.src_w);
}
