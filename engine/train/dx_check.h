// dx_check.h - whether the kernel for the gradient of a convolution's source computes on a device what plain C does.
#ifndef CDL_TRAIN_DX_CHECK_H_
#define CDL_TRAIN_DX_CHECK_H_

#include "train/dx.h"
#include "vulkan/one_shot.h"

// Runs cdl_dx_kernel(shape, adds) on a small odd shape for which it has the same constants, and compares some hundred
// gradients with a reference. In half precision one gradient that it reads is beyond its range, and so must be what it
// is a term of. *passed false: they differ, or the driver cannot compile it. An error: the device was lost, or there is
// no memory.
cdl_result cdl_dx_check(bool *passed, struct cdl_once *once, const struct cdl_shape *shape, bool adds);

// For cdl_train_program_params, with a struct cdl_tuner as choose_ctx. CDL_ERR_UNSUPPORTED: it failed that check, now
// or earlier.
cdl_result cdl_dx_trust(void *tuner, const struct cdl_shape *shape, bool adds);

#endif // CDL_TRAIN_DX_CHECK_H_
