// classifier.c - see classifier.h.
#include "classify/classifier.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cdl/cdl_vulkan.h"
#include "picture/overlay.h"

static const double smoothing_ms = 350; // a change is shown by two thirds after so long

bool classifier_open(struct classifier *c, const struct bundle *bundle) {
    const size_t places = (size_t)bundle->info.cam_width * (size_t)bundle->info.cam_height;
    *c = (struct classifier){.bundle = *bundle, .cam_class = BEST_CLASS, .cam_shown = -1};
    c->smooth = calloc((size_t)bundle->info.num_classes, sizeof *c->smooth);
    c->cam = calloc(places, sizeof *c->cam);
    c->cam_new = calloc(places, sizeof *c->cam_new);
    c->ready = c->smooth && c->cam && c->cam_new;
    return c->ready;
}

void classifier_close(struct classifier *c, struct renderer *r) {
    if (r->gpu)
        renderer_wait(r);
    if (c->running)
        cdl_vk_retire(c->bundle.session, 0, false);
    bundle_close(&c->bundle);
    free(c->smooth);
    free(c->cam);
    free(c->cam_new);
    *c = (struct classifier){0};
}

// ---- results

static void find_top(struct classifier *c) {
    const int classes = c->bundle.info.num_classes;
    c->num_top = 0;
    for (int i = 0; i < classes; i++) {
        int at = c->num_top;
        while (at > 0 && c->smooth[i] > c->top[at - 1].prob)
            at--;
        if (at >= TOP)
            continue;
        const int moved = (c->num_top < TOP ? c->num_top : TOP - 1) - at;
        memmove(&c->top[at + 1], &c->top[at], sizeof *c->top * (size_t)moved);
        c->top[at].id = i;
        c->top[at].prob = c->smooth[i];
        c->num_top += c->num_top < TOP;
    }
}

static void take_probabilities(struct classifier *c, float share) {
    const int classes = c->bundle.info.num_classes;
    const float *logits = cdl_session_logits(c->bundle.session, 0, 0);
    double sum = 0;
    float largest = -INFINITY;
    for (int i = 0; logits && i < classes; i++)
        largest = fmaxf(largest, logits[i]);
    for (int i = 0; logits && i < classes; i++)
        sum += exp((double)(logits[i] - largest));
    for (int i = 0; logits && i < classes; i++) {
        const float prob = (float)(exp((double)(logits[i] - largest)) / sum);
        c->smooth[i] += share * (prob - c->smooth[i]);
    }
    find_top(c);
}

// share 1: without regard to what the map was.
static void take_cam(struct classifier *c, float share) {
    const int width = c->bundle.info.cam_width, height = c->bundle.info.cam_height;
    const int id = c->cam_class != BEST_CLASS ? c->cam_class : c->num_top ? c->top[0].id : -1;
    if (id < 0 || cdl_session_cam(c->bundle.session, 0, 0, id, c->cam_new) != CDL_OK)
        return;
    if (id != c->cam_shown)
        share = 1;
    for (int i = 0; i < width * height; i++)
        c->cam[i] += share * (c->cam_new[i] - c->cam[i]);
    c->map_speaks = overlay_refine(c->cam, width, height, c->map);
    c->cam_shown = id;
    c->map_changed = true;
}

bool classifier_collect(struct classifier *c, const struct renderer *r, bool *failed) {
    if (!c->ready || !c->running || c->next_slice < c->slices || r->finished < c->last_serial)
        return false;
    c->running = false;
    if (cdl_vk_retire(c->bundle.session, 0, true) != CDL_OK) {
        *failed = true;
        return false;
    }
    const double now = now_ms(), interval = now - c->last_at, work = r->times.work_sum_ms - c->work_ms_before;
    const bool first = c->cut || c->results == 0;
    const float share = first ? 1 : (float)(1 - exp(-interval / smoothing_ms));
    struct cdl_region seen;
    c->results++;
    c->classified_frame = c->frame_number;
    c->interval_ms = c->results == 1       ? 0
                     : c->interval_ms == 0 ? interval
                                           : c->interval_ms + 0.1 * (interval - c->interval_ms);
    c->last_at = now;
    c->work_ms = c->work_ms == 0 ? work : c->work_ms + 0.2 * (work - c->work_ms);
    const double preprocess = (double)cdl_session_preprocess_ns(c->bundle.session, 0) / 1e6;
    c->preprocess_ms = c->results == 1 ? preprocess : c->preprocess_ms + 0.2 * (preprocess - c->preprocess_ms);
    c->total_ms = now - c->frame_ready_at + c->frame_capture_ms;
    take_probabilities(c, share);
    take_cam(c, share);
    if (cdl_session_seen(c->bundle.session, c->picture_width, c->picture_height, &seen) == CDL_OK) {
        const float width = (float)c->picture_width, height = (float)c->picture_height;
        c->seen = (struct cdl_region){seen.x / width, seen.y / height, seen.width / width, seen.height / height};
    }
    return true;
}

