// interface.c - see interface.h.
#include "interface/interface.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "app.h"

void interface_open(struct user_interface *ui, bool cam_on) {
    ui->cam_on = cam_on;
    ui->cam_strength = cam_on ? 1 : 0;
    ui->wake_event = SDL_RegisterEvents(1);
}

void interface_wake(void *user_interface) {
    const struct user_interface *ui = user_interface;
    SDL_Event event = {.type = ui->wake_event};
    SDL_PushEvent(&event);
}

void interface_toast(struct user_interface *ui, bool bad, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(ui->toast.text, sizeof ui->toast.text, fmt, args);
    va_end(args);
    ui->toast.bad = bad;
    ui->toast.until = now_ms() + (bad ? 9000 : 5000);
    ui->dirty = true;
}

void interface_fade(struct user_interface *ui, double elapsed_ms) {
    const float step = (float)elapsed_ms / 200, wanted = ui->cam_on ? 1 : 0;
    ui->cam_strength =
        wanted > ui->cam_strength ? fminf(wanted, ui->cam_strength + step) : fmaxf(wanted, ui->cam_strength - step);
}

void menu_open(struct menu *m, enum menu_kind kind) {
    static const char *const titles[] = {"", "Source", "Model", "GPU", "Precision"};
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->marked = -1;
    snprintf(m->title, sizeof m->title, "%s", titles[kind]);
}

void menu_add(struct menu *m, const char *text, const char *note, bool dead) {
    if (m->count == MAX_ITEMS)
        return;
    snprintf(m->items[m->count].text, sizeof m->items[0].text, "%.255s", text);
    snprintf(m->items[m->count].note, sizeof m->items[0].note, "%.127s", note);
    m->items[m->count++].dead = dead;
}
