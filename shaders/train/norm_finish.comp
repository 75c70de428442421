// norm_finish.comp - the statistics of a batch from those of its chunks, and the running ones moved towards them.
//
// Chunks are merged in a fixed order, pairwise (Chan, Golub & LeVeque 1983): two runs agree to the bit. The running
// variance takes the unbiased one, as PyTorch's does. FROZEN: the running statistics are the statistics, and stay.
//   workgroups: c4
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_finish_constants.h"

layout(push_constant) uniform Params { train_norm_params p; };

shared vec4 means[WORKGROUP], squares[WORKGROUP];
shared float counts[WORKGROUP];

// Adds b to a.
void merge(inout vec4 mean, inout vec4 square, inout float count, vec4 b_mean, vec4 b_square, float b_count) {
    const float both = count + b_count;
    if (b_count == 0.0)
        return;
    const vec4 d = b_mean - mean;
    mean += d * (b_count / both);
    square += b_square + d * d * (count * b_count / both);
    count = both;
}

void main() {
    const int block = int(workgroup_index()), t = int(gl_LocalInvocationID.x);
    if (block >= p.c4)
        return;
    if (FROZEN != 0) {
        if (t == 0) {
            Floats4(p.statistics).v[block] = Floats4(p.mean).v[block];
            Floats4(p.statistics).v[p.c4 + block] = 1.0 / sqrt(Floats4(p.variance).v[block] + p.epsilon);
        }
        return;
    }
    vec4 mean = vec4(0), square = vec4(0);
    float count = 0;
    for (int i = t; i < p.chunks; i += WORKGROUP)
        merge(mean, square, count, Floats4(p.partial).v[2 * i * p.c4 + block],
              Floats4(p.partial).v[(2 * i + 1) * p.c4 + block], float(min(p.chunk, p.pixels - i * p.chunk)));
    means[t] = mean;
    squares[t] = square;
    counts[t] = count;
    for (int reach = WORKGROUP / 2; reach > 0; reach /= 2) {
        barrier();
        if (t < reach) {
            merge(mean, square, count, means[t + reach], squares[t + reach], counts[t + reach]);
            means[t] = mean;
            squares[t] = square;
            counts[t] = count;
        }
    }
    if (t != 0)
        return;
    Floats4(p.statistics).v[block] = mean;
    Floats4(p.statistics).v[p.c4 + block] = 1.0 / sqrt(square / count + p.epsilon);
    Floats4(p.mean).v[block] = mix(Floats4(p.mean).v[block], mean, p.momentum);
    Floats4(p.variance).v[block] = mix(Floats4(p.variance).v[block], square / max(count - 1.0, 1.0), p.momentum);
}
