// view.c - the window: the picture with its map, messages over it, and the time line below.
#include "view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool view_covered(const struct view *v) { return v->d->menu.kind != MENU_NONE || v->d->help; }

bool view_hot(struct view *v, struct box b, enum action action, int value) {
    struct demo *d = v->d;
    if (d->num_hots < MAX_HOTS)
        d->hots[d->num_hots++] = (struct hot){b.x, b.y, b.width, b.height, action, value};
    return d->mouse_x >= b.x && d->mouse_x < b.x + b.width && d->mouse_y >= b.y && d->mouse_y < b.y + b.height;
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
    out->strength = belongs && c->map_speaks ? v->d->cam_strength : 0;
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
    struct demo *d = v->d;
    const double left = d->toast_until - now_ms();
    if (left <= 0)
        return;
    const struct font font = view_font(v, FACE_PLAIN, 16);
    const float pad = 14 * v->scale, width = fminf(v->picture.width - 4 * pad, 620 * v->scale),
                x = v->picture.x + 2 * pad, y = v->picture.y + 2 * pad;
    const int before = v->c->num_quads;
    const float height = canvas_paragraph(v->c, x + pad, y + pad, font, COLOUR_TEXT, width - 2 * pad, d->toast);
    v->c->num_quads = before; // measured; the box goes below
    canvas_rect(v->c, x, y, width, height + 2 * pad, 0x12161FF0, 8 * v->scale);
    canvas_rect(v->c, x, y, 5 * v->scale, height + 2 * pad, d->toast_bad ? COLOUR_BAD : COLOUR_ACCENT, 2 * v->scale);
    canvas_paragraph(v->c, x + pad, y + pad, font, COLOUR_TEXT, width - 2 * pad, d->toast);
}

static void draw_waiting(struct view *v) {
    const struct box p = v->picture;
    const char *text = v->d->source ? "Waiting for the first picture ..." : "Looking for cameras ...";
    canvas_rect(v->c, p.x, p.y, p.width, p.height, COLOUR_PANEL, 8 * v->scale);
    canvas_text(v->c, p.x + 0.5f * p.width, p.y + 0.45f * p.height, view_font(v, FACE_PLAIN, 20), COLOUR_DIM,
                ALIGN_CENTRE, p.width, text);
}

static void draw_over_picture(struct view *v, const struct placed_picture *p) {
    struct demo *d = v->d;
    const float edge = 12 * v->scale;
    if (p->width <= 0) {
        draw_waiting(v);
        return;
    }
    if (d->classifier.results > 0 && d->cam_strength > 0)
        draw_corners(v, p);
    struct source_status status = {.state = SOURCE_RUNNING};
    if (d->source)
        source_status(d->source, &status);
    if (d->paused)
        draw_badge(v, "Paused", p->x + p->width - edge, p->y + edge, ALIGN_RIGHT);
    else if (status.state == SOURCE_LOST)
        draw_badge(v, "Waiting for the camera or stream", p->x + p->width - edge, p->y + edge, ALIGN_RIGHT);
    if (d->frame.title[0])
        draw_badge(v, d->frame.title, p->x + 0.5f * p->width, p->y + p->height - edge - 28 * v->scale, ALIGN_CENTRE);
}

// ---- the time line

static const char *milliseconds(double ms, char *text, size_t size) {
    snprintf(text, size, ms >= 99.95 ? "%.0f ms" : ms >= 9.995 ? "%.1f ms" : "%.2f ms", ms);
    return text;
}

static float legend(struct view *v, float x, float y, uint32_t colour, const char *name, double ms) {
    char text[32];
    const struct font plain = view_font(v, FACE_PLAIN, 13), bold = view_font(v, FACE_BOLD, 13);
    const float dot = floorf(10 * v->scale);
    float at = x;
    if (colour) {
        canvas_rect(v->c, at, floorf(y + 3 * v->scale), dot, dot, colour, 2 * v->scale);
        at += dot + 6 * v->scale;
    }
    at += canvas_text(v->c, at, y, plain, COLOUR_DIM, ALIGN_LEFT, 0, name) + 6 * v->scale;
    // Room for the widest figure, so that the row does not jump about.
    canvas_text(v->c, at, y, bold, COLOUR_TEXT, ALIGN_LEFT, 0,
                ms > 0 ? milliseconds(ms, text, sizeof text) : "\xE2\x80\x93");
    return at + canvas_text_width(v->c, bold, "88.8 ms") + 13 * v->scale - x;
}

