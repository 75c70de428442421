// dx.h - the kernel for the gradient of a convolution's source where no forward kernel gives it, as at strides above 1:
// conv_dx.comp. Plain data, no Vulkan.
#ifndef CDL_TRAIN_DX_H_
#define CDL_TRAIN_DX_H_

#include "kernels/family.h"

// Of the forward convolution's shape, as are all shapes here: the program, and in weights[0] how the turned weights
// lie. adds: to a gradient that is there.
struct cdl_kernel cdl_dx_kernel(const struct cdl_shape *shape, bool adds);
// The turned convolution, which takes the gradient of the result to that of the source, at stride 1.
struct cdl_shape cdl_dx_turned(const struct cdl_shape *shape);

struct cdl_dx_addresses {
    uint64_t gradient, weights, added, src_gradient; // added: 0 where the kernel does not add
};
void cdl_dx_launch(const struct cdl_program *program, const struct cdl_shape *shape, int images,
                   const struct cdl_dx_addresses *at, struct cdl_launch *out);

#endif // CDL_TRAIN_DX_H_
