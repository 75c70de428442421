// reference_preprocess.c - see reference_preprocess.h. Slow and plain: each output pixel on its own, as the
// kernel computes it.
#include "support/reference_preprocess.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/preprocess.h"

struct axis {
    int taps;
    int32_t *start, *coef; // [count], [count][taps]
};

static bool make_axis(cdl_interpolation filter, int in_size, int out_size, int first, int count, struct axis *a) {
    a->taps = cdl_resample_taps(filter, in_size, out_size);
    a->start = malloc((size_t)count * sizeof(*a->start));
    a->coef = malloc((size_t)count * (size_t)a->taps * sizeof(*a->coef));
    if (!a->start || !a->coef)
        return false;
    cdl_resample_axis(filter, in_size, out_size, first, count, a->taps, a->start, a->coef);
    return true;
}

static void free_axis(struct axis *a) {
    free(a->start);
    free(a->coef);
}

static int32_t to_byte(int32_t sum) {
    int32_t v = sum >> CDL_RESAMPLE_BITS;
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

// One channel of one output pixel. p: byte of the upright picture's pixel (0, 0) and this channel.
static int32_t resample(const uint8_t *p, const struct cdl_pixel_walk *walk, const struct axis *ax,
                        const struct axis *ay, int x, int y) {
    const int32_t *cx = ax->coef + (size_t)x * (size_t)ax->taps, *cy = ay->coef + (size_t)y * (size_t)ay->taps;
    int32_t sum = 1 << (CDL_RESAMPLE_BITS - 1);
    for (int j = 0; j < ay->taps; ++j) {
        const uint8_t *row = p + (int64_t)(ay->start[y] + j) * walk->step_y;
        int32_t row_sum = 1 << (CDL_RESAMPLE_BITS - 1);
        for (int i = 0; i < ax->taps; ++i)
            row_sum += cx[i] * row[(int64_t)(ax->start[x] + i) * walk->step_x];
        sum += cy[j] * to_byte(row_sum);
    }
    return to_byte(sum);
}

bool cdl_preprocess_reference(const struct cdl_pixels *image, cdl_interpolation filter, int resize_size, int crop_width,
                              int crop_height, const float mean[3], const float std[3], uint8_t *rgb, float *out) {
    static const struct {
        int bytes, channel[3];
    } layouts[] = {
        [CDL_FORMAT_RGBA8] = {4, {0, 1, 2}},
        [CDL_FORMAT_BGRA8] = {4, {2, 1, 0}},
        [CDL_FORMAT_RGB8] = {3, {0, 1, 2}},
        [CDL_FORMAT_GRAY8] = {1, {0, 0, 0}},
    };
    if ((int)image->format < 0 || image->format > CDL_FORMAT_GRAY8)
        return false;
    int bytes = layouts[image->format].bytes;
    size_t stride = image->stride ? image->stride : (size_t)image->width * (size_t)bytes;
    struct cdl_pixel_walk walk;
    struct cdl_geometry g;
    cdl_orient(image->orientation, image->width, image->height, stride, bytes, &walk);
    if (!cdl_resize_geometry(walk.width, walk.height, resize_size, crop_width, crop_height, &g))
        return false;
    struct axis ax = {0}, ay = {0};
    bool ok = make_axis(filter, walk.width, g.resized_width, g.crop_left, crop_width, &ax) &&
              make_axis(filter, walk.height, g.resized_height, g.crop_top, crop_height, &ay);
    for (int y = 0; ok && y < crop_height; ++y) {
        for (int x = 0; x < crop_width; ++x) {
            size_t pixel = (size_t)y * (size_t)crop_width + (size_t)x;
            for (int c = 0; c < 3; ++c) {
                const uint8_t *p = (const uint8_t *)image->data + walk.base + layouts[image->format].channel[c];
                int32_t v = resample(p, &walk, &ax, &ay, x, y);
                if (rgb)
                    rgb[pixel * 3 + (size_t)c] = (uint8_t)v;
                if (out)
                    out[(size_t)c * (size_t)crop_width * (size_t)crop_height + pixel] =
                        ((float)v / 255.0f - mean[c]) / std[c];
            }
        }
    }
    free_axis(&ax);
    free_axis(&ay);
    return ok;
}
