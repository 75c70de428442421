// conv_coop2_constants.h - the specialization constants of conv_coop2.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 128, "")
CONSTANT(1, KERNEL_H, 1, "")
CONSTANT(2, KERNEL_W, 1, "")
CONSTANT(3, STRIDE, 1, "")
CONSTANT(4, PADDING, 0, "")
CONSTANT(5, RELU, 0, "")
CONSTANT(6, ADD_RESIDUAL, 0, "")
CONSTANT(7, NARROW, 0, "")
CONSTANT(8, TILE_M, 128, " %u")
CONSTANT(9, TILE_N, 128, "x%u")
CONSTANT(10, DEPTH, 32, "x%u")
CONSTANT(11, SCOPE, 2, "? scope %u") // SPIR-V's number: 2 workgroup, 3 subgroup
