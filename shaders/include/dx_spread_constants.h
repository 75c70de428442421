// dx_spread_constants.h - the specialization constants of dx_spread.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, STRIDE, 2, " %u")
CONSTANT(2, ADD, 0, "? add")
