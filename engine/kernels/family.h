// family.h - what a family of kernels provides, one shader's variants, and what it can build on.
//
// A new family is a shader and its list of constants (shaders/), a file here, and a line in rank.c; see
// CONTRIBUTING.md.
#ifndef CDL_FAMILY_H_
#define CDL_FAMILY_H_

#include "kernels/kernels.h"

// An operation, with what every family asks of it.
struct cdl_shape {
    const struct cdl_op *op;
    const struct cdl_value *src, *dst;
    int src_c4, dst_c4; // padded channels / 4
    const struct cdl_caps *caps;
    int images;        // at a time: what a guess at the fastest is for. What is legal does not depend on it
    bool fp16;         // storage of what the shader reads: false where the source is marked fp32
    bool session_fp16; // of whatever is not
};

// Of an operation of a graph. fp16: the session's.
struct cdl_shape cdl_shape_of(const struct cdl_graph *graph, const struct cdl_op *op, const struct cdl_caps *caps,
                              int images, bool fp16);

struct cdl_kernel_family {
    struct cdl_shader shader;
    enum cdl_op_kind kind; // of the operation, or of the first of num_ops
    int num_ops;
    // Writes up to cap kernels that may run shapes[num_ops] on their device; returns how many. Sets what does not
    // follow from the family: the program but for its shader, weights, half_products, cost; and of two operations
    // keeps_middle and beats_apart.
    int (*list)(const struct cdl_shape *shapes, struct cdl_kernel *out, int cap);
    // Sets out->push, push_bytes and groups.
    void (*launch)(const struct cdl_kernel *kernel, const struct cdl_shape *shapes, int images,
                   const struct cdl_addresses *at, struct cdl_launch *out);
};

// rank.c: all families, [*count].
const struct cdl_kernel_family *const *cdl_families(int *count);
// rank.c: sets the rank of all kernels for some work. Those of families whose best kernels have the same rank are
// compared by their costs; equal ones keep their order.
void cdl_rank_kernels(const struct cdl_caps *caps, struct cdl_kernel *kernels, int count);

// Whether an invocation of a kernel for matrix units can keep so many 32-bit words in registers: matrices that are
// factors, and others.
bool cdl_matrix_registers_fit(const struct cdl_caps *caps, uint32_t factors, uint32_t others);
// Whether 64 fp32 sums an invocation, or half of them beside the weights of a kernel's row, outgrow the device's
// registers.
bool cdl_few_registers(const struct cdl_caps *caps);

// ---- convolutions

// Initializers of the specialization constants that most convolutions have, by the names in their lists.
#define CDL_KERNEL_SIDES(op) [KERNEL_H] = (uint32_t)(op)->kernel_h, [KERNEL_W] = (uint32_t)(op)->kernel_w
#define CDL_OP_CONSTANTS(op) \
    [STRIDE] = (uint32_t)(op)->stride, [PADDING] = (uint32_t)(op)->padding, [RELU] = (op)->relu, \
    [ADD_RESIDUAL] = (op)->residual >= 0

// What all convolutions share of their push constants.
struct conv_params cdl_conv_params(const struct cdl_kernel *k, const struct cdl_shape *shape, int images,
                                   const struct cdl_addresses *at);
// Sets out->push.conv to cdl_conv_params.
void cdl_push_conv(const struct cdl_kernel *k, const struct cdl_shape *shape, int images,
                   const struct cdl_addresses *at, struct cdl_launch *out);

// A layout for the shape. tap_columns, rows 0: the kernel's width, no zero rows.
struct cdl_weight_layout cdl_conv_weights(const struct cdl_shape *shape, int lanes, int span, int tap_columns,
                                          int rows);
// The most input blocks that any block of four output channels reads.
int cdl_source_span(const struct cdl_shape *shape);

// ---- tiles of pixels x channels

// Whether matrix products tile the shape: dense, stored in units of eight halves.
bool cdl_is_dense_fp16(const struct cdl_shape *shape);
// Whether the source is a stem's, of four channels: kernels that read eight at a time take two taps of it.
bool cdl_is_narrow(const struct cdl_shape *shape);
// As cdl_conv_weights for a dense convolution that multiplies matrices, `width` channels and `depth` rows at a time.
struct cdl_weight_layout cdl_matrix_weights(const struct cdl_shape *shape, uint32_t width, uint32_t depth,
                                            bool two_taps);
// The side of the fewest equal tiles that cover `size` and are at most `longest`.
uint32_t cdl_even_side(int size, uint32_t longest);
// Workgroups of m pixels x n channels each.
void cdl_launch_tiles(struct cdl_launch *launch, uint32_t m, uint32_t n);

// ---- rank.c: guesses at the time of a shape's images, to compare kernels with of families that share a rank

// In tiles of m pixels x n channels by workgroups of `invocations`.
double cdl_tile_cost(const struct cdl_shape *shape, uint32_t m, uint32_t n, uint32_t invocations);
// Whether each of `columns` workgroups for an image had better average the image's map for itself than wait for a
// dispatch that does: where each has a processor to itself, and a GPU's cache to read from.
bool cdl_pooling_again_pays(const struct cdl_shape *pool, uint32_t columns);
// By matrix units in tiles of m pixels x n channels, shared by subgroups_m x subgroups_n subgroups, and by `splits`
// of k.
struct cdl_matrix_tile {
    uint32_t m, n, subgroups_m, subgroups_n, splits;
};
// Microseconds; `step`: rows of k at a time.
double cdl_matrix_cost(const struct cdl_shape *shape, const struct cdl_matrix_tile *tile, uint32_t step);
// `resident` workgroups a processor pass through all tiles, their weights in registers.
double cdl_persistent_cost(const struct cdl_shape *shape, const struct cdl_matrix_tile *tile, uint32_t resident);
// On a CPU driver, `rows` pixels x `columns` blocks of four channels for each lane of a subgroup.
double cdl_lanes_cost(const struct cdl_shape *shape, uint32_t rows, uint32_t columns);
// A grouped 3x3 by matrix units, in tiles of h x w pixels x `channels` whose source takes so many bytes of shared
// memory.
double cdl_grouped_matrix_cost(const struct cdl_shape *shape, uint32_t h, uint32_t w, uint32_t window,
                               uint32_t channels, size_t shared_bytes);
// A grouped convolution from registers, an invocation making `channels` of `pixels` neighbours in a row.
double cdl_grouped_strip_cost(const struct cdl_shape *shape, uint32_t channels, uint32_t pixels);
// In tiles of h x w pixels x `channels`; index: of the tile, largest first.
double cdl_grouped_tile_cost(const struct cdl_shape *shape, uint32_t h, uint32_t w, uint32_t channels, int index);

#endif // CDL_FAMILY_H_
