// preprocess.comp - resize, crop and normalise, to the bit what Pillow and torchvision give.
//
//   v = round8(sum over rows j of cy[j] round8(sum over columns i of cx[i] pixel[y + j][x + i]))
//   dst = (v / 255 - mean) / std
//
// Pillow's antialiased bilinear resize (its Resample.c) sums 8-bit pixels with 22-bit fixed-point
// coefficients, columns first, and rounds to 8 bits after each pass; so does this, in integers. The
// passes are fused: an invocation makes one output pixel and sums the columns of each row it needs. That
// sums each source row about twice when shrinking, and needs no picture in between.
//   workgroups: num_jobs * max_rows * dst_w invocations, columns innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#include "common.glsl"

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Jobs { preprocess_job v[]; };

layout(push_constant) uniform Params { preprocess_params p; };

const int HALF = 1 << 21;

ivec3 round8(ivec3 sum) { return clamp(sum >> 22, 0, 255); }

void main() {
    int index = int(invocation_index());
    const int x = index % p.dst_w;
    index /= p.dst_w;
    const int r = index % p.max_rows;
    index /= p.max_rows;
    if (index >= p.num_jobs)
        return;
    preprocess_job job = Jobs(p.jobs).v[index];
    if (r >= job.num_rows)
        return;

    Ints columns = Ints(job.columns), rows = Ints(job.rows);
    const int column_coefs = p.dst_w + x * job.column_taps, row_coefs = job.num_rows + r * job.row_taps;
    const int first = job.base + columns.v[x] * job.step_x + rows.v[r] * job.step_y;

    ivec3 sum = ivec3(HALF);
    for (int j = 0; j < job.row_taps; j++) {
        const int row_coef = rows.v[row_coefs + j];
        if (row_coef == 0) // past the window's end: the picture may end there too
            continue;
        ivec3 line = ivec3(HALF);
        for (int i = 0; i < job.column_taps; i++) {
            const int coef = columns.v[column_coefs + i];
            if (coef != 0) {
                const uint rgba = Uints(job.pixels).v[first + i * job.step_x + j * job.step_y];
                line += coef * ivec3(rgba & 255, rgba >> 8 & 255, rgba >> 16 & 255);
            }
        }
        sum += row_coef * round8(line);
    }
    ivec3 rgb = round8(sum);
    if (job.swap_rb != 0)
        rgb = rgb.bgr;
    const vec3 mean = vec3(p.mean_r, p.mean_g, p.mean_b), std = vec3(p.std_r, p.std_g, p.std_b);
    Storage4(job.dst).v[(job.first_row + r) * p.dst_w + x] = pack4(vec4((vec3(rgb) / 255.0 - mean) / std, 0));
}
