// program.h - a compute pipeline as plain data: a shader and the values it is specialized with.
#ifndef CDL_PROGRAM_H_
#define CDL_PROGRAM_H_

#include "base/base.h"

enum { CDL_MAX_CONSTANTS = 20 };

// One specialization constant of a shader, from its list in shaders/include/NAME_constants.h.
struct cdl_constant {
    const char *name;
    uint32_t default_value;
    const char *shown; // how cdl_program_name shows the value, see shaders/include/constants.glsl
};

struct cdl_shader {
    const char *name; // GLSL file without .comp, or a variant of it as shaders/CMakeLists.txt names it
    const struct cdl_constant *constants; // [num_constants], in the order of their ids; 0 is the workgroup size
    int num_constants;
};

struct cdl_program {
    const struct cdl_shader *shader;       // static: pipelines are kept by it
    bool fp16;                             // storage
    bool host_input;                       // reads a host's buffer or image through descriptor set 0
    uint32_t subgroup_size;                // subgroups must have this size and be full; 0: as the driver likes
    uint32_t constants[CDL_MAX_CONSTANTS]; // [shader->num_constants]
};

// Whether one pipeline serves both.
bool cdl_program_equal(const struct cdl_program *a, const struct cdl_program *b);

// The same number for equal programs, in any run of the library that has the same shaders; never 0.
uint64_t cdl_program_id(const struct cdl_program *program);

// "conv_coop 64x32x32 2x1 split 2": tells the programs apart that may do the same work.
enum { CDL_PROGRAM_NAME = 128 };
void cdl_program_name(const struct cdl_program *program, char out[CDL_PROGRAM_NAME]);
// "conv_coop fp16 WORKGROUP=128 KERNEL_H=1 ...": everything, to make a pipeline again by hand.
enum { CDL_PROGRAM_TEXT = 512 };
void cdl_program_text(const struct cdl_program *program, char out[CDL_PROGRAM_TEXT]);

// A shader whose only constant is its workgroup size.
extern const struct cdl_constant cdl_workgroup_constant[1];

#endif // CDL_PROGRAM_H_
