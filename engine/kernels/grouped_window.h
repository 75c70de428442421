// grouped_window.h - how the shaders for grouped 3x3 convolutions on matrix units see their channels: in windows of
// whole groups, which a matrix of weights covers with zeros between the groups. And what those have in common that do
// the 1x1 behind it, too.
#ifndef CDL_GROUPED_WINDOW_H_
#define CDL_GROUPED_WINDOW_H_

#include "kernels/family.h"

enum { CDL_GROUPED_KERNEL = 3, CDL_GROUPED_SUBGROUPS = 4, CDL_WIDEST_WINDOW = 64 };

// Channels of a window; 0: the shaders cannot run this shape on its device.
uint32_t cdl_grouped_window(const struct cdl_shape *shape);
// Of the first of two convolutions that one kernel does, the second being a 1x1; 0: the shaders cannot run these.
uint32_t cdl_pair_window(const struct cdl_shape shapes[2]);
// Sets out->push.conv_pair.
void cdl_push_pair(const struct cdl_kernel *k, const struct cdl_shape shapes[2], int images,
                   const struct cdl_addresses *at, struct cdl_launch *out);
struct cdl_weight_layout cdl_grouped_weights(const struct cdl_shape *shape, uint32_t window);
// Units of 16 bytes of shared memory for the source of a tile of h x w pixels, `channels` at a time, and for sums on
// their way out. As the shaders count it.
size_t cdl_grouped_source_units(const struct cdl_caps *caps, uint32_t h, uint32_t w, uint32_t stride,
                                uint32_t channels);
size_t cdl_grouped_stage_units(const struct cdl_caps *caps);

#endif // CDL_GROUPED_WINDOW_H_
