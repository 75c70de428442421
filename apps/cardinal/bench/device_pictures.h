// device_pictures.h - pictures that lie in device memory before a run begins, and runs of them, by the interface that
// hosts use (cdl/cdl_vulkan.h).
#ifndef CARDINAL_DEVICE_PICTURES_H_
#define CARDINAL_DEVICE_PICTURES_H_

#include "cdl/cdl.h"

struct device_pictures;

// Copies `count` pictures, RGBA8 and tight, into memory of the device that the host can write. Each run takes `batch`
// of them, in turn. CDL_ERR_UNSUPPORTED: the device has no such memory. error: one line.
cdl_result device_pictures_create(struct device_pictures **out, cdl_device *device, const struct cdl_pixels *pictures,
                                  int count, int batch, char *error, size_t error_size);
void device_pictures_destroy(struct device_pictures **p); // after the runs that read them
// As cdl_session_submit; the session was created with `vulkan`.
cdl_result device_pictures_submit(const struct device_pictures *p, cdl_session *session, int slot);

#endif // CARDINAL_DEVICE_PICTURES_H_
