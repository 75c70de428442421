// demo.h - the whole demo: its parts, and what couples them. A part's own functions take that part alone.
#ifndef DEMO_H_
#define DEMO_H_

#include "classify/choice.h"
#include "classify/classifier.h"
#include "drawing/screenshot.h"
#include "figures.h"
#include "interface/interface.h"
#include "options.h"
#include "sources/sources.h"

struct demo {
    struct demo_options options;
    SDL_Window *window; // NULL: off screen
    VkSurfaceKHR surface;
    struct vulkan vk;
    struct machine *machine; // drawn and classified with
    struct renderer renderer;
    struct canvas canvas;
    struct classifier classifier;
    struct preparation *preparation; // of what is chosen; NULL: none under way
    struct choices choices;
    struct sources sources;
    struct user_interface ui;
    struct figures figures;
    struct screenshots screenshots;
    int losses;              // of the GPU
    enum exit_status status; // of the whole run; see demo_status
};

bool demo_open(struct demo *d); // false: d->status, after a line on stderr
void demo_close(struct demo *d);
// One round after events were handled: draws where there is something new. false: the GPU is gone for good.
bool demo_frame(struct demo *d);
enum exit_status demo_status(const struct demo *d);
// Starts preparing what is chosen, or puts it behind what is being prepared.
void demo_prepare(struct demo *d, const struct choice *choice);

// stats.c
void demo_print_stats(struct demo *d); // a line of JSON on stdout

// interface/controls.c
void demo_event(struct demo *d, const SDL_Event *event);

// interface/pickers.c
void demo_open_menu(struct demo *d, enum menu_kind kind);
void demo_choose_item(struct demo *d, int item); // of the open menu, which is closed

// interface/view.c
void view_draw(struct demo *d, struct placed_picture *picture); // fills the canvas, and says where the picture goes

#endif // DEMO_H_
