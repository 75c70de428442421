// weights.h - a model's packed weights in device memory, shared by the sessions of a device.
#ifndef CDL_WEIGHTS_H_
#define CDL_WEIGHTS_H_

#include "plan/plan.h"
#include "vulkan/memory.h"

// Shared by sessions of one model whose plans want the same bytes.
struct cdl_weights {
    struct cdl_weights *next;
    struct cdl_model *model; // retained: its address identifies the content
    uint64_t hash;           // cdl_plan_weights_hash
    struct cdl_buffer buffer;
    int references; // under the device's lock
};
// All that the device's sessions use now, a list under the device's lock. NULL: no memory.
struct cdl_weights **cdl_weights_of(struct cdl_device *dev);
cdl_result cdl_weights_acquire(struct cdl_weights **out, struct cdl_device *dev, struct cdl_model *model,
                               const struct cdl_plan *plan);
void cdl_weights_release(struct cdl_weights **weights, struct cdl_device *dev);

#endif // CDL_WEIGHTS_H_
