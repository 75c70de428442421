// stb_png.h - stb_image_write, kept to itself.
#ifndef CARDINAL_STB_PNG_H_
#define CARDINAL_STB_PNG_H_

#include <stdint.h>

// A PNG file's bytes of an RGBA picture, without its alpha; malloc'd. NULL: no memory, or too large.
uint8_t *stb_png_encode(const uint8_t *rgba, int width, int height, int *size);

#endif // CARDINAL_STB_PNG_H_
