// figures.c - see figures.h.
#include "figures.h"

static void record(struct figures *f, const struct frame_facts *frame, const struct classifier *c,
                   const struct renderer_times *times) {
    const double preprocess = c->running && c->next_slice == 1 ? c->preprocess_ms : 0, work = times->work_ms;
    f->history[f->history_at++ % HISTORY] =
        (struct frame_record){(float)frame->capture_ms, (float)preprocess,
                              (float)(work > preprocess ? work - preprocess : 0), (float)times->draw_ms};
    if (frame->fresh)
        f->frame_times[f->frame_times_at++ % RATE_FRAMES] = frame->now;
}

// Frames a second, of the last two seconds.
static double frame_rate(const struct figures *f, double now) {
    int count = 0;
    while (count < RATE_FRAMES && count < f->frame_times_at &&
           now - f->frame_times[(f->frame_times_at - 1 - count) % RATE_FRAMES] < 2000)
        count++;
    return count > 2 ? 1000 * (count - 1) / (now - f->frame_times[(f->frame_times_at - count) % RATE_FRAMES]) : 0;
}

static void refresh(struct figures *f, const struct frame_facts *frame, const struct classifier *c,
                    const struct renderer_times *times) {
    const double network = c->work_ms - c->preprocess_ms;
    const bool steady = !frame->still && c->interval_ms > 0 && frame->now - c->last_at < 5 * c->interval_ms + 500;
    f->shown.at = frame->now;
    f->shown.rate = frame_rate(f, frame->now);
    f->shown.results_rate = steady ? 1000 / c->interval_ms : 0;
    f->shown.capture = frame->capture_ms;
    f->shown.preprocess = c->preprocess_ms;
    f->shown.network = network > 0 ? network : 0;
    f->shown.draw = times->draw_ms;
    f->shown.total = c->total_ms;
}

static void count(struct figures *f, const struct frame_facts *frame, const struct classifier *c) {
    if (c->results == 0)
        return;
    if (f->frames_counted++ == 0) {
        f->counting_since = frame->now;
        f->results_before = c->results;
    }
    f->fresh_counted += frame->fresh;
}

void figures_add(struct figures *f, const struct frame_facts *frame, const struct classifier *c,
                 const struct renderer_times *times) {
    record(f, frame, c, times);
    if (frame->now - f->shown.at >= 250)
        refresh(f, frame, c, times);
    count(f, frame, c);
    f->drawn_at = frame->now;
}
