// peak_matrix_constants.h - the specialization constants of peak_matrix.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 128, "")
CONSTANT(1, MATRIX_M, 16, "")
CONSTANT(2, MATRIX_N, 16, "")
CONSTANT(3, MATRIX_K, 16, "")
