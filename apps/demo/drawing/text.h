// text.h - glyphs of a font from the system, drawn by SDL2_ttf when first used, in one picture that the GPU samples.
#ifndef DEMO_TEXT_H_
#define DEMO_TEXT_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ATLAS_SIZE = 2048 };
enum text_face { FACE_PLAIN, FACE_BOLD, NUM_FACES };

struct text;

struct glyph {
    uint32_t code;
    int size; // pixels a line
    enum text_face face;
    bool used;
    int16_t x, y, width, height; // in the atlas
    int16_t left, advance;       // from the pen
};

// font: a TrueType file; NULL: $CARDINAL_FONT, else the first known one that is installed. NULL: one line in error[].
struct text *text_open(const char *font, char *error, size_t error_size);
void text_close(struct text **text);

// Once before each frame. Where the atlas was full it starts anew, and what no longer fits on this frame fits on the
// next.
void text_begin(struct text *text);
const struct glyph *text_glyph(struct text *text, enum text_face face, int size,
                               uint32_t code); // NULL: not drawable now

// The next code point of UTF-8; damaged bytes are U+FFFD. 0 at the end.
uint32_t text_next(const char **at);

// Rows of the atlas [ATLAS_SIZE][ATLAS_SIZE] that changed since they were last taken; false: none.
bool text_take_dirty(struct text *text, int *first_row, int *num_rows, const uint8_t **pixels);
void text_touch_all(struct text *text); // a new GPU has none of it

#endif // DEMO_TEXT_H_
