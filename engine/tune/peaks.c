// peaks.c - what a device can do at best, by shaders that do one thing: the roof over every layer's rate.
#include "tune/warm_up.h"
#include "vulkan/memory.h"
#include "vulkan/one_shot.h"

#include <math.h>
#include <string.h>

#include "peak_params.h"

_Static_assert(sizeof(struct peak_params) <= CDL_MAX_PUSH_BYTES, "push constants");

enum { ROUNDS = 5, TARGET_NS = 15000000, FIRST_ITERATIONS = 4, MAX_ITERATIONS = 1 << 16 };

#define CONSTANTS "peak_matrix_constants.h"
#include "kernels/constants.h"

static const struct cdl_shader fp32_shader = {"peak_fp32", cdl_workgroup_constant, 1};
static const struct cdl_shader fp16_shader = {"peak_fp16", cdl_workgroup_constant, 1};
static const struct cdl_shader int8_shader = {"peak_int8", cdl_workgroup_constant, 1};
static const struct cdl_shader memory_shader = {"peak_memory", cdl_workgroup_constant, 1};
static const struct cdl_shader matrix_shader = {"peak_matrix", constants, NUM_CONSTANTS};

struct peak {
    const struct cdl_shader *shader;
    bool fp16;            // as the shader table has it
    double per_iteration; // operations of one invocation, or of one subgroup
    bool by_subgroup;
};

static struct cdl_program peak_program(const struct cdl_device *dev, const struct peak *peak) {
    const struct cdl_caps *caps = &dev->caps;
    struct cdl_program p = {.shader = peak->shader, .fp16 = peak->fp16};
    p.constants[WORKGROUP] = caps->max_workgroup_size < 256 ? caps->max_workgroup_size : 256;
    if (peak->by_subgroup) {
        p.constants[MATRIX_M] = caps->matrix_m;
        p.constants[MATRIX_N] = caps->matrix_n;
        p.constants[MATRIX_K] = caps->matrix_k;
        p.subgroup_size = caps->matrix_subgroup;
        p.constants[WORKGROUP] -= p.constants[WORKGROUP] % caps->matrix_subgroup;
    }
    return p;
}

// The shortest of some runs, in ns.
static cdl_result shortest(struct cdl_once *once, VkPipeline pipeline, const struct cdl_launch *launch, int rounds,
                           double *ns) {
    cdl_result r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < rounds; i++) {
        cdl_once_barrier(once);
        cdl_once_timestamp(once, 2 * (uint32_t)i);
        cdl_once_dispatch(once, pipeline, launch);
        cdl_once_timestamp(once, 2 * (uint32_t)i + 1);
    }
    r = cdl_once_run(once, 2 * (uint32_t)rounds);
    *ns = INFINITY;
    for (int i = 0; r == CDL_OK && i < rounds; i++) {
        const double one = cdl_once_ns(once, 2 * (uint32_t)i, 2 * (uint32_t)i + 1);
        *ns = one > 0 && one < *ns ? one : *ns;
    }
    return r;
}

static struct cdl_launch make_launch(const struct peak_params *params, uint64_t workgroups) {
    struct cdl_launch launch = {.push_bytes = sizeof *params};
    memcpy(launch.push.bytes, params, sizeof *params);
    cdl_launch_workgroups(&launch, workgroups);
    return launch;
}

// *rate: 1e9 operations a second.
static cdl_result measure_arithmetic(struct cdl_once *once, const struct peak *peak, uint64_t scratch, double *rate) {
    struct cdl_device *dev = once->dev;
    const struct cdl_program program = peak_program(dev, peak);
    const uint64_t workgroups = dev->info.software ? 64 : 8192; // enough for the largest devices to fill up evenly
    const double invocations =
        (double)workgroups * program.constants[WORKGROUP] / (peak->by_subgroup ? dev->caps.matrix_subgroup : 1);
    struct peak_params params = {
        .src = scratch, .dst = scratch, .iterations = FIRST_ITERATIONS, .scale = 0.5f, .shift = 0.25f};
    VkPipeline pipeline;
    double ns = 0;
    cdl_result r = cdl_pipeline_get(&pipeline, dev, &program);
    while (r == CDL_OK) { // as many iterations as outweigh the start and end of the dispatch
        struct cdl_launch launch = make_launch(&params, workgroups);
        r = shortest(once, pipeline, &launch, 2, &ns);
        if (r != CDL_OK || ns > TARGET_NS / 2 || params.iterations >= MAX_ITERATIONS)
            break;
        const double factor = TARGET_NS / ns;
        params.iterations = (int)(params.iterations * (factor > 16 ? 16 : factor < 2 ? 2 : factor));
    }
    struct cdl_launch launch = make_launch(&params, workgroups);
    if (r == CDL_OK)
        r = shortest(once, pipeline, &launch, ROUNDS, &ns);
    if (r == CDL_OK && isfinite(ns))
        *rate = invocations * params.iterations * peak->per_iteration / ns;
    return r;
}

