// max_pool_constants.h - the specialization constants of max_pool.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL, 3, "")
CONSTANT(2, STRIDE, 2, "")
CONSTANT(3, PADDING, 1, "")
