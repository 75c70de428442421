// controls.c - keyboard, mouse, and what is dropped and pasted.
#include "demo.h"

#include <stdio.h>
#include <string.h>

// ---- actions

static void toggle_fullscreen(SDL_Window *window) {
    if (window)
        SDL_SetWindowFullscreen(
            window, SDL_GetWindowFlags(window) & SDL_WINDOW_FULLSCREEN_DESKTOP ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

static void act(struct demo *d, enum action action, int value) {
    struct user_interface *ui = &d->ui;
    struct sources *s = &d->sources;
    ui->dirty = true;
    switch (action) {
    case ACT_NONE: break;
    case ACT_MENU: demo_open_menu(d, (enum menu_kind)value); break;
    case ACT_ITEM: demo_choose_item(d, value); break;
    case ACT_CLOSE:
        ui->menu.kind = MENU_NONE;
        ui->help = false;
        break;
    case ACT_PAUSE: sources_pause(s, !s->paused); break;
    case ACT_CAM: ui->cam_on = !ui->cam_on; break;
    case ACT_CLASS:
        classifier_choose(&d->classifier, d->classifier.cam_class == value ? BEST_CLASS : value);
        ui->cam_on = true;
        break;
    case ACT_SHOT: renderer_want_shot(&d->renderer); break;
    case ACT_FULLSCREEN: toggle_fullscreen(d->window); break;
    case ACT_HELP: ui->help = !ui->help; break;
    case ACT_SKIP:
        if (s->source && s->active.kind == SOURCE_PICTURES)
            source_skip(s->source, value);
        break;
    case ACT_QUIT: ui->quit = true; break;
    }
}

// Sources are shown, models prepared.
static void take_texts(struct demo *d, char **texts, int count) {
    const char *sources[MAX_DROPPED];
    int num_sources = 0;
    for (int i = 0; i < count; i++) {
        const char *text = strncmp(texts[i], "file://", 7) ? texts[i] : texts[i] + 7;
        if (is_model_file(text)) {
            struct choice choice = d->choices.current;
            snprintf(choice.model, sizeof choice.model, "%s", text);
            demo_prepare(d, &choice);
        } else {
            sources[num_sources++] = text;
        }
    }
    sources_take(&d->sources, sources, num_sources);
}

// ---- events

static void paste(struct demo *d) {
    char *text = SDL_GetClipboardText();
    char *lines[MAX_DROPPED];
    int count = 0;
    for (char *at = text; at && *at && count < MAX_DROPPED;) {
        const size_t length = strcspn(at, "\r\n");
        const bool last = !at[length];
        at[length] = 0;
        if (length > 0)
            lines[count++] = at;
        at += length + !last;
    }
    if (count > 0)
        take_texts(d, lines, count);
    else
        interface_toast(&d->ui, true, "Nothing that was copied names a file or an address.");
    SDL_free(text);
}

static void menu_key(struct demo *d, SDL_Keycode key) {
    struct menu *m = &d->ui.menu;
    d->ui.dirty = true;
    if (key == SDLK_UP && m->cursor > 0)
        m->cursor--;
    else if (key == SDLK_DOWN && m->cursor + 1 < m->count)
        m->cursor++;
    else if (key == SDLK_RETURN || key == SDLK_KP_ENTER || key == SDLK_SPACE)
        demo_choose_item(d, m->cursor);
    else if (key == SDLK_ESCAPE)
        m->kind = MENU_NONE;
}

static void press(struct demo *d, SDL_Keycode key, Uint16 mods) {
    static const struct {
        SDL_Keycode key;
        enum action action;
        int value;
    } keys[] = {
        {SDLK_c, ACT_MENU, MENU_SOURCE}, {SDLK_m, ACT_MENU, MENU_MODEL},
        {SDLK_g, ACT_MENU, MENU_GPU},    {SDLK_p, ACT_MENU, MENU_PRECISION},
        {SDLK_SPACE, ACT_PAUSE, 0},      {SDLK_h, ACT_CAM, 0},
        {SDLK_s, ACT_SHOT, 0},           {SDLK_F12, ACT_SHOT, 0},
        {SDLK_f, ACT_FULLSCREEN, 0},     {SDLK_F11, ACT_FULLSCREEN, 0},
        {SDLK_F1, ACT_HELP, 0},          {SDLK_QUESTION, ACT_HELP, 0},
        {SDLK_LEFT, ACT_SKIP, -1},       {SDLK_RIGHT, ACT_SKIP, 1},
        {SDLK_q, ACT_QUIT, 0},
    };
    const struct classifier *c = &d->classifier;
    const SDL_Keycode letter = d->ui.menu.kind != MENU_NONE && key != SDLK_F12 ? SDLK_UNKNOWN : key;
    if (key == SDLK_v && mods & (KMOD_CTRL | KMOD_GUI)) {
        paste(d);
        return;
    }
    if (d->ui.menu.kind != MENU_NONE)
        menu_key(d, key);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].key == letter) {
            act(d, keys[i].action, keys[i].value);
            return;
        }
    if (letter >= SDLK_1 && letter < SDLK_1 + c->num_top)
        act(d, ACT_CLASS, c->top[letter - SDLK_1].id);
    else if (letter == SDLK_0)
        act(d, ACT_CLASS, BEST_CLASS);
    else if (letter == SDLK_ESCAPE && d->ui.help)
        act(d, ACT_CLOSE, 0);
    else if (letter == SDLK_ESCAPE && d->window && SDL_GetWindowFlags(d->window) & SDL_WINDOW_FULLSCREEN_DESKTOP)
        toggle_fullscreen(d->window);
}

