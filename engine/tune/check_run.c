#include "tune/check_run.h"

#include <string.h>

#include "base/random.h"
#include "vulkan/upload.h"

enum { DATA_SEED = 1, SAMPLE_SEED = 2 };

// ---- which shape

static int at_most(int a, int b) { return a < b ? a : b; }

struct cdl_check_size cdl_check_size(const struct cdl_op *op, const struct cdl_value *src, const struct cdl_value *dst,
                                     int pixels, int channels) {
    const int sides[CDL_CHECK_PIXELS][2] = {{5, 7}, {9, 19}, {dst->height, dst->width}};
    const int dense[CDL_CHECK_CHANNELS][2] = {
        {20, 44}, {72, 136}, {72, 120}, {src->channels, 44}, {72, dst->channels}, {src->channels, dst->channels}};
    const int blocks[CDL_CHECK_CHANNELS] = {3, 5, 16, op->groups, op->groups, op->groups}; // groups
    const int groups = op->groups == 1 ? 1 : at_most(blocks[channels], op->groups);
    return (struct cdl_check_size){
        .groups = groups,
        .src_channels =
            op->groups == 1 ? at_most(dense[channels][0], src->channels) : src->channels / op->groups * groups,
        .dst_channels =
            op->groups == 1 ? at_most(dense[channels][1], dst->channels) : dst->channels / op->groups * groups,
        // A linear layer, and what pools to one pixel, stay at one.
        .dst_height = at_most(sides[pixels][0], dst->height),
        .dst_width = at_most(sides[pixels][1], dst->width),
    };
}

struct cdl_value cdl_check_source(const struct cdl_op *op, const struct cdl_check_size *size, bool fp32) {
    return (struct cdl_value){(size->dst_height - 1) * op->stride + op->kernel_h - 2 * op->padding,
                              (size->dst_width - 1) * op->stride + op->kernel_w - 2 * op->padding, size->src_channels,
                              fp32};
}

bool cdl_check_shape(struct cdl_check_shape *out, const struct cdl_shape *like, int pixels, int channels) {
    const struct cdl_check_size size = cdl_check_size(like->op, like->src, like->dst, pixels, channels);
    out->op = *like->op;
    out->op.groups = size.groups;
    out->src = cdl_check_source(like->op, &size, like->src->fp32);
    out->dst = (struct cdl_value){size.dst_height, size.dst_width, size.dst_channels, like->dst->fp32};
    out->shape = *like;
    out->shape.op = &out->op;
    out->shape.src = &out->src;
    out->shape.dst = &out->dst;
    out->shape.src_c4 = cdl_padded_channels(size.src_channels) / 4;
    out->shape.dst_c4 = cdl_padded_channels(size.dst_channels) / 4;
    out->shape.images = CDL_CHECK_IMAGES;
    return out->src.height > 0 && out->src.width > 0;
}

// ---- data

void cdl_check_fill(float *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)(cdl_random_bits(DATA_SEED, i) % 129) - 64) / 64;
}

size_t cdl_check_bytes(const struct cdl_value *v, bool fp16) {
    const struct cdl_value unmarked = {v->height, v->width, v->channels, false};
    return CDL_CHECK_IMAGES * cdl_value_bytes(&unmarked, fp16);
}

void cdl_check_store(const struct cdl_value *v, bool fp16, const float *data, uint8_t *out) {
    const struct cdl_value unmarked = {v->height, v->width, v->channels, false};
    cdl_value_store(&unmarked, fp16, CDL_CHECK_IMAGES, data, out);
}

size_t cdl_check_set_beyond(const struct cdl_value *v, float *data) {
    const size_t pixel =
        (size_t)((CDL_CHECK_IMAGES - 1) * v->height * v->width + v->height / 2 * v->width + v->width / 2);
    const size_t at = (pixel + 1) * (size_t)v->channels - 1;
    data[at] = CDL_CHECK_MOST_HALF;
    return at;
}

size_t cdl_check_sample(size_t n, size_t count) {
    return count <= CDL_CHECK_SAMPLES ? n
           : n == 0                   ? 0
           : n == 1                   ? count - 1
                                      : (size_t)(cdl_random_bits(SAMPLE_SEED, n) % count);
}

bool cdl_check_guarded(const uint8_t *guard) {
    for (size_t i = 0; i < CDL_CHECK_GUARD; i++)
        if (guard[i] != 0xff)
            return false;
    return true;
}

// ---- run

cdl_result cdl_check_run_create(struct cdl_check_run *out, struct cdl_device *dev, const void *inputs, size_t in_bytes,
                                size_t out_bytes) {
    *out = (struct cdl_check_run){.in = {0}};
    cdl_result r = cdl_buffer_create(&out->in, dev, in_bytes, CDL_MEMORY_DEVICE, "a kernel's check");
    if (r == CDL_OK)
        r = cdl_buffer_create(&out->out, dev, out_bytes, CDL_MEMORY_READBACK, "a kernel's check");
    if (r == CDL_OK)
        r = cdl_upload_now(dev, &out->in, 0, inputs, in_bytes);
    if (r != CDL_OK)
        return r;
    memset(out->out.mapped, 0xff, out->out.size);
    return cdl_buffer_flush(&out->out, dev);
}

cdl_result cdl_check_run(struct cdl_check_run *run, struct cdl_once *once, const struct cdl_program *programs,
                         const struct cdl_launch *launches, int count, bool *ran) {
    VkPipeline pipelines[2];
    cdl_result r = CDL_OK;
    *ran = false;
    for (int i = 0; i < count && r == CDL_OK; i++)
        r = cdl_pipeline_get(&pipelines[i], once->dev, &programs[i]);
    if (r == CDL_ERR_UNSUPPORTED)
        return CDL_OK;
    if (r == CDL_OK)
        r = cdl_once_begin(once);
    if (r != CDL_OK)
        return r;
    for (int i = 0; i < count; i++) {
        cdl_once_dispatch(once, pipelines[i], &launches[i]);
        cdl_once_barrier(once);
    }
    r = cdl_once_run(once, 0);
    if (r == CDL_OK)
        r = cdl_buffer_invalidate(&run->out, once->dev);
    *ran = r == CDL_OK;
    return r;
}

void cdl_check_run_destroy(struct cdl_check_run *run, struct cdl_device *dev) {
    cdl_buffer_destroy(&run->in, dev);
    cdl_buffer_destroy(&run->out, dev);
}

cdl_result cdl_check_no_memory(struct cdl_device *dev) {
    return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while checking kernels");
}

cdl_result cdl_check_not_listed(struct cdl_device *dev, const char *layer, const struct cdl_program *program) {
    return cdl_fail(&dev->log, CDL_ERR_INVALID, "%s: %s is not among its own kernels", layer, program->shader->name);
}
