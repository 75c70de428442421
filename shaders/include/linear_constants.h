// linear_constants.h - the specialization constants of linear.comp and avg_pool_linear.comp; see constants.glsl.
CONSTANT(0, WORKGROUP, 256, "")
CONSTANT(1, SOURCE_C4, 512, "") // of avg_pool_linear.comp
