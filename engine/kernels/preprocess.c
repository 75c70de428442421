// preprocess.c - see preprocess.h. The arithmetic follows Pillow 9.4 (src/libImaging/Resample.c:
// bicubic_filter, precompute_coeffs, normalize_coeffs_8bpc) and torchvision 0.14 (transforms/functional.py:
// _compute_resized_output_size, center_crop) operation by operation, since equal bits need equal rounding.
#include "kernels/preprocess.h"

#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF // a fused multiply-add rounds once where Pillow rounds twice
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

// Python's int(round(n / 2.0)) for n >= 0: halves go to the even neighbour.
static int half_round_even(int n) {
    int half = n / 2;
    return n % 2 != 0 && half % 2 != 0 ? half + 1 : half;
}

// Padding comes first in torchvision and makes the sides equal, so the crop then starts at the pad.
static int crop_offset(int resized, int crop) {
    return resized < crop ? -((crop - resized) / 2) : half_round_even(resized - crop);
}

bool cdl_resize_geometry(int width, int height, int resize_size, int crop_width, int crop_height,
                         struct cdl_geometry *out) {
    memset(out, 0, sizeof(*out));
    if (width < 1 || width > CDL_MAX_PICTURE_SIDE || height < 1 || height > CDL_MAX_PICTURE_SIDE)
        return false;
    if (resize_size < 1 || resize_size > CDL_MAX_RESIZE_SIZE || crop_width < 1 || crop_width > CDL_MAX_RESIZE_SIZE ||
        crop_height < 1 || crop_height > CDL_MAX_RESIZE_SIZE)
        return false;
    int short_side = width <= height ? width : height;
    int long_side = width <= height ? height : width;
    // Python divides in double and truncates. The product is far below 2^53, where the nearest
    // double to a quotient never crosses the next integer, so integer division gives the same.
    int new_long = (int)((int64_t)resize_size * long_side / short_side);
    out->resized_width = width <= height ? resize_size : new_long;
    out->resized_height = width <= height ? new_long : resize_size;
    out->crop_left = crop_offset(out->resized_width, crop_width);
    out->crop_top = crop_offset(out->resized_height, crop_height);
    return true;
}

// The window of inputs that one output averages.
struct window {
    cdl_interpolation filter;
    double center, inverse_scale; // of the filter
    int first, end;               // inputs first .. end - 1
    double sum;                   // of the weights before they are normalised
};

static double triangle(double x) {
    x = x < 0.0 ? -x : x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

// Keys 1981, "Cubic convolution interpolation for digital image processing", a = -1/2 as in Pillow.
static double cubic(double x) {
    const double a = -0.5;
    x = x < 0.0 ? -x : x;
    if (x < 1.0)
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

// How far a filter reaches to either side, in inputs when enlarging and in outputs when shrinking.
static double filter_reach(cdl_interpolation filter) { return filter == CDL_INTERPOLATION_BICUBIC ? 2.0 : 1.0; }

static double window_weight(const struct window *w, int input) {
    const double x = (input - w->center + 0.5) * w->inverse_scale;
    return w->filter == CDL_INTERPOLATION_BICUBIC ? cubic(x) : triangle(x);
}

static struct window output_window(cdl_interpolation filter, int in_size, int out_size, int output) {
    double scale = (double)in_size / out_size;
    double filter_scale = scale < 1.0 ? 1.0 : scale;
    double support = filter_reach(filter) * filter_scale;
    struct window w = {.filter = filter, .center = (output + 0.5) * scale, .inverse_scale = 1.0 / filter_scale};
    w.first = (int)(w.center - support + 0.5); // truncation, as in Pillow: -0.5 becomes 0
    if (w.first < 0)
        w.first = 0;
    w.end = (int)(w.center + support + 0.5);
    if (w.end > in_size)
        w.end = in_size;
    for (int i = w.first; i < w.end; ++i)
        w.sum += window_weight(&w, i);
    return w;
}

static int32_t window_coef(const struct window *w, int input) {
    double weight = window_weight(w, input);
    if (w->sum != 0.0)
        weight /= w->sum;
    return (int32_t)((weight < 0.0 ? -0.5 : 0.5) + weight * (1 << CDL_RESAMPLE_BITS));
}

int cdl_resample_taps(cdl_interpolation filter, int in_size, int out_size) {
    if (in_size == out_size)
        return 1;
    double scale = (double)in_size / out_size;
    // The window is half open and 2 * support long; Pillow's own bound, ceil(support) * 2 + 1, is looser.
    double taps = ceil(2.0 * filter_reach(filter) * (scale < 1.0 ? 1.0 : scale));
    return taps < in_size ? (int)taps : in_size;
}

void cdl_resample_axis(cdl_interpolation filter, int in_size, int out_size, int first, int count, int taps,
                       int32_t *start, int32_t *coef) {
    for (int k = 0; k < count; ++k) {
        int32_t *row = coef + (size_t)k * (size_t)taps;
        memset(row, 0, (size_t)taps * sizeof(*row));
        start[k] = 0;
        int64_t output = (int64_t)first + k;
        if (output < 0 || output >= out_size)
            continue;
        struct window w = output_window(filter, in_size, out_size, (int)output);
        // Zero weights at the ends need no tap; rounding can leave one input too many there.
        while (w.end - w.first > 1 && window_coef(&w, w.first) == 0)
            ++w.first;
        while (w.end - w.first > taps && window_coef(&w, w.end - 1) == 0)
            --w.end;
        int begin = w.first < in_size - taps ? w.first : in_size - taps;
        for (int i = w.first; i < w.end && i - begin < taps; ++i)
            row[i - begin] = window_coef(&w, i);
        start[k] = begin;
    }
}

void cdl_orient(int orientation, int stored_width, int stored_height, size_t stride, int bytes_per_pixel,
                struct cdl_pixel_walk *out) {
    bool valid = orientation >= 1 && orientation <= 8;
    bool transposed = valid && orientation >= 5; // upright x runs along the stored columns
    // Whether stored x or y counts down while the upright coordinate along it counts up.
    bool flip_x = valid && (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8);
    bool flip_y = valid && (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7);
    int64_t pixel = flip_x ? -(int64_t)bytes_per_pixel : bytes_per_pixel;
    int64_t row = flip_y ? -(int64_t)stride : (int64_t)stride;
    out->width = transposed ? stored_height : stored_width;
    out->height = transposed ? stored_width : stored_height;
    out->step_x = transposed ? row : pixel;
    out->step_y = transposed ? pixel : row;
    out->base = (flip_x ? (int64_t)(stored_width - 1) * bytes_per_pixel : 0) +
                (flip_y ? (int64_t)(stored_height - 1) * (int64_t)stride : 0);
}
