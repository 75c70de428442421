// app.c - diagnostics, and opening of models and devices.
#include "app.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "system/cache_folder.h"
#include "pretrained/find_model.h"
#include "pretrained/imagenet_labels.h"
#include "system/program_folder.h"

void complain(const char *fmt, ...) {
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    fprintf(stderr, "cardinal: %s\n", line); // one call: lines of threads do not mix
}

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    struct diagnostics *d = ctx;
    if (level == CDL_LOG_ERR && d->captured)
        snprintf(d->captured, d->captured_size, "%s", msg);
    else
        complain("%s%s", level == CDL_LOG_WARN ? "warning: " : "", msg);
}

// Reports a failure of this program to where the library's errors go.
static void report(struct diagnostics *d, const char *fmt, ...) {
    char line[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    on_log(d, CDL_LOG_ERR, line);
}

cdl_log diagnostics_log(struct diagnostics *d) { return (cdl_log){on_log, d, d->level}; }

const char *const precision_names[3] = {"auto", "fp32", "fp16"};
const char *const tune_names[3] = {"off", "quick", "full"};
const char *const input_names[2] = {"pixels", "tensor"};

const char *precision_name(cdl_precision p) { return precision_names[p]; }

enum exit_status status_of(cdl_result r) {
    return r == CDL_OK                              ? EXIT_ALL_DONE
           : r == CDL_ERR_INVALID                   ? EXIT_USAGE
           : r == CDL_ERR_FORMAT || r == CDL_ERR_IO ? EXIT_NO_MODEL
                                                    : EXIT_NO_DEVICE;
}

// Labels, one a line; empty lines at the end are none. NULL after a line on stderr.
static json_t *read_label_lines(FILE *file, const char *path) {
    char line[1024];
    json_t *labels = json_array();
    while (labels && fgets(line, sizeof line, file)) {
        const size_t length = strcspn(line, "\r\n");
        const char *mark =
            json_array_size(labels) == 0 && !strncmp(line, "\xEF\xBB\xBF", 3) ? line + 3 : line; // behind a BOM
        json_t *label = line[length] || feof(file) ? (line[length] = 0, json_string(mark)) : NULL;
        if (!label || json_array_append_new(labels, label) != 0) {
            complain("%s: line %zu is not UTF-8 text of at most %zu bytes", path, json_array_size(labels) + 1,
                     sizeof line - 2);
            json_decref(labels);
            return NULL;
        }
    }
    while (labels && json_array_size(labels) &&
           !json_string_length(json_array_get(labels, json_array_size(labels) - 1)))
        json_array_remove(labels, json_array_size(labels) - 1);
    if (!labels)
        complain("%s: out of memory while reading labels", path);
    return labels;
}

// A file of labels, one a line or a JSON array, as the metadata value "labels". malloc'd; NULL after a line on stderr.
static char *read_label_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        complain("%s: the label file cannot be opened", path);
        return NULL;
    }
    json_t *labels = json_loadf(file, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(labels)) {
        const bool object = json_is_object(labels);
        json_decref(labels);
        rewind(file);
        labels = object ? NULL : read_label_lines(file, path);
        if (object)
            complain("%s: is a JSON object; an array of class names, or a name a line, is needed", path);
    }
    fclose(file);
    if (!labels)
        return NULL;
    char *text = json_dumps(labels, JSON_COMPACT);
    if (json_array_size(labels) == 0) {
        complain("%s: holds no label", path);
        free(text);
        text = NULL;
    } else if (!text) {
        complain("%s: out of memory while reading labels", path);
    }
    json_decref(labels);
    return text;
}

// What `name` means, downloaded if need be; NULL is the bundled model. found_model_free in either case.
static bool find_any_model(struct found_model *out, const char *name, const struct options *options,
                           struct diagnostics *d) {
    char error[2048];
    *out = (struct found_model){0};
    if (!name) {
        if (find_data_file("models/" BUNDLED_MODEL ".safetensors", out->path, sizeof out->path))
            return true;
        report(d, "the bundled model %s was not found; name one by --model", out->path);
        return false;
    }
    if (find_model(out, name, options->quiet, options->metadata, options->num_metadata, error, sizeof error))
        return true;
    report(d, "%s", error);
    return false;
}

