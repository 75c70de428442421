// app.c - diagnostics, and opening of models and devices.
#include "app.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/labels.h"
#include "system/cache_folder.h"
#include "pretrained/find_model.h"
#include "pretrained/imagenet_labels.h"
#include "system/program_folder.h"
#include "system/text.h"
#include "system/text_file.h"

enum { MAX_NAMES_BYTES = 1 << 20 };

void complain(const char *fmt, ...) {
    char line[2048], clean[4096];
    va_list args;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    escape_controls(clean, sizeof clean, line);
    fprintf(stderr, "cardinal: %s\n", clean); // one call: lines of threads do not mix
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
const char *const input_names[4] = {"pixels", "tensor", "device", "training"};

const char *precision_name(cdl_precision p) { return precision_names[p]; }

enum exit_status status_of(cdl_result r) {
    return r == CDL_OK                              ? EXIT_ALL_DONE
           : r == CDL_ERR_INVALID                   ? EXIT_USAGE
           : r == CDL_ERR_FORMAT || r == CDL_ERR_IO ? EXIT_NO_MODEL
                                                    : EXIT_NO_DEVICE;
}

// The label file as the metadata value "labels", malloc'd; NULL after a line on stderr.
static char *read_label_file(const char *path) {
    struct label_list labels;
    char error[1024];
    if (!labels_read(path, &labels, error, sizeof error)) {
        complain("%s", error);
        return NULL;
    }
    char *text = labels_to_json(&labels);
    if (!text)
        complain("%s: out of memory while reading labels", path);
    labels_free(&labels);
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

// What is said of the model that was loaded: its name, file, and whose labels it has.
static void describe_model(struct loaded_model *out, const struct options *options, const char *model,
                           const struct found_model *found) {
    cdl_model_get_info(out->model, &out->info);
    const char *name = options->arch ? options->arch : model ? found->name : out->info.architecture;
    snprintf(out->name, sizeof out->name, "%s", name);
    snprintf(out->file, sizeof out->file, "%s", options->arch ? "" : found->path);
    if (found->config.num_classes > 0 && found->config.num_classes != out->info.num_classes)
        complain("warning: %s: says %d classes, but the weights have %d; is it another model's?", found->config.file,
                 found->config.num_classes, out->info.num_classes);
    out->imagenet_labels = out->info.num_labels == 0 && out->info.num_classes == IMAGENET_CLASSES;
}

enum exit_status open_model_from(struct loaded_model *out, const char *model, const struct options *options,
                                 struct diagnostics *d) {
    struct cdl_pair pairs[MAX_METADATA + 1];
    struct cdl_model_params params = {.struct_size = sizeof params, .log = diagnostics_log(d), .metadata = pairs};
    struct found_model found = {0};
    char *labels = NULL, *names = NULL;
    enum exit_status status = EXIT_NO_MODEL;
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
    char why[256];
    if (options->names_file && !(names = read_text_file(options->names_file, MAX_NAMES_BYTES, NULL, why, sizeof why))) {
        report(d, "--names %s: %s", options->names_file, why);
        goto done;
    }
    params.names = names;
    if (!options->arch && !find_any_model(&found, model, options, d))
        goto done;
    params.defaults = found.defaults;
    params.num_defaults = found.num_defaults;
    params.defaults_from = found.defaults_from;

    const cdl_result r = options->arch ? cdl_model_random(&out->model, options->arch, (uint64_t)options->seed, &params)
                                       : cdl_model_load_file(&out->model, found.path, &params);
    status = r == CDL_OK ? EXIT_ALL_DONE : r == CDL_ERR_INVALID ? EXIT_USAGE : EXIT_NO_MODEL;
    if (r == CDL_OK)
        describe_model(out, options, model, &found);
done:
    found_model_free(&found);
    free(names);
    free(labels);
    return status;
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
