// mistakes.c - the worst mistakes of an evaluation as small pictures, with what the network looked at.
#include <stdlib.h>
#include <string.h>

#include "commands/runner.h"
#include "eval/evaluation.h"
#include "picture/overlay.h"
#include "picture/stb_png.h"

enum { THUMB = 160 }; // pixels of the longer side

// Worse: the wrong answer is surer. Among equals, the first.
static bool is_worse(const struct evaluation *e, size_t a, size_t b) {
    const float x = e->results[a].prob, y = e->results[b].prob;
    return x != y ? x > y : a < b;
}

static int pick(const struct evaluation *e, struct mistake *out, int most) {
    int count = 0;
    for (size_t i = 0; i < e->set.count; i++) {
        if (e->results[i].state != EVAL_DONE || eval_top1(&e->set.items[i], &e->results[i]))
            continue;
        int at = count;
        while (at > 0 && is_worse(e, i, out[at - 1].item))
            at--;
        if (at == most)
            continue;
        count += count < most;
        memmove(out + at + 1, out + at, (size_t)(count - 1 - at) * sizeof *out);
        out[at] = (struct mistake){.item = i};
    }
    return count;
}

// A picture made smaller by the mean of the pixels that fall together, or larger by repeating them; malloc'd.
static uint8_t *resize(const uint8_t *rgba, int width, int height, int *new_width, int *new_height) {
    const int side = width > height ? width : height;
    const int w = (int)((int64_t)width * THUMB / side), h = (int)((int64_t)height * THUMB / side);
    *new_width = w > 0 ? w : 1;
    *new_height = h > 0 ? h : 1;
    uint8_t *out = malloc((size_t)*new_width * (size_t)*new_height * 4);
    for (int y = 0; out && y < *new_height; y++)
        for (int x = 0; x < *new_width; x++) {
            const int x0 = (int)((int64_t)x * width / *new_width), y0 = (int)((int64_t)y * height / *new_height);
            int x1 = (int)((int64_t)(x + 1) * width / *new_width), y1 = (int)((int64_t)(y + 1) * height / *new_height);
            uint64_t sum[3] = {0};
            x1 = x1 > x0 ? x1 : x0 + 1;
            y1 = y1 > y0 ? y1 : y0 + 1;
            for (int sy = y0; sy < y1; sy++)
                for (int sx = x0; sx < x1; sx++)
                    for (int c = 0; c < 3; c++)
                        sum[c] += rgba[((size_t)sy * (size_t)width + (size_t)sx) * 4 + (size_t)c];
            const uint64_t n = (uint64_t)(x1 - x0) * (uint64_t)(y1 - y0);
            uint8_t *to = out + ((size_t)y * (size_t)*new_width + (size_t)x) * 4;
            for (int c = 0; c < 3; c++)
                to[c] = (uint8_t)((sum[c] + n / 2) / n);
            to[3] = 255;
        }
    return out;
}

struct gallery {
    const struct evaluation *e;
    struct mistake *mistakes;
    float *cam;
    struct cdl_session_info info;
};

static void on_outcome(void *ctx, const struct outcome *o) {
    struct gallery *g = ctx;
    struct mistake *m = &g->mistakes[o->decoded->index];
    const struct picture *p = &o->decoded->picture;
    const cdl_session *session = g->e->w.session;
    uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE];
    struct cdl_region seen;
    int width, height, w, h;
    if (o->error)
        return;
    const int orientation = g->e->options->exif == EXIF_ON ? p->orientation : 1;
    uint8_t *upright = overlay_upright(p->rgba, p->width, p->height, orientation, &width, &height);
    uint8_t *small = upright ? resize(upright, width, height, &w, &h) : NULL;
    if (small && cdl_session_seen(session, width, height, &seen) == CDL_OK &&
        cdl_session_cam(session, o->slot, o->image, g->e->results[m->item].top[0], g->cam) == CDL_OK) {
        const float sx = (float)w / (float)width, sy = (float)h / (float)height;
        seen = (struct cdl_region){seen.x * sx, seen.y * sy, seen.width * sx, seen.height * sy};
        m->picture = stb_png_encode(small, w, h, &m->picture_size);
        if (overlay_refine(g->cam, g->info.cam_width, g->info.cam_height, map))
            overlay_paint(small, w, h, &seen, map);
        m->map = stb_png_encode(small, w, h, &m->map_size);
    }
    free(small);
    free(upright);
}

struct mistake *mistakes_find(struct evaluation *e, int most, int *count) {
    struct mistake *out = calloc((size_t)most + 1, sizeof *out);
    struct gallery g = {.e = e, .mistakes = out};
    cdl_session_get_info(e->w.session, &g.info);
    g.cam = calloc((size_t)g.info.cam_width * (size_t)g.info.cam_height, sizeof *g.cam);
    *count = out && g.cam ? pick(e, out, most) : 0;
    const struct input_item **items = calloc((size_t)*count + 1, sizeof *items);
    for (int i = 0; items && i < *count; i++)
        items[i] = &e->set.items[out[i].item].input;
    struct input_stream *stream = items ? inputs_open_items(items, (size_t)*count) : NULL;
    if (!stream || !g.cam)
        complain("out of memory");
    else if (*count > 0)
        runner_run(&(struct runner_params){
            .session = e->w.session,
            .inputs = stream,
            .threads = e->options->threads,
            .batch = e->w.session_info.max_batch,
            .topk = 1,
            .exif = e->options->exif == EXIF_ON,
            .keep_pixels = true,
            .diagnostics = &e->w.diagnostics,
            .sink = on_outcome,
            .ctx = &g,
        });
    inputs_close(&stream);
    free(items);
    free(g.cam);
    if (*count == 0) {
        free(out);
        return NULL;
    }
    return out;
}

void mistakes_free(struct mistake *mistakes, int count) {
    for (int i = 0; i < count; i++) {
        free(mistakes[i].picture);
        free(mistakes[i].map);
    }
    free(mistakes);
}
