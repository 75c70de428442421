// pixel_rows.h - which of a picture's stored pixels a job of the preprocess kernel reads, and these as the words that
// it reads. No Vulkan.
#ifndef CDL_PIXEL_ROWS_H_
#define CDL_PIXEL_ROWS_H_

#include "kernels/kernels.h"
#include "kernels/preprocess.h"

struct cdl_rectangle {
    int x, y, width, height;
};

// The range of inputs that outputs of one axis read; start and coef as cdl_resample_axis gives them. Black
// border, all of whose coefficients are zero, reads nothing; a band of border alone gets one input.
void cdl_axis_range(const int32_t *start, const int32_t *coef, int count, int taps, int *first, int *size);

// The stored rectangle under an upright one, of a picture of width x height stored pixels.
struct cdl_rectangle cdl_stored_rectangle(int orientation, int width, int height, struct cdl_rectangle upright);

// Writes a rectangle of stored pixels, which are no tensor, as [r.height][r.width][4] RGBA (BGRA stays so), by put(to,
// at, ...) from `at` on: line by line and in order, as memory for uploads is to be written.
void cdl_write_pixels(const struct cdl_pixels *p, struct cdl_rectangle r,
                      void (*put)(void *to, size_t at, const void *data, size_t bytes), void *to, size_t at);

// The dispatch of the preprocess kernel: num_jobs jobs at the address `jobs`, of at most max_rows rows, `width` wide.
void cdl_preprocess_launch(struct cdl_launch *out, const struct cdl_recipe *recipe, uint64_t jobs, int num_jobs,
                           int width, int max_rows);

// Whether one row of a format's pixels takes `stride` bytes or less; 0: tight.
bool cdl_stride_fits(cdl_format format, int width, size_t stride);

#endif // CDL_PIXEL_ROWS_H_
