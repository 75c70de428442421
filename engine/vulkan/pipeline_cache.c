// pipeline_cache.c - a device's pipelines, made once each, and the driver's cache of them on disk.
#include "vulkan/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_write.h"
#include "base/parallel.h"
#include "vulkan/device.h"
#include "vulkan/spirv.h"

#define KIND "pipelines"

uint64_t cdl_shaders_hash(void) {
    uint64_t hash = CDL_HASH_START;
    for (int i = 0; i < cdl_num_spirv; i++) {
        const uint64_t head[] = {cdl_spirv[i].size, cdl_spirv[i].fp16};
        hash = cdl_hash(hash, head, sizeof head);
        hash = cdl_hash(hash, cdl_spirv[i].shader, strlen(cdl_spirv[i].shader));
        hash = cdl_hash(hash, cdl_spirv[i].words, cdl_spirv[i].size);
    }
    return hash;
}

static void read_key(struct cdl_device *dev) {
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &id};
    dev->instance.vki.GetPhysicalDeviceProperties2(dev->physical, &properties);
    const VkPhysicalDeviceProperties *p = &properties.properties;
    dev->cache_key = (struct cdl_cache_key){.vendor_id = p->vendorID,
                                            .device_id = p->deviceID,
                                            .driver_version = p->driverVersion,
                                            .shaders = cdl_shaders_hash()};
    memcpy(dev->cache_key.device, id.deviceUUID, VK_UUID_SIZE);
    memcpy(dev->cache_key.driver, p->pipelineCacheUUID, VK_UUID_SIZE);
}

// Whether the driver's own header names this device. Our checksum says the bytes are those a driver wrote; drivers
// check the header too, but a library that others trust does not rely on it.
static bool fits_driver(const struct cdl_device *dev, const uint8_t *data, size_t size) {
    VkPipelineCacheHeaderVersionOne h;
    if (size < sizeof h)
        return false;
    memcpy(&h, data, sizeof h);
    return h.headerSize >= sizeof h && h.headerVersion == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           h.vendorID == dev->cache_key.vendor_id && h.deviceID == dev->cache_key.device_id &&
           !memcmp(h.pipelineCacheUUID, dev->cache_key.driver, VK_UUID_SIZE);
}

cdl_result cdl_pipelines_open(struct cdl_device *dev, const char *cache_dir) {
    struct cdl_pipelines *p = &dev->pipelines;
    cdl_result r = CDL_OK;
    size_t size = 0;
    uint8_t *data = NULL;
    read_key(dev);
    if (cache_dir && cache_dir[0]) {
        dev->cache_dir = malloc(strlen(cache_dir) + 1);
        if (!dev->cache_dir)
            return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while opening a device");
        memcpy(dev->cache_dir, cache_dir, strlen(cache_dir) + 1);
        if (!cdl_folder_exists(cache_dir))
            cdl_logf(&dev->log, CDL_LOG_WARN,
                     "cache_dir: there is no folder %s; until it is made, every start compiles anew", cache_dir);
        data = cdl_cache_read(&size, cache_dir, KIND, &dev->cache_key, &dev->log);
        if (data && !fits_driver(dev, data, size))
            size = 0;
    }
    const VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
        .initialDataSize = size,
        .pInitialData = size ? data : NULL,
    };
    CDL_VK(dev, CreatePipelineCache(dev->handle, &info, dev->allocator, &p->cache));
    p->loaded = size;
    p->saved = cdl_hash(CDL_HASH_START, data, size);
error:
    free(data);
    return r;
}

void cdl_pipelines_save(struct cdl_device *dev) {
    struct cdl_pipelines *p = &dev->pipelines;
    size_t size = 0;
    if (!dev->cache_dir || !p->cache || cdl_device_is_lost(dev) ||
        dev->vkd.GetPipelineCacheData(dev->handle, p->cache, &size, NULL) != VK_SUCCESS || size == 0)
        return;
    uint8_t *data = malloc(size);
    if (data && dev->vkd.GetPipelineCacheData(dev->handle, p->cache, &size, data) == VK_SUCCESS) {
        const uint64_t hash = cdl_hash(CDL_HASH_START, data, size);
        cdl_mutex_lock(&dev->lock);
        const bool changed = p->saved != hash;
        p->saved = hash;
        cdl_mutex_unlock(&dev->lock);
        if (changed)
            cdl_cache_write(data, size, dev->cache_dir, KIND, &dev->cache_key, &dev->log);
    }
    free(data);
}

