// constants.glsl - a shader's specialization constants from its list NAME_constants.h, which is to be included behind
// this.
//
// The engine reads the same list (engine/kernels/constants.h). An entry is CONSTANT(id, name, default, shown), in the
// order of the ids from 0 on; constant 0 is the workgroup size. `shown` is how the value appears in a kernel's name: ""
// does not, and with "?" before it it does where it differs from the default.
#define CONSTANT(id, name, value, shown) layout(constant_id = id) const int name = value;
