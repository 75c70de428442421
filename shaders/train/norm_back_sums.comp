// norm_back_sums.comp - what batch norm's backward pass needs of each channel, summed over a chunk of pixels.
//
//   g = RELU and dst <= 0 ? 0 : gradient;   partial = sum of g, sum of g * (src - mean) / sqrt(variance + epsilon)
//
// The ReLU's mask is the sign of its result dst, or with FROM_SRC of what dst was made of, which is read in any case.
// WRITE_MASKED keeps g: the residual's gradient.
//   workgroups: chunks * c4 columns as in rows.glsl, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"
#include "rows.glsl"

layout(push_constant) uniform Params { train_norm_back_params p; };

vec4 mean, inverse, weight = vec4(0), bias = vec4(0), sum = vec4(0), product = vec4(0);

vec4 load_dst(int at) { return RELU != 0 && FROM_SRC == 0 ? unpack4(Storage4(p.dst).v[at]) : vec4(0); }

void add(vec4 g, vec4 src, vec4 dst, int at) {
    if (RELU != 0)
        g = mix(vec4(0), g, greaterThan(FROM_SRC != 0 ? normalise(src, mean, inverse, weight, bias) : dst, vec4(0)));
    if (WRITE_MASKED != 0)
        Storage4(p.masked).v[at] = pack4(g);
    sum += g;
    product += g * ((src - mean) * inverse);
}

void main() {
    const int block = column() % p.c4, chunk = column() / p.c4;
    const int first = chunk * p.chunk, end = min(first + p.chunk, p.pixels); // none behind the last chunk
    mean = load_floats4(p.statistics, block);
    inverse = load_floats4(p.statistics, p.c4 + block);
    if (RELU != 0 && FROM_SRC != 0) {
        weight = load_floats4(p.weight, block);
        bias = load_floats4(p.bias, block);
    }
    int i = first + row();
    for (; i + 3 * ROWS < end; i += 4 * ROWS) { // loads that do not wait for each other
        vec4 g[4], src[4], dst[4];
        [[unroll]] for (int k = 0; k < 4; k++) {
            const int at = (i + k * ROWS) * p.c4 + block;
            g[k] = unpack_gradient4(Storage4(p.gradient).v[at]);
            src[k] = unpack4(Storage4(p.src).v[at]);
            dst[k] = load_dst(at);
        }
        [[unroll]] for (int k = 0; k < 4; k++)
            add(g[k], src[k], dst[k], (i + k * ROWS) * p.c4 + block);
    }
    for (; i < end; i += ROWS) {
        const int at = i * p.c4 + block;
        add(unpack_gradient4(Storage4(p.gradient).v[at]), unpack4(Storage4(p.src).v[at]), load_dst(at), at);
    }
    sum = add_rows(sum);
    product = add_rows(product);
    if (row() > 0 || chunk >= p.chunks)
        return;
    store_floats4(p.partial, 2 * chunk * p.c4 + block, sum);
    store_floats4(p.partial, (2 * chunk + 1) * p.c4 + block, product);
}
