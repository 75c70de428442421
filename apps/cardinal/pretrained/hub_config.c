// hub_config.c - see hub_config.h. timm's meaning is that of timm.data.resolve_model_data_config and
// transforms_imagenet_eval: what its users get, at the size of training (test_input_size is not used).
#include "pretrained/hub_config.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/files.h"
#include "system/text.h"

enum { MAX_TEXT_BYTES = 16 << 20, MAX_CLASSES = 1 << 20 };

struct reader {
    struct hub_config *out;
    const struct cdl_pair *given;
    int num_given;
    const char *file; // that is being read
    char *error;
    size_t error_size;
};

static bool fail(struct reader *r, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    write_path_error(r->error, r->error_size, r->file, fmt, args);
    va_end(args);
    return false;
}

// ---- what the reader was told already, and what it tells

static const char *given(const struct reader *r, const char *key) {
    const char *value = NULL;
    for (int i = 0; i < r->num_given; i++)
        if (!strcmp(r->given[i].key, key))
            value = r->given[i].value; // the last one counts
    return value;
}

static bool is_given(const struct reader *r, const char *key) { return given(r, key) != NULL; }

// The input size that the caller gave in place of the folder's: the same part of a picture is meant.
static void take_given_size(const struct reader *r, int *height, int *width) {
    const char *value = given(r, "input_size");
    int h, w;
    const int n = value ? sscanf(value, "%5dx%5d", &h, &w) : 0;
    if (n > 0 && h > 0 && (n == 1 || w > 0)) { // else the engine says what is wrong with it
        *height = h;
        *width = n == 1 ? h : w;
    }
}

static bool add(struct reader *r, const char *key, const char *value) {
    char *copy = r->out->num_pairs < HUB_CONFIG_PAIRS ? copy_text(value) : NULL;
    if (!copy)
        return fail(r, "out of memory");
    r->out->pairs[r->out->num_pairs++] = (struct cdl_pair){key, copy};
    return true;
}

static bool add_size(struct reader *r, const char *key, int height, int width) {
    char text[48];
    if (height == width)
        snprintf(text, sizeof text, "%d", height);
    else
        snprintf(text, sizeof text, "%dx%d", height, width);
    return add(r, key, text);
}

// ---- values of a member; an absent one, and null, which Python's None becomes, leave the default

static const json_t *member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static bool read_number(struct reader *r, const json_t *object, const char *name, double min, double max,
                        double *value) {
    const json_t *v = member(object, name);
    if (!v)
        return true;
    if (!json_is_number(v) || !(json_number_value(v) >= min && json_number_value(v) <= max))
        return fail(r, "%s is no number of %g to %g", name, min, max);
    *value = json_number_value(v);
    return true;
}

static bool read_int(struct reader *r, const json_t *object, const char *name, int min, int max, int *value) {
    const json_t *v = member(object, name);
    if (!v)
        return true;
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max)
        return fail(r, "%s is no whole number of %d to %d", name, min, max);
    *value = (int)json_integer_value(v);
    return true;
}

static bool add_text(struct reader *r, const json_t *object, const char *name, const char *key, const char *otherwise) {
    const json_t *v = member(object, name);
    if (v && !json_is_string(v))
        return fail(r, "%s is no text", name);
    const char *text = v ? json_string_value(v) : otherwise;
    return !text || is_given(r, key) || add(r, key, text);
}

// A list of three numbers, as mean and std are; the engine judges what they are.
static bool add_three(struct reader *r, const json_t *object, const char *name, const char *key) {
    const json_t *v = member(object, name);
    char text[128] = "";
    if (!v || is_given(r, key))
        return true;
    if (json_array_size(v) != 3)
        return fail(r, "%s is no list of three numbers", name);
    for (size_t i = 0; i < 3; i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_number(item))
            return fail(r, "%s is no list of three numbers", name);
        const size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%.9g", i ? "," : "", json_number_value(item));
    }
    return add(r, key, text);
}

// ---- labels

// Item i of a list, or of an object whose keys count from 0.
static const json_t *numbered(const json_t *names, size_t i) {
    char key[24];
    if (json_is_array(names))
        return json_array_get(names, i);
    snprintf(key, sizeof key, "%d", (int)i);
    return json_object_get(names, key);
}

