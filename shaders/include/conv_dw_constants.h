// conv_dw_constants.h - the specialization constants of conv_dw.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL_H, 3, "")
CONSTANT(2, KERNEL_W, 3, "")
CONSTANT(3, STRIDE, 1, "")
CONSTANT(4, PADDING, 1, "")
CONSTANT(5, BLOCKS, 1, " %u")
CONSTANT(6, COLUMNS, 3, "x%u")
CONSTANT(7, DEPTH, 1, "x%u")