static cdl_result measure_memory(struct cdl_once *once, const struct cdl_buffer *buffer, double *rate) {
    struct cdl_device *dev = once->dev;
    const struct cdl_program program = peak_program(dev, &(struct peak){.shader = &memory_shader});
    const uint64_t half = buffer->size / 2;
    const struct peak_params params = {
        .src = buffer->address, .dst = buffer->address + half, .count = (int)(half / 16)};
    const uint64_t per_workgroup = 8 * (uint64_t)program.constants[WORKGROUP];
    struct cdl_launch launch = make_launch(&params, ((uint64_t)params.count + per_workgroup - 1) / per_workgroup);
    VkPipeline pipeline;
    double ns = 0;
    cdl_result r = cdl_pipeline_get(&pipeline, dev, &program);
    if (r == CDL_OK)
        r = shortest(once, pipeline, &launch, ROUNDS, &ns);
    if (r == CDL_OK && isfinite(ns))
        *rate = (double)buffer->size / ns;
    return r;
}

struct copying {
    struct cdl_once *once;
    const struct cdl_buffer *buffer;
};

static cdl_result copy(void *ctx, double *ns) {
    const struct copying *c = ctx;
    double rate = 0;
    const cdl_result r = measure_memory(c->once, c->buffer, &rate);
    *ns = rate > 0 ? ROUNDS * (double)c->buffer->size / rate : 0;
    return r;
}

// Something that no compiler knows and every arithmetic takes: 0.1 as a half, 5e-11 as a float.
static cdl_result fill(struct cdl_once *once, const struct cdl_buffer *buffer) {
    cdl_result r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    once->dev->vkd.CmdFillBuffer(once->commands, buffer->handle, 0, VK_WHOLE_SIZE, 0x2e662e66);
    return cdl_once_run(once, 0);
}

static cdl_result measure(struct cdl_once *once, struct cdl_peaks *out) {
    struct cdl_device *dev = once->dev;
    const struct cdl_caps *caps = &dev->caps;
    // Beyond the caches of any GPU; a CPU's memory is slow enough to be measured with less.
    const uint64_t bytes = dev->info.software ? UINT64_C(128) << 20 : UINT64_C(1) << 30;
    const struct {
        struct peak peak;
        bool possible;
        double *rate;
    } peaks[] = {
        {{.shader = &fp32_shader, .per_iteration = 2 * 8 * 32}, true, &out->fp32_gflops},
        {{.shader = &fp16_shader, .per_iteration = 2 * 16 * 32}, caps->fp16_arithmetic, &out->fp16_gflops},
        {{.shader = &int8_shader, .per_iteration = 8 * 8 * 32}, dev->int8_dot, &out->int8_gops},
        {{.shader = &matrix_shader,
          .fp16 = true,
          .by_subgroup = true,
          .per_iteration = 2.0 * 8 * 4 * caps->matrix_m * caps->matrix_n * caps->matrix_k},
         caps->matrix_m != 0,
         &out->matrix_gflops},
    };
    struct cdl_buffer buffer = {0};
    cdl_result r =
        cdl_buffer_create(&buffer, dev, bytes < dev->max_allocation ? bytes : dev->max_allocation / 2 / 256 * 256,
                          CDL_MEMORY_DEVICE, "measuring peaks");
    if (r == CDL_OK)
        r = fill(once, &buffer);
    if (r == CDL_OK)
        r = cdl_warm_up(dev, copy, &(struct copying){once, &buffer});
    for (size_t i = 0; r == CDL_OK && i < CDL_COUNT(peaks); i++)
        if (peaks[i].possible) {
            r = measure_arithmetic(once, &peaks[i].peak, buffer.address, peaks[i].rate);
            if (r == CDL_ERR_UNSUPPORTED) // the driver could not compile it
                r = CDL_OK;
        }
    if (r == CDL_OK)
        r = measure_memory(once, &buffer, &out->memory_gbytes);
    cdl_buffer_destroy(&buffer, dev);
    return r;
}

cdl_result cdl_device_measure_peaks(cdl_device *dev, struct cdl_peaks *out) {
    struct cdl_once once;
    CDL_REQUIRE(&dev->log, out != NULL);
    *out = (struct cdl_peaks){0};
    if (!dev->timestamp_bits)
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "%s: its queue has no timestamps to measure peaks by",
                        dev->info.name);
    cdl_result r = cdl_device_check(dev);
    if (r == CDL_OK)
        r = cdl_once_create(&once, dev);
    if (r != CDL_OK)
        return r;
    r = measure(&once, out);
    cdl_once_destroy(&once);
    return r;
}
