// sources.h - which source is shown: what was named, else a camera that works, else the bundled pictures.
#ifndef DEMO_SOURCES_H_
#define DEMO_SOURCES_H_

#include <SDL.h>

#include "interface/interface.h"
#include "sources/source.h"

enum { MAX_GIVEN = 32 };

// The cameras that the system lists, looked for again and again on a thread.
struct cameras {
    SDL_mutex *lock;
    struct source_spec list[MAX_CAMERAS]; // under the lock, as are count and known
    int count;
    bool known; // listed at least once
    SDL_Thread *watcher;
    SDL_atomic_t stop;
    struct user_interface *ui; // is woken when the list changes
};

struct sources {
    struct user_interface *ui; // gets the messages
    double seconds;            // that a picture of several is shown
    struct source_spec given[MAX_GIVEN], bundled;
    int num_given;
    struct cameras cameras;

    struct source_spec active;
    struct source *source; // of `active`; NULL: none yet
    bool paused;
    bool worked;        // it gave a frame
    bool fallback;      // bundled pictures, because there was nothing else
    int message_number; // of its last message that was shown
    bool camera_failed; // no other camera is taken unasked
    bool failed;        // a source that was asked for could not be shown, or broke

    struct frame frame;    // being shown; its number counts the frames of all sources
    uint64_t frame_number; // of the last one
    bool frame_new;        // not yet given to the renderer
};

// texts: what the command line names. false: no memory or threads; or, where `failed` says so, none of them is there,
// and lines on stderr said why. sources_close is due in any case. ui must outlive the sources.
bool sources_open(struct sources *s, struct user_interface *ui, const char *const *texts, int count, double seconds);
void sources_close(struct sources *s);

void sources_show(struct sources *s, const struct source_spec *spec);
void sources_take(struct sources *s, const char *const *texts, int count); // paths and addresses, dropped or pasted
void sources_watch(struct sources *s); // takes the newest frame and what the source has to say
void sources_pause(struct sources *s, bool paused);

bool sources_is_active(const struct sources *s, const struct source_spec *spec);
struct source_status sources_status(const struct sources *s); // of the active one; all zero where there is none
bool sources_live(const struct sources *s);                   // frames come by themselves
double sources_frame_ms(const struct sources *s);             // the time between frames that is wanted

#endif // DEMO_SOURCES_H_
