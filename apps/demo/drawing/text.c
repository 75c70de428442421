// text.c - see text.h.
#include "drawing/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL.h>
#include <SDL_ttf.h>

#include "system/files.h"

enum { TABLE_SIZE = 4096, OPEN_FONTS = 24 };

struct open_font {
    TTF_Font *font;
    enum text_face face;
    int size;
    uint64_t used; // when last
};

struct text {
    char files[NUM_FACES][1024];
    struct open_font fonts[OPEN_FONTS];
    uint64_t clock;
    struct glyph table[TABLE_SIZE]; // open addressing
    int num_glyphs;
    int shelf_x, shelf_y, shelf_height;
    int dirty_first, dirty_end; // rows
    bool full;
    uint8_t atlas[ATLAS_SIZE * ATLAS_SIZE];
};

// Plain and bold, of Debian's and others' packages, then of other systems.
static const char *const known_fonts[][NUM_FACES] = {
    {"/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"},
    {"/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf", "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans-Bold.ttf"},
    {"/usr/share/fonts/TTF/DejaVuSans.ttf", "/usr/share/fonts/TTF/DejaVuSans-Bold.ttf"},
    {"/usr/share/fonts/truetype/noto/NotoSans-Regular.ttf", "/usr/share/fonts/truetype/noto/NotoSans-Bold.ttf"},
    {"/usr/share/fonts/noto/NotoSans-Regular.ttf", "/usr/share/fonts/noto/NotoSans-Bold.ttf"},
    {"/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
     "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf"},
    {"C:/Windows/Fonts/segoeui.ttf", "C:/Windows/Fonts/segoeuib.ttf"},
    {"/System/Library/Fonts/Supplemental/Arial.ttf", "/System/Library/Fonts/Supplemental/Arial Bold.ttf"},
};

static bool find_files(struct text *t, const char *font) {
    if (!font)
        font = SDL_getenv("CARDINAL_FONT");
    if (font) {
        for (int i = 0; i < NUM_FACES; i++)
            snprintf(t->files[i], sizeof t->files[i], "%s", font);
        return true;
    }
    for (size_t i = 0; i < sizeof known_fonts / sizeof *known_fonts; i++) {
        if (!file_readable(known_fonts[i][FACE_PLAIN]))
            continue;
        const bool bold = file_readable(known_fonts[i][FACE_BOLD]);
        snprintf(t->files[FACE_PLAIN], sizeof t->files[0], "%s", known_fonts[i][FACE_PLAIN]);
        snprintf(t->files[FACE_BOLD], sizeof t->files[0], "%s", known_fonts[i][bold ? FACE_BOLD : FACE_PLAIN]);
        return true;
    }
    return false;
}

static TTF_Font *open_font(struct text *t, enum text_face face, int size) {
    struct open_font *oldest = &t->fonts[0];
    for (int i = 0; i < OPEN_FONTS; i++) {
        struct open_font *f = &t->fonts[i];
        if (f->font && f->face == face && f->size == size) {
            f->used = ++t->clock;
            return f->font;
        }
        if (f->used < oldest->used)
            oldest = f;
    }
    if (oldest->font)
        TTF_CloseFont(oldest->font);
    *oldest = (struct open_font){TTF_OpenFont(t->files[face], size), face, size, ++t->clock};
    if (oldest->font)
        TTF_SetFontHinting(oldest->font, TTF_HINTING_LIGHT);
    return oldest->font;
}

struct text *text_open(const char *font, char *error, size_t error_size) {
    struct text *t = calloc(1, sizeof *t);
    if (!t || TTF_Init() != 0) {
        snprintf(error, error_size, "no memory for text");
        free(t);
        return NULL;
    }
    if (!find_files(t, font))
        snprintf(error, error_size,
                 "no font was found; install one (Debian/Ubuntu: fonts-dejavu-core), or name a .ttf file by --font");
    else if (!open_font(t, FACE_PLAIN, 16))
        snprintf(error, error_size, "%s: not a font (%s); name a .ttf file by --font", t->files[FACE_PLAIN],
                 TTF_GetError());
    else
        return t;
    text_close(&t);
    return NULL;
}

void text_close(struct text **text) {
    if (!*text)
        return;
    for (int i = 0; i < OPEN_FONTS; i++)
        if ((*text)->fonts[i].font)
            TTF_CloseFont((*text)->fonts[i].font);
    TTF_Quit();
    free(*text);
    *text = NULL;
}

void text_touch_all(struct text *t) {
    t->dirty_first = 0;
    t->dirty_end = ATLAS_SIZE;
}

