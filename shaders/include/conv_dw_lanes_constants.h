// conv_dw_lanes_constants.h - the specialization constants of conv_dw_lanes.comp; see constants.glsl.
CONSTANT(0, LANES, 8, " %u")
CONSTANT(1, KERNEL_H, 1, "")
CONSTANT(2, KERNEL_W, 1, "")
CONSTANT(3, STRIDE, 1, "")
CONSTANT(4, PADDING, 0, "")
CONSTANT(5, COLUMNS, 1, "x%u")
CONSTANT(6, DEPTH, 4, "x%u")
