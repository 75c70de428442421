// linear_constants.h - the specialization constants of linear.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 256, "")
