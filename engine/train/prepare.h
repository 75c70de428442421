// prepare.h - ahead of choosing the kernels of a training program.
#ifndef CDL_TRAIN_PREPARE_H_
#define CDL_TRAIN_PREPARE_H_

#include "train/program.h"
#include "tune/tuner.h"

// Compiles, on all processors, the pipelines that choosing the program's kernels with this tuner will run: to check
// them, or to time them. What is known of already is not among them. params: without choose, choose_dw, trust_dx and
// choose_ctx. Fails where deriving the program would.
cdl_result cdl_train_prepare(struct cdl_tuner *tuner, const struct cdl_model *model,
                             const struct cdl_train_program_params *params);

#endif // CDL_TRAIN_PREPARE_H_
