// preprocess.comp - resize, crop and normalise, to the bit what Pillow and torchvision give.
//
//   v = round8(sum over rows j of cy[j] round8(sum over columns i of cx[i] pixel[y + j][x + i]))
//   dst = (v / 255 - mean) / std
//
// Pillow's antialiased bilinear or bicubic resize (its Resample.c) sums 8-bit pixels with 22-bit fixed-point
// coefficients, columns first, and rounds and clips to 8 bits after each pass; so does this, in integers. The
// passes are fused: an invocation makes one output pixel and sums the columns of each row it needs. That
// sums each source row about twice when shrinking, and needs no picture in between.
//
// Pixels are words at an address; or, a host's own, a storage buffer (FROM_BUFFER), a sampled image (FROM_VIEW) or a
// pair of them (FROM_NV12), which a descriptor names. Their values are rounded to 8 bits, so all four agree to the bit.
//   workgroups: num_jobs * max_rows * dst_w invocations, columns innermost
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_samplerless_texture_functions : require
#include "common.glsl"

layout(buffer_reference, std430, buffer_reference_align = 8) buffer Jobs { preprocess_job v[]; };

layout(push_constant) uniform Params { preprocess_params p; };

const int HALF = 1 << 21;

ivec3 round8(ivec3 sum) { return clamp(sum >> 22, 0, 255); }

#if defined(FROM_VIEW) || defined(FROM_NV12)
layout(set = 0, binding = 1) uniform texture2D view;

ivec2 texel(int place) { return ivec2(place & 0xffff, int(uint(place) >> 16)); }
ivec3 to_bytes(vec3 v) { return clamp(ivec3(clamp(v, 0.0, 1.0) * 255.0 + 0.5), 0, 255); }
#endif

#ifdef FROM_VIEW
// IEC 61966-2-1
vec3 srgb(vec3 v) { return mix(1.055 * pow(v, vec3(1.0 / 2.4)) - 0.055, 12.92 * v, lessThanEqual(v, vec3(0.0031308))); }
ivec3 fetch(preprocess_job job, int place) {
    const vec3 v = texelFetch(view, texel(place), 0).rgb;
    return to_bytes(job.linear != 0 ? srgb(clamp(v, 0.0, 1.0)) : v);
}
#elif defined(FROM_NV12)
layout(set = 0, binding = 2) uniform texture2D chroma;

// BT.709, limited range, in 8-bit fixed point; pixels.c has the same lines.
ivec3 fetch(preprocess_job job, int place) {
    const ivec2 at = texel(place);
    const int y = 298 * (to_bytes(texelFetch(view, at, 0).rrr).r - 16) + 128;
    const ivec3 c = to_bytes(texelFetch(chroma, at >> 1, 0).rgg) - 128;
    return clamp(ivec3(y + 459 * c.g, y - 55 * c.r - 136 * c.g, y + 541 * c.r) >> 8, 0, 255);
}
#else
#ifdef FROM_BUFFER
layout(set = 0, binding = 0, std430) readonly buffer Pixels { uint words[]; };
#endif
ivec3 fetch(preprocess_job job, int place) {
#ifdef FROM_BUFFER
    const uint rgba = words[place];
#else
    const uint rgba = Uints(job.pixels).v[place];
#endif
    return ivec3(rgba & 255, rgba >> 8 & 255, rgba >> 16 & 255);
}
#endif

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
            if (coef != 0)
                line += coef * fetch(job, first + i * job.step_x + j * job.step_y);
        }
        sum += row_coef * round8(line);
    }
    ivec3 rgb = round8(sum);
    if (job.swap_rb != 0)
        rgb = rgb.bgr;
    const vec3 mean = vec3(p.mean_r, p.mean_g, p.mean_b), std = vec3(p.std_r, p.std_g, p.std_b);
    Storage4(job.dst).v[(job.first_row + r) * p.dst_w + x] = pack4(vec4((vec3(rgb) / 255.0 - mean) / std, 0));
}
