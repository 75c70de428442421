// conv_grouped_half_constants.h - the specialization constants of conv_grouped_half.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL, 3, "")
CONSTANT(2, STRIDE, 1, "")
CONSTANT(3, PADDING, 1, "")
CONSTANT(4, RELU, 0, "")
CONSTANT(5, ADD_RESIDUAL, 0, "")
CONSTANT(6, SPAN, 1, "")
CONSTANT(7, PIXELS, 4, " %u")