void text_begin(struct text *t) {
    if (!t->full)
        return;
    memset(t->table, 0, sizeof t->table);
    memset(t->atlas, 0, sizeof t->atlas);
    t->num_glyphs = t->shelf_x = t->shelf_y = t->shelf_height = 0;
    t->full = false;
    text_touch_all(t);
}

// Room for a picture of that size on the current shelf or the next one.
static bool place(struct text *t, int width, int height, int *x, int *y) {
    if (t->shelf_x + width + 1 > ATLAS_SIZE) {
        t->shelf_y += t->shelf_height;
        t->shelf_x = t->shelf_height = 0;
    }
    if (width >= ATLAS_SIZE || t->shelf_y + height + 1 > ATLAS_SIZE)
        return false;
    *x = t->shelf_x;
    *y = t->shelf_y;
    t->shelf_x += width + 1;
    if (height + 1 > t->shelf_height)
        t->shelf_height = height + 1;
    return true;
}

static bool draw_glyph(struct text *t, TTF_Font *font, struct glyph *g) {
    int min_x = 0, max_x, min_y, max_y, advance = 0, x, y;
    if (TTF_GlyphMetrics32(font, g->code, &min_x, &max_x, &min_y, &max_y, &advance) != 0)
        return true; // an empty glyph
    g->advance = (int16_t)advance;
    g->left = (int16_t)(min_x < 0 ? min_x : 0); // the picture begins at the pen, or at what hangs over to its left
    SDL_Surface *drawn = TTF_RenderGlyph32_Blended(font, g->code, (SDL_Color){255, 255, 255, 255});
    if (!drawn)
        return true;
    const bool fits = place(t, drawn->w, drawn->h, &x, &y);
    if (fits) {
        for (int row = 0; row < drawn->h; row++) {
            const uint32_t *from =
                (const uint32_t *)(const void *)((const uint8_t *)drawn->pixels + (size_t)row * (size_t)drawn->pitch);
            uint8_t *to = t->atlas + (size_t)(y + row) * ATLAS_SIZE + x;
            for (int i = 0; i < drawn->w; i++)
                to[i] = (uint8_t)(from[i] >> 24); // ARGB
        }
        g->x = (int16_t)x;
        g->y = (int16_t)y;
        g->width = (int16_t)drawn->w;
        g->height = (int16_t)drawn->h;
        if (t->dirty_end == 0 || y < t->dirty_first)
            t->dirty_first = y;
        if (y + drawn->h > t->dirty_end)
            t->dirty_end = y + drawn->h;
    }
    SDL_FreeSurface(drawn);
    return fits;
}

const struct glyph *text_glyph(struct text *t, enum text_face face, int size, uint32_t code) {
    uint32_t at = (code * 2654435761u ^ (uint32_t)size * 40503u ^ (uint32_t)face * 977u) % TABLE_SIZE;
    for (; t->table[at].used; at = (at + 1) % TABLE_SIZE)
        if (t->table[at].code == code && t->table[at].size == size && t->table[at].face == face)
            return &t->table[at];
    TTF_Font *font = t->full ? NULL : open_font(t, face, size);
    struct glyph g = {.code = code, .size = size, .face = face, .used = true};
    if (!font || t->num_glyphs >= TABLE_SIZE * 3 / 4 || !draw_glyph(t, font, &g)) {
        t->full = font != NULL || t->full;
        return NULL;
    }
    t->table[at] = g;
    t->num_glyphs++;
    return &t->table[at];
}

uint32_t text_next(const char **at) {
    const unsigned char *s = (const unsigned char *)*at;
    static const unsigned char lead[] = {0, 0xC0, 0xE0, 0xF0};
    const int more = s[0] >= 0xF8 ? -1 : s[0] >= 0xF0 ? 3 : s[0] >= 0xE0 ? 2 : s[0] >= 0xC0 ? 1 : s[0] >= 0x80 ? -1 : 0;
    if (s[0] == 0)
        return 0;
    uint32_t code = more < 0 ? 0xFFFD : (uint32_t)(s[0] & ~lead[more]);
    if (more == 3)
        code &= 7;
    int i = 1;
    for (; i <= more; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            code = 0xFFFD;
            break;
        }
        code = code << 6 | (s[i] & 0x3Fu);
    }
    *at += i;
    return code > 0x10FFFF || (code >= 0xD800 && code < 0xE000) ? 0xFFFD : code;
}

bool text_take_dirty(struct text *t, int *first_row, int *num_rows, const uint8_t **pixels) {
    if (t->dirty_end == 0)
        return false;
    *first_row = t->dirty_first;
    *num_rows = t->dirty_end - t->dirty_first;
    *pixels = t->atlas + (size_t)t->dirty_first * ATLAS_SIZE;
    t->dirty_first = t->dirty_end = 0;
    return true;
}
