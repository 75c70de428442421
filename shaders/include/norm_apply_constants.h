// norm_apply_constants.h - the specialization constants of norm_apply.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, RELU, 0, "? relu")
CONSTANT(2, ADD_RESIDUAL, 0, "? residual")
