// peak_params.h - push constants of the shaders that measure what a device can do at best; see engine/tune/peaks.c.
#ifndef CDL_PEAK_PARAMS_H_
#define CDL_PEAK_PARAMS_H_

#include "conv_params.h"

struct peak_params {
    ADDRESS src; // peak_memory: uvec4[]
    ADDRESS dst; // written only where the arithmetic's result is one that does not occur; peak_memory: uvec4[]
    int iterations;
    float scale, shift; // values a compiler cannot know
    int count;          // peak_memory: uvec4s that each of the two holds
};

#endif // CDL_PEAK_PARAMS_H_
