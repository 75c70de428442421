// overlay.h - class activation maps over pictures: the colours, the painter of `cardinal classify --cam`, PNG files.
// The demo draws the same on the GPU (apps/demo/shaders/picture.frag).
#ifndef CARDINAL_OVERLAY_H_
#define CARDINAL_OVERLAY_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdl/cdl.h"

enum { OVERLAY_COLOURS = 256 };

// The colour map, weak to strong: red, green, blue, 255. Lightness rises evenly, so that it reads the same in grey.
void overlay_colours(uint8_t out[OVERLAY_COLOURS][4]);

// A map as it is drawn: in OVERLAY_SIDE x OVERLAY_SIDE places, between its own by cubic B-splines, which smooth it; 255
// is the strongest of it, 0 what does not speak for the class. false: nothing does, and all is 0.
enum { OVERLAY_SIDE = 128 };
bool overlay_refine(const float *cam, int cam_width, int cam_height, uint8_t out[OVERLAY_SIDE * OVERLAY_SIDE]);

// Lays a refined map over the part of an upright RGBA picture that the network saw.
void overlay_paint(uint8_t *rgba, int width, int height, const struct cdl_region *seen,
                   const uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE]);

// Turns pixels by an EXIF orientation, 1..8; malloc'd. NULL: no memory.
uint8_t *overlay_upright(const uint8_t *rgba, int width, int height, int orientation, int *upright_width,
                         int *upright_height);

// The picture appears whole or not at all. false: one line in error[].
bool overlay_write_png(const char *path, const uint8_t *rgba, int width, int height, char *error, size_t error_size);

#endif // CARDINAL_OVERLAY_H_
