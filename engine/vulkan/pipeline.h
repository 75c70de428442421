// pipeline.h - compute pipelines from the embedded SPIR-V. pipeline.c makes one; pipeline_cache.c keeps those of a
// device, and the driver's cache of them on disk.
#ifndef CDL_VK_PIPELINE_H_
#define CDL_VK_PIPELINE_H_

#include "kernels/launch.h"
#include "kernels/program.h"
#include "vulkan/vk.h"

struct cdl_device;

struct cdl_pipelines { // of a device, under its lock
    struct cdl_pipeline_entry {
        struct cdl_program program;
        VkPipeline handle;
    } * items;
    int count, capacity;
    int created; // so far
    int told;    // for so many of them the driver told whether it found them in its cache
    int hits;    // and so many it found
    VkPipelineCache cache;
    uint64_t saved; // hash of what the cache's file holds
    size_t loaded;  // bytes of it that the driver got
};

// ---- pipeline.c

// The bindings of descriptor set 0 of a program with `host_input`: a host's buffer, or the planes of its image.
enum { CDL_BINDING_BUFFER, CDL_BINDING_VIEW, CDL_BINDING_CHROMA, CDL_NUM_BINDINGS };
// Creates dev->pipeline_layout, input_set_layout and input_layout; cdl_device_destroy destroys what there is of them.
cdl_result cdl_pipeline_layouts_create(struct cdl_device *dev);

// A new pipeline that runs `program`; the caller destroys it. CDL_ERR_UNSUPPORTED: the driver cannot compile it.
cdl_result cdl_pipeline_create(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program);
// The same without logging, for threads that the engine itself started.
VkResult cdl_pipeline_compile(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program);

// ---- pipeline_cache.c

// The device's pipeline that runs `program`, made at first use and kept until the device goes. Thread-safe.
cdl_result cdl_pipeline_get(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program);

// Makes those that the device does not have yet at once, on all processors. What fails is left for cdl_pipeline_get
// to report.
void cdl_pipelines_prepare(struct cdl_device *dev, const struct cdl_program *programs, int count);

// Reads the driver's cache from a folder; NULL: from none. Fills dev->cache_dir and dev->cache_key.
cdl_result cdl_pipelines_open(struct cdl_device *dev, const char *cache_dir);
void cdl_pipelines_save(struct cdl_device *dev); // writes the driver's cache when it changed
void cdl_pipelines_close(struct cdl_device *dev);

#endif // CDL_VK_PIPELINE_H_
