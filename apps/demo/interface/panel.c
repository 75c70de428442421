// panel.c - the right side: what is seen, by which model, on which GPU; the pickers and buttons.
#include "interface/view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "system/text.h"

static const float pad = 22;

static float heading(struct view *v, float y) {
    const struct demo *d = v->d;
    const struct classifier *c = &d->classifier;
    const float x = v->panel.x + pad * v->scale, width = v->panel.width - 2 * pad * v->scale;
    const struct font small = view_font(v, FACE_PLAIN, 13);
    char line[800];
    canvas_text(v->c, x, y, view_font(v, FACE_BOLD, 24), COLOUR_TEXT, ALIGN_LEFT, width,
                c->ready ? c->bundle.model.name : "Cardinal");
    y += 34 * v->scale;
    const struct cdl_device_info *info = &d->vk.gpus[d->machine->gpu->index];
    snprintf(line, sizeof line, "%s%s", info->name, info->software ? " (no GPU)" : "");
    canvas_text(v->c, x, y, view_font(v, FACE_PLAIN, 15), info->software ? 0xFFD479FF : COLOUR_ACCENT, ALIGN_LEFT,
                width, line);
    y += 22 * v->scale;
    canvas_text(v->c, x, y, small, COLOUR_DIM, ALIGN_LEFT, width, info->driver);
    y += 19 * v->scale;
    if (c->ready) {
        snprintf(line, sizeof line, "%s \xC2\xB7 %d classes \xC2\xB7 input %d\xC3\x97%d \xC2\xB7 %.1f M parameters",
                 precision_name(c->bundle.info.precision), c->bundle.info.num_classes, c->bundle.info.width,
                 c->bundle.info.height, (double)c->bundle.model.info.num_parameters / 1e6);
        canvas_text(v->c, x, y, small, COLOUR_DIM, ALIGN_LEFT, width, line);
    }
    return y + 30 * v->scale;
}

// ImageNet's names are lists of synonyms; the first one is enough to be read from afar.
static void short_label(const struct classifier *c, int id, char *out, size_t size) {
    const char *label = class_label(&c->bundle.model, id);
    if (label[0])
        snprintf(out, size, "%.*s", (int)strcspn(label, ","), label);
    else
        snprintf(out, size, "class %d", id);
}

static float result_row(struct view *v, float y, int i) {
    const struct demo *d = v->d;
    const struct classifier *c = &d->classifier;
    const bool first = i == 0, explained = v->ui->cam_on && c->top[i].id == c->cam_shown;
    const float s = v->scale, x = v->panel.x + pad * s, width = v->panel.width - 2 * pad * s;
    const struct font font = view_font(v, first ? FACE_BOLD : FACE_PLAIN, first ? 29 : 20);
    const float line = canvas_line_height(font), bar = floorf((first ? 14 : 8) * s), height = (first ? 74 : 52) * s;
    char label[256], percent[16];
    const struct box box = {v->panel.x + 8 * s, y - 5 * s, v->panel.width - 16 * s, height - 2 * s};
    if (view_hot(v, box, ACT_CLASS, c->top[i].id) && !view_covered(v))
        canvas_rect(v->c, box.x, box.y, box.width, box.height, 0xFFFFFF10, 6 * s);
    if (explained)
        canvas_colour_map(v->c, v->panel.x + 9 * s, y, floorf(5 * s), height - 12 * s, 2 * s);
    short_label(c, c->top[i].id, label, sizeof label);
    snprintf(percent, sizeof percent, c->top[i].prob >= 0.9995f ? "%.0f %%" : "%.1f %%", 100 * (double)c->top[i].prob);
    const float room = canvas_text_width(v->c, font, "100.0 %") + 12 * s;
    canvas_text(v->c, x, y, font, first ? COLOUR_TEXT : 0xC9D1DEFF, ALIGN_LEFT, width - room, label);
    canvas_text(v->c, x + width, y, font, first ? COLOUR_TEXT : 0xC9D1DEFF, ALIGN_RIGHT, 0, percent);
    const float top = floorf(y + line + 3 * s);
    canvas_rect(v->c, x, top, width, bar, COLOUR_TRACK, 0.5f * bar);
    canvas_rect(v->c, x, top, fmaxf(c->top[i].prob * width, c->top[i].prob > 0.002f ? bar : 0), bar,
                first ? COLOUR_ACCENT : 0x3B82B4FF, 0.5f * bar);
    return y + height;
}

