// norm_back_constants.h - the specialization constants of norm_back_*.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, RELU, 0, "? relu")
CONSTANT(2, WRITE_MASKED, 0, "? masked")
CONSTANT(3, FROZEN, 0, "? frozen")
CONSTANT(4, WRITE_GRADIENTS, 1, "")
CONSTANT(5, ROWS, 1, "? %u rows") // of norm_back_sums.comp
CONSTANT(6, FROM_SRC, 0, "")      // the ReLU's mask: nothing was added in front of it
