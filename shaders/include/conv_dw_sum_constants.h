// conv_dw_sum_constants.h - the specialization constants of conv_dw_sum.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 64, "")
CONSTANT(1, KERNEL_H, 1, "")
CONSTANT(2, KERNEL_W, 1, "")
CONSTANT(3, WHOLE_BLOCKS, 0, "? whole")
CONSTANT(4, FOURS, 0, "? fours")
CONSTANT(5, ROWS, 1, "? %u rows")
