// progress.h - how far a long command is: one line on stderr that renews itself, where that is a terminal.
#ifndef CARDINAL_PROGRESS_H_
#define CARDINAL_PROGRESS_H_

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool shown;
    uint64_t total, before; // all work; what was done before it began
    double started_at, shown_at;
};

void progress_begin(struct progress *p, uint64_t total, uint64_t before, bool quiet);
// `text` follows what is done of how much, the rate, and the time left.
void progress_show(struct progress *p, uint64_t done, const char *text, bool last);
void progress_clear(const struct progress *p); // before another line on stderr

#endif // CARDINAL_PROGRESS_H_
