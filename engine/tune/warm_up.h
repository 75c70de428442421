// warm_up.h - brings a GPU to the clock that it keeps under load, before anything is timed.
//
// An idle GPU takes a while to raise its clock: between submissions an H200 was seen at 600 to 1,500 of its 1,980 MHz,
// and what was timed at one clock was compared with what was timed at another. After 15 ms of work figures agreed
// within a per cent.
#ifndef CDL_WARM_UP_H_
#define CDL_WARM_UP_H_

#include "vulkan/device.h"

// Calls work(ctx, &ns), which runs always the same on the device and tells how long it took there, until it takes the
// same time twice (within 2 %) and 15 ms have gone by; for half a second of the device's time at most. A CPU driver has
// no clock of its own: nothing is called.
cdl_result cdl_warm_up(const struct cdl_device *dev, cdl_result (*work)(void *ctx, double *ns), void *ctx);

#endif // CDL_WARM_UP_H_
