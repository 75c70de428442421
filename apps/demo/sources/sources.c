// sources.c - see sources.h.
#include "sources/sources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "system/program_folder.h"

enum { WATCH_MS = 2000 };

// A camera is known by its name: plugged in again, it may have another address.
static bool same(const struct source_spec *a, const struct source_spec *b) {
    return a->kind == b->kind && !strcmp(a->name, b->name) && (a->kind == SOURCE_CAMERA || !strcmp(a->url, b->url));
}

bool sources_is_active(const struct sources *s, const struct source_spec *spec) {
    return s->source && same(spec, &s->active);
}

// ---- cameras

// Listing may block for seconds in a driver.
static int watch_cameras(void *ctx) {
    struct cameras *c = ctx;
    while (!SDL_AtomicGet(&c->stop)) {
        struct source_spec *found = calloc(MAX_CAMERAS, sizeof *found);
        const int count = found ? cameras_list(found, MAX_CAMERAS) : 0;
        SDL_LockMutex(c->lock);
        const bool changed = !c->known || count != c->count;
        if (found)
            memcpy(c->list, found, sizeof *found * (size_t)count);
        c->count = count;
        c->known = true;
        SDL_UnlockMutex(c->lock);
        free(found);
        if (changed)
            interface_wake(c->ui);
        for (int i = 0; i < WATCH_MS / 20 && !SDL_AtomicGet(&c->stop); i++)
            SDL_Delay(20);
    }
    return 0;
}

static bool cameras_known(struct cameras *c) {
    SDL_LockMutex(c->lock);
    const bool known = c->known;
    SDL_UnlockMutex(c->lock);
    return known;
}

// The first camera behind `before` in the list; NULL, or no camera: the first of all. So broken ones are passed over.
static bool next_camera(struct cameras *c, const struct source_spec *before, struct source_spec *out) {
    bool found = false, behind = before == NULL || before->kind != SOURCE_CAMERA;
    SDL_LockMutex(c->lock);
    for (int i = 0; i < c->count && !found; i++) {
        if (behind) {
            *out = c->list[i];
            found = true;
        }
        behind = behind || same(&c->list[i], before);
    }
    SDL_UnlockMutex(c->lock);
    return found;
}

// ---- what is shown

void sources_show(struct sources *s, const struct source_spec *spec) {
    struct source_spec copy;
    if (!source_copy(spec, &copy)) {
        interface_toast(s->ui, true, "out of memory");
        return;
    }
    source_close(&s->source);
    source_spec_free(&s->active);
    s->active = copy;
    s->worked = s->paused = s->fallback = false;
    s->message_number = 0;
    s->source = source_open(&s->active, s->seconds, interface_wake, s->ui);
    s->ui->dirty = true;
    if (!s->source)
        interface_toast(s->ui, true, "%s: out of memory", spec->name);
}

static void show_bundled(struct sources *s, bool bad, const char *why) {
    if (s->bundled.num_files == 0) {
        interface_toast(s->ui, true, "%s There are no bundled pictures either: drop some here.", why);
        return;
    }
    sources_show(s, &s->bundled);
    s->fallback = true;
    interface_toast(s->ui, bad, "%s Pictures are shown; drop files here, or plug in a camera.", why);
}

// After one that does not work.
static void show_next(struct sources *s, const char *why) {
    struct source_spec next;
    int at = -1;
    for (int i = 0; i < s->num_given; i++)
        if (same(&s->given[i], &s->active))
            at = i;
    complain("%s", why);
    char text[400];
    snprintf(text, sizeof text, "%.380s.", why);
    if (at >= 0 && at + 1 < s->num_given) {
        sources_show(s, &s->given[at + 1]);
        interface_toast(s->ui, true, "%s", text);
    } else if (at < 0 && next_camera(&s->cameras, &s->active, &next)) {
        sources_show(s, &next);
        interface_toast(s->ui, true, "%s", text);
    } else if (!same(&s->active, &s->bundled)) {
        show_bundled(s, true, text);
    } else {
        interface_toast(s->ui, true, "%s", text);
    }
}

// The first source where none was named, once the cameras are known; and a camera that comes later.
static void choose_first(struct sources *s) {
    struct source_spec camera;
    if ((s->source && !s->fallback) || s->num_given > 0 || !cameras_known(&s->cameras))
        return;
    if (next_camera(&s->cameras, NULL, &camera) && !s->camera_failed) {
        const bool came = s->fallback;
        sources_show(s, &camera);
        if (came)
            interface_toast(s->ui, false, "%s is there.", camera.name);
    } else if (!s->source) {
        complain(cameras_supported() ? "no camera was found; the bundled pictures are shown"
                                     : "this FFmpeg has no cameras; the bundled pictures are shown");
        show_bundled(s, false, "No camera was found.");
    }
}