static float waiting(struct view *v, float y) {
    const struct demo *d = v->d;
    const float s = v->scale, x = v->panel.x + pad * s, width = v->panel.width - 2 * pad * s;
    const int at = (int)fmod(now_ms() / 150, 8);
    char text[1200];
    if (d->preparation) {
        const struct choice *choice = prepare_choice(d->preparation);
        snprintf(text, sizeof text, "Preparing %s on %s",
                 choice->model[0] ? path_name(choice->model) : "the bundled model", d->vk.gpus[choice->gpu].name);
    } else {
        snprintf(text, sizeof text,
                 d->classifier.ready ? "Waiting for a picture"
                                     : "No model is loaded: choose one by M, or drop a file here");
    }
    for (int i = 0; i < 8 && d->preparation; i++) { // dots that chase each other
        const float angle = 6.2832f * (float)i / 8, radius = 9 * s, dot = 2.4f * s;
        const uint32_t strength = (uint32_t)(255 - 30 * ((at - i + 8) % 8));
        canvas_rect(v->c, x + radius + radius * sinf(angle) - dot + 3 * s,
                    y + radius - radius * cosf(angle) - dot + 3 * s, 2 * dot, 2 * dot, 0x4CC2FF00 | strength, dot);
    }
    const float indent = d->preparation ? 36 * s : 0;
    return y + fmaxf(34 * s, canvas_paragraph(v->c, x + indent, y, view_font(v, FACE_PLAIN, 15), COLOUR_DIM,
                                              width - indent, text) +
                                 8 * s);
}

static float legend(struct view *v, float y) {
    const struct demo *d = v->d;
    const struct classifier *c = &d->classifier;
    const float s = v->scale, x = v->panel.x + pad * s, width = v->panel.width - 2 * pad * s;
    const struct font font = view_font(v, FACE_PLAIN, 13);
    char label[256], text[320] = "Heat map is off";
    if (v->ui->cam_on && c->cam_shown >= 0 && c->map_speaks) {
        short_label(c, c->cam_shown, label, sizeof label);
        snprintf(text, sizeof text, "What speaks for %s%s%s", "\xE2\x80\x9C", label, "\xE2\x80\x9D");
    } else if (v->ui->cam_on && c->cam_shown >= 0) {
        short_label(c, c->cam_shown, label, sizeof label);
        snprintf(text, sizeof text, "Nothing here speaks for %s", label);
    }
    canvas_text(v->c, x, y, font, COLOUR_DIM, ALIGN_LEFT, width, text);
    if (v->ui->cam_on)
        canvas_colour_map(v->c, x, y + 21 * s, width, floorf(8 * s), 4 * s);
    return y + 42 * s;
}

static void picker(struct view *v, float y, const char *key, const char *name, const char *value, enum menu_kind menu) {
    const float s = v->scale, x = v->panel.x + pad * s, width = v->panel.width - 2 * pad * s, height = 34 * s;
    const struct font font = view_font(v, FACE_PLAIN, 14), letter = view_font(v, FACE_BOLD, 12);
    const struct box box = {x - 8 * s, y, width + 16 * s, height - 4 * s};
    const bool over = view_hot(v, box, ACT_MENU, menu) && !view_covered(v);
    canvas_rect(v->c, box.x, box.y, box.width, box.height, over ? 0x2C3546FF : 0x1D222DFF, 6 * s);
    const float text_y = y + 0.5f * (box.height - canvas_line_height(font)), chip = 20 * s;
    canvas_rect(v->c, x, y + 0.5f * (box.height - chip), chip, chip, 0x2F3849FF, 4 * s);
    canvas_text(v->c, x + 0.5f * chip, y + 0.5f * (box.height - canvas_line_height(letter)), letter, COLOUR_DIM,
                ALIGN_CENTRE, 0, key);
    canvas_text(v->c, x + chip + 10 * s, text_y, font, COLOUR_DIM, ALIGN_LEFT, 0, name);
    canvas_text(v->c, x + 118 * s, text_y, font, COLOUR_TEXT, ALIGN_LEFT, width - 134 * s, value);
    canvas_text(v->c, x + width, text_y, font, COLOUR_DIM, ALIGN_RIGHT, 0, "\xE2\x96\xBE");
}

