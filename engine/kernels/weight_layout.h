// weight_layout.h - how an operation's weights lie in device memory for the kernel that reads them.
#ifndef CDL_WEIGHT_LAYOUT_H_
#define CDL_WEIGHT_LAYOUT_H_

#include "graph/graph.h"

// A convolution: storage4 weights[ceil(dst_c4 / lanes)][rows][lanes][4 out], rows = [kernel_h][tap_columns][span][4 in]
// and zero rows behind them; then, at bias_offset, float bias[4 * dst_c4]. Batch norm is folded into both.
// A batch norm: float statistics[4][4 * dst_c4], weight, bias, mean, variance. bytes 0: the operation has no weights.
// Two of equal bytes hold an operation's weights in the same places: there is no padding between the members.
struct cdl_weight_layout {
    uint64_t bytes, bias_offset;
    int32_t fp16;          // 1: halves, packed in 32-bit words
    int32_t lanes;         // blocks of four output channels that lie beside one another
    int32_t span;          // blocks of four input channels that a block of outputs reads
    int32_t tap_columns;   // kernel_w, or more: zero weights behind it
    int32_t rows;          // of one group of `lanes` blocks
    int32_t shared_window; // 1: all blocks of a group read the same `span` blocks of input, the first block's
};
_Static_assert(sizeof(struct cdl_weight_layout) == 2 * 8 + 6 * 4, "hashed and compared as bytes");

// Floats of scratch that cdl_weights_pack needs for this operation.
size_t cdl_weights_scratch(const struct cdl_op *op);

// Writes the operation's weights, batch norm folded in, to dst[layout->bytes]. Every byte is written.
void cdl_weights_pack(const struct cdl_weight_layout *layout, const struct cdl_graph *graph, const struct cdl_op *op,
                      float *scratch, uint8_t *dst);

#endif // CDL_WEIGHT_LAYOUT_H_
