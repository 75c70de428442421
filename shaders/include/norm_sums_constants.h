// norm_sums_constants.h - the specialization constants of norm_sums.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, ROWS, 1, "? %u rows")