// names: a list or a numbered object of texts; descriptions: what to show for each, or NULL.
static bool add_labels(struct reader *r, const char *what, const json_t *names, const json_t *descriptions) {
    if (!names || is_given(r, "labels"))
        return true;
    const size_t count = json_is_array(names) ? json_array_size(names) : json_object_size(names);
    if ((!json_is_array(names) && !json_is_object(names)) || count == 0 || count > MAX_CLASSES)
        return fail(r, "%s holds no class names", what);
    json_t *labels = json_array();
    bool ok = labels != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        const char *name = json_string_value(numbered(names, i));
        if (!name) {
            json_decref(labels);
            return fail(r, "%s has no name for class %d", what, (int)i);
        }
        const char *description = json_string_value(json_object_get(descriptions, name));
        ok = json_array_append_new(labels, json_string(description ? description : name)) == 0;
    }
    char *text = ok ? json_dumps(labels, JSON_COMPACT) : NULL;
    ok = text && add(r, "labels", text);
    free(text);
    json_decref(labels);
    return ok || fail(r, "out of memory");
}

// ---- timm

// The short side that timm resizes to before it crops to `input` pixels: math.floor(input / crop_pct).
static int timm_resize_size(int input, double crop_pct) { return (int)floor(input / crop_pct); }

// Cardinal scales the short side and crops the centre. A folder that wants something else is no way to run, unless the
// user says what the pictures' way is.
static bool other_geometry(struct reader *r, const char *what) {
    return fail(r,
                "%s; Cardinal resizes the short side and crops the centre: if that will do, say how by "
                "--metadata resize_size=PIXELS",
                what);
}

static bool add_timm_geometry(struct reader *r, const json_t *cfg) {
    int size[3] = {3, 224, 224}; // channels, height, width
    const json_t *input = member(cfg, "input_size");
    for (size_t i = 0; input && i < 3; i++) {
        const json_t *item = json_array_get(input, i);
        if (json_array_size(input) != 3 || !json_is_integer(item) || json_integer_value(item) < 1 ||
            json_integer_value(item) > 4096)
            return fail(r, "input_size is no list of channels, height and width");
        size[i] = (int)json_integer_value(item);
    }
    if (size[0] != 3)
        return fail(r, "input_size asks for pictures of %d channels; Cardinal's have 3", size[0]);
    if (!is_given(r, "input_size") && !add_size(r, "input_size", size[1], size[2]))
        return false;
    if (is_given(r, "resize_size"))
        return true;
    double crop_pct = 0.875; // timm's default
    const json_t *mode = member(cfg, "crop_mode");
    if (mode && (!json_is_string(mode) || strcmp(json_string_value(mode), "center") != 0))
        return other_geometry(r, "crop_mode is not \"center\"");
    if (!read_number(r, cfg, "crop_pct", 0.01, 100, &crop_pct))
        return false;
    take_given_size(r, &size[1], &size[2]);
    if (size[1] != size[2])
        return other_geometry(r, "timm has a way of its own to resize for an input_size that is no square");
    const int resize = timm_resize_size(size[1], crop_pct);
    return add_size(r, "resize_size", resize, resize);
}

static bool read_timm(struct reader *r, const json_t *root) {
    const json_t *nested = member(root, "pretrained_cfg"), *cfg = nested ? nested : root;
    if (!json_is_object(cfg))
        return fail(r, "pretrained_cfg is no object");
    // On the upper level stands what the model was made with; it wins, as in timm.
    const json_t *names = member(root, "label_names"), *descriptions = member(root, "label_descriptions");
    if (!names)
        names = member(cfg, "label_names") ? member(cfg, "label_names") : member(cfg, "labels");
    if (!descriptions)
        descriptions = member(cfg, "label_descriptions");
    return add_text(r, root, "architecture", "architecture", NULL) && add_timm_geometry(r, cfg) &&
           add_text(r, cfg, "interpolation", "interpolation", "bicubic") && add_three(r, cfg, "mean", "mean") &&
           add_three(r, cfg, "std", "std") && add_labels(r, "label_names", names, descriptions) &&
           read_int(r, cfg, "num_classes", 0, MAX_CLASSES, &r->out->num_classes) &&
           read_int(r, root, "num_classes", 0, MAX_CLASSES, &r->out->num_classes);
}

// ---- transformers

// "size" is a number, or an object with `name`, or one with a square "height" and "width". 0: neither.
static int pixels_of(const json_t *value, const char *name) {
    const json_t *height = json_object_get(value, "height"), *width = json_object_get(value, "width");
    const json_t *v = json_is_object(value) ? json_object_get(value, name) : value;
    if (!v && json_is_integer(height) && json_equal(height, width))
        v = height;
    return json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= 4096 ? (int)json_integer_value(v)
                                                                                            : 0;
}

