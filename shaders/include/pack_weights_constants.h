// pack_weights_constants.h - the specialization constants of pack_weights.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, TRANSPOSED, 0, "? transposed")
CONSTANT(2, HAS_BIAS, 0, "")
CONSTANT(3, SHARED_WINDOW, 0, "")
CONSTANT(4, VECTORS, 0, "? vectors")
