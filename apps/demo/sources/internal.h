// internal.h - what source.c and the readers of videos and pictures share.
#ifndef DEMO_SOURCE_INTERNAL_H_
#define DEMO_SOURCE_INTERNAL_H_

#include <SDL.h>

#include "sources/source.h"

struct source {
    struct source_spec spec;
    double seconds_per_picture;
    SDL_mutex *lock;
    SDL_cond *changed; // stop, pause or skip
    SDL_atomic_t stop;
    // under the lock:
    int references;              // the user's and the thread's
    void (*on_frame)(void *ctx); // NULL once closed
    void *ctx;
    bool paused;
    int skip;
    struct frame ready;
    bool has_ready;
    struct source_status status;
    // the thread's own:
    struct frame back; // being filled
    bool cut;          // the next frame is one
};

bool source_stopping(struct source *s);
// Sleeps until `at` (now_ms), or until stop, pause or skip change. false: stopping.
bool source_wait_until(struct source *s, double at);
bool source_wait_while_paused(struct source *s); // false: stopping
bool source_is_paused(struct source *s);
int source_take_skip(struct source *s);
void source_set_state(struct source *s, enum source_state state, const char *fmt, ...); // fmt NULL: no message

// Makes s->back hold a frame of that kind; false: no memory.
bool source_prepare_frame(struct source *s, enum frame_format format, int width, int height);
void source_publish(struct source *s, double capture_ms); // s->back becomes the newest frame

void source_run_video(struct source *s);
void source_run_pictures(struct source *s);

#endif // DEMO_SOURCE_INTERNAL_H_
