// demo_sources.c - which source is shown: what was named, else a camera that works, else the bundled pictures.
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/program_folder.h"

enum { WATCH_MS = 2000 };

static void wake(void *ctx) { // any thread
    struct demo *d = ctx;
    SDL_Event event = {.type = d->wake_event};
    SDL_PushEvent(&event);
}

// Looks for cameras again and again: listing may block for seconds in a driver.
static int watch_cameras(void *ctx) {
    struct demo *d = ctx;
    while (!SDL_AtomicGet(&d->stop_watching)) {
        struct source_spec *found = calloc(MAX_CAMERAS, sizeof *found);
        const int count = found ? cameras_list(found, MAX_CAMERAS) : 0;
        SDL_LockMutex(d->cameras_lock);
        const bool changed = !d->cameras_known || count != d->num_cameras;
        if (found)
            memcpy(d->cameras, found, sizeof *found * (size_t)count);
        d->num_cameras = count;
        d->cameras_known = true;
        SDL_UnlockMutex(d->cameras_lock);
        free(found);
        if (changed)
            wake(d);
        for (int i = 0; i < WATCH_MS / 20 && !SDL_AtomicGet(&d->stop_watching); i++)
            SDL_Delay(20);
    }
    return 0;
}

bool source_same(const struct source_spec *a, const struct source_spec *b) {
    return a->kind == b->kind && !strcmp(a->name, b->name) && (a->kind == SOURCE_CAMERA || !strcmp(a->url, b->url));
}

void demo_show_source(struct demo *d, const struct source_spec *spec) {
    struct source_spec copy;
    if (!source_copy(spec, &copy)) {
        demo_toast(d, true, "out of memory");
        return;
    }
    source_close(&d->source);
    source_spec_free(&d->active);
    d->active = copy;
    d->source_worked = d->paused = false;
    d->source_message = 0;
    d->source_frames = 0;
    d->fallback = false;
    d->source = source_open(&d->active, d->options.seconds, wake, d);
    d->dirty = true;
    if (!d->source)
        demo_toast(d, true, "%s: out of memory", spec->name);
}

static void show_bundled(struct demo *d, const char *why) {
    if (d->bundled.num_files == 0) {
        demo_toast(d, true, "%s There are no bundled pictures either: drop some here.", why);
        return;
    }
    demo_show_source(d, &d->bundled);
    d->fallback = true;
    demo_toast(d, false, "%s Pictures are shown; drop files here, or plug in a camera.", why);
}

// The first camera that is not `but` and comes behind it; a broken one is passed over in this way.
static bool next_camera(struct demo *d, const struct source_spec *but, struct source_spec *out) {
    bool found = false, behind = but == NULL || but->kind != SOURCE_CAMERA;
    SDL_LockMutex(d->cameras_lock);
    for (int i = 0; i < d->num_cameras && !found; i++) {
        if (behind) {
            *out = d->cameras[i];
            found = true;
        }
        behind = behind || source_same(&d->cameras[i], but);
    }
    SDL_UnlockMutex(d->cameras_lock);
    return found;
}

void demo_next_source(struct demo *d, const char *why) {
    struct source_spec next;
    int at = -1;
    for (int i = 0; i < d->num_given; i++)
        if (source_same(&d->given[i], &d->active))
            at = i;
    complain("%s", why);
    char text[400];
    snprintf(text, sizeof text, "%.380s.", why);
    if (at >= 0 && at + 1 < d->num_given) {
        demo_show_source(d, &d->given[at + 1]);
        demo_toast(d, true, "%s", text);
    } else if (at < 0 && next_camera(d, &d->active, &next)) {
        demo_show_source(d, &next);
        demo_toast(d, true, "%s", text);
    } else if (d->active.kind != SOURCE_PICTURES || !source_same(&d->active, &d->bundled)) {
        show_bundled(d, text);
        d->toast_bad = true;
    } else {
        demo_toast(d, true, "%s", text);
    }
}

