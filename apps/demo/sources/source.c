// source.c - threads of sources, and the one newest frame.
#include "sources/internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app.h"

static SDL_atomic_t running; // threads

size_t frame_bytes(const struct frame *f) {
    const size_t width = (size_t)f->width, height = (size_t)f->height;
    return f->format == FRAME_RGBA ? width * height * 4 : width * height + (width + 1) / 2 * 2 * ((height + 1) / 2);
}

void frame_free(struct frame *f) {
    free(f->data);
    *f = (struct frame){0};
}

// ---- the thread's side

bool source_stopping(struct source *s) { return SDL_AtomicGet(&s->stop) != 0; }

bool source_wait_until(struct source *s, double at) {
    SDL_LockMutex(s->lock);
    const bool paused = s->paused;
    while (!source_stopping(s) && s->paused == paused && s->skip == 0) {
        const double left = at - now_ms();
        if (left <= 0)
            break;
        SDL_CondWaitTimeout(s->changed, s->lock, left > 100 ? 100 : left < 1 ? 1 : (Uint32)left);
    }
    SDL_UnlockMutex(s->lock);
    return !source_stopping(s);
}

bool source_is_paused(struct source *s) {
    SDL_LockMutex(s->lock);
    const bool paused = s->paused;
    SDL_UnlockMutex(s->lock);
    return paused;
}

bool source_wait_while_paused(struct source *s) {
    SDL_LockMutex(s->lock);
    while (s->paused && !source_stopping(s))
        SDL_CondWaitTimeout(s->changed, s->lock, 100);
    SDL_UnlockMutex(s->lock);
    return !source_stopping(s);
}

int source_take_skip(struct source *s) {
    SDL_LockMutex(s->lock);
    const int skip = s->skip;
    s->skip = 0;
    SDL_UnlockMutex(s->lock);
    return skip;
}

static void notify(struct source *s) { // under the lock: on_frame is not called once source_close has returned
    if (s->on_frame)
        s->on_frame(s->ctx);
}

void source_set_state(struct source *s, enum source_state state, const char *fmt, ...) {
    SDL_LockMutex(s->lock);
    s->status.state = state;
    if (fmt) {
        va_list args;
        va_start(args, fmt);
        vsnprintf(s->status.message, sizeof s->status.message, fmt, args);
        va_end(args);
        s->status.message_number++;
    }
    notify(s);
    SDL_UnlockMutex(s->lock);
}

bool source_prepare_frame(struct source *s, enum frame_format format, int width, int height) {
    struct frame *f = &s->back;
    f->format = format;
    f->width = width;
    f->height = height;
    const size_t bytes = frame_bytes(f);
    if (bytes <= f->capacity)
        return true;
    uint8_t *bigger = realloc(f->data, bytes);
    if (!bigger)
        return false;
    f->data = bigger;
    f->capacity = bytes;
    return true;
}

void source_publish(struct source *s, double capture_ms) {
    SDL_LockMutex(s->lock);
    s->back.number = ++s->status.frames;
    s->back.cut = s->cut || (s->has_ready && s->ready.cut);
    s->back.capture_ms = capture_ms;
    s->back.ready_at = now_ms();
    s->cut = false;
    const struct frame older = s->ready;
    s->ready = s->back;
    s->back = older;
    s->status.dropped += s->has_ready;
    s->has_ready = true;
    s->status.width = s->ready.width;
    s->status.height = s->ready.height;
    s->status.state = SOURCE_RUNNING;
    notify(s);
    SDL_UnlockMutex(s->lock);
}

static void release(struct source *s) {
    if (s->lock)
        SDL_LockMutex(s->lock);
    const int left = --s->references;
    if (s->lock)
        SDL_UnlockMutex(s->lock);
    if (left > 0)
        return;
    frame_free(&s->ready);
    frame_free(&s->back);
    source_spec_free(&s->spec);
    if (s->changed)
        SDL_DestroyCond(s->changed);
    if (s->lock)
        SDL_DestroyMutex(s->lock);
    free(s);
}

static int run(void *ctx) {
    struct source *s = ctx;
    s->cut = true;
    if (s->spec.kind == SOURCE_PICTURES)
        source_run_pictures(s);
    else
        source_run_video(s);
    release(s);
    SDL_AtomicAdd(&running, -1);
    return 0;
}

// ---- the user's side

struct source *source_open(const struct source_spec *spec, double seconds_per_picture, void (*on_frame)(void *ctx),
                           void *ctx) {
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->seconds_per_picture = seconds_per_picture;
    s->on_frame = on_frame;
    s->ctx = ctx;
    s->lock = SDL_CreateMutex();
    s->changed = SDL_CreateCond();
    s->references = 2;
    SDL_AtomicAdd(&running, 1);
    SDL_Thread *thread =
        s->lock && s->changed && source_copy(spec, &s->spec) ? SDL_CreateThread(run, "source", s) : NULL;
    if (thread) {
        SDL_DetachThread(thread);
        return s;
    }
    SDL_AtomicAdd(&running, -1);
    s->references = 1;
    release(s);
    return NULL;
}

void source_close(struct source **source) {
    struct source *s = *source;
    if (!s)
        return;
    SDL_LockMutex(s->lock);
    s->on_frame = NULL;
    SDL_AtomicSet(&s->stop, 1);
    SDL_CondBroadcast(s->changed);
    SDL_UnlockMutex(s->lock);
    release(s);
    *source = NULL;
}

bool sources_finish(unsigned timeout_ms) {
    const double end = now_ms() + timeout_ms;
    while (SDL_AtomicGet(&running) > 0 && now_ms() < end)
        SDL_Delay(2);
    return SDL_AtomicGet(&running) == 0;
}

bool source_take(struct source *s, struct frame *frame) {
    SDL_LockMutex(s->lock);
    const bool taken = s->has_ready;
    if (taken) {
        const struct frame older = *frame;
        *frame = s->ready;
        s->ready = older;
        s->has_ready = false;
    }
    SDL_UnlockMutex(s->lock);
    return taken;
}

void source_status(struct source *s, struct source_status *out) {
    SDL_LockMutex(s->lock);
    *out = s->status;
    SDL_UnlockMutex(s->lock);
}

void source_pause(struct source *s, bool paused) {
    SDL_LockMutex(s->lock);
    s->paused = paused;
    SDL_CondBroadcast(s->changed);
    SDL_UnlockMutex(s->lock);
}

void source_skip(struct source *s, int pictures) {
    SDL_LockMutex(s->lock);
    s->skip += pictures;
    SDL_CondBroadcast(s->changed);
    SDL_UnlockMutex(s->lock);
}
