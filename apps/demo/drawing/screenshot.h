// screenshot.h - a frame's pixels into a PNG, beside the drawing.
#ifndef DEMO_SCREENSHOT_H_
#define DEMO_SCREENSHOT_H_

#include "drawing/renderer.h"
#include "interface/interface.h"

struct screenshots {
    const char *path;   // NULL: each is named after the time, in the working folder
    SDL_Thread *writer; // of the last one
    bool failed;        // one could not be written; a line on stderr said why
};

// false: a line on stderr, as `path`, the one of --screenshot, stands for one of the inputs.
bool screenshot_spares(const char *path, const char *const *inputs, int count);

// Writes one that the renderer has ready, in the background.
void screenshots_poll(struct screenshots *s, struct renderer *r, struct user_interface *ui);
void screenshots_finish(struct screenshots *s, struct user_interface *ui); // waits for the last one

#endif // DEMO_SCREENSHOT_H_