void sources_watch(struct sources *s) {
    choose_first(s);
    if (!s->source)
        return;
    const struct source_status status = sources_status(s);
    if (source_take(s->source, &s->frame)) {
        s->frame.number = ++s->frame_number;
        s->frame_new = true;
        s->worked = true;
    }
    if (status.message_number == s->message_number)
        return;
    s->message_number = status.message_number;
    s->ui->dirty = true;
    if (status.state == SOURCE_FAILED) {
        s->failed = true;
        s->camera_failed = s->camera_failed || s->active.kind == SOURCE_CAMERA;
        show_next(s, status.message);
    } else {
        complain("%s", status.message);
        interface_toast(s->ui, true, "%s.", status.message);
    }
}

void sources_pause(struct sources *s, bool paused) {
    s->paused = s->source && paused;
    if (s->source)
        source_pause(s->source, s->paused);
}

struct source_status sources_status(const struct sources *s) {
    struct source_status status = {0};
    if (s->source)
        source_status(s->source, &status);
    return status;
}

bool sources_live(const struct sources *s) {
    return s->source && s->worked && s->active.kind != SOURCE_PICTURES && !s->paused;
}

double sources_frame_ms(const struct sources *s) {
    if (s->active.kind == SOURCE_PICTURES || s->paused)
        return 100; // nothing moves but bars
    const double rate = sources_status(s).rate, ms = rate > 0 ? 1000 / rate : 33;
    return ms < 4 ? 4 : ms > 100 ? 100 : ms;
}

// ---- what is named, dropped or pasted

static bool find_bundled(struct source_spec *out) {
    static const char *const names[] = {"pictures/chelsea.png", "pictures/rocket.jpg"};
    char paths[2][2048];
    const char *found[2];
    int count = 0;
    for (int i = 0; i < 2; i++)
        if (find_data_file(names[i], paths[i], sizeof paths[i])) {
            found[count] = paths[i];
            count++;
        }
    if (!source_of_files(found, count, out))
        return false;
    snprintf(out->name, sizeof out->name, "bundled pictures");
    return true;
}

bool sources_open(struct sources *s, struct user_interface *ui, const char *const *texts, int count, double seconds) {
    char error[512];
    s->ui = s->cameras.ui = ui;
    s->seconds = seconds;
    if (!find_bundled(&s->bundled))
        return false;
    for (int i = 0; i < count && s->num_given < MAX_GIVEN; i++) {
        if (source_parse(texts[i], &s->given[s->num_given], error, sizeof error)) {
            s->num_given++;
        } else {
            complain("%s", error);
            s->failed = true;
        }
    }
    if (count > 0 && s->num_given == 0)
        return false;
    s->cameras.lock = SDL_CreateMutex();
    if (!s->cameras.lock)
        return false;
    if (s->num_given > 0)
        sources_show(s, &s->given[0]);
    s->cameras.watcher = SDL_CreateThread(watch_cameras, "cameras", &s->cameras);
    return s->cameras.watcher != NULL;
}

void sources_close(struct sources *s) {
    SDL_AtomicSet(&s->cameras.stop, 1);
    source_close(&s->source);
    if (s->cameras.watcher)
        SDL_WaitThread(s->cameras.watcher, NULL);
    if (!sources_finish(3000))
        complain("a source does not end; leaving without it");
    if (s->cameras.lock)
        SDL_DestroyMutex(s->cameras.lock);
    for (int i = 0; i < s->num_given; i++)
        source_spec_free(&s->given[i]);
    source_spec_free(&s->bundled);
    source_spec_free(&s->active);
    frame_free(&s->frame);
}

// Newer ones take the oldest one's place.
static void add_given(struct sources *s, const struct source_spec *spec) {
    if (s->num_given == MAX_GIVEN) {
        source_spec_free(&s->given[0]);
        memmove(&s->given[0], &s->given[1], sizeof *s->given * (MAX_GIVEN - 1));
        s->num_given--;
    }
    s->given[s->num_given++] = *spec;
}

void sources_take(struct sources *s, const char *const *texts, int count) {
    const char *pictures[MAX_DROPPED];
    int num_pictures = 0;
    char error[512];
    for (int i = 0; i < count; i++) {
        struct source_spec spec;
        if (!source_parse(texts[i], &spec, error, sizeof error)) {
            interface_toast(s->ui, true, "%s.", error);
            continue;
        }
        if (spec.kind == SOURCE_PICTURES && spec.num_files == 1 && num_pictures < MAX_DROPPED)
            pictures[num_pictures++] = texts[i];
        add_given(s, &spec);
        sources_show(s, &spec);
    }
    struct source_spec all;
    if (num_pictures > 1 && num_pictures == count && source_of_files(pictures, num_pictures, &all)) {
        // Several pictures are shown one after another.
        snprintf(all.name, sizeof all.name, "%d pictures", num_pictures);
        sources_show(s, &all);
        source_spec_free(&all);
    }
}
