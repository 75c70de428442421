// stb_png.c - the only place that compiles stb_image_write.
#include "picture/stb_png.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO

#if defined(__GNUC__) // to the end of the file, where gcc reports what went unused
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
#include <stb/stb_image_write.h>

uint8_t *stb_png_encode(const uint8_t *rgba, int width, int height, int *size) {
    const size_t pixels = (size_t)width * (size_t)height;
    uint8_t *rgb = pixels < INT_MAX / 8 ? malloc(pixels * 3) : NULL;
    if (!rgb)
        return NULL;
    for (size_t i = 0; i < pixels; i++)
        memcpy(rgb + 3 * i, rgba + 4 * i, 3);
    uint8_t *png = stbi_write_png_to_mem(rgb, width * 3, width, height, 3, size);
    free(rgb);
    return png;
}
