// preprocess.h - the host half of preprocessing: where the network's input lies in a picture and
// with which weights its pixels are summed. Equal, bit for bit, to Pillow's antialiased bilinear and
// bicubic resize under torchvision's Resize(size) + CenterCrop(height, width). No Vulkan.
//
// The GPU half computes each output pixel (x, y) of the crop from the upright picture p, per channel:
//     row[j] = clamp((2^21 + sum_i cx[x][i] * p[start_y[y] + j][start_x[x] + i]) >> 22, 0, 255)
//     v      = clamp((2^21 + sum_j cy[y][j] * row[j]) >> 22, 0, 255)
//     out    = (v / 255 - mean) / std, in fp32
// in 32-bit integers, which cannot overflow: the coefficients sum to about 2^22, and their magnitudes to less than
// twice that (bicubic ones are negative in part).
//
// Thread-safety: every function is pure.
#ifndef CDL_PREPROCESS_H_
#define CDL_PREPROCESS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdl/cdl.h"

// Within these limits every resized side fits an int, and every product below fits an int64_t.
#define CDL_MAX_PICTURE_SIDE 65535 // pixels, either side of a picture
#define CDL_MAX_RESIZE_SIZE 32767  // pixels, the short side after resizing; also of the crop

#define CDL_RESAMPLE_BITS 22 // fraction bits of a coefficient, as in Pillow

// Where the network's input lies in the resized picture. A negative crop_left or crop_top is the
// width of the black border that CenterCrop adds when the resized picture is smaller than the
// crop; the border is zero before Normalize.
struct cdl_geometry {
    int resized_width, resized_height;
    int crop_left, crop_top;
};

// width, height: the upright picture, 1..CDL_MAX_PICTURE_SIDE. resize_size: its short side after
// resizing; crop_width, crop_height: the network's input; 1..CDL_MAX_RESIZE_SIZE.
// false, with *out all zero, when an argument is out of range.
bool cdl_resize_geometry(int width, int height, int resize_size, int crop_width, int crop_height,
                         struct cdl_geometry *out);

// The coefficients that cdl_resample_axis gives to each output: at least 1, at most in_size, and
// about 2 * in_size / out_size when shrinking, twice as many for bicubic. Both sizes >= 1.
int cdl_resample_taps(cdl_interpolation filter, int in_size, int out_size);

// The weights of one axis resized from in_size to out_size, for outputs first .. first + count - 1:
// output first + k is the sum over t in 0..taps-1 of coef[k * taps + t] * input[start[k] + t].
//   start: [count]; coef: [count][taps], unused ones zero.
//   taps: cdl_resample_taps(filter, in_size, out_size) or more, up to in_size.
// start[k] >= 0 and start[k] + taps <= in_size, so a kernel that always sums `taps` inputs reads
// inside the picture. Outputs outside 0..out_size-1 are the black border: start 0, all coefficients
// zero. Where in_size == out_size the one coefficient that is not zero is 2^22, the identity.
void cdl_resample_axis(cdl_interpolation filter, int in_size, int out_size, int first, int count, int taps,
                       int32_t *start, int32_t *coef);

// EXIF orientation as address arithmetic: the upright picture's pixel (x, y) lies at byte
// base + x * step_x + y * step_y of the stored picture.
struct cdl_pixel_walk {
    int width, height; // upright
    int64_t base, step_x, step_y;
};

// orientation: EXIF 1..8; anything else is 1, upright. stored_width, stored_height: pixels, before
// the orientation. stride: bytes from one stored row to the next.
void cdl_orient(int orientation, int stored_width, int stored_height, size_t stride, int bytes_per_pixel,
                struct cdl_pixel_walk *out);

#endif // CDL_PREPROCESS_H_
