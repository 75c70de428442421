// kernel_check.h - does a kernel compute what plain C does, on this device with this driver?
#ifndef CDL_KERNEL_CHECK_H_
#define CDL_KERNEL_CHECK_H_

#include "kernels/kernels.h"
#include "vulkan/one_shot.h"

// Runs `kernel`, one of those listed for this work of convolutions, on a small odd shape for which it is listed with
// the same constants, and compares some hundred outputs with a reference. *passed false: they differ, or the driver
// cannot compile it. An error: the device was lost, or there is no memory.
cdl_result cdl_kernel_check(bool *passed, struct cdl_once *once, const struct cdl_work *work,
                            const struct cdl_kernel *kernel);

#endif // CDL_KERNEL_CHECK_H_
