// device_batch.h - many dispatches in one buffer and one submission, with guard words around every region.
//
// Outputs start as NaN, and so do the guard words: what a kernel leaves unwritten shows, and so does what it reads
// beyond its inputs, even where it multiplies that by zero. Everything that is no output must be unchanged afterwards.
#ifndef CDL_DEVICE_BATCH_H_
#define CDL_DEVICE_BATCH_H_

#include "support/harness.h"

enum { BATCH_BYTES = 64 << 20, BATCH_MAX_REGIONS = 2048, BATCH_MAX_PIPELINES = 4096 };

struct batch_region {
    size_t at, size;
    bool output;
};
struct device_batch {
    struct cdl_device *dev;
    struct cdl_buffer buffer;
    uint8_t *expected; // what the buffer held before the run
    size_t used;
    struct batch_region regions[BATCH_MAX_REGIONS];
    int num_regions, num_dispatches;
    VkCommandPool pool;
    VkCommandBuffer commands;
    VkFence done;
    struct {
        struct cdl_program program;
        VkPipeline pipeline;
    } pipelines[BATCH_MAX_PIPELINES];
    int num_pipelines;
};

struct device_batch *batch_open(struct cdl_device *dev);
void batch_close(struct device_batch **batch);

// Whether regions of `bytes` in sum, `regions` in number, still fit.
bool batch_fits(const struct device_batch *b, size_t bytes, int regions);
// A region of `size` bytes with `content`, or an output (content NULL). Returns its offset.
size_t batch_add(struct device_batch *b, size_t size, const void *content);
uint64_t batch_address(const struct device_batch *b, size_t at);
const void *batch_at(const struct device_batch *b, size_t at);
// Compiles programs on all processors, for dispatches to come; optional.
void batch_compile(struct device_batch *b, const struct cdl_program *programs, int count);
// The pipeline is kept for later dispatches of the same program. No barrier: dispatches run in any order.
void batch_dispatch(struct device_batch *b, const struct cdl_program *program, const struct cdl_launch *launch);
void batch_barrier(struct device_batch *b); // for dispatches that read what others wrote

// Submits, waits. false: guard words or inputs changed; *damaged_at is the first such byte.
bool batch_run(struct device_batch *b, size_t *damaged_at);
void batch_reset(struct device_batch *b); // empties it; pipelines stay

#endif // CDL_DEVICE_BATCH_H_
