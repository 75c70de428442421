// check_run.h - what the checks of kernels share: small shapes, data that halves hold exactly, and a run on the device
// between guard words, whose result is compared with plain C.
#ifndef CDL_CHECK_RUN_H_
#define CDL_CHECK_RUN_H_

#include "kernels/family.h"
#include "vulkan/memory.h"
#include "vulkan/one_shot.h"

enum { CDL_CHECK_IMAGES = 2, CDL_CHECK_SAMPLES = 768, CDL_CHECK_GUARD = 256 };

// ---- which shape

// Sizes that a kernel for an operation from `src` to `dst` may be listed for with the same constants, cheapest first:
// by the number of a choice of pixels, and of channels; the last of both are the operation's own.
enum { CDL_CHECK_PIXELS = 3, CDL_CHECK_CHANNELS = 6 };
struct cdl_check_size {
    int groups, src_channels, dst_channels, dst_height, dst_width;
};
struct cdl_check_size cdl_check_size(const struct cdl_op *op, const struct cdl_value *src, const struct cdl_value *dst,
                                     int pixels, int channels);
// The source from which a convolution makes dst_height x dst_width, and no line more; it may be none.
struct cdl_value cdl_check_source(const struct cdl_op *op, const struct cdl_check_size *size, bool fp32);

// A convolution's shape, small. It points into itself: it stays where it is.
struct cdl_check_shape {
    struct cdl_op op;
    struct cdl_value src, dst;
    struct cdl_shape shape;
};
// Of one of the sizes above. false: its source would have no pixels.
bool cdl_check_shape(struct cdl_check_shape *out, const struct cdl_shape *like, int pixels, int channels);

// ---- data

static inline size_t cdl_check_elements(const struct cdl_value *v) { // of all images, without padding
    return (size_t)CDL_CHECK_IMAGES * (size_t)v->height * (size_t)v->width * (size_t)v->channels;
}
// Multiples of 1/64 between -1 and 1.
void cdl_check_fill(float *out, size_t count);
// As a kernel reads and writes it: in halves or not, however the value is marked.
size_t cdl_check_bytes(const struct cdl_value *v, bool fp16);
void cdl_check_store(const struct cdl_value *v, bool fp16, const float *data, uint8_t *out);
// Puts what a gradient beyond half precision's range is stored as into the last channel, near the middle of the last
// image; returns its place in data.
#define CDL_CHECK_MOST_HALF 65504.0f
size_t cdl_check_set_beyond(const struct cdl_value *v, float *data);
// The n-th element to compare, of `count`; n below CDL_CHECK_SAMPLES and below count. All of them when there are few;
// the first and the last in any case.
size_t cdl_check_sample(size_t n, size_t count);
// Whether the CDL_CHECK_GUARD bytes are as no kernel has written them.
bool cdl_check_guarded(const uint8_t *guard);

// ---- run

struct cdl_check_run {
    struct cdl_buffer in, out; // out: mapped
};
// in: inputs[in_bytes], all that kernels read; out: out_bytes of 0xff, no number until a kernel writes. The caller
// destroys it, after a failure, too.
cdl_result cdl_check_run_create(struct cdl_check_run *out, struct cdl_device *dev, const void *inputs, size_t in_bytes,
                                size_t out_bytes);
// Runs one or two programs, the second after the first, and waits; `out` has what they wrote. *ran false: the driver
// cannot compile one of them.
cdl_result cdl_check_run(struct cdl_check_run *run, struct cdl_once *once, const struct cdl_program *programs,
                         const struct cdl_launch *launches, int count, bool *ran);
void cdl_check_run_destroy(struct cdl_check_run *run, struct cdl_device *dev);

cdl_result cdl_check_no_memory(struct cdl_device *dev); // logs and returns CDL_ERR_NOMEM
// Logs and returns CDL_ERR_INVALID: no size of the layer's shape has the kernel.
cdl_result cdl_check_not_listed(struct cdl_device *dev, const char *layer, const struct cdl_program *program);

#endif // CDL_CHECK_RUN_H_
