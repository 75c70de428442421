// conv_dw_tiled_constants.h - the specialization constants of conv_dw_tiled.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL_H, 1, "")
CONSTANT(2, KERNEL_W, 1, "")
CONSTANT(3, STRIDE, 1, "")
CONSTANT(4, PADDING, 0, "")
CONSTANT(5, TILE_I4, 8, " %u")
CONSTANT(6, TILE_O4, 8, "x%u")
CONSTANT(7, DEPTH, 16, "x%u")
