// upload.h - the way of bytes from the host to the device.
//
// One policy, by class of device. GPUs that share the host's memory, and CPU drivers, read what the host wrote in
// place. GPUs with memory of their own read a copy: the host writes cached memory of its own, and the queue copies.
// There, memory of the device that is mapped into the host takes a microsecond for every load (measured on an H200:
// 0.004 GB/s), so one careless read of what was just written costs more than all the rest. Hence nothing here hands out
// a pointer: what is written can only be written, in order.
#ifndef CDL_VK_UPLOAD_H_
#define CDL_VK_UPLOAD_H_

#include "vulkan/memory.h"

// Bytes that are written for every run: pictures and their tables. One thread at a time, and not while a run that reads
// them is in flight.
struct cdl_upload;

// what: for the log, which gets it and the size with CDL_ERR_NOMEM.
cdl_result cdl_upload_create(struct cdl_upload **out, struct cdl_device *dev, size_t size, const char *what);
void cdl_upload_destroy(struct cdl_upload **upload);          // a pointer to NULL is fine
uint64_t cdl_upload_address(const struct cdl_upload *upload); // where shaders read them
void cdl_upload_write(struct cdl_upload *upload, size_t at, const void *data, size_t bytes);
void cdl_upload_put(void *upload, size_t at, const void *data, size_t bytes); // the same, for callbacks
// Ends the writing, before the commands that read are submitted.
cdl_result cdl_upload_flush(const struct cdl_upload *upload);
// The first `bytes`, for shaders that are recorded behind it and behind a barrier from VK_PIPELINE_STAGE_TRANSFER_BIT,
// VK_ACCESS_TRANSFER_WRITE_BIT. Waits for nothing, so that a copy may overlap what was submitted before.
void cdl_upload_record(const struct cdl_upload *upload, VkCommandBuffer commands, size_t bytes);

// Bytes that are written once: fills buffer[at, at + bytes) of a CDL_MEMORY_DEVICE buffer now, and waits. Any thread.
cdl_result cdl_upload_now(struct cdl_device *dev, const struct cdl_buffer *buffer, size_t at, const void *data,
                          size_t bytes);

#endif // CDL_VK_UPLOAD_H_
