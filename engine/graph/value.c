// value.c - how a value lies in memory: [images][height][width][padded channels], in fp16 or fp32.
#include "graph/graph.h"

#include <string.h>

size_t cdl_value_bytes(const struct cdl_value *v, bool fp16) {
    return (size_t)v->height * (size_t)v->width * (size_t)cdl_padded_channels(v->channels) * (fp16 && !v->fp32 ? 2 : 4);
}

void cdl_value_store(const struct cdl_value *v, bool fp16, int images, const float *in, void *out) {
    const size_t channels = (size_t)v->channels, padded = (size_t)cdl_padded_channels(v->channels);
    const size_t pixels = (size_t)images * (size_t)v->height * (size_t)v->width;
    const bool halves = fp16 && !v->fp32;
    memset(out, 0, (size_t)images * cdl_value_bytes(v, fp16));
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++)
            if (halves)
                ((uint16_t *)out)[p * padded + c] = cdl_f32_to_f16(in[p * channels + c]);
            else
                ((float *)out)[p * padded + c] = in[p * channels + c];
}

void cdl_value_load(const struct cdl_value *v, bool fp16, int images, const void *in, float *out) {
    const size_t channels = (size_t)v->channels, padded = (size_t)cdl_padded_channels(v->channels);
    const size_t pixels = (size_t)images * (size_t)v->height * (size_t)v->width;
    const bool halves = fp16 && !v->fp32;
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++)
            out[p * channels + c] =
                halves ? cdl_f16_to_f32(((const uint16_t *)in)[p * padded + c]) : ((const float *)in)[p * padded + c];
}
