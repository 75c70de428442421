// interrupt.h - Ctrl-C as a wish that a long command looks at, so that it can give what it has so far.
#ifndef CARDINAL_INTERRUPT_H_
#define CARDINAL_INTERRUPT_H_

#include <stdbool.h>

enum { EXIT_INTERRUPTED = 130 }; // 128 + SIGINT, as shells report it

// From now on the first SIGINT (Ctrl-C) only sets a flag; the second does what it did before.
void interrupt_catch(void);
// Also what a batch system and mpirun send to processes that they want to end: SIGTERM and SIGUSR1.
void interrupt_catch_ends(void);
bool interrupted(void); // from any thread

#endif // CARDINAL_INTERRUPT_H_
