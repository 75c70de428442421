// heap.h - the heap of Cardinal's own code, counted, and failed on demand.
//
// A program linked with heap.c and -Wl,--wrap (see CMakeLists.txt) sends the allocations of every object it is linked
// from through here, those of the engine among them; drivers and the C library, which are shared, keep theirs.
// Thread-safe.
#ifndef CDL_HEAP_H_
#define CDL_HEAP_H_

#include <stdbool.h>

long heap_calls(void); // allocations asked for so far
long heap_live(void);  // blocks not given back; mapped files count as blocks

// The n-th allocation from now on (1: the next) returns NULL, and with `on` all after it too, until heap_heal.
void heap_fail(long n, bool on);
// Ends that, and tells whether an allocation failed meanwhile.
bool heap_heal(void);

#endif // CDL_HEAP_H_