void classifier_choose(struct classifier *c, int class_id) {
    c->cam_class = class_id;
    if (c->ready && !c->running && c->results > 0)
        take_cam(c, 1);
}

// ---- runs

// So many parts that one of them fits between two frames, beside the drawing; a GPU that is fast enough takes one.
static int by_time(const struct classifier *c, const struct renderer *r, double frame_ms) {
    const double free_ms = 0.7 * frame_ms - r->times.draw_ms, budget = free_ms > 2 ? free_ms : 2;
    return c->work_ms == 0 ? c->bundle.info.max_slices : (int)ceil(c->work_ms / budget);
}

// A CPU driver's time stamps count what other threads do, too. So: fewer parts as long as few frames are late; the
// first part, with the preprocessing, may well be.
static int by_experience(struct classifier *c, double frame_ms, uint64_t late) {
    const double now = now_ms(), most = c->bundle.info.max_slices;
    if (c->results == 0) {
        c->slices_wanted = most * fmin(1, 33 / frame_ms);
    } else if ((double)(late - c->late_before) > 0.15 * (c->slices_wanted + 2)) {
        c->slices_wanted = fmin(1.5 * c->slices_wanted + 1, most);
        c->late_at = now;
    } else if (now - c->late_at > 3000) {
        c->slices_wanted = fmax(0.9 * c->slices_wanted, 1);
    }
    c->late_before = late;
    return (int)ceil(c->slices_wanted);
}

static int choose_slices(struct classifier *c, const struct renderer *r, double frame_ms, uint64_t late) {
    const bool time_known = r->gpu->timestamp_ns > 0 && !c->bundle.machine->info.software;
    const int most = c->bundle.info.max_slices,
              slices = time_known ? by_time(c, r, frame_ms) : by_experience(c, frame_ms, late);
    return slices < 1 ? 1 : slices > most ? most : slices;
}

bool classifier_wants(const struct classifier *c, const struct frame *frame) {
    if (!c->ready)
        return false;
    return c->running ? c->next_slice < c->slices : frame->number != 0 && frame->number != c->classified_frame;
}

void classifier_record(struct classifier *c, struct renderer *r, const struct frame *frame, double frame_ms,
                       uint64_t late) {
    if (!classifier_wants(c, frame) || r->shape.width == 0)
        return;
    const bool nv12 = r->shape.format == FRAME_NV12, turned = r->shape.orientation >= 5;
    const struct cdl_vk_input input = {
        .width = r->shape.width,
        .height = r->shape.height,
        .orientation = r->shape.orientation,
        .view = r->luma.view,
        .chroma_view = nv12 ? r->chroma.view : VK_NULL_HANDLE,
        .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    if (!c->running) {
        c->slices = choose_slices(c, r, frame_ms, late);
        c->next_slice = 0;
        c->work_ms_before = r->times.work_sum_ms;
        c->cut = frame->cut || c->cut_pending;
        c->cut_pending = false;
        c->frame_number = frame->number;
        // A picture may have been shown for long before there was a network to classify it.
        c->frame_ready_at = now_ms() - frame->ready_at < 500 ? frame->ready_at : now_ms();
        c->frame_capture_ms = frame->capture_ms;
        c->picture_width = turned ? r->shape.height : r->shape.width;
        c->picture_height = turned ? r->shape.width : r->shape.height;
    }
    VkCommandBuffer commands = renderer_work(r);
    if (commands && cdl_vk_record(c->bundle.session, commands,
                                  cdl_vk_run(.slot = 0, .inputs = &input, .count = 1, .slice = c->next_slice,
                                             .num_slices = c->slices)) == CDL_OK) {
        c->running = true;
        c->next_slice++;
        c->last_serial = r->serial;
    } else {
        c->running = false;
        c->classified_frame = frame->number; // not tried again
    }
}
