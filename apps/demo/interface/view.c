// view.c - the window: the picture with its map, and messages over it.
#include "interface/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool view_covered(const struct view *v) { return v->ui->menu.kind != MENU_NONE || v->ui->help; }

bool view_hot(struct view *v, struct box b, enum action action, int value) {
    struct user_interface *ui = v->ui;
    if (ui->num_hots < MAX_HOTS)
        ui->hots[ui->num_hots++] = (struct hot){b.x, b.y, b.width, b.height, action, value};
    return ui->mouse_x >= b.x && ui->mouse_x < b.x + b.width && ui->mouse_y >= b.y && ui->mouse_y < b.y + b.height;
}

// ---- the picture

// Into the middle of the box, as large as it fits.
static void place_picture(struct view *v, struct placed_picture *out) {
    const struct frame_shape *shape = &v->d->renderer.shape;
    const struct classifier *c = &v->d->classifier;
    if (shape->width == 0)
        return;
    const bool turned = shape->orientation >= 5;
    const float width = (float)(turned ? shape->height : shape->width),
                height = (float)(turned ? shape->width : shape->height);
    const float scale = fminf(v->picture.width / width, v->picture.height / height);
    out->width = floorf(width * scale);
    out->height = floorf(height * scale);
    out->x = floorf(v->picture.x + 0.5f * (v->picture.width - out->width));
    out->y = floorf(v->picture.y + 0.5f * (v->picture.height - out->height));
    out->seen = c->seen;
    // The map belongs to the picture that was classified; on another one it would lie.
    const bool belongs = c->results > 0 && !c->cut_pending && !(c->running && c->cut);
    out->strength = belongs && c->map_speaks ? v->ui->cam_strength : 0;
}

// The corners of what the network saw.
static void draw_corners(struct view *v, const struct placed_picture *p) {
    const float thick = fmaxf(1, floorf(2 * v->scale + 0.5f)), length = 22 * v->scale;
    const float x0 = floorf(p->x + fmaxf(0, p->seen.x) * p->width), y0 = floorf(p->y + fmaxf(0, p->seen.y) * p->height);
    const float x1 = floorf(p->x + fminf(1, p->seen.x + p->seen.width) * p->width),
                y1 = floorf(p->y + fminf(1, p->seen.y + p->seen.height) * p->height);
    for (int i = 0; i < 4; i++) {
        const bool right = i & 1, bottom = i >> 1;
        canvas_rect(v->c, right ? x1 - length : x0, bottom ? y1 - thick : y0, length, thick, 0xFFFFFFC0, 0);
        canvas_rect(v->c, right ? x1 - thick : x0, bottom ? y1 - length : y0, thick, length, 0xFFFFFFC0, 0);
    }
}

static void draw_badge(struct view *v, const char *text, float x, float y, enum align align) {
    const struct font font = view_font(v, FACE_BOLD, 15);
    const float pad = 10 * v->scale, width = canvas_text_width(v->c, font, text) + 2 * pad,
                height = canvas_line_height(font) + pad;
    const float left = align == ALIGN_RIGHT ? x - width : align == ALIGN_CENTRE ? x - 0.5f * width : x;
    canvas_rect(v->c, left, y, width, height, 0x0B0D12C8, 6 * v->scale);
    canvas_text(v->c, left + pad, y + 0.5f * pad, font, COLOUR_TEXT, ALIGN_LEFT, 0, text);
}

static void draw_toast(struct view *v) {
    const double left = v->ui->toast.until - now_ms();
    if (left <= 0)
        return;
    const struct font font = view_font(v, FACE_PLAIN, 16);
    const float pad = 14 * v->scale, width = fminf(v->picture.width - 4 * pad, 620 * v->scale),
                x = v->picture.x + 2 * pad, y = v->picture.y + 2 * pad;
    const int before = v->c->num_quads;
    const float height =
        canvas_paragraph(v->c, x + pad, y + pad, font, COLOUR_TEXT, width - 2 * pad, v->ui->toast.text);
    v->c->num_quads = before; // measured; the box goes below
    canvas_rect(v->c, x, y, width, height + 2 * pad, 0x12161FF0, 8 * v->scale);
    canvas_rect(v->c, x, y, 5 * v->scale, height + 2 * pad, v->ui->toast.bad ? COLOUR_BAD : COLOUR_ACCENT,
                2 * v->scale);
    canvas_paragraph(v->c, x + pad, y + pad, font, COLOUR_TEXT, width - 2 * pad, v->ui->toast.text);
}

static void draw_waiting(struct view *v) {
    const struct box p = v->picture;
    const char *text = v->d->sources.source ? "Waiting for the first picture ..." : "Looking for cameras ...";
    canvas_rect(v->c, p.x, p.y, p.width, p.height, COLOUR_PANEL, 8 * v->scale);
    canvas_text(v->c, p.x + 0.5f * p.width, p.y + 0.45f * p.height, view_font(v, FACE_PLAIN, 20), COLOUR_DIM,
                ALIGN_CENTRE, p.width, text);
}

static void draw_over_picture(struct view *v, const struct placed_picture *p) {
    const struct sources *s = &v->d->sources;
    const float edge = 12 * v->scale;
    if (p->width <= 0) {
        draw_waiting(v);
        return;
    }
    if (v->d->classifier.results > 0 && v->ui->cam_strength > 0)
        draw_corners(v, p);
    if (s->paused)
        draw_badge(v, "Paused", p->x + p->width - edge, p->y + edge, ALIGN_RIGHT);
    else if (sources_status(s).state == SOURCE_LOST)
        draw_badge(v, "Waiting for the camera or stream", p->x + p->width - edge, p->y + edge, ALIGN_RIGHT);
    if (s->frame.title[0])
        draw_badge(v, s->frame.title, p->x + 0.5f * p->width, p->y + p->height - edge - 28 * v->scale, ALIGN_CENTRE);
}

// ---- all of it

void view_draw(struct demo *d, struct placed_picture *picture) {
    const float width = (float)d->renderer.target.width, height = (float)d->renderer.target.height;
    const float fit = fminf(width / 1280, height / 720), s = fit < 0.4f ? 0.4f : fit > 6 ? 6 : fit;
    struct user_interface *ui = &d->ui;
    struct view v = {.d = d, .ui = ui, .c = &d->canvas, .scale = s, .width = width, .height = height};
    const float margin = floorf(16 * s), panel = floorf(fminf(400 * s, 0.6f * width)), strip = floorf(112 * s);
    v.panel = (struct box){width - panel, 0, panel, height};
    v.strip = (struct box){margin, height - margin - strip, width - panel - 2 * margin, strip};
    v.picture = (struct box){margin, margin, width - panel - 2 * margin, height - strip - 3 * margin};
    ui->num_hots = 0;
    const bool moving = d->preparation || ui->toast.until > now_ms() || ui->cam_strength != (ui->cam_on ? 1 : 0);
    ui->next_draw = now_ms() + (moving || d->options.frames > 0 ? 33 : 500);
    place_picture(&v, picture);
    draw_over_picture(&v, picture);
    view_strip(&v);
    view_panel(&v);
    draw_toast(&v);
    view_menu(&v);
}
