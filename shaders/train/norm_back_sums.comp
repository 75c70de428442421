// norm_back_sums.comp - what batch norm's backward pass needs of each channel, summed over a chunk of pixels.
//
//   g = RELU and dst <= 0 ? 0 : gradient;   partial = sum of g, sum of g * (src - mean) / sqrt(variance + epsilon)
//
// The ReLU's mask is read from the sign of its result. WRITE_MASKED keeps g: the residual's gradient.
//   workgroups: chunks * c4 invocations, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"

layout(push_constant) uniform Params { train_norm_back_params p; };

void main() {
    const int index = int(invocation_index()), block = index % p.c4, chunk = index / p.c4;
    if (chunk >= p.chunks)
        return;
    const int first = chunk * p.chunk, end = min(first + p.chunk, p.pixels);
    const vec4 mean = load_floats4(p.statistics, block), inverse = load_floats4(p.statistics, p.c4 + block);
    vec4 sum = vec4(0), product = vec4(0);
    for (int i = first; i < end; i++) {
        const int at = i * p.c4 + block;
        vec4 g = unpack_gradient4(Storage4(p.gradient).v[at]);
        if (RELU != 0)
            g = mix(vec4(0), g, greaterThan(unpack4(Storage4(p.dst).v[at]), vec4(0)));
        if (WRITE_MASKED != 0)
            Storage4(p.masked).v[at] = pack4(g);
        sum += g;
        product += g * ((unpack4(Storage4(p.src).v[at]) - mean) * inverse);
    }
    store_floats4(p.partial, 2 * chunk * p.c4 + block, sum);
    store_floats4(p.partial, (2 * chunk + 1) * p.c4 + block, product);
}
