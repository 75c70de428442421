// demo.h - the demo's state, and what its parts do with it.
#ifndef DEMO_H_
#define DEMO_H_

#include "classifier.h"
#include "menu.h"

enum { MAX_GIVEN = 32, MAX_MODELS = 64, MAX_HOTS = 128, HISTORY = 512 };

struct demo_options {
    struct options app; // model, arch, label_file, device, precision, quiet, verbose
    const char *sources[MAX_GIVEN];
    int num_sources;
    const char *screenshot, *font, *class_name;
    int frames, width, height; // frames 0: until closed
    double seconds;            // a picture
    bool cam, offscreen, fullscreen, validate, stats, list, help;
};
// false: a line on stderr said what is wrong.
bool demo_options_parse(struct demo_options *out, int argc, char **argv);
extern const char demo_usage[];

struct frame_record {
    float capture, preprocess, network, draw;
}; // ms of a frame shown; the network's share of its run

// What the pointer may hit on the last frame.
struct hot {
    float x, y, width, height;
    enum action action;
    int value;
};

struct demo {
    struct demo_options options;
    SDL_Window *window; // NULL: off screen
    VkSurfaceKHR surface;
    struct vulkan vk;
    struct machine *machine; // drawn and classified with
    struct renderer renderer;
    struct canvas canvas;
    struct classifier classifier;
    struct preparation *preparation;
    Uint32 wake_event;

    // sources
    struct source *source;
    struct source_spec active, given[MAX_GIVEN], bundled;
    int num_given;
    SDL_mutex *cameras_lock;
    struct source_spec cameras[MAX_CAMERAS]; // under the lock; the watcher's last list
    int num_cameras;
    bool cameras_known;
    SDL_Thread *watcher;
    SDL_atomic_t stop_watching;
    bool camera_failed;     // no other is taken unasked
    bool fallback;          // pictures are shown because there was nothing else
    bool source_worked;     // the active one gave a frame
    int source_message;     // number of its last message that was shown
    struct frame frame;     // being shown
    uint64_t frame_number;  // of all sources
    uint64_t source_frames; // shown of the active one
    bool frame_new, paused;

    // models that can be chosen: the bundled one, given and dropped files, published names
    char models[MAX_MODELS][1024];
    int num_models;
    struct choice choice; // of what is running, or under preparation
    struct choice worked; // of what is running
    struct choice queued; // what comes after the preparation under way
    bool has_queued;

    // the user interface
    struct hot hots[MAX_HOTS];
    int num_hots;
    float mouse_x, mouse_y;
    struct menu menu;
    bool help, cam_on;
    float cam_strength; // fades
    char *dropped[64];  // until the drop is complete; SDL's
    int num_dropped;
    char toast[600];
    bool toast_bad;
    double toast_until;
    bool quit;
    bool dirty;       // something to draw although no frame came
    double next_draw; // of what moves by itself

    // figures
    struct frame_record history[HISTORY];
    int history_at;
    double frame_times[64]; // now_ms of the last frames shown
    int frame_times_at;
    uint64_t frames_shown, frames_late; // late: by half and more
    struct {
        double at, rate, results_rate, capture, preprocess, network, draw, total;
    } shown; // refreshed now and then, to be legible
    double drawn_at;
    int losses;              // of the GPU
    uint64_t frames_counted; // towards options.frames
    uint64_t fresh_counted;  // of these, with a picture that was not shown before
    double counting_since;
    uint64_t results_before;
    enum exit_status status; // of the whole run
    SDL_Thread *writer;      // of a screenshot
};

// demo.c
bool demo_open(struct demo *d); // false: d->status, after a line on stderr
void demo_close(struct demo *d);
bool demo_frame(
    struct demo
        *d); // one round: events were handled; draws where there is something new. false: the GPU is gone for good
void demo_toast(struct demo *d, bool bad, const char *fmt, ...);
void demo_prepare(struct demo *d, const struct choice *choice);
void demo_fill_menu(struct demo *d, enum menu_kind kind);
void demo_print_stats(struct demo *d);
int demo_add_model(struct demo *d, const char *name); // its index

// sources of the demo: demo_sources.c
bool source_same(const struct source_spec *a,
                 const struct source_spec *b); // a camera by its name: plugged in again, it may have another address
bool demo_sources_open(struct demo *d);
void demo_sources_close(struct demo *d);
void demo_show_source(struct demo *d, const struct source_spec *spec);
void demo_next_source(struct demo *d, const char *why);        // after one that does not work
void demo_watch_source(struct demo *d);                        // takes its newest frame and what it has to say
void demo_take_paths(struct demo *d, char **texts, int count); // dropped, pasted

// controls.c
void demo_event(struct demo *d, const SDL_Event *event);
void demo_act(struct demo *d, enum action action, int value);

// view.c
void view_draw(struct demo *d, struct placed_picture *picture);

// screenshot.c
void screenshot_poll(struct demo *d); // writes one that is ready, in the background
void screenshot_finish(struct demo *d);

#endif // DEMO_H_
