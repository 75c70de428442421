// batch_norm_constants.h - the specialization constants of batch_norm.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, RELU, 0, "")
CONSTANT(2, ADD_RESIDUAL, 0, "")
