// reference_preprocess.h - the preprocess kernel in plain C: what the GPU must equal.
#ifndef CDL_REFERENCE_PREPROCESS_H_
#define CDL_REFERENCE_PREPROCESS_H_

#include <stdbool.h>
#include <stdint.h>

#include "cdl/cdl.h"

// Orients, resizes, crops and normalises one picture of an 8-bit format.
//   rgb: [crop_height][crop_width][3], the values before Normalize; NULL: not wanted
//   out: [3][crop_height][crop_width], (v / 255 - mean) / std; NULL: not wanted
// false: a size or format it does not take, or no memory.
bool cdl_preprocess_reference(const struct cdl_pixels *image, cdl_interpolation filter, int resize_size, int crop_width,
                              int crop_height, const float mean[3], const float std[3], uint8_t *rgb, float *out);

#endif // CDL_REFERENCE_PREPROCESS_H_
