// figures.h - how long the frames took, for the time line and the figures beside it, and for --stats.
#ifndef DEMO_FIGURES_H_
#define DEMO_FIGURES_H_

#include "classify/classifier.h"
#include "drawing/renderer.h"

enum { HISTORY = 512, RATE_FRAMES = 64 };

struct frame_record { // ms of a frame shown; the network's is the share of its run that the frame took along
    float capture, preprocess, network, draw;
};

struct figures {
    struct frame_record history[HISTORY]; // a ring
    int history_at;                       // records so far
    double frame_times[RATE_FRAMES];      // a ring: now_ms of the last new frames shown
    int frame_times_at;
    double drawn_at;      // now_ms of the last frame drawn
    uint64_t frames_late; // by half of their time and more
    struct {
        double at, rate, results_rate, capture, preprocess, network, draw, total;
    } shown; // refreshed four times a second, to be legible

    // From the first result on
    uint64_t frames_counted; // towards --frames
    uint64_t fresh_counted;  // of these, with a picture that was not shown before
    double counting_since;
    uint64_t results_before;
};

// What a frame that is drawn now goes by.
struct frame_facts {
    double now;
    bool fresh; // a picture that was not shown before
    bool still; // of a source whose pictures do not move: a rate of results would say nothing
    double capture_ms;
};
void figures_add(struct figures *f, const struct frame_facts *frame, const struct classifier *c,
                 const struct renderer_times *times);

#endif // DEMO_FIGURES_H_