// Points of the window to pixels of the picture.
static void move_mouse(struct demo *d, int x, int y) {
    int width = 1, height = 1;
    SDL_GetWindowSize(d->window, &width, &height);
    d->ui.mouse_x = (float)x * (float)d->renderer.target.width / (float)(width > 0 ? width : 1);
    d->ui.mouse_y = (float)y * (float)d->renderer.target.height / (float)(height > 0 ? height : 1);
    d->ui.dirty = true;
}

static void click(struct demo *d) {
    const struct user_interface *ui = &d->ui;
    for (int i = ui->num_hots - 1; i >= 0; i--) { // the topmost
        const struct hot *h = &ui->hots[i];
        if (ui->mouse_x >= h->x && ui->mouse_x < h->x + h->width && ui->mouse_y >= h->y &&
            ui->mouse_y < h->y + h->height) {
            act(d, h->action, h->value);
            return;
        }
    }
}

// Files that are dropped together belong together.
static void drop(struct user_interface *ui, char *path) {
    if (ui->num_dropped < MAX_DROPPED)
        ui->dropped[ui->num_dropped++] = path;
    else
        SDL_free(path);
}

static void end_drop(struct demo *d) {
    struct user_interface *ui = &d->ui;
    take_texts(d, ui->dropped, ui->num_dropped);
    while (ui->num_dropped > 0)
        SDL_free(ui->dropped[--ui->num_dropped]);
}

void demo_event(struct demo *d, const SDL_Event *e) {
    switch (e->type) {
    case SDL_QUIT: d->ui.quit = true; break;
    case SDL_KEYDOWN:
        if (!e->key.repeat || d->ui.menu.kind != MENU_NONE)
            press(d, e->key.keysym.sym, e->key.keysym.mod);
        break;
    case SDL_MOUSEMOTION: move_mouse(d, e->motion.x, e->motion.y); break;
    case SDL_MOUSEBUTTONDOWN:
        move_mouse(d, e->button.x, e->button.y);
        if (e->button.button == SDL_BUTTON_LEFT)
            click(d);
        break;
    case SDL_MOUSEWHEEL:
        if (d->ui.menu.kind != MENU_NONE)
            menu_key(d, e->wheel.y > 0 ? SDLK_UP : SDLK_DOWN);
        break;
    case SDL_DROPFILE: drop(&d->ui, e->drop.file); break;
    case SDL_DROPTEXT: drop(&d->ui, e->drop.file); break;
    case SDL_DROPCOMPLETE: end_drop(d); break;
    case SDL_WINDOWEVENT: d->ui.dirty = true; break;
    default: break;
    }
}
