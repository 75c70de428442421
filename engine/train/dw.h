// dw.h - the kernels that may make the gradient of a convolution's weights, as partial sums that conv_dw_sum.comp adds
// up. Plain data, no Vulkan.
//
// A new family is a shader and its list of constants (shaders/), a file here, and a line in the table of dw.c. What is
// listed as legal is tested on every case, checked on users' devices and timed by the tuner.
#ifndef CDL_TRAIN_DW_H_
#define CDL_TRAIN_DW_H_

#include "kernels/family.h"
#include "train_params.h"

enum { CDL_MAX_DW_KERNELS = 24 };

struct cdl_dw_family;

struct cdl_dw_kernel {
    const struct cdl_dw_family *family;
    struct cdl_program program;
    size_t least;              // pixels, lines or tiles, as the family counts, that a part is worth; set by the family
    size_t count, invocations; // of them all at the full batch; that a part keeps busy; set by the family
    int part, parts;           // how many each partial sum but the last is of; how many there are at the full batch
    int sum_rows;              // of the workgroups that add the partial sums up: see rows.glsl
};

struct cdl_dw_family {
    struct cdl_shader shader;
    // Writes up to cap kernels that may run the shape, best guess first; returns how many. Sets the program but for its
    // shader, count, least and invocations.
    int (*list)(const struct cdl_shape *shape, struct cdl_dw_kernel *out, int cap);
    // Sets p->splits, where all else is set. Returns the number of workgroups.
    uint64_t (*launch)(const struct cdl_dw_kernel *kernel, struct train_dw_params *p);
};

// Writes up to CDL_MAX_DW_KERNELS legal kernels, best guess for the device first; returns their number, 1 or more.
int cdl_dw_kernels(const struct cdl_shape *shape, struct cdl_dw_kernel *out);
// Blocks of four input channels that each block of four output channels has partial sums of.
int cdl_dw_span(const struct cdl_shape *shape);
// Of one partial sum; a kernel's take so many times its parts.
size_t cdl_dw_bytes(const struct cdl_shape *shape);
// The program that adds the kernel's partial sums up.
struct cdl_program cdl_dw_sum(const struct cdl_dw_kernel *kernel, const struct cdl_shape *shape);

struct cdl_dw_addresses {
    uint64_t src, gradient, partial, weight_gradient;
};
// The dispatch of the kernel, or of what adds its partial sums up, for `images` images.
void cdl_dw_launch(const struct cdl_dw_kernel *kernel, bool sum, const struct cdl_shape *shape, int images,
                   const struct cdl_dw_addresses *at, struct cdl_launch *out);

// How many partial sums to split `count` pixels or lines into: `wanted`, but each of `least` or more, and all together
// in less memory than the limit, `bytes` each. *part: of each but the last.
int cdl_train_parts(size_t wanted, size_t count, size_t least, size_t bytes, int *part);

// ---- for the families

// Pixels that a partial sum is worth.
enum { CDL_DW_LEAST = 64 };
static inline size_t cdl_dw_taps(const struct cdl_op *op) { return (size_t)(op->kernel_h * op->kernel_w); }
static inline size_t cdl_dw_pixels(const struct cdl_shape *s) {
    return (size_t)s->images * (size_t)s->dst->height * (size_t)s->dst->width;
}

#endif // CDL_TRAIN_DW_H_
