// interrupt.c - see interrupt.h.
#include "system/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t seen;
static void (*before)(int);

static void on_signal(int number) {
    seen = 1;
    signal(number, before);
}

void interrupt_catch(void) {
    void (*was)(int) = signal(SIGINT, on_signal);
    if (was == SIG_IGN) // started in the background by a shell: stays ignored
        signal(SIGINT, SIG_IGN);
    else if (was != on_signal)
        before = was == SIG_ERR ? SIG_DFL : was;
}

bool interrupted(void) { return seen != 0; }