void cdl_pipelines_close(struct cdl_device *dev) {
    struct cdl_pipelines *p = &dev->pipelines;
    for (int i = 0; i < p->count; i++)
        dev->vkd.DestroyPipeline(dev->handle, p->items[i].handle, dev->allocator);
    free(p->items);
    if (p->cache)
        dev->vkd.DestroyPipelineCache(dev->handle, p->cache, dev->allocator);
    free(dev->cache_dir);
    dev->cache_dir = NULL;
    *p = (struct cdl_pipelines){0};
}

static VkPipeline find(const struct cdl_pipelines *p, const struct cdl_program *program) {
    for (int i = 0; i < p->count; i++)
        if (cdl_program_equal(&p->items[i].program, program))
            return p->items[i].handle;
    return VK_NULL_HANDLE;
}

static bool append(struct cdl_pipelines *p, const struct cdl_program *program, VkPipeline handle) {
    if (p->count == p->capacity) {
        const int capacity = p->capacity ? 2 * p->capacity : 64;
        struct cdl_pipeline_entry *bigger = realloc(p->items, (size_t)capacity * sizeof *bigger);
        if (!bigger)
            return false;
        p->items = bigger;
        p->capacity = capacity;
    }
    p->items[p->count++] = (struct cdl_pipeline_entry){*program, handle};
    return true;
}

// Keeps `made` for the program, or throws it away for one that another thread was faster to make. VK_NULL_HANDLE: no
// memory.
static VkPipeline keep(struct cdl_device *dev, const struct cdl_program *program, VkPipeline made) {
    cdl_mutex_lock(&dev->lock);
    VkPipeline kept = find(&dev->pipelines, program);
    const bool added = !kept && append(&dev->pipelines, program, made);
    if (added)
        kept = made;
    cdl_mutex_unlock(&dev->lock);
    if (!added)
        dev->vkd.DestroyPipeline(dev->handle, made, dev->allocator);
    return kept;
}

static VkPipeline look_up(struct cdl_device *dev, const struct cdl_program *program) {
    cdl_mutex_lock(&dev->lock);
    const VkPipeline found = find(&dev->pipelines, program);
    cdl_mutex_unlock(&dev->lock);
    return found;
}

cdl_result cdl_pipeline_get(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program) {
    *out = look_up(dev, program);
    if (*out)
        return CDL_OK;
    // Compiled without the lock: other threads submit meanwhile, or compile another program.
    VkPipeline made;
    const cdl_result r = cdl_pipeline_create(&made, dev, program);
    if (r != CDL_OK)
        return r;
    *out = keep(dev, program, made);
    return *out ? CDL_OK : cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating pipelines");
}

struct preparation {
    struct cdl_device *dev;
    const struct cdl_program **programs;
};

static void prepare_one(void *ctx, int i) {
    const struct preparation *p = ctx;
    VkPipeline made;
    if (cdl_pipeline_compile(&made, p->dev, p->programs[i]) >= 0)
        keep(p->dev, p->programs[i], made);
}

void cdl_pipelines_prepare(struct cdl_device *dev, const struct cdl_program *programs, int count) {
    struct preparation p = {dev, malloc((size_t)count * sizeof *p.programs)};
    int n = 0;
    for (int i = 0; p.programs && i < count; i++) {
        bool known = look_up(dev, &programs[i]) != VK_NULL_HANDLE;
        for (int j = 0; j < n && !known; j++)
            known = cdl_program_equal(p.programs[j], &programs[i]);
        if (!known)
            p.programs[n++] = &programs[i];
    }
    for (int i = 0; i < n; i++) { // before: where a driver crashes, the log's last lines then say on what
        char text[CDL_PROGRAM_TEXT];
        cdl_program_text(p.programs[i], text);
        cdl_logf(&dev->log, CDL_LOG_DEBUG, "compiling %s, with others", text);
    }
    if (n > 0)
        cdl_parallel(n, prepare_one, &p);
    free(p.programs);
}
