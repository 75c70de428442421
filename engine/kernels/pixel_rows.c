// pixel_rows.c - see pixel_rows.h.
#include "kernels/pixel_rows.h"

#include <limits.h>

void cdl_axis_range(const int32_t *start, const int32_t *coef, int count, int taps, int *first, int *size) {
    int low = INT_MAX, high = 0;
    for (int i = 0; i < count; i++) {
        int reads = 0;
        for (int t = 0; t < taps; t++)
            reads |= coef[i * taps + t];
        if (!reads)
            continue;
        low = start[i] < low ? start[i] : low;
        high = start[i] + taps > high ? start[i] + taps : high;
    }
    *first = high ? low : 0;
    *size = high ? high - low : 1;
}

struct cdl_rectangle cdl_stored_rectangle(int orientation, int width, int height, struct cdl_rectangle r) {
    struct cdl_pixel_walk walk;
    const int64_t w = width;
    cdl_orient(orientation, width, height, (size_t)width, 1, &walk);
    const int64_t a = walk.base + r.x * walk.step_x + r.y * walk.step_y;
    const int64_t b = walk.base + (r.x + r.width - 1) * walk.step_x + (r.y + r.height - 1) * walk.step_y;
    const int ax = (int)(a % w), ay = (int)(a / w), bx = (int)(b % w), by = (int)(b / w);
    const int x = ax < bx ? ax : bx, y = ay < by ? ay : by;
    return (struct cdl_rectangle){x, y, (ax < bx ? bx : ax) - x + 1, (ay < by ? by : ay) - y + 1};
}

// Bytes from one row to the next where the caller's rows are tight.
static size_t tight_stride(cdl_format format, int width) {
    switch (format) {
    case CDL_FORMAT_RGB8: return (size_t)width * 3;
    case CDL_FORMAT_GRAY8: return (size_t)width;
    case CDL_FORMAT_NV12: return ((size_t)width + 1) / 2 * 2; // of the pairs
    default: return (size_t)width * 4;
    }
}

bool cdl_stride_fits(cdl_format format, int width, size_t stride) {
    return stride == 0 || stride >= tight_stride(format, width);
}

static uint8_t byte_of(int v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

// BT.709, limited range, in 8-bit fixed point; preprocess.comp has the same lines. Right shifts of negative numbers are
// divisions that round down, as everywhere this compiles for.
static void convert_nv12(const struct cdl_pixels *p, size_t stride, int x, int y, int count, uint8_t *out) {
    const uint8_t *luma = (const uint8_t *)p->data + stride * (size_t)y,
                  *chroma = (const uint8_t *)p->data + stride * ((size_t)p->height + (size_t)(y / 2));
    for (int end = x + count; x < end; x++, out += 4) {
        const uint8_t *pair = chroma + (size_t)(x / 2) * 2;
        const int level = 298 * (luma[x] - 16) + 128, cb = pair[0] - 128, cr = pair[1] - 128;
        out[0] = byte_of((level + 459 * cr) >> 8);
        out[1] = byte_of((level - 55 * cb - 136 * cr) >> 8);
        out[2] = byte_of((level + 541 * cb) >> 8);
        out[3] = 255;
    }
}

// RGB8 or GRAY8, of `bytes` a pixel.
static void convert_bytes(const uint8_t *row, size_t bytes, size_t count, uint8_t *out) {
    for (size_t x = 0; x < count; x++) {
        out[4 * x] = row[x * bytes];
        out[4 * x + 1] = row[x * bytes + bytes / 3];
        out[4 * x + 2] = row[x * bytes + bytes / 3 * 2];
        out[4 * x + 3] = 255;
    }
}

void cdl_write_pixels(const struct cdl_pixels *p, struct cdl_rectangle r,
                      void (*put)(void *to, size_t at, const void *data, size_t bytes), void *to, size_t at) {
    enum { PART = 1024 }; // pixels
    const size_t bytes = p->format == CDL_FORMAT_RGB8 ? 3 : p->format == CDL_FORMAT_GRAY8 ? 1 : 4;
    const size_t stride = p->stride ? p->stride : tight_stride(p->format, p->width);
    const bool as_it_is = bytes == 4 && p->format != CDL_FORMAT_NV12;
    uint8_t converted[4 * PART];
    for (int y = r.y; y < r.y + r.height; y++)
        for (int x = 0, part; x < r.width; x += part, at += 4 * (size_t)part) {
            const uint8_t *row = (const uint8_t *)p->data + (size_t)y * stride + (size_t)(r.x + x) * bytes;
            part = as_it_is || r.width - x < PART ? r.width - x : PART;
            if (p->format == CDL_FORMAT_NV12)
                convert_nv12(p, stride, r.x + x, y, part, converted);
            else if (!as_it_is)
                convert_bytes(row, bytes, (size_t)part, converted);
            put(to, at, as_it_is ? row : converted, 4 * (size_t)part);
        }
}

void cdl_preprocess_launch(struct cdl_launch *out, const struct cdl_recipe *recipe, uint64_t jobs, int num_jobs,
                           int width, int max_rows) {
    *out = (struct cdl_launch){.push_bytes = sizeof out->push.preprocess};
    out->push.preprocess = (struct preprocess_params){
        .jobs = jobs,
        .num_jobs = num_jobs,
        .dst_w = width,
        .max_rows = max_rows,
        .mean_r = recipe->mean[0],
        .mean_g = recipe->mean[1],
        .mean_b = recipe->mean[2],
        .std_r = recipe->std[0],
        .std_g = recipe->std[1],
        .std_b = recipe->std[2],
    };
    cdl_launch_invocations(out, (uint64_t)num_jobs * (uint64_t)max_rows * (uint64_t)width);
}
