// view.h - what the parts of the view share: sizes, colours, and the places that can be clicked.
#ifndef DEMO_VIEW_H_
#define DEMO_VIEW_H_

#include "demo.h"

enum {
    COLOUR_PANEL = 0x161A22FF,
    COLOUR_LINE = 0x2A303CFF,
    COLOUR_TRACK = 0x232936FF,
    COLOUR_DIM = 0x8B96A8FF,
    COLOUR_MIDDLE = 0x5B6B85FF,
};
#define COLOUR_TEXT 0xEDF1F8FFu
#define COLOUR_ACCENT 0x4CC2FFFFu
#define COLOUR_CAPTURE 0x6D8BFFFFu
#define COLOUR_PREPROCESS 0x2DD4BFFFu
#define COLOUR_NETWORK 0xFFB020FFu
#define COLOUR_DRAW 0xB08CFFFFu
#define COLOUR_BAD 0xFF6B6BFFu

struct box {
    float x, y, width, height;
};

struct view {
    const struct demo *d;      // what there is to show
    struct user_interface *ui; // gets the places that can be clicked
    struct canvas *c;          // is drawn on
    float scale;               // so large is a length of 1 at 1280x720
    float width, height;
    struct box picture, panel, strip;
};

static inline struct font view_font(const struct view *v, enum text_face face, float size) {
    const int pixels = (int)(size * v->scale + 0.5f);
    return (struct font){face, pixels < 7 ? 7 : pixels};
}

// Makes a place clickable. true: the pointer is over it, and nothing lies on top.
bool view_hot(struct view *v, struct box box, enum action action, int value);

void view_panel(struct view *v);
void view_strip(struct view *v);         // the time line
void view_menu(struct view *v);          // the open menu, or the help, over all
bool view_covered(const struct view *v); // by one of them

#endif // DEMO_VIEW_H_
