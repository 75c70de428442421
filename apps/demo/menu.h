// menu.h - the pickers: a list of names over the window.
#ifndef DEMO_MENU_H_
#define DEMO_MENU_H_

#include <stdbool.h>

enum { MAX_ITEMS = 96 };

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

enum menu_kind { MENU_NONE, MENU_SOURCE, MENU_MODEL, MENU_GPU, MENU_PRECISION };

struct menu {
    enum menu_kind kind;
    char title[64];
    struct {
        char text[256], note[128];
        bool dead;
    } items[MAX_ITEMS];
    int count, marked /* what is in use */, cursor, first /* on screen */;
};

#endif // DEMO_MENU_H_
