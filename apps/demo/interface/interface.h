// interface.h - the user interface's state: what a person sees of it, points at and asked for.
//
// It knows nothing of pictures, models and GPUs, so that each of them can show a message.
#ifndef DEMO_INTERFACE_H_
#define DEMO_INTERFACE_H_

#include <stdbool.h>

#include <SDL.h>

enum { MAX_HOTS = 128, MAX_DROPPED = 64, MAX_ITEMS = 96 };

enum action {
    ACT_NONE,
    ACT_MENU /* value: menu_kind */,
    ACT_ITEM /* of the open menu */,
    ACT_CLOSE,
    ACT_PAUSE,
    ACT_CAM,
    ACT_CLASS /* of the map */,
    ACT_SHOT,
    ACT_FULLSCREEN,
    ACT_HELP,
    ACT_SKIP /* pictures */,
    ACT_QUIT,
};

// A place that can be clicked.
struct hot {
    float x, y, width, height;
    enum action action;
    int value;
};

enum menu_kind { MENU_NONE, MENU_SOURCE, MENU_MODEL, MENU_GPU, MENU_PRECISION };

// A picker: a list of names over the window.
struct menu {
    enum menu_kind kind;
    char title[64];
    struct {
        char text[256], note[128];
        bool dead; // cannot be chosen
    } items[MAX_ITEMS];
    int count, marked /* what is in use */, cursor, first /* on screen */;
};

struct user_interface {
    struct hot hots[MAX_HOTS]; // of the last frame; later ones lie on top
    int num_hots;
    float mouse_x, mouse_y; // on the frame
    struct menu menu;
    bool help, quit;
    bool cam_on;        // the heat map is wanted
    float cam_strength; // fades towards that, 0 ... 1
    struct {
        char text[600];
        bool bad;
        double until; // now_ms
    } toast;
    char *dropped[MAX_DROPPED]; // SDL's texts, until the drop is complete
    int num_dropped;
    bool dirty;       // there is something to draw although no frame came
    double next_draw; // of what moves by itself; now_ms
    Uint32 wake_event;
};

void interface_open(struct user_interface *ui, bool cam_on); // after SDL
// Ends the wait for events, from any thread. A void pointer, to be a callback.
void interface_wake(void *user_interface);
// Shows a message over the picture for some seconds.
void interface_toast(struct user_interface *ui, bool bad, const char *fmt, ...);
void interface_fade(struct user_interface *ui, double elapsed_ms); // moves cam_strength

void menu_open(struct menu *m, enum menu_kind kind); // empty
void menu_add(struct menu *m, const char *text, const char *note, bool dead);

#endif // DEMO_INTERFACE_H_
