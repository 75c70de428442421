// interrupt.c - see interrupt.h.
#include "system/interrupt.h"

#include <signal.h>

static volatile sig_atomic_t seen;
static struct {
    int number;
    void (*before)(int);
} caught[3]; // number 0: none

static void on_signal(int number) {
    seen = 1;
    for (int i = 0; i < 3; i++)
        if (caught[i].number == number)
            signal(number, caught[i].before);
}

static void catch_signal(int place, int number) {
    void (*was)(int) = signal(number, on_signal);
    if (was == SIG_IGN) { // started in the background by a shell: stays ignored
        signal(number, SIG_IGN);
    } else if (was != on_signal) {
        caught[place].before = was == SIG_ERR ? SIG_DFL : was;
        caught[place].number = number;
    }
}

void interrupt_catch(void) { catch_signal(0, SIGINT); }

void interrupt_catch_ends(void) {
    catch_signal(1, SIGTERM);
#ifdef SIGUSR1
    catch_signal(2, SIGUSR1);
#endif
}

bool interrupted(void) { return seen != 0; }
