// norm_sums.comp - mean and sum of squared distances from it, of each channel over a chunk of pixels.
//
// One pass, shifted by the chunk's first pixel so that squares of large means do not cancel (Chan, Golub & LeVeque
// 1983, "Algorithms for computing the sample variance").
//   workgroups: chunks * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"

layout(push_constant) uniform Params { train_norm_params p; };

void main() {
    const int index = int(invocation_index()), block = index % p.c4, chunk = index / p.c4;
    if (chunk >= p.chunks)
        return;
    const int first = chunk * p.chunk, end = min(first + p.chunk, p.pixels);
    const vec4 shift = unpack4(Storage4(p.src).v[first * p.c4 + block]);
    vec4 sum = vec4(0), squares = vec4(0);
    for (int i = first; i < end; i++) {
        const vec4 x = unpack4(Storage4(p.src).v[i * p.c4 + block]) - shift;
        sum += x;
        squares += x * x;
    }
    const float count = float(end - first);
    store_floats4(p.partial, (2 * chunk) * p.c4 + block, shift + sum / count);
    store_floats4(p.partial, (2 * chunk + 1) * p.c4 + block, max(squares - sum * sum / count, vec4(0)));
}
