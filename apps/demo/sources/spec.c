// spec.c - what people name, as sources; the list of cameras.
#include "sources/source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <SDL.h>
#include <libavdevice/avdevice.h>

#include "inputs/folder.h"
#include "inputs/inputs.h"
#include "picture/picture.h"
#include "system/text.h"

enum { MAX_FILES = 100000 };

void source_spec_free(struct source_spec *spec) {
    for (int i = 0; i < spec->num_files; i++)
        free(spec->files[i]);
    free(spec->files);
    *spec = (struct source_spec){0};
}

bool source_of_files(const char *const *files, int count, struct source_spec *out) {
    *out = (struct source_spec){.kind = SOURCE_PICTURES};
    out->files = calloc((size_t)(count > 0 ? count : 1), sizeof *out->files);
    for (int i = 0; out->files && i < count; i++) {
        if (!(out->files[i] = copy_text(files[i]))) {
            source_spec_free(out);
            return false;
        }
        out->num_files++;
    }
    return out->files != NULL;
}

bool source_copy(const struct source_spec *spec, struct source_spec *out) {
    if (!source_of_files((const char *const *)spec->files, spec->num_files, out))
        return false;
    char **files = out->files;
    *out = *spec;
    out->files = files;
    return true;
}

// ---- cameras

#if defined(_WIN32)
static const char camera_format[] = "dshow";
#elif defined(__APPLE__)
static const char camera_format[] = "avfoundation";
#else
static const char camera_format[] = "v4l2";
#endif

bool cameras_supported(void) { return av_find_input_format(camera_format) != NULL; }

static bool is_video(const AVDeviceInfo *device) {
    for (int i = 0; i < device->nb_media_types; i++)
        if (device->media_types[i] == AVMEDIA_TYPE_VIDEO)
            return true;
    return device->nb_media_types == 0; // it does not tell
}

int cameras_list(struct source_spec *out, int cap) {
    const AVInputFormat *format = av_find_input_format(camera_format);
    AVDeviceInfoList *list = NULL;
    int count = 0;
    if (!format || avdevice_list_input_sources(format, NULL, NULL, &list) < 0 || !list)
        return 0;
    for (int i = 0; i < list->nb_devices && count < cap; i++) {
        const AVDeviceInfo *device = list->devices[i];
        if (!is_video(device))
            continue;
        struct source_spec *spec = &out[count++];
        *spec = (struct source_spec){.kind = SOURCE_CAMERA};
        snprintf(spec->name, sizeof spec->name, "%.200s",
                 device->device_description && device->device_description[0] ? device->device_description
                                                                             : device->device_name);
        int same = 1; // two of a kind
        for (int j = 0; j < count - 1; j++)
            same += !strncmp(out[j].name, spec->name, strlen(spec->name));
        if (same > 1)
            snprintf(spec->name + strlen(spec->name), 16, " %d", same);
        snprintf(spec->url, sizeof spec->url, "%s%s",
                 strcmp(camera_format, "dshow") ? "" : "video=", device->device_name);
        snprintf(spec->format, sizeof spec->format, "%s", camera_format);
    }
    avdevice_free_list_devices(&list);
    return count;
}

static bool find_camera(const char *part, struct source_spec *out, char *error, size_t error_size) {
    struct source_spec cameras[MAX_CAMERAS];
    const int count = cameras_list(cameras, MAX_CAMERAS);
    for (int i = 0; i < count; i++)
        if (contains_ignoring_case(cameras[i].name, part) || !strcmp(cameras[i].url, part)) {
            *out = cameras[i];
            return true;
        }
    if (count == 0)
        snprintf(error, error_size, "no camera was found; plug one in, or name a video or pictures");
    else
        snprintf(error, error_size, "no camera is called %s; there is %s", part, cameras[0].name);
    return false;
}

// ---- names

static bool folder_pictures(const char *folder, struct source_spec *out) {
    struct input_stream *inputs = inputs_open(&folder, 1, NULL);
    struct input_item item;
    const char **files = calloc(MAX_FILES, sizeof *files);
    int count = 0;
    while (inputs && files && inputs_next(inputs, &item)) {
        if (item.error[0] || count == MAX_FILES) {
            input_item_free(&item);
            continue;
        }
        files[count++] = item.path;
        item.path = NULL;
        input_item_free(&item);
    }
    const bool ok = files && count > 0 && source_of_files(files, count, out);
    for (int i = 0; i < count; i++)
        free((char *)(uintptr_t)files[i]);
    free(files);
    inputs_close(&inputs);
    return ok;
}

// By content: a picture that picture.h reads. GIFs move, and are videos.
static bool is_picture(const char *path) {
    unsigned char head[64] = {0};
    FILE *file = fopen(path, "rb");
    const size_t size = file ? fread(head, 1, sizeof head, file) : 0;
    if (file)
        fclose(file);
    const enum picture_format format = picture_readable_format(head, size);
    return format != PICTURE_UNKNOWN && format != PICTURE_GIF;
}

static void name_after(const char *path, struct source_spec *out) {
    size_t length = strlen(path);
    while (length > 1 && (path[length - 1] == '/' || path[length - 1] == '\\'))
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/' && path[start - 1] != '\\')
        start--;
    snprintf(out->name, sizeof out->name, "%.*s", (int)(length - start < 200 ? length - start : 200), path + start);
}

bool source_parse(const char *text, struct source_spec *out, char *error, size_t error_size) {
    struct stat status;
    *out = (struct source_spec){0};
    if (!strncmp(text, "lavfi:", 6)) {
        *out = (struct source_spec){.kind = SOURCE_CAMERA, .name = "test source", .format = "lavfi"};
        snprintf(out->url, sizeof out->url, "%s", text + 6);
        return true;
    }
    if (!strcmp(text, "camera") || !strncmp(text, "camera:", 7))
        return find_camera(text[6] ? text + 7 : "", out, error, error_size);
    if (!strncmp(text, "/dev/video", 10)) {
        *out = (struct source_spec){.kind = SOURCE_CAMERA};
        snprintf(out->name, sizeof out->name, "%.200s", text);
        snprintf(out->url, sizeof out->url, "%s", text);
        snprintf(out->format, sizeof out->format, "%s", camera_format);
        return true;
    }
    if (strstr(text, "://") && strncmp(text, "file://", 7) != 0) {
        *out = (struct source_spec){.kind = SOURCE_STREAM};
        snprintf(out->name, sizeof out->name, "%.200s", text);
        snprintf(out->url, sizeof out->url, "%s", text);
        return true;
    }
    if (!strncmp(text, "file://", 7))
        text += 7;
    if (strlen(text) >= sizeof out->url || stat(text, &status) != 0) {
        snprintf(error, error_size, "%.300s: there is no such file", text);
        return false;
    }
    bool ok = true;
    if (folder_exists(text)) {
        if (!(ok = folder_pictures(text, out)))
            snprintf(error, error_size, "%.300s: holds no picture", text);
    } else if (is_picture(text)) {
        if (!(ok = source_of_files(&text, 1, out)))
            snprintf(error, error_size, "out of memory");
    } else {
        out->kind = SOURCE_VIDEO;
        snprintf(out->url, sizeof out->url, "%s", text);
    }
    if (ok)
        name_after(text, out);
    return ok;
}
