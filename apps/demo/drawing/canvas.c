// canvas.c - see canvas.h.
#include "drawing/canvas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void canvas_begin(struct canvas *c) {
    c->num_quads = 0;
    text_begin(c->text);
}

static uint32_t bytes_of(uint32_t colour) { // 0xRRGGBBAA to bytes in that order, on any machine
    const uint8_t bytes[4] = {(uint8_t)(colour >> 24), (uint8_t)(colour >> 16), (uint8_t)(colour >> 8),
                              (uint8_t)colour};
    uint32_t out;
    memcpy(&out, bytes, sizeof out);
    return out;
}

static void add(struct canvas *c, struct quad quad) {
    if (c->num_quads < MAX_QUADS && quad.width > 0 && quad.height > 0)
        c->quads[c->num_quads++] = quad;
}

void canvas_rect(struct canvas *c, float x, float y, float width, float height, uint32_t colour, float radius) {
    const float limit = 0.5f * (width < height ? width : height);
    add(c, (struct quad){.x = x,
                         .y = y,
                         .width = width,
                         .height = height,
                         .radius = radius < limit ? radius : limit,
                         .rgba = bytes_of(colour)});
}

void canvas_colour_map(struct canvas *c, float x, float y, float width, float height, float radius) {
    add(c, (struct quad){.x = x,
                         .y = y,
                         .width = width,
                         .height = height,
                         .radius = radius,
                         .glyph = 2,
                         .rgba = bytes_of(0xFFFFFFFF)});
}

float canvas_line_height(struct font font) { return ceilf(1.2f * (float)font.size); }

float canvas_text_width(struct canvas *c, struct font font, const char *text) {
    float width = 0;
    for (uint32_t code; (code = text_next(&text));) {
        const struct glyph *g = text_glyph(c->text, font.face, font.size, code);
        width += g ? (float)g->advance : 0;
    }
    return width;
}

// Bytes of `text` that fit, and their width.
static size_t fitting(struct canvas *c, struct font font, const char *text, float max_width, float *width) {
    const char *at = text;
    *width = 0;
    for (const char *next = at; *at; at = next) {
        const uint32_t code = text_next(&next);
        const struct glyph *g = text_glyph(c->text, font.face, font.size, code);
        const float advance = g ? (float)g->advance : 0;
        if (*width + advance > max_width)
            break;
        *width += advance;
    }
    return (size_t)(at - text);
}

static float draw(struct canvas *c, float x, float y, struct font font, uint32_t colour, const char *text,
                  size_t bytes) {
    const uint32_t rgba = bytes_of(colour);
    const float start = x;
    for (const char *end = text + bytes; text < end;) {
        const struct glyph *g = text_glyph(c->text, font.face, font.size, text_next(&text));
        if (!g)
            continue;
        add(c, (struct quad){.x = x + (float)g->left,
                             .y = y,
                             .width = (float)g->width,
                             .height = (float)g->height,
                             .u = (float)g->x,
                             .v = (float)g->y,
                             .glyph = 1,
                             .rgba = rgba});
        x += (float)g->advance;
    }
    return x - start;
}

float canvas_text(struct canvas *c, float x, float y, struct font font, uint32_t colour, enum align align,
                  float max_width, const char *text) {
    static const char ellipsis[] = "\xE2\x80\xA6";
    float width = canvas_text_width(c, font, text), dots = 0;
    size_t bytes = strlen(text);
    if (max_width > 0 && width > max_width) {
        dots = canvas_text_width(c, font, ellipsis);
        bytes = fitting(c, font, text, max_width - dots, &width);
        while (bytes > 0 && text[bytes - 1] == ' ')
            bytes--;
    }
    x -= align == ALIGN_RIGHT ? width + dots : align == ALIGN_CENTRE ? 0.5f * (width + dots) : 0;
    x = floorf(x + 0.5f); // glyphs on whole pixels are sharp
    y = floorf(y + 0.5f);
    const float drawn = draw(c, x, y, font, colour, text, bytes);
    return drawn + (dots > 0 ? draw(c, x + drawn, y, font, colour, ellipsis, sizeof ellipsis - 1) : 0);
}

float canvas_paragraph(struct canvas *c, float x, float y, struct font font, uint32_t colour, float max_width,
                       const char *text) {
    const float top = y;
    while (*text) {
        float width;
        const size_t line = strcspn(text, "\n");
        size_t bytes = fitting(c, font, text, max_width, &width), next = bytes;
        if (bytes >= line) {
            bytes = line;
            next = line + (text[line] == '\n');
        } else {
            while (bytes > 0 && text[bytes] != ' ')
                bytes--;
            if (bytes == 0) // a word wider than a line
                bytes = next > 0 ? next : strlen(text);
            next = bytes + (text[bytes] == ' ');
        }
        draw(c, floorf(x + 0.5f), floorf(y + 0.5f), font, colour, text, bytes);
        y += canvas_line_height(font);
        text += next;
    }
    return y - top;
}
