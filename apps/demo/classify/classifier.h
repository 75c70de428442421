// classifier.h - one model's runs, spread over frames, and their results as people see them: smoothed, with a map.
#ifndef DEMO_CLASSIFIER_H_
#define DEMO_CLASSIFIER_H_

#include "picture/overlay.h"
#include "classify/prepare.h"
#include "drawing/renderer.h"

enum { TOP = 5, BEST_CLASS = -1 };

struct classifier {
    struct bundle bundle; // session NULL: nothing classifies yet
    bool ready;
    // the run under way
    bool running;
    int slices, next_slice;
    double slices_wanted, late_at; // by experience, on drivers whose time stamps do not tell
    uint64_t late_before;
    uint64_t last_serial;  // frame of its last slice
    double work_ms_before; // of the renderer's sum
    uint64_t frame_number;
    double frame_ready_at, frame_capture_ms;
    bool cut;                          // its frame has nothing to do with the one before
    bool cut_pending;                  // a frame that was one was not classified itself
    int picture_width, picture_height; // upright
    // results
    uint64_t results, classified_frame;
    float *smooth; // [classes]
    struct {
        int id;
        float prob;
    } top[TOP];
    int num_top;
    int cam_class; // BEST_CLASS, or one that was chosen
    int cam_shown; // the class of the map; < 0: none
    float *cam, *cam_new;
    uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE]; // the same, refined
    bool map_speaks, map_changed;
    struct cdl_region seen;         // of the upright picture, 0 ... 1
    double last_at;                 // now_ms of the last result
    double interval_ms;             // between results, smoothed
    double work_ms;                 // of a run, the GPU's, smoothed; 0: unknown
    double preprocess_ms, total_ms; // of the last run; total: from the reading of the frame to its result
};

// Takes the bundle over. false: no memory.
bool classifier_open(struct classifier *c, const struct bundle *bundle);
void classifier_close(struct classifier *c, struct renderer *r); // waits for what is under way; the machine stays

// Takes the results of a run that is finished. true: there are new ones. *failed: the GPU was lost.
bool classifier_collect(struct classifier *c, const struct renderer *r, bool *failed);
// Between renderer_begin and _end: a slice of the run under way, or of a new one on the picture that the renderer has,
// where that was not classified. frame_ms: the time between frames that is wanted; late: frames so far that took
// longer.
void classifier_record(struct classifier *c, struct renderer *r, const struct frame *frame, double frame_ms,
                       uint64_t late);
bool classifier_wants(const struct classifier *c, const struct frame *frame); // another frame, to go on
void classifier_choose(struct classifier *c, int class_id);                   // of the map

#endif // DEMO_CLASSIFIER_H_
