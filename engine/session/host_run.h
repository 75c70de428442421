// host_run.h - prepares a session for runs in a host's own terms; the functions that run are public, see cdl_vulkan.h.
#ifndef CDL_HOST_RUN_H_
#define CDL_HOST_RUN_H_

#include "session/session.h"

// The pipelines and descriptor sets that take a host's pictures.
cdl_result cdl_create_inputs(struct cdl_session *s);

#endif // CDL_HOST_RUN_H_