static void button(struct view *v, struct box box, const char *text, bool on, enum action action) {
    const struct font font = view_font(v, FACE_PLAIN, 12.5f);
    const bool over = view_hot(v, box, action, 0) && !view_covered(v);
    canvas_rect(v->c, box.x, box.y, box.width, box.height,
                on     ? over ? 0x2F86B5FF : 0x256F97FF
                : over ? 0x2C3546FF
                       : 0x1D222DFF,
                6 * v->scale);
    canvas_text(v->c, box.x + 0.5f * box.width, box.y + 0.5f * (box.height - canvas_line_height(font)), font,
                COLOUR_TEXT, ALIGN_CENTRE, box.width, text);
}

static const char *model_name(const struct demo *d) {
    const char *name = d->choices.current.model;
    return name[0] ? path_name(name) : d->options.app.arch ? d->options.app.arch : "bundled: " BUNDLED_CLASSES;
}

static void controls(struct view *v, float y) {
    const struct demo *d = v->d;
    const float s = v->scale, x = v->panel.x + (pad - 8) * s, width = v->panel.width - 2 * (pad - 8) * s, gap = 6 * s;
    picker(v, y, "C", "Source", d->sources.active.name[0] ? d->sources.active.name : "none yet", MENU_SOURCE);
    picker(v, y + 36 * s, "M", "Model", model_name(d), MENU_MODEL);
    picker(v, y + 72 * s, "G", "GPU", d->vk.gpus[d->choices.current.gpu].name, MENU_GPU);
    picker(v, y + 108 * s, "P", "Precision", precision_name(d->choices.current.precision), MENU_PRECISION);
    const struct {
        const char *text;
        bool on;
        enum action action;
    } buttons[] = {
        {d->sources.paused ? "Resume" : "Pause", d->sources.paused, ACT_PAUSE},
        {"Heat map", v->ui->cam_on, ACT_CAM},
        {"Save", false, ACT_SHOT},
        {"Full", d->window && (SDL_GetWindowFlags(d->window) & SDL_WINDOW_FULLSCREEN), ACT_FULLSCREEN},
        {"Help", v->ui->help, ACT_HELP},
    };
    const float each = (width - 4 * gap) / 5;
    for (int i = 0; i < 5; i++)
        button(v, (struct box){x + (float)i * (each + gap), y + 150 * s, each, 34 * s}, buttons[i].text, buttons[i].on,
               buttons[i].action);
}

void view_panel(struct view *v) {
    const struct demo *d = v->d;
    const struct classifier *c = &d->classifier;
    const float bottom = v->height - 200 * v->scale;
    canvas_rect(v->c, v->panel.x, v->panel.y, v->panel.width, v->panel.height, COLOUR_PANEL, 0);
    float y = heading(v, 18 * v->scale);
    if (d->preparation || !c->ready || c->results == 0)
        y = waiting(v, y);
    for (int i = 0; i < c->num_top && c->results > 0; i++)
        if (y + 52 * v->scale < bottom - 40 * v->scale)
            y = result_row(v, y, i);
    if (c->results > 0)
        legend(v, fminf(y + 4 * v->scale, bottom - 46 * v->scale));
    controls(v, bottom);
}
