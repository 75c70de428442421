// load.h - a model becomes whole once its network is recognised.
#ifndef CDL_LOAD_H_
#define CDL_LOAD_H_

#include "model/model.h"

// Completes what a source made: its class count and its name; every tensor has its place. On failure destroys the
// model.
cdl_result cdl_model_recognise(cdl_model **out, cdl_model *model, const cdl_log *log);

#endif // CDL_LOAD_H_
