// upload.c - see upload.h.
#include "vulkan/upload.h"

#include <stdlib.h>
#include <string.h>

#include "vulkan/one_shot.h"

enum { CHUNK = 32 << 20 }; // of what is written once: so much host memory it takes

struct cdl_upload {
    struct cdl_device *dev;
    struct cdl_buffer target; // what shaders read
    struct cdl_buffer host;   // copied to it; .handle VK_NULL_HANDLE: the target is written in place
    uint8_t *mapped;          // of `host`, else of the target; written, never read
};

static cdl_result map(const struct cdl_buffer *buffer, struct cdl_device *dev, void **out) {
    cdl_result r = CDL_OK;
    CDL_VK(dev, MapMemory(dev->handle, buffer->memory, 0, VK_WHOLE_SIZE, 0, out));
error:
    return r;
}

// ---- for every run

cdl_result cdl_upload_create(struct cdl_upload **out, struct cdl_device *dev, size_t size, const char *what) {
    struct cdl_upload *u = *out = calloc(1, sizeof *u);
    void *mapped = NULL;
    if (!u)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    u->dev = dev;
    cdl_result r =
        cdl_buffer_create(&u->target, dev, size, dev->copies_uploads ? CDL_MEMORY_DEVICE : CDL_MEMORY_SHARED, what);
    if (r == CDL_OK && dev->copies_uploads)
        r = cdl_buffer_create(&u->host, dev, size, CDL_MEMORY_UPLOAD, what);
    if (r == CDL_OK)
        r = map(u->host.handle ? &u->host : &u->target, dev, &mapped);
    u->mapped = mapped;
    if (r != CDL_OK)
        cdl_upload_destroy(out);
    return r;
}

void cdl_upload_destroy(struct cdl_upload **upload) {
    struct cdl_upload *u = *upload;
    *upload = NULL;
    if (!u)
        return;
    cdl_buffer_destroy(&u->target, u->dev);
    cdl_buffer_destroy(&u->host, u->dev);
    free(u);
}

uint64_t cdl_upload_address(const struct cdl_upload *u) { return u->target.address; }

void cdl_upload_write(struct cdl_upload *u, size_t at, const void *data, size_t bytes) {
    memcpy(u->mapped + at, data, bytes);
}

void cdl_upload_put(void *upload, size_t at, const void *data, size_t bytes) {
    cdl_upload_write(upload, at, data, bytes);
}

cdl_result cdl_upload_flush(const struct cdl_upload *u) {
    return cdl_buffer_flush(u->host.handle ? &u->host : &u->target, u->dev);
}

void cdl_upload_record(const struct cdl_upload *u, VkCommandBuffer commands, size_t bytes) {
    const VkBufferCopy region = {.size = bytes};
    if (u->host.handle)
        u->dev->vkd.CmdCopyBuffer(commands, u->host.handle, u->target.handle, 1, &region);
}

// ---- once

static cdl_result write_in_place(struct cdl_device *dev, const struct cdl_buffer *buffer, size_t at, const void *data,
                                 size_t bytes) {
    void *mapped;
    cdl_result r = map(buffer, dev, &mapped);
    if (r != CDL_OK)
        return r;
    memcpy((uint8_t *)mapped + at, data, bytes);
    r = cdl_buffer_flush(buffer, dev);
    dev->vkd.UnmapMemory(dev->handle, buffer->memory);
    return r;
}

static cdl_result copy_chunk(struct cdl_once *once, const struct cdl_buffer *host, void *mapped,
                             const struct cdl_buffer *to, size_t at, const void *data, size_t bytes) {
    struct cdl_device *dev = once->dev;
    const VkBufferCopy region = {.dstOffset = at, .size = bytes};
    memcpy(mapped, data, bytes);
    cdl_result r = cdl_buffer_flush(host, dev);
    if (r == CDL_OK)
        r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    dev->vkd.CmdCopyBuffer(once->commands, host->handle, to->handle, 1, &region);
    cdl_once_barrier(once);
    return cdl_once_run(once, 0);
}

cdl_result cdl_upload_now(struct cdl_device *dev, const struct cdl_buffer *buffer, size_t at, const void *data,
                          size_t bytes) {
    struct cdl_once once = {0};
    struct cdl_buffer host = {0};
    void *mapped = NULL;
    if (bytes == 0)
        return CDL_OK;
    if (!dev->copies_uploads && buffer->host_visible)
        return write_in_place(dev, buffer, at, data, bytes);
    const size_t chunk = bytes < CHUNK ? bytes : CHUNK;
    cdl_result r = cdl_once_create(&once, dev);
    if (r == CDL_OK)
        r = cdl_buffer_create(&host, dev, chunk, CDL_MEMORY_UPLOAD, "what is on its way to the device");
    if (r == CDL_OK)
        r = map(&host, dev, &mapped);
    for (size_t done = 0; r == CDL_OK && done < bytes; done += chunk)
        r = copy_chunk(&once, &host, mapped, buffer, at + done, (const uint8_t *)data + done,
                       bytes - done < chunk ? bytes - done : chunk);
    cdl_buffer_destroy(&host, dev);
    cdl_once_destroy(&once);
    return r;
}
