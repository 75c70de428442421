// conv_lanes_constants.h - the specialization constants of conv_lanes.comp; see constants.glsl.
CONSTANT(0, LANES, 8, "")
CONSTANT(1, ROWS, 8, " %u")
CONSTANT(2, COLUMNS, 1, "x%u")
CONSTANT(3, KERNEL_H, 1, "")
CONSTANT(4, KERNEL_W, 1, "")
CONSTANT(5, STRIDE, 1, "")
CONSTANT(6, PADDING, 0, "")
CONSTANT(7, RELU, 0, "")
CONSTANT(8, ADD_RESIDUAL, 0, "")
CONSTANT(9, THREE_CHANNELS, 0, "") // the input has no fourth channel: the stem
