// cam_files.c - see cam_files.h.
#include "commands/cam_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/cam_index.h"
#include "commands/report.h"
#include "inputs/folder.h"
#include "picture/overlay.h"
#include "system/cache_folder.h"
#include "system/files.h"
#include "system/text.h"
#include "system/text_set.h"
#include "system/thread.h"

struct cam_files {
    const char *folder;
    const cdl_session *session;
    struct cdl_session_info info;
    bool exif;
    bool may_replace; // heat maps of earlier runs: all inputs are known, so that none of them is lost
    float *cam;
    struct cam_index index;
    struct text_set used;    // names that this run wrote, in small letters, as some systems do not tell them apart
    struct text_set inputs;  // which files were given or read, by identity
    thread_mutex lock;       // guards `written`, which the threads that look for inputs read
    struct text_set written; // names, as they are
    uint8_t map[OVERLAY_SIDE * OVERLAY_SIDE];
};

struct identity_text {
    char text[48];
};
static struct identity_text identity_text(const struct file_status *s) {
    struct identity_text out;
    snprintf(out.text, sizeof out.text, "%llx:%llx", (unsigned long long)s->device, (unsigned long long)s->file);
    return out;
}

// false: no memory.
static bool remember_input(struct cam_files *c, const char *path) {
    struct file_status status;
    return !get_file_status(path, &status) || status.kind != FILE_REGULAR ||
           text_set_add(&c->inputs, identity_text(&status).text);
}

struct cam_files *cam_files_open(const char *folder, const cdl_session *session, bool exif,
                                 const struct input_sources *inputs) {
    char error[1200];
    if (!make_output_folders(folder) || !folder_exists(folder)) {
        complain("--cam %s: the folder cannot be made (%s)", folder, strerror(errno));
        return NULL;
    }
    struct cam_files *c = calloc(1, sizeof *c);
    bool ok = c != NULL;
    if (ok) {
        *c = (struct cam_files){.folder = folder, .session = session, .exif = exif, .may_replace = !inputs->list};
        thread_mutex_init(&c->lock);
        if (!cam_index_open(&c->index, folder, error, sizeof error)) {
            complain("%s", error);
            cam_files_close(&c);
            return NULL;
        }
        cdl_session_get_info(session, &c->info);
        c->cam = calloc((size_t)c->info.cam_width * (size_t)c->info.cam_height, sizeof *c->cam);
        ok = c->cam != NULL;
    }
    for (int i = 0; ok && i < inputs->count; i++) {
        c->may_replace = c->may_replace && strcmp(inputs->args[i], "-") != 0;
        ok = remember_input(c, inputs->args[i]);
    }
    if (!ok) {
        complain("out of memory");
        cam_files_close(&c);
    }
    return c;
}

bool cam_files_close(struct cam_files **c) {
    char error[1200];
    if (!*c)
        return true;
    const bool ok = cam_index_close(&(*c)->index, error, sizeof error);
    if (!ok)
        complain("%s", error);
    text_set_clear(&(*c)->used);
    text_set_clear(&(*c)->written);
    thread_mutex_destroy(&(*c)->lock);
    text_set_clear(&(*c)->inputs);
    free((*c)->cam);
    free(*c);
    *c = NULL;
    return ok;
}

// Whether an earlier run wrote what stands there. A picture that since took its place has another size.
static bool is_earlier(const struct cam_files *c, const char *name, const struct file_status *status) {
    return status->kind == FILE_REGULAR && cam_index_has(&c->index, name, status->size);
}

bool cam_files_own(const void *cam_files, const char *name, bool found) {
    struct cam_files *c = (struct cam_files *)(uintptr_t)cam_files; // for its lock
    thread_mutex_lock(&c->lock);
    bool own = text_set_has(&c->written, name);
    thread_mutex_unlock(&c->lock);
    char path[4096];
    struct file_status status;
    if (!own && found && (size_t)snprintf(path, sizeof path, "%s/%s", c->folder, name) < sizeof path)
        own = get_file_status(path, &status) && is_earlier(c, name, &status);
    return own;
}

// The picture's name without folders, extension and an address's query, and without what some systems refuse in names.
static void name_stem(const char *picture, char *stem, size_t size) {
    const bool address = is_address(picture);
    const char *name = !strcmp(picture, "-") ? "stdin" : path_name(picture), *dot = strrchr(name, '.');
    size_t length = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    if (address && strcspn(name, "?#") < length)
        length = strcspn(name, "?#");
    snprintf(stem, size, "%.*s", (int)length, name);
    for (char *c = stem; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127 || strchr("<>:\"|?*", *c))
            *c = '_';
    if (!is_printable_text(stem)) // the index is UTF-8, and has to tell the name
        for (char *c = stem; *c; c++)
            if ((unsigned char)*c >= 0x80)
                *c = '_';
    if (!stem[0])
        snprintf(stem, size, "picture");
}

// Whether what stands at `path`, if anything, may be replaced.
static bool is_free(const struct cam_files *c, const char *path, const char *name) {
    struct file_status status;
    const bool link = is_link(path);
    if (!link && !get_file_status(path, &status))
        return true;
    return !link && c->may_replace && is_earlier(c, name, &status) &&
           !text_set_has(&c->inputs, identity_text(&status).text);
}

// A name for the picture's heat map. false: no memory, or the path is too long.
static bool name_file(struct cam_files *c, const char *picture, char *name, size_t name_size, char *path, size_t size) {
    char stem[200], key[256];
    name_stem(picture, stem, sizeof stem);
    for (int times = 1;; times++) { // "a-2" may be the name of a picture, too
        snprintf(name, name_size, times > 1 ? "%s-%d.png" : "%s.png", stem, times);
        snprintf(key, sizeof key, "%s", name);
        for (char *at = key; *at; at++)
            *at = (char)(*at >= 'A' && *at <= 'Z' ? *at + ('a' - 'A') : *at);
        if ((size_t)snprintf(path, size, "%s/%s", c->folder, name) >= size)
            return false;
        if (!text_set_has(&c->used, key) && is_free(c, path, name))
            break;
    }
    thread_mutex_lock(&c->lock);
    const bool ok = text_set_add(&c->written, name) && text_set_add(&c->used, key);
    thread_mutex_unlock(&c->lock);
    return ok;
}

// false: one line in error[].
static bool write_picture(struct cam_files *c, const struct outcome *o, const char *path, char *error,
                          size_t error_size) {
    const struct picture *p = &o->decoded->picture;
    int width, height;
    struct cdl_region seen;
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

bool cam_files_write(struct cam_files *c, const struct loaded_model *model, const struct outcome *o, char *error,
                     size_t error_size) {
    char path[4096], name[256];
    if (!remember_input(c, o->decoded->path) || !name_file(c, o->decoded->path, name, sizeof name, path, sizeof path)) {
        snprintf(error, error_size, "--cam: out of memory, or the path of the heat map is too long");
        return false;
    }
    struct file_status status = {.size = 0};
    if (!write_picture(c, o, path, error, error_size))
        return false;
    get_file_status(path, &status);
    json_t *line = json_object();
    json_object_set_new(line, "image", json_text(o->decoded->path));
    json_object_set_new(line, "cam", json_text(name));
    json_object_set_new(line, "class", json_integer(o->top[0].id));
    json_object_set_new(line, "label", json_text(class_label(model, o->top[0].id)));
    json_object_set_new(line, "prob", json_real((double)o->top[0].prob));
    json_object_set_new(line, "bytes", json_integer((json_int_t)status.size));
    return cam_index_add(&c->index, name, line, error, error_size);
}
