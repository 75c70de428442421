// norm_finish_constants.h - the specialization constants of norm_finish.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, FROZEN, 0, "? frozen")