// A key without a meaning would do nothing in silence; only what is written down may have others.
static bool check_metadata_keys(const struct options *options, struct diagnostics *d) {
    for (int i = 0; i < options->num_metadata && !options->any_metadata; i++) {
        const char *key = options->metadata[i].key, *meant = cdl_model_nearest_key(key), *known;
        int j = 0;
        while ((known = cdl_model_metadata_key(j)) && strcmp(known, key))
            j++;
        if (!known) {
            report(d, "--metadata %s: there is no such key; %s%s%s", key, meant ? "did you mean " : "",
                   meant ? meant : "docs/manual.md lists them", meant ? "?" : "");
            return false;
        }
    }
    return true;
}

enum exit_status open_model_from(struct loaded_model *out, const char *model, const struct options *options,
                                 struct diagnostics *d) {
    struct cdl_pair pairs[MAX_METADATA + 1];
    struct cdl_model_params params = {.struct_size = sizeof params, .log = diagnostics_log(d), .metadata = pairs};
    struct found_model found = {0};
    char *labels = NULL;
    *out = (struct loaded_model){0};

    if (!check_metadata_keys(options, d))
        return EXIT_USAGE;
    if (options->label_file) {
        if (!(labels = read_label_file(options->label_file)))
            return EXIT_NO_MODEL;
        pairs[params.num_metadata++] = (struct cdl_pair){"labels", labels};
        params.labels_from = options->label_file;
    }
    for (int i = 0; i < options->num_metadata; i++) { // last: what the user says overrides
        pairs[params.num_metadata++] = options->metadata[i];
        if (!strcmp(options->metadata[i].key, "labels"))
            params.labels_from = "--metadata labels";
    }
    if (!options->arch && !find_any_model(&found, model, options, d)) {
        found_model_free(&found);
        free(labels);
        return EXIT_NO_MODEL;
    }
    params.defaults = found.defaults;
    params.num_defaults = found.num_defaults;
    params.defaults_from = found.defaults_from;

    const cdl_result r = options->arch ? cdl_model_random(&out->model, options->arch, (uint64_t)options->seed, &params)
                                       : cdl_model_load_file(&out->model, found.path, &params);
    free(labels);
    if (r == CDL_OK) {
        cdl_model_get_info(out->model, &out->info);
        snprintf(out->name, sizeof out->name, "%s",
                 options->arch ? options->arch
                 : model       ? found.name
                               : out->info.architecture);
        if (found.config.num_classes > 0 && found.config.num_classes != out->info.num_classes)
            complain("warning: %s: says %d classes, but the weights have %d; is it another model's?", found.config.file,
                     found.config.num_classes, out->info.num_classes);
        out->imagenet_labels = out->info.num_labels == 0 && out->info.num_classes == IMAGENET_CLASSES;
    }
    found_model_free(&found);
    return r == CDL_OK ? EXIT_ALL_DONE : r == CDL_ERR_INVALID ? EXIT_USAGE : EXIT_NO_MODEL;
}

enum exit_status open_model(struct loaded_model *out, const struct options *options, struct diagnostics *d) {
    return open_model_from(out, options->model, options, d);
}

const char *class_label(const struct loaded_model *m, int id) {
    const char *label = m->imagenet_labels ? imagenet_labels[id] : cdl_model_class_name(m->model, id);
    return label ? label : "";
}

enum exit_status open_device(cdl_device **out, const struct options *options, struct diagnostics *d) {
    const char *name = options->device ? options->device : getenv("CARDINAL_DEVICE");
    char folder[1024], error[256];
    // Without a folder every start compiles and tests its kernels anew, which is no reason to fail.
    const bool cache = cache_folder("", folder, sizeof folder, error, sizeof error) && make_folders(folder);
    const cdl_result r =
        cdl_device_create(out, cdl_device_params(.log = diagnostics_log(d), .name = name, .validate = options->validate,
                                                 .cache_dir = cache ? folder : NULL));
    return r == CDL_OK ? EXIT_ALL_DONE : EXIT_NO_DEVICE;
}
