// cam_files.c - see cam_files.h.
#include "commands/cam_files.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "picture/overlay.h"
#include "system/cache_folder.h"
#include "system/text.h"

struct cam_files {
    const char *folder;
    const cdl_session *session;
    struct cdl_session_info info;
    bool exif;
    float *cam;
    json_t *used; // an object whose keys are the names written so far
    uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE];
};

struct cam_files *cam_files_open(const char *folder, const cdl_session *session, bool exif) {
    if (!make_folders(folder)) {
        complain("--cam %s: the folder cannot be made (%s)", folder, strerror(errno));
        return NULL;
    }
    struct cam_files *c = calloc(1, sizeof *c);
    if (c) {
        *c = (struct cam_files){.folder = folder, .session = session, .exif = exif, .used = json_object()};
        cdl_session_get_info(session, &c->info);
        c->cam = calloc((size_t)c->info.cam_width * (size_t)c->info.cam_height, sizeof *c->cam);
    }
    if (!c || !c->used || !c->cam) {
        complain("out of memory");
        cam_files_close(&c);
    }
    return c;
}

void cam_files_close(struct cam_files **c) {
    if (!*c)
        return;
    json_decref((*c)->used);
    free((*c)->cam);
    free(*c);
    *c = NULL;
}

static void name_file(struct cam_files *c, const char *picture, char *path, size_t size) {
    const char *name = path_name(picture);
    const char *dot = strrchr(name, '.');
    char stem[1024];
    snprintf(stem, sizeof stem, "%.*s", dot && dot != name ? (int)(dot - name) : (int)strlen(name), name);
    int times = 1;
    for (;; times++) { // "a-2" may be the name of a picture, too
        char key[1100];
        snprintf(key, sizeof key, times > 1 ? "%s-%d" : "%s", stem, times);
        json_t *earlier = json_object_get(c->used, key);
        if (!earlier) {
            json_object_set_new_nocheck(c->used, key, json_true());
            snprintf(path, size, "%s/%s.png", c->folder, key);
            return;
        }
    }
}

bool cam_files_write(struct cam_files *c, const struct outcome *o, char *error, size_t error_size) {
    const struct picture *p = &o->decoded->picture;
    char path[4096];
    int width, height;
    struct cdl_region seen;
    name_file(c, o->decoded->path, path, sizeof path);
    if (cdl_session_cam(c->session, o->slot, o->image, o->top[0].id, c->cam) != CDL_OK) {
        snprintf(error, error_size, "%s: no class activation map", path);
        return false;
    }
    uint8_t *upright = overlay_upright(p->rgba, p->width, p->height, c->exif ? p->orientation : 1, &width, &height);
    bool ok = upright && cdl_session_seen(c->session, width, height, &seen) == CDL_OK;
    if (!ok) {
        snprintf(error, error_size, "%s: out of memory", path);
    } else {
        if (overlay_refine(c->cam, c->info.cam_width, c->info.cam_height, c->map))
            overlay_paint(upright, width, height, &seen, c->map);
        ok = overlay_write_png(path, upright, width, height, error, error_size);
    }
    free(upright);
    return ok;
}
