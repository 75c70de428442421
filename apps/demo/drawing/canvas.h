// canvas.h - what the user interface draws on a frame: rectangles and text, as a list of quads for the GPU.
// Lengths are pixels. Colours are 0xRRGGBBAA.
#ifndef DEMO_CANVAS_H_
#define DEMO_CANVAS_H_

#include <stdbool.h>
#include <stdint.h>

#include "drawing/text.h"

enum { MAX_QUADS = 8192 };

struct quad { // as ui.vert reads it
    float x, y, width, height;
    float u, v, glyph, radius; // atlas pixel; glyph 1: coverage from the atlas, 2: the colour map from left to right
    uint32_t rgba;             // bytes red, green, blue, alpha
};

struct canvas {
    struct quad quads[MAX_QUADS];
    int num_quads;
    struct text *text;
};

enum align { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT };
struct font {
    enum text_face face;
    int size;
};

void canvas_begin(struct canvas *c);
void canvas_rect(struct canvas *c, float x, float y, float width, float height, uint32_t colour, float radius);
void canvas_colour_map(struct canvas *c, float x, float y, float width, float height, float radius); // a strip of it
float canvas_text_width(struct canvas *c, struct font font, const char *text);
// One line whose box begins at y and is `font.size` times about 1.17 high. x is its left, centre or right; where it is
// wider than max_width (0: any) its end becomes an ellipsis. Returns the width drawn.
float canvas_text(struct canvas *c, float x, float y, struct font font, uint32_t colour, enum align align,
                  float max_width, const char *text);
// The same, broken at spaces into lines of at most max_width. Returns the height used.
float canvas_paragraph(struct canvas *c, float x, float y, struct font font, uint32_t colour, float max_width,
                       const char *text);
float canvas_line_height(struct font font);

#endif // DEMO_CANVAS_H_
