// caps.h - devices that are not there, for tests of what is chosen on them.
#ifndef CDL_CAPS_OF_TESTS_H_
#define CDL_CAPS_OF_TESTS_H_

#include "kernels/caps.h"

static const struct cdl_caps cpu = {.subgroup_size = 8,
                                    .subgroup_shuffle = true,
                                    .software = true,
                                    .max_workgroup_size = 1024,
                                    .max_shared_bytes = 32768};
static const struct cdl_caps least = {
    .subgroup_size = 1, .max_workgroup_size = 128, .max_shared_bytes = 16384}; // Vulkan's guaranteed limits

#endif // CDL_CAPS_OF_TESTS_H_
