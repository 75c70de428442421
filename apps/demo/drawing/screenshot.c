// screenshot.c - see screenshot.h.
#include "drawing/screenshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app.h"
#include "picture/overlay.h"
#include "system/files.h"
#include "system/output_file.h"

struct shot {
    uint8_t *rgba;
    int width, height;
    char path[1200];
};

static int write_shot(void *ctx) {
    struct shot *s = ctx;
    char error[1400];
    const bool ok = overlay_write_png(s->path, s->rgba, s->width, s->height, error, sizeof error);
    if (!ok)
        complain("%s", error);
    free(s->rgba);
    free(s);
    return ok ? 0 : 1;
}

static void name_shot(const char *wanted, char *path, size_t size) {
    if (wanted) {
        snprintf(path, size, "%s", wanted);
        return;
    }
    char stamp[64] = "";
    const time_t now = time(NULL);
    struct tm local;
#ifdef _WIN32
    localtime_s(&local, &now);
#else
    localtime_r(&now, &local);
#endif
    strftime(stamp, sizeof stamp, "%Y-%m-%d-%H%M%S", &local);
    snprintf(path, size, "cardinal-%s.png", stamp);
    for (int i = 2; file_readable(path) && i < 1000; i++)
        snprintf(path, size, "cardinal-%s-%d.png", stamp, i);
}

bool screenshot_spares(const char *path, const char *const *inputs, int count) {
    char error[1400];
    const bool ok = output_spares(path, inputs, (size_t)count, error, sizeof error);
    if (!ok)
        complain("--screenshot: %s", error);
    return ok;
}

void screenshots_finish(struct screenshots *s, struct user_interface *ui) {
    int failed = 0;
    if (!s->writer)
        return;
    SDL_WaitThread(s->writer, &failed);
    s->writer = NULL;
    if (failed) {
        s->failed = true;
        interface_toast(ui, true, "The screenshot could not be written; the terminal tells why.");
    }
}

void screenshots_poll(struct screenshots *s, struct renderer *r, struct user_interface *ui) {
    struct shot *shot = malloc(sizeof *shot);
    if (!shot || !renderer_take_shot(r, &shot->rgba, &shot->width, &shot->height)) {
        free(shot);
        return;
    }
    screenshots_finish(s, ui); // the one before
    name_shot(s->path, shot->path, sizeof shot->path);
    interface_toast(ui, false, "Screenshot: %s", shot->path);
    s->writer = SDL_CreateThread(write_shot, "screenshot", shot);
    if (!s->writer && write_shot(shot) != 0)
        s->failed = true;
}
