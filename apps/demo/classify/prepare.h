// prepare.h - what classifies: a model on a GPU. Made in the background, as drivers compile for seconds and weights may
// have to be fetched first.
#ifndef DEMO_PREPARE_H_
#define DEMO_PREPARE_H_

#include "app.h"
#include "classify/choice.h"
#include "gpu/vulkan.h"

struct machine { // a GPU, as Vulkan's and as Cardinal's
    struct gpu *gpu;
    cdl_device *device;
    struct cdl_device_info info;
    SDL_SpinLock lock;
    char last_error[512]; // that Cardinal logged; under the lock
};

struct bundle {
    struct machine *machine;
    struct loaded_model model;
    cdl_session *session;
    struct cdl_session_info info;
};

struct preparation; // one at a time

// machine: reused where it is the GPU chosen; else a new one is made. on_done is called on the background thread. NULL:
// no memory.
struct preparation *prepare_start(const struct vulkan *vk, VkSurfaceKHR surface, struct machine *machine,
                                  const struct options *options, const struct choice *choice,
                                  void (*on_done)(void *ctx), void *ctx);
bool prepare_done(struct preparation *p);
// When done: true: *out is the caller's; false: error[] says why. Either way *p becomes NULL.
bool prepare_take(struct preparation **p, struct bundle *out, enum exit_status *status, char *error, size_t error_size);
const struct choice *prepare_choice(const struct preparation *p);

void machine_close(struct machine **machine);
void bundle_close(struct bundle *bundle); // session and model; the machine stays

#endif // DEMO_PREPARE_H_
