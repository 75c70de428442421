// norm_sums.comp - mean and sum of squared distances from it, of each channel over a chunk of pixels.
//
// One pass, shifted by the chunk's first pixel so that squares of large means do not cancel (Chan, Golub & LeVeque
// 1983, "Algorithms for computing the sample variance").
//   workgroups: chunks * c4 columns as in rows.glsl, channel blocks innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "train.glsl"
#include "constants.glsl"
#include "norm_sums_constants.h"
#include "rows.glsl"

layout(push_constant) uniform Params { train_norm_params p; };

void main() {
    const int block = column() % p.c4, chunk = column() / p.c4;
    const int first = min(chunk, p.chunks - 1) * p.chunk, end = min(first + p.chunk, p.pixels);
    const vec4 shift = unpack4(Storage4(p.src).v[first * p.c4 + block]);
    vec4 sum = vec4(0), squares = vec4(0);
    int i = first + row();
    for (; i + 3 * ROWS < end; i += 4 * ROWS) { // loads that do not wait for each other
        vec4 x[4];
        [[unroll]] for (int k = 0; k < 4; k++)
            x[k] = unpack4(Storage4(p.src).v[(i + k * ROWS) * p.c4 + block]) - shift;
        [[unroll]] for (int k = 0; k < 4; k++) {
            sum += x[k];
            squares += x[k] * x[k];
        }
    }
    for (; i < end; i += ROWS) {
        const vec4 x = unpack4(Storage4(p.src).v[i * p.c4 + block]) - shift;
        sum += x;
        squares += x * x;
    }
    sum = add_rows(sum);
    squares = add_rows(squares);
    if (row() > 0 || chunk >= p.chunks)
        return;
    const float count = float(end - first);
    store_floats4(p.partial, (2 * chunk) * p.c4 + block, shift + sum / count);
    store_floats4(p.partial, (2 * chunk + 1) * p.c4 + block, max(squares - sum * sum / count, vec4(0)));
}
