// norm_back_sums.comp - what batch norm's backward pass needs of each channel, summed over a chunk of pixels.
//
//   g = RELU and dst <= 0 ? 0 : gradient;   partial = sum of g, sum of g * (src - mean) / sqrt(variance + epsilon)
//
// The ReLU's mask is read from the sign of its result. WRITE_MASKED keeps g: the residual's gradient.
//   workgroups: chunks * c4 columns as in rows.glsl, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_back_constants.h"
#include "rows.glsl"

layout(push_constant) uniform Params { train_norm_back_params p; };

vec4 sum = vec4(0), product = vec4(0);

void add(vec4 g, vec4 dst, vec4 normalised, int at) {
    if (RELU != 0)
        g = mix(vec4(0), g, greaterThan(dst, vec4(0)));
    if (WRITE_MASKED != 0)
        Storage4(p.masked).v[at] = pack4(g);
    sum += g;
    product += g * normalised;
}

void main() {
    const int block = column() % p.c4, chunk = column() / p.c4;
    const int first = chunk * p.chunk, end = min(first + p.chunk, p.pixels); // none behind the last chunk
    const vec4 mean = load_floats4(p.statistics, block), inverse = load_floats4(p.statistics, p.c4 + block);
    int i = first + row();
    for (; i + 3 * ROWS < end; i += 4 * ROWS) { // loads that do not wait for each other
        vec4 g[4], dst[4], x[4];
        [[unroll]] for (int k = 0; k < 4; k++) {
            const int at = (i + k * ROWS) * p.c4 + block;
            g[k] = unpack_gradient4(Storage4(p.gradient).v[at]);
            dst[k] = RELU != 0 ? unpack4(Storage4(p.dst).v[at]) : vec4(0);
            x[k] = (unpack4(Storage4(p.src).v[at]) - mean) * inverse;
        }
        [[unroll]] for (int k = 0; k < 4; k++)
            add(g[k], dst[k], x[k], (i + k * ROWS) * p.c4 + block);
    }
    for (; i < end; i += ROWS) {
        const int at = i * p.c4 + block;
        add(unpack_gradient4(Storage4(p.gradient).v[at]), RELU != 0 ? unpack4(Storage4(p.dst).v[at]) : vec4(0),
            (unpack4(Storage4(p.src).v[at]) - mean) * inverse, at);
    }
    sum = add_rows(sum);
    product = add_rows(product);
    if (row() > 0 || chunk >= p.chunks)
        return;
    store_floats4(p.partial, 2 * chunk * p.c4 + block, sum);
    store_floats4(p.partial, (2 * chunk + 1) * p.c4 + block, product);
}