bool demo_sources_open(struct demo *d) {
    static const char *const names[] = {"pictures/chelsea.png", "pictures/rocket.jpg"};
    char paths[2][2048], error[512];
    const char *found[2];
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (find_data_file(names[i], paths[i], sizeof paths[i])) {
            found[count] = paths[i];
            count++;
        }
    if (!source_of_files(found, count, &d->bundled))
        return false;
    snprintf(d->bundled.name, sizeof d->bundled.name, "bundled pictures");
    for (int i = 0; i < d->options.num_sources; i++) {
        if (source_parse(d->options.sources[i], &d->given[d->num_given], error, sizeof error))
            d->num_given++;
        else
            complain("%s", error);
    }
    if (d->options.num_sources > 0 && d->num_given == 0) {
        d->status = EXIT_SOME_FAILED;
        return false;
    }
    d->cameras_lock = SDL_CreateMutex();
    if (!d->cameras_lock)
        return false;
    if (d->num_given > 0)
        demo_show_source(d, &d->given[0]);
    d->watcher = SDL_CreateThread(watch_cameras, "cameras", d);
    return d->watcher != NULL;
}

void demo_sources_close(struct demo *d) {
    SDL_AtomicSet(&d->stop_watching, 1);
    source_close(&d->source);
    if (d->watcher)
        SDL_WaitThread(d->watcher, NULL);
    if (!sources_finish(3000))
        complain("a source does not end; leaving without it");
    if (d->cameras_lock)
        SDL_DestroyMutex(d->cameras_lock);
    for (int i = 0; i < d->num_given; i++)
        source_spec_free(&d->given[i]);
    source_spec_free(&d->bundled);
    source_spec_free(&d->active);
    frame_free(&d->frame);
}

// The first source where none was named, once the cameras are known; and a camera that comes later.
static void choose_first(struct demo *d) {
    struct source_spec camera;
    SDL_LockMutex(d->cameras_lock);
    const bool known = d->cameras_known;
    SDL_UnlockMutex(d->cameras_lock);
    if ((d->source && !d->fallback) || !known || d->num_given > 0)
        return;
    if (next_camera(d, NULL, &camera) && !d->camera_failed) {
        const bool came = d->fallback;
        demo_show_source(d, &camera);
        if (came)
            demo_toast(d, false, "%s is there.", camera.name);
    } else if (!d->source) {
        complain(cameras_supported() ? "no camera was found; the bundled pictures are shown"
                                     : "this FFmpeg has no cameras; the bundled pictures are shown");
        show_bundled(d, "No camera was found.");
    }
}

void demo_watch_source(struct demo *d) {
    struct source_status status;
    choose_first(d);
    if (!d->source)
        return;
    source_status(d->source, &status);
    if (source_take(d->source, &d->frame)) {
        d->frame.number = ++d->frame_number;
        d->frame_new = true;
        d->source_worked = true;
        d->source_frames++;
    }
    if (status.message_number != d->source_message) {
        d->source_message = status.message_number;
        d->dirty = true;
        if (status.state == SOURCE_FAILED) {
            d->status = EXIT_SOME_FAILED;
            d->camera_failed = d->camera_failed || d->active.kind == SOURCE_CAMERA;
            demo_next_source(d, status.message);
            return;
        }
        complain("%s", status.message);
        demo_toast(d, true, "%s.", status.message);
    }
}

// ---- what is dropped or pasted

static bool ends_with(const char *text, const char *end) {
    const size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && !SDL_strcasecmp(text + length - end_length, end);
}

void demo_take_paths(struct demo *d, char **texts, int count) {
    const char *pictures[64];
    int num_pictures = 0;
    char error[512];
    for (int i = 0; i < count; i++) {
        const char *text = strncmp(texts[i], "file://", 7) ? texts[i] : texts[i] + 7;
        struct source_spec spec;
        if (ends_with(text, ".safetensors") || ends_with(text, ".pth") || ends_with(text, ".pt")) {
            struct choice choice = d->choice;
            snprintf(choice.model, sizeof choice.model, "%s", text);
            demo_prepare(d, &choice);
            continue;
        }
        if (!source_parse(text, &spec, error, sizeof error)) {
            demo_toast(d, true, "%s.", error);
            continue;
        }
        if (spec.kind == SOURCE_PICTURES && spec.num_files == 1 && num_pictures < 64)
            pictures[num_pictures++] = text;
        // Newer ones take the oldest one's place.
        if (d->num_given == MAX_GIVEN) {
            source_spec_free(&d->given[0]);
            memmove(&d->given[0], &d->given[1], sizeof *d->given * (MAX_GIVEN - 1));
            d->num_given--;
        }
        d->given[d->num_given++] = spec;
        demo_show_source(d, &spec);
    }
    struct source_spec all;
    if (num_pictures > 1 && num_pictures == count &&
        source_of_files(pictures, num_pictures, &all)) { // several pictures: one after another
        snprintf(all.name, sizeof all.name, "%d pictures", num_pictures);
        demo_show_source(d, &all);
        source_spec_free(&all);
    }
}
