// controls.c - keyboard, mouse, what is dropped and pasted, and the pickers' lists.
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pretrained/pretrained.h"

// ---- pickers

static void add_item(struct menu *m, const char *text, const char *note, bool dead) {
    if (m->count == MAX_ITEMS)
        return;
    snprintf(m->items[m->count].text, sizeof m->items[0].text, "%.255s", text);
    snprintf(m->items[m->count].note, sizeof m->items[0].note, "%.127s", note);
    m->items[m->count++].dead = dead;
}

static bool is_active(const struct demo *d, const struct source_spec *s) {
    return d->source && source_same(s, &d->active);
}

// In the order that choose_source counts by: given ones, cameras, bundled pictures.
static void fill_sources(struct demo *d, struct menu *m) {
    static const char *const notes[] = {"pictures", "video", "stream", "camera"};
    for (int i = 0; i < d->num_given; i++) {
        if (is_active(d, &d->given[i]))
            m->marked = m->count;
        add_item(m, d->given[i].name, notes[d->given[i].kind], false);
    }
    SDL_LockMutex(d->cameras_lock);
    for (int i = 0; i < d->num_cameras; i++) {
        if (is_active(d, &d->cameras[i]))
            m->marked = m->count;
        add_item(m, d->cameras[i].name, "camera", false);
    }
    SDL_UnlockMutex(d->cameras_lock);
    if (is_active(d, &d->bundled))
        m->marked = m->count;
    add_item(m, d->bundled.name, "pictures", false);
}

static void choose_source(struct demo *d, int item) {
    struct source_spec camera;
    bool found = false;
    if (item < d->num_given) {
        demo_show_source(d, &d->given[item]);
        return;
    }
    SDL_LockMutex(d->cameras_lock);
    for (int i = 0; i < d->num_cameras && !found; i++)
        if (!strcmp(d->cameras[i].name, d->menu.items[item].text)) {
            camera = d->cameras[i];
            found = true;
        }
    SDL_UnlockMutex(d->cameras_lock);
    if (found)
        demo_show_source(d, &camera);
    else
        demo_show_source(d, &d->bundled);
}

static void fill_models(struct demo *d, struct menu *m) {
    char folder[2048], path[2300], error[256], note[128];
    const bool known = pretrained_folder(folder, sizeof folder, error, sizeof error);
    for (int i = 0; i < d->num_models; i++) {
        const struct pretrained *p = pretrained_find(d->models[i]);
        const char *name = d->models[i], *slash = strrchr(name, '/');
        snprintf(note, sizeof note, "%s", name[0] ? "file" : "10 classes, comes with Cardinal");
        if (p) {
            snprintf(path, sizeof path, "%s/%s", folder, p->file);
            FILE *file = known ? fopen(path, "rb") : NULL;
            snprintf(note, sizeof note, "ImageNet, %.1f %%%s", p->acc1, file ? "" : ", is downloaded first");
            if (file)
                fclose(file);
        }
        if (!strcmp(name, d->choice.model))
            m->marked = m->count;
        add_item(m,
                 name[0]               ? slash ? slash + 1 : name
                 : d->options.app.arch ? d->options.app.arch
                                       : "resnext20_16x4d for CIFAR-10",
                 note, false);
    }
}

static void fill_gpus(struct demo *d, struct menu *m) {
    for (int i = 0; i < d->vk.num_gpus; i++) {
        const struct cdl_device_info *g = &d->vk.gpus[i];
        char note[300];
        snprintf(note, sizeof note, "%s%s", g->driver, g->software ? ", no GPU" : "");
        if (i == d->choice.gpu)
            m->marked = m->count;
        add_item(m, g->name, g->unusable[0] ? g->unusable : note, g->unusable[0] != 0);
    }
}

void demo_fill_menu(struct demo *d, enum menu_kind kind) {
    static const char *const titles[] = {"", "Source", "Model", "GPU", "Precision"};
    struct menu *m = &d->menu;
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->marked = -1;
    snprintf(m->title, sizeof m->title, "%s", titles[kind]);
    if (kind == MENU_SOURCE)
        fill_sources(d, m);
    else if (kind == MENU_MODEL)
        fill_models(d, m);
    else if (kind == MENU_GPU)
        fill_gpus(d, m);
    else if (kind == MENU_PRECISION) {
        add_item(m, "auto", "fp16 where the GPU has it", false);
        add_item(m, "fp32", "exact, slower", false);
        add_item(m, "fp16", "half the memory", false);
        m->marked = (int)d->choice.precision;
    }
    m->cursor = m->marked < 0 ? 0 : m->marked;
}

static void choose_item(struct demo *d, int item) {
    struct choice choice = d->has_queued ? d->queued : d->choice;
    const enum menu_kind kind = d->menu.kind;
    if (item < 0 || item >= d->menu.count || d->menu.items[item].dead)
        return;
    if (kind == MENU_SOURCE)
        choose_source(d, item);
    d->menu.kind = MENU_NONE;
    if (kind == MENU_SOURCE || (item == d->menu.marked && d->classifier.ready))
        return;
    if (kind == MENU_MODEL)
        snprintf(choice.model, sizeof choice.model, "%s", d->models[item]);
    else if (kind == MENU_GPU)
        choice.gpu = item;
    else if (kind == MENU_PRECISION)
        choice.precision = (cdl_precision)item;
    demo_prepare(d, &choice);
}

// ---- actions

static void toggle_fullscreen(struct demo *d) {
    if (d->window)
        SDL_SetWindowFullscreen(d->window, SDL_GetWindowFlags(d->window) & SDL_WINDOW_FULLSCREEN_DESKTOP
                                               ? 0
                                               : SDL_WINDOW_FULLSCREEN_DESKTOP);
}

