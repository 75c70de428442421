// pictures.c - picture files, shown one after another.
#include "sources/internal.h"

#include <stdio.h>
#include <string.h>

#include "app.h"
#include "system/text.h"
#include "picture/picture.h"

// A GPU's images end at some thousands of pixels a side; larger pictures lose whole rows and columns.
enum { MAX_SIDE = 8192 };

static bool show(struct source *s, const char *path) {
    const double start = now_ms();
    struct picture picture;
    char error[512];
    if (!picture_load(path, NULL, &picture, error, sizeof error)) {
        source_set_state(s, SOURCE_RUNNING, "%s", error);
        return false;
    }
    const int longest = picture.width > picture.height ? picture.width : picture.height,
              step = (longest + MAX_SIDE - 1) / MAX_SIDE;
    const int width = (picture.width + step - 1) / step, height = (picture.height + step - 1) / step;
    const bool ok = source_prepare_frame(s, FRAME_RGBA, width, height);
    for (int y = 0; ok && y < height; y++) {
        const uint8_t *row = picture.rgba + (size_t)y * (size_t)step * (size_t)picture.width * 4;
        uint8_t *to = s->back.data + (size_t)y * (size_t)width * 4;
        for (int x = 0; x < width; x++)
            memcpy(to + (size_t)x * 4, row + (size_t)x * (size_t)step * 4, 4);
    }
    if (ok) {
        s->back.orientation = picture.orientation;
        snprintf(s->back.title, sizeof s->back.title, "%s", path_name(path));
        s->cut = true;
        source_publish(s, now_ms() - start);
    } else {
        source_set_state(s, SOURCE_RUNNING, "%s: out of memory", path);
    }
    picture_free(&picture);
    return ok;
}

void source_run_pictures(struct source *s) {
    const int count = s->spec.num_files;
    int broken = 0, step = 1;
    for (int i = 0; !source_stopping(s); i = ((i + step) % count + count) % count) {
        if (show(s, s->spec.files[i])) {
            broken = 0;
        } else if (++broken >= count) {
            source_set_state(s, SOURCE_FAILED,
                             count == 1 ? NULL : "none of the %d files is a picture that can be shown", count);
            return;
        } else {
            step = step < 0 ? -1 : 1;
            continue;
        }
        double until = now_ms() + 1000 * s->seconds_per_picture;
        for (step = 0; step == 0 && !source_stopping(s);) {
            if (source_is_paused(s) || count == 1)
                until = now_ms() + 1000 * s->seconds_per_picture;
            source_wait_until(s, until);
            step = source_take_skip(s);
            if (step == 0 && now_ms() >= until && !source_is_paused(s) && count > 1)
                step = 1;
        }
    }
}
