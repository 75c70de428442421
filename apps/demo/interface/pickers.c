// pickers.c - the lists of sources, models, GPUs and precisions, and what choosing from them does.
#include "demo.h"

#include <stdio.h>
#include <string.h>

#include "system/files.h"
#include "system/text.h"
#include "pretrained/pretrained.h"

// In the order that choose_source counts by: given ones, cameras, bundled pictures.
static void fill_sources(struct menu *m, struct sources *s) {
    static const char *const notes[] = {"pictures", "video", "stream", "camera"};
    for (int i = 0; i < s->num_given; i++) {
        if (sources_is_active(s, &s->given[i]))
            m->marked = m->count;
        menu_add(m, s->given[i].name, notes[s->given[i].kind], false);
    }
    SDL_LockMutex(s->cameras.lock);
    for (int i = 0; i < s->cameras.count; i++) {
        if (sources_is_active(s, &s->cameras.list[i]))
            m->marked = m->count;
        menu_add(m, s->cameras.list[i].name, "camera", false);
    }
    SDL_UnlockMutex(s->cameras.lock);
    if (sources_is_active(s, &s->bundled))
        m->marked = m->count;
    menu_add(m, s->bundled.name, "pictures", false);
}

// Cameras may have come and gone since the menu was filled: they are found by name.
static void choose_source(struct sources *s, int item, const char *name) {
    struct source_spec camera;
    bool found = false;
    if (item < s->num_given) {
        sources_show(s, &s->given[item]);
        return;
    }
    SDL_LockMutex(s->cameras.lock);
    for (int i = 0; i < s->cameras.count && !found; i++)
        if (!strcmp(s->cameras.list[i].name, name)) {
            camera = s->cameras.list[i];
            found = true;
        }
    SDL_UnlockMutex(s->cameras.lock);
    sources_show(s, found ? &camera : &s->bundled);
}

// arch: what the command line wants in the bundled model's place, or NULL.
static void fill_models(struct menu *m, const struct choices *c, const char *arch) {
    char folder[2048], path[2300], error[256], note[128];
    const bool known = pretrained_folder(folder, sizeof folder, error, sizeof error);
    for (int i = 0; i < c->num_models; i++) {
        const char *name = c->models[i];
        const struct pretrained *p = pretrained_find(name);
        snprintf(note, sizeof note, "%s", name[0] ? "file" : BUNDLED_CLASSES ", comes with Cardinal");
        if (p) {
            snprintf(path, sizeof path, "%s/%s", folder, p->file);
            snprintf(note, sizeof note, "ImageNet, %.1f %%%s", p->acc1,
                     known && file_readable(path) ? "" : ", is downloaded first");
        }
        if (!strcmp(name, c->current.model))
            m->marked = m->count;
        menu_add(m, name[0] ? path_name(name) : arch ? arch : BUNDLED_MODEL, note, false);
    }
}

static void fill_gpus(struct menu *m, const struct vulkan *vk, int current) {
    for (int i = 0; i < vk->num_gpus; i++) {
        const struct cdl_device_info *g = &vk->gpus[i];
        char note[300];
        snprintf(note, sizeof note, "%s%s", g->driver, g->software ? ", no GPU" : "");
        if (i == current)
            m->marked = m->count;
        menu_add(m, g->name, g->unusable[0] ? g->unusable : note, g->unusable[0] != 0);
    }
}

static void fill_precisions(struct menu *m, cdl_precision current) {
    menu_add(m, "auto", "fp16 where the GPU has it", false);
    menu_add(m, "fp32", "exact, slower", false);
    menu_add(m, "fp16", "half the memory", false);
    m->marked = (int)current;
}

void demo_open_menu(struct demo *d, enum menu_kind kind) {
    struct menu *m = &d->ui.menu;
    menu_open(m, kind);
    if (kind == MENU_SOURCE)
        fill_sources(m, &d->sources);
    else if (kind == MENU_MODEL)
        fill_models(m, &d->choices, d->options.app.arch);
    else if (kind == MENU_GPU)
        fill_gpus(m, &d->vk, d->choices.current.gpu);
    else if (kind == MENU_PRECISION)
        fill_precisions(m, d->choices.current.precision);
    m->cursor = m->marked < 0 ? 0 : m->marked;
}

void demo_choose_item(struct demo *d, int item) {
    struct menu *m = &d->ui.menu;
    struct choice choice = d->choices.has_queued ? d->choices.queued : d->choices.current;
    const enum menu_kind kind = m->kind;
    if (item < 0 || item >= m->count || m->items[item].dead)
        return;
    m->kind = MENU_NONE;
    if (kind == MENU_SOURCE)
        choose_source(&d->sources, item, m->items[item].text);
    if (kind == MENU_SOURCE || (item == m->marked && d->classifier.ready))
        return;
    if (kind == MENU_MODEL)
        snprintf(choice.model, sizeof choice.model, "%s", d->choices.models[item]);
    else if (kind == MENU_GPU)
        choice.gpu = item;
    else if (kind == MENU_PRECISION)
        choice.precision = (cdl_precision)item;
    demo_prepare(d, &choice);
}
