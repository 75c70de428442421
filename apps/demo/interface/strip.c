// strip.c - the time line below the picture, with its figures.
#include "interface/view.h"

#include <math.h>
#include <stdio.h>

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
    const struct figures *f = &v->d->figures;
    const float step = fmaxf(2, floorf(4 * v->scale)), gap = fmaxf(1, floorf(v->scale));
    int count = (int)(box.width / step), have = f->history_at < HISTORY ? f->history_at : HISTORY;
    float largest = 0, top = scales[9];
    count = count < have ? count : have;
    for (int i = 1; i <= count; i++) {
        const struct frame_record *h = &f->history[(f->history_at - i) % HISTORY];
        largest = fmaxf(largest, h->capture + h->preprocess + h->network + h->draw);
    }
    for (int i = 9; i >= 0 && scales[i] >= largest; i--)
        top = scales[i];
    canvas_rect(v->c, box.x, box.y, box.width, box.height, COLOUR_TRACK, 4 * v->scale);
    canvas_rect(v->c, box.x, floorf(box.y + 0.5f * box.height), box.width, 1, COLOUR_LINE, 0);
    for (int i = 1; i <= count; i++) {
        const struct frame_record *h = &f->history[(f->history_at - i) % HISTORY];
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
    const struct figures *f = &v->d->figures;
    const float s = v->scale, left = 168 * s;
    const struct box b = v->strip;
    canvas_rect(v->c, b.x, b.y, b.width, b.height, COLOUR_PANEL, 8 * s);
    big_figure(v, b.x + 4 * s, b.y + 12 * s, f->shown.rate, "frames/s");
    big_figure(v, b.x + 4 * s, b.y + 56 * s, f->shown.results_rate, "classified/s");
    float x = b.x + left;
    const float y = b.y + 12 * s, end = b.x + b.width - 12 * s;
    x += legend(v, x, y, COLOUR_CAPTURE, "capture", f->shown.capture);
    x += legend(v, x, y, COLOUR_PREPROCESS, "prepare", f->shown.preprocess);
    x += legend(v, x, y, COLOUR_NETWORK, "network", f->shown.network);
    x += legend(v, x, y, COLOUR_DRAW, "draw", f->shown.draw);
    legend(v, x, y, 0, "total", f->shown.total);
    draw_graph(v, (struct box){b.x + left, b.y + 40 * s, end - b.x - left, b.height - 52 * s});
}
