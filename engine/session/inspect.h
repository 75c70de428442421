// inspect.h - what tests look into: the values inside a network after a run.
#ifndef CDL_INSPECT_H_
#define CDL_INSPECT_H_

#include "session/session.h"

// A session that keeps every value until the next run, rather than reuse its memory.
cdl_result cdl_session_create_keeping(cdl_session **out, cdl_device *dev, cdl_model *model,
                                      const struct cdl_session_params *params);

// A value of slot 0's last run as float[height][width][channels]; the session keeps values. Blocks, allocates.
cdl_result cdl_session_read_value(cdl_session *s, int value, int image, float *out);

#endif // CDL_INSPECT_H_
