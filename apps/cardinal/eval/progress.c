// progress.c - see progress.h.
#include "eval/progress.h"

#include <stdio.h>

#include "system/clock.h"
#include "system/files.h"

void progress_begin(struct progress *p, uint64_t total, uint64_t before, bool quiet) {
    *p = (struct progress){.shown = !quiet && stderr_is_terminal(), .total = total, .before = before};
    p->started_at = now_ms();
}

void progress_clear(const struct progress *p) {
    if (p->shown)
        fprintf(stderr, "\r%79s\r", "");
}

void progress_show(struct progress *p, uint64_t done, const char *text, bool last) {
    const double now = now_ms(), seconds = (now - p->started_at) / 1e3;
    if (!p->shown || (!last && now - p->shown_at < 200))
        return;
    p->shown_at = now;
    const double rate = seconds > 0 ? (double)(done - p->before) / seconds : 0;
    char left[32] = "", line[160];
    if (rate > 0 && done < p->total) {
        const double wait = (double)(p->total - done) / rate;
        const unsigned long long whole = wait < 1e9 ? (unsigned long long)(wait + 0.5) : 1000000000;
        if (whole >= 3600)
            snprintf(left, sizeof left, ", %llu:%02llu:%02llu left", whole / 3600, whole / 60 % 60, whole % 60);
        else
            snprintf(left, sizeof left, ", %llu:%02llu left", whole / 60, whole % 60);
    }
    snprintf(line, sizeof line, "%llu of %llu, %.1f/s%s%s", (unsigned long long)done, (unsigned long long)p->total,
             rate, left, text);
    fprintf(stderr, "\r%-79.79s%s", line, last ? "\n" : "");
    fflush(stderr);
}
