// dw_check.h - which kernel makes the gradient of a convolution's weights on a device: only one that computes what
// plain C does there; see tune/tuner.h.
#ifndef CDL_TRAIN_DW_CHECK_H_
#define CDL_TRAIN_DW_CHECK_H_

#include "train/dw.h"
#include "tune/findings.h"
#include "vulkan/one_shot.h"

// Runs `kernel`, one of those listed for this shape, and what adds its parts up, on a small odd shape for which it is
// listed with the same constants, and compares some hundred weights' gradients with a reference. In half precision one
// gradient is beyond its range: what it is a term of must be no finite number. *passed false: they differ, or the
// driver cannot compile it. An error: the device was lost, or there is no memory.
cdl_result cdl_dw_check(bool *passed, struct cdl_once *once, const struct cdl_shape *shape,
                        const struct cdl_dw_kernel *kernel);

// dw_choose.c: what the fastest is remembered by.
void cdl_dw_key(char out[CDL_FINDING_KEY], const struct cdl_shape *shape);
// For cdl_train_program_params, with a struct cdl_tuner as choose_ctx: as cdl_tuner_choose.
int cdl_dw_choose(void *tuner, const struct cdl_shape *shape, const struct cdl_dw_kernel *kernels, int count);

#endif // CDL_TRAIN_DW_CHECK_H_
