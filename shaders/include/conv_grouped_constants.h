// conv_grouped_constants.h - the specialization constants of conv_grouped.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL, 3, "")
CONSTANT(2, STRIDE, 1, "")
CONSTANT(3, PADDING, 1, "")
CONSTANT(4, SPAN, 1, "")
CONSTANT(5, LINES, 1, " %u")
CONSTANT(6, PIXELS, 7, "x%u")
CONSTANT(7, RELU, 0, "")
CONSTANT(8, ADD_RESIDUAL, 0, "")
CONSTANT(9, HELD, 3, "? by %u") // rows of the kernel: 1 or KERNEL
