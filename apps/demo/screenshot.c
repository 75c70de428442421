// screenshot.c - a frame's pixels into a PNG, beside the drawing.
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "picture/overlay.h"

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

static bool exists(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file)
        fclose(file);
    return file != NULL;
}

// Named after the time, in the working folder.
static void name_shot(struct demo *d, char *path, size_t size) {
    if (d->options.screenshot) {
        snprintf(path, size, "%s", d->options.screenshot);
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
    for (int i = 2; exists(path) && i < 1000; i++)
        snprintf(path, size, "cardinal-%s-%d.png", stamp, i);
}

void screenshot_finish(struct demo *d) {
    int failed = 0;
    if (!d->writer)
        return;
    SDL_WaitThread(d->writer, &failed);
    d->writer = NULL;
    if (failed) {
        d->status = EXIT_SOME_FAILED;
        demo_toast(d, true, "The screenshot could not be written; the terminal tells why.");
    }
}

void screenshot_poll(struct demo *d) {
    struct shot *s = malloc(sizeof *s);
    if (!s || !renderer_take_shot(&d->renderer, &s->rgba, &s->width, &s->height)) {
        free(s);
        return;
    }
    screenshot_finish(d); // the one before
    name_shot(d, s->path, sizeof s->path);
    demo_toast(d, false, "Screenshot: %s", s->path);
    d->writer = SDL_CreateThread(write_shot, "screenshot", s);
    if (!d->writer && write_shot(s) != 0)
        d->status = EXIT_SOME_FAILED;
}