// ConvNextImageProcessor, which ResNets have: below 384 the short side becomes size / crop_pct, then size is cropped;
// from 384 on proportions are lost. Others resize the short side and crop to crop_size.
static bool add_transformers_geometry(struct reader *r, const json_t *p) {
    double crop_pct = 0.875; // 224 / 256
    const json_t *size = member(p, "size"), *crop = member(p, "crop_size");
    if (!read_number(r, p, "crop_pct", 0.01, 100, &crop_pct))
        return false;
    if (is_given(r, "resize_size") && is_given(r, "input_size"))
        return true;
    const int input = crop ? pixels_of(crop, "") : pixels_of(size, "shortest_edge");
    int resize, height = input, width = input;
    if (crop && !json_is_false(json_object_get(p, "do_center_crop"))) {
        resize = pixels_of(json_is_object(size) ? json_object_get(size, "shortest_edge") : size, "");
    } else if (!crop && member(p, "crop_pct") && input > 0 && input < 384) {
        resize = (int)(input / crop_pct);
    } else {
        return other_geometry(r, "its pictures lose their proportions or are not cropped");
    }
    if (input == 0 || resize == 0)
        return other_geometry(r, "size or crop_size says nothing that is known");
    take_given_size(r, &height, &width);
    const int side = height < width ? height : width, scaled = (int)lround((double)resize * side / input);
    return (is_given(r, "input_size") || add_size(r, "input_size", input, input)) &&
           (is_given(r, "resize_size") || add_size(r, "resize_size", scaled, scaled));
}

static bool read_preprocessor(struct reader *r, const json_t *p) {
    static const struct {
        int resample; // Pillow's number
        const char *name;
    } filters[] = {{2, "bilinear"}, {3, "bicubic"}};
    int resample = 2;
    const char *filter = NULL;
    if (!read_int(r, p, "resample", 0, 5, &resample))
        return false;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].resample == resample)
            filter = filters[i].name;
    if (!filter && !is_given(r, "interpolation"))
        return fail(r, "resample is %d; Cardinal has 2 (bilinear) and 3 (bicubic)", resample);
    double factor = 1.0 / 255;
    if (!read_number(r, p, "rescale_factor", 0, 1, &factor))
        return false;
    if (json_is_false(json_object_get(p, "do_rescale")) || fabs(factor * 255 - 1) > 1e-3)
        return fail(r, "rescales pixels to something else than 0...1, which mean and std are of");
    if (!add_transformers_geometry(r, p) || (!is_given(r, "interpolation") && !add(r, "interpolation", filter)))
        return false;
    if (!json_is_false(json_object_get(p, "do_normalize")))
        return add_three(r, p, "image_mean", "mean") && add_three(r, p, "image_std", "std");
    return (is_given(r, "mean") || add(r, "mean", "0,0,0")) && (is_given(r, "std") || add(r, "std", "1,1,1"));
}

// ---- files

// The file as a JSON object; NULL: there is none, or, with *ok false, it cannot be used.
static json_t *load_object(struct reader *r, const char *path, bool *ok) {
    struct file_status status;
    json_error_t error;
    r->file = path;
    *ok = true;
    if (!get_file_status(path, &status))
        return NULL;
    if (status.kind != FILE_REGULAR || status.size > MAX_TEXT_BYTES) {
        *ok = fail(r, "is no text file of at most %d MiB", MAX_TEXT_BYTES >> 20);
        return NULL;
    }
    json_t *root = json_load_file(path, 0, &error);
    if (!root)
        *ok = fail(r, "line %d: %s", error.line, error.text);
    else if (!json_is_object(root))
        *ok = fail(r, "is no JSON object");
    if (!*ok) {
        json_decref(root);
        return NULL;
    }
    return root;
}

bool hub_config_read(struct hub_config *out, const char *folder, const struct cdl_pair *given, int num_given,
                     char *error, size_t error_size) {
    struct reader r = {out, given, num_given, folder, error, error_size};
    *out = (struct hub_config){0};
    char preprocessor[sizeof out->file];
    if ((size_t)snprintf(out->file, sizeof out->file, "%s/config.json", folder) >= sizeof out->file ||
        (size_t)snprintf(preprocessor, sizeof preprocessor, "%s/preprocessor_config.json", folder) >=
            sizeof preprocessor)
        return fail(&r, "the path is too long");
    bool ok;
    json_t *root = load_object(&r, out->file, &ok);
    if (!root)
        return ok;
    if (member(root, "pretrained_cfg") || member(root, "architecture")) {
        ok = read_timm(&r, root);
    } else {
        ok = add_labels(&r, "id2label", member(root, "id2label"), NULL);
        json_t *p = ok ? load_object(&r, preprocessor, &ok) : NULL;
        if (p)
            ok = read_preprocessor(&r, p);
        json_decref(p);
    }
    json_decref(root);
    return ok;
}

void hub_config_free(struct hub_config *config) {
    for (int i = 0; i < config->num_pairs; i++)
        free((char *)(uintptr_t)config->pairs[i].value);
    config->num_pairs = 0;
}
