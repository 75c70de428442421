// overlay.c - what lies over the window: a picker's list, or the keys.
#include "interface/view.h"

#include <math.h>

static void shade(struct view *v) {
    canvas_rect(v->c, 0, 0, v->width, v->height, 0x05070AB4, 0);
    v->ui->num_hots = 0; // what lies below cannot be hit
    view_hot(v, (struct box){0, 0, v->width, v->height}, ACT_CLOSE, 0);
}

static struct box centred(struct view *v, float width, float height) {
    width = fminf(width, v->width - 20 * v->scale);
    return (struct box){floorf(0.5f * (v->width - width)), floorf(fmaxf(10 * v->scale, 0.45f * (v->height - height))),
                        width, height};
}

static void draw_menu(struct view *v) {
    struct menu *m = &v->ui->menu;
    const float s = v->scale, row = 40 * s;
    const int fitting = (int)((v->height - 130 * s) / row), rows = m->count < fitting ? m->count
                                                                   : fitting < 1      ? 1
                                                                                      : fitting;
    if (m->cursor < m->first)
        m->first = m->cursor;
    if (m->cursor >= m->first + rows)
        m->first = m->cursor - rows + 1;
    shade(v);
    const struct box b = centred(v, 640 * s, (float)rows * row + 76 * s);
    canvas_rect(v->c, b.x, b.y, b.width, b.height, 0x1A1F29FF, 10 * s);
    canvas_text(v->c, b.x + 24 * s, b.y + 18 * s, view_font(v, FACE_BOLD, 20), COLOUR_TEXT, ALIGN_LEFT,
                b.width - 48 * s, m->title);
    view_hot(v, b, ACT_NONE, 0);
    for (int i = 0; i < rows && m->first + i < m->count; i++) {
        const int item = m->first + i;
        const struct box r = {b.x + 12 * s, b.y + 60 * s + (float)i * row, b.width - 24 * s, row - 4 * s};
        const struct font font = view_font(v, item == m->marked ? FACE_BOLD : FACE_PLAIN, 16),
                          note = view_font(v, FACE_PLAIN, 13);
        const bool over = view_hot(v, r, ACT_ITEM, item);
        if (item == m->cursor || over)
            canvas_rect(v->c, r.x, r.y, r.width, r.height, item == m->cursor ? 0x25607FFF : 0x2C3546FF, 6 * s);
        if (item == m->marked)
            canvas_rect(v->c, r.x + 8 * s, r.y + 0.5f * (r.height - 8 * s), 8 * s, 8 * s, COLOUR_ACCENT, 4 * s);
        const float noted = m->items[item].note[0]
                                ? fminf(canvas_text_width(v->c, note, m->items[item].note), 0.45f * r.width) + 16 * s
                                : 0;
        canvas_text(v->c, r.x + 26 * s, r.y + 0.5f * (r.height - canvas_line_height(font)), font,
                    m->items[item].dead ? COLOUR_DIM : COLOUR_TEXT, ALIGN_LEFT, r.width - 40 * s - noted,
                    m->items[item].text);
        canvas_text(v->c, r.x + r.width - 12 * s, r.y + 0.5f * (r.height - canvas_line_height(note)), note, COLOUR_DIM,
                    ALIGN_RIGHT, 0.45f * r.width, m->items[item].note);
    }
}

static void draw_help(struct view *v) {
    static const char *const keys[][2] = {
        {"C", "camera, video or pictures"},
        {"M", "model"},
        {"G", "GPU"},
        {"P", "precision"},
        {"Space", "pause"},
        {"H", "heat map: what speaks for a class"},
        {"1 ... 5", "heat map of that class; 0: of the best"},
        {"\xE2\x86\x90  \xE2\x86\x92", "previous, next picture"},
        {"S", "save the window as a PNG"},
        {"F", "full screen"},
        {"Ctrl V", "open what was copied: a file or an address"},
        {"F1", "this help"},
        {"Q", "quit"},
    };
    enum { COUNT = sizeof keys / sizeof *keys };
    const float s = v->scale, row = 31 * s;
    shade(v);
    const struct box b = centred(v, 620 * s, COUNT * row + 150 * s);
    canvas_rect(v->c, b.x, b.y, b.width, b.height, 0x1A1F29FF, 10 * s);
    canvas_text(v->c, b.x + 28 * s, b.y + 20 * s, view_font(v, FACE_BOLD, 22), COLOUR_TEXT, ALIGN_LEFT, 0,
                "Cardinal: what is in the picture?");
    const struct font font = view_font(v, FACE_PLAIN, 15), bold = view_font(v, FACE_BOLD, 14);
    for (int i = 0; i < COUNT; i++) {
        const float y = b.y + 64 * s + (float)i * row, chip = canvas_text_width(v->c, bold, keys[i][0]) + 16 * s;
        canvas_rect(v->c, b.x + 28 * s, y, chip, 24 * s, 0x2F3849FF, 5 * s);
        canvas_text(v->c, b.x + 36 * s, y + 0.5f * (24 * s - canvas_line_height(bold)), bold, COLOUR_TEXT, ALIGN_LEFT,
                    0, keys[i][0]);
        canvas_text(v->c, b.x + 140 * s, y + 0.5f * (24 * s - canvas_line_height(font)), font, 0xC9D1DEFF, ALIGN_LEFT,
                    b.width - 168 * s, keys[i][1]);
    }
    canvas_paragraph(
        v->c, b.x + 28 * s, b.y + 74 * s + COUNT * row, view_font(v, FACE_PLAIN, 14), COLOUR_DIM, b.width - 56 * s,
        "Drop pictures, folders, videos or model files (.safetensors, .pth) into the window. Everything runs on this "
        "machine's GPU; nothing leaves it.");
}

void view_menu(struct view *v) {
    if (v->ui->menu.kind != MENU_NONE)
        draw_menu(v);
    else if (v->ui->help)
        draw_help(v);
}