static void choose_class(struct demo *d, int id) {
    classifier_choose(&d->classifier, d->classifier.cam_class == id ? BEST_CLASS : id);
    d->cam_on = true;
}

void demo_act(struct demo *d, enum action action, int value) {
    d->dirty = true;
    switch (action) {
    case ACT_NONE: break;
    case ACT_MENU: demo_fill_menu(d, (enum menu_kind)value); break;
    case ACT_ITEM: choose_item(d, value); break;
    case ACT_CLOSE:
        d->menu.kind = MENU_NONE;
        d->help = false;
        break;
    case ACT_PAUSE:
        d->paused = d->source && !d->paused;
        if (d->source)
            source_pause(d->source, d->paused);
        break;
    case ACT_CAM: d->cam_on = !d->cam_on; break;
    case ACT_CLASS: choose_class(d, value); break;
    case ACT_SHOT: renderer_want_shot(&d->renderer); break;
    case ACT_FULLSCREEN: toggle_fullscreen(d); break;
    case ACT_HELP: d->help = !d->help; break;
    case ACT_SKIP:
        if (d->source && d->active.kind == SOURCE_PICTURES)
            source_skip(d->source, value);
        break;
    case ACT_QUIT: d->quit = true; break;
    }
}

// ---- events

static void paste(struct demo *d) {
    char *text = SDL_GetClipboardText();
    char *lines[64];
    int count = 0;
    for (char *at = text; at && *at && count < 64;) {
        const size_t length = strcspn(at, "\r\n");
        const bool last = !at[length];
        at[length] = 0;
        if (length > 0)
            lines[count++] = at;
        at += length + !last;
    }
    if (count > 0)
        demo_take_paths(d, lines, count);
    else
        demo_toast(d, true, "Nothing that was copied names a file or an address.");
    SDL_free(text);
}

static void menu_key(struct demo *d, SDL_Keycode key) {
    struct menu *m = &d->menu;
    d->dirty = true;
    if (key == SDLK_UP && m->cursor > 0)
        m->cursor--;
    else if (key == SDLK_DOWN && m->cursor + 1 < m->count)
        m->cursor++;
    else if (key == SDLK_RETURN || key == SDLK_KP_ENTER || key == SDLK_SPACE)
        choose_item(d, m->cursor);
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
    const SDL_Keycode letter = d->menu.kind != MENU_NONE && key != SDLK_F12 ? SDLK_UNKNOWN : key;
    if (key == SDLK_v && mods & (KMOD_CTRL | KMOD_GUI)) {
        paste(d);
        return;
    }
    if (d->menu.kind != MENU_NONE)
        menu_key(d, key);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].key == letter) {
            demo_act(d, keys[i].action, keys[i].value);
            return;
        }
    if (letter >= SDLK_1 && letter < SDLK_1 + c->num_top)
        demo_act(d, ACT_CLASS, c->top[letter - SDLK_1].id);
    else if (letter == SDLK_0)
        demo_act(d, ACT_CLASS, BEST_CLASS);
    else if (letter == SDLK_ESCAPE && d->help)
        demo_act(d, ACT_CLOSE, 0);
    else if (letter == SDLK_ESCAPE && d->window && SDL_GetWindowFlags(d->window) & SDL_WINDOW_FULLSCREEN_DESKTOP)
        toggle_fullscreen(d);
}

// Points of the window to pixels of the picture.
static void move_mouse(struct demo *d, int x, int y) {
    int width = 1, height = 1;
    SDL_GetWindowSize(d->window, &width, &height);
    d->mouse_x = (float)x * (float)d->renderer.target.width / (float)(width > 0 ? width : 1);
    d->mouse_y = (float)y * (float)d->renderer.target.height / (float)(height > 0 ? height : 1);
    d->dirty = true;
}

static void click(struct demo *d) {
    for (int i = d->num_hots - 1; i >= 0; i--) { // the topmost
        const struct hot *h = &d->hots[i];
        if (d->mouse_x >= h->x && d->mouse_x < h->x + h->width && d->mouse_y >= h->y && d->mouse_y < h->y + h->height) {
            demo_act(d, h->action, h->value);
            return;
        }
    }
}

// Files that are dropped together belong together.
static void drop(struct demo *d, char *path) {
    if (d->num_dropped < (int)(sizeof d->dropped / sizeof *d->dropped))
        d->dropped[d->num_dropped++] = path;
    else
        SDL_free(path);
}

static void end_drop(struct demo *d) {
    demo_take_paths(d, d->dropped, d->num_dropped);
    while (d->num_dropped > 0)
        SDL_free(d->dropped[--d->num_dropped]);
}

void demo_event(struct demo *d, const SDL_Event *e) {
    switch (e->type) {
    case SDL_QUIT: d->quit = true; break;
    case SDL_KEYDOWN:
        if (!e->key.repeat || d->menu.kind != MENU_NONE)
            press(d, e->key.keysym.sym, e->key.keysym.mod);
        break;
    case SDL_MOUSEMOTION: move_mouse(d, e->motion.x, e->motion.y); break;
    case SDL_MOUSEBUTTONDOWN:
        move_mouse(d, e->button.x, e->button.y);
        if (e->button.button == SDL_BUTTON_LEFT)
            click(d);
        break;
    case SDL_MOUSEWHEEL:
        if (d->menu.kind != MENU_NONE)
            menu_key(d, e->wheel.y > 0 ? SDLK_UP : SDLK_DOWN);
        break;
    case SDL_DROPFILE: drop(d, e->drop.file); break;
    case SDL_DROPTEXT: drop(d, e->drop.file); break;
    case SDL_DROPCOMPLETE: end_drop(d); break;
    case SDL_WINDOWEVENT: d->dirty = true; break;
    default: break;
    }
}
