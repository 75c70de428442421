// spirv.h - the compiled shaders, embedded by the build (see CMakeLists.txt).
#ifndef CDL_SPIRV_H_
#define CDL_SPIRV_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cdl_spirv {
    const char *shader; // GLSL file without .comp
    bool fp16;          // compiled with STORAGE_FP16
    const uint32_t *words;
    size_t size; // bytes
};
extern const struct cdl_spirv cdl_spirv[];
extern const int cdl_num_spirv;

#endif // CDL_SPIRV_H_