static void draw_graph(struct view *v, struct box box) {
    static const float scales[] = {5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000};
    const struct demo *d = v->d;
    const float step = fmaxf(2, floorf(4 * v->scale)), gap = fmaxf(1, floorf(v->scale));
    int count = (int)(box.width / step), have = d->history_at < HISTORY ? d->history_at : HISTORY;
    float largest = 0, top = scales[9];
    count = count < have ? count : have;
    for (int i = 1; i <= count; i++) {
        const struct frame_record *h = &d->history[(d->history_at - i) % HISTORY];
        largest = fmaxf(largest, h->capture + h->preprocess + h->network + h->draw);
    }
    for (int i = 9; i >= 0 && scales[i] >= largest; i--)
        top = scales[i];
    canvas_rect(v->c, box.x, box.y, box.width, box.height, COLOUR_TRACK, 4 * v->scale);
    canvas_rect(v->c, box.x, floorf(box.y + 0.5f * box.height), box.width, 1, COLOUR_LINE, 0);
    for (int i = 1; i <= count; i++) {
        const struct frame_record *h = &d->history[(d->history_at - i) % HISTORY];
        const struct {
            float ms;
            uint32_t colour;
        } parts[] = {{h->capture, COLOUR_CAPTURE},
                     {h->preprocess, COLOUR_PREPROCESS},
                     {h->network, COLOUR_NETWORK},
                     {h->draw, COLOUR_DRAW}};
        float y = box.y + box.height;
        for (int j = 0; j < 4; j++) {
            const float height = fminf(parts[j].ms / top * (box.height - 2), y - box.y);
            y -= height;
            canvas_rect(v->c, box.x + box.width - (float)i * step, y, step - gap, height, parts[j].colour, 0);
        }
    }
    char text[32];
    snprintf(text, sizeof text, "%.0f ms", (double)top);
    const struct font font = view_font(v, FACE_PLAIN, 11);
    canvas_rect(v->c, box.x, box.y, canvas_text_width(v->c, font, text) + 10 * v->scale,
                canvas_line_height(font) + 2 * v->scale, 0x161A22C0, 4 * v->scale);
    canvas_text(v->c, box.x + 5 * v->scale, box.y + v->scale, font, COLOUR_DIM, ALIGN_LEFT, 0, text);
}

static void big_figure(struct view *v, float x, float y, double value, const char *unit) {
    char text[32];
    snprintf(text, sizeof text, value <= 0 ? "\xE2\x80\x93" : value >= 99.95 ? "%.0f" : "%.1f", value);
    canvas_text(v->c, x + 72 * v->scale, y, view_font(v, FACE_BOLD, 28), COLOUR_TEXT, ALIGN_RIGHT, 0, text);
    canvas_text(v->c, x + 80 * v->scale, y + 13 * v->scale, view_font(v, FACE_PLAIN, 13), COLOUR_DIM, ALIGN_LEFT, 0,
                unit);
}

void view_strip(struct view *v) {
    const struct demo *d = v->d;
    const float s = v->scale, left = 168 * s;
    const struct box b = v->strip;
    canvas_rect(v->c, b.x, b.y, b.width, b.height, COLOUR_PANEL, 8 * s);
    big_figure(v, b.x + 4 * s, b.y + 12 * s, d->shown.rate, "frames/s");
    big_figure(v, b.x + 4 * s, b.y + 56 * s, d->shown.results_rate, "classified/s");
    float x = b.x + left;
    const float y = b.y + 12 * s, end = b.x + b.width - 12 * s;
    x += legend(v, x, y, COLOUR_CAPTURE, "capture", d->shown.capture);
    x += legend(v, x, y, COLOUR_PREPROCESS, "prepare", d->shown.preprocess);
    x += legend(v, x, y, COLOUR_NETWORK, "network", d->shown.network);
    x += legend(v, x, y, COLOUR_DRAW, "draw", d->shown.draw);
    legend(v, x, y, 0, "total", d->shown.total);
    draw_graph(v, (struct box){b.x + left, b.y + 40 * s, end - b.x - left, b.height - 52 * s});
}

// ---- all of it

void view_draw(struct demo *d, struct placed_picture *picture) {
    const float width = (float)d->renderer.target.width, height = (float)d->renderer.target.height;
    const float fit = fminf(width / 1280, height / 720), s = fit < 0.4f ? 0.4f : fit > 6 ? 6 : fit;
    struct view v = {.d = d, .c = &d->canvas, .scale = s, .width = width, .height = height};
    const float margin = floorf(16 * s), panel = floorf(fminf(400 * s, 0.6f * width)), strip = floorf(112 * s);
    v.panel = (struct box){width - panel, 0, panel, height};
    v.strip = (struct box){margin, height - margin - strip, width - panel - 2 * margin, strip};
    v.picture = (struct box){margin, margin, width - panel - 2 * margin, height - strip - 3 * margin};
    d->num_hots = 0;
    const bool moving = d->preparation || d->toast_until > now_ms() || d->cam_strength != (d->cam_on ? 1 : 0);
    d->next_draw = now_ms() + (moving || d->options.frames > 0 ? 33 : 500);
    place_picture(&v, picture);
    draw_over_picture(&v, picture);
    view_strip(&v);
    view_panel(&v);
    draw_toast(&v);
    view_menu(&v);
}
