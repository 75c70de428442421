// host_input.h - a host's picture before it is used: what is wrong with it, and which part of it is meant.
#ifndef CDL_HOST_INPUT_H_
#define CDL_HOST_INPUT_H_

#include "session/session.h"
#include "cdl/cdl_vulkan.h" // after those: they hide Vulkan's prototypes

// The classified part of an input, in pixels.
struct cdl_part {
    int x, y, width, height;
};
struct cdl_part cdl_part_of(const struct cdl_vk_input *in);
size_t cdl_stride_of(const struct cdl_vk_input *in); // bytes, of a buffer

// CDL_ERR_INVALID, and a line in the log that names the member of inputs[index] and what it may be.
cdl_result cdl_check_input(const struct cdl_device *dev, const struct cdl_vk_input *in, int index);

#endif // CDL_HOST_INPUT_H_
