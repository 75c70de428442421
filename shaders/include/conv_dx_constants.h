// conv_dx_constants.h - the specialization constants of conv_dx.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL_H, 1, "")
CONSTANT(2, KERNEL_W, 1, "")
CONSTANT(3, STRIDE, 2, "")
CONSTANT(4, PADDING, 0, "")
CONSTANT(5, SPAN, 1, "")
CONSTANT(6, ADD, 0, "? add")
CONSTANT(7, PIXELS, 4, " %u")
