// app.c - diagnostics, and opening of models and devices.
#include "app.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/labels.h"
#include "system/cache_folder.h"
#include "pretrained/imagenet_labels.h"
#include "pretrained/pretrained.h"
#include "system/files.h"
#include "system/program_folder.h"
#include "system/text.h"

#define BUNDLED_MODEL "resnext20_16x4d_cifar10.safetensors"

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
    // The library knows the labels as the model's; they are the label file's, which open_model_from names.
    if (level == CDL_LOG_WARN && d->labels_given && strstr(msg, " labels for "))
        return;
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

// The label file as the metadata value "labels", malloc'd; NULL after a line on stderr.
static char *read_label_file(const char *path, int *count) {
    struct label_list labels;
    char error[1024];
    if (!labels_read(path, &labels, error, sizeof error)) {
        complain("%s", error);
        return NULL;
    }
    char *text = labels_to_json(&labels);
    if (!text)
        complain("%s: out of memory while reading labels", path);
    *count = labels.count;
    labels_free(&labels);
    return text;
}

static bool file_exists(const char *path) {
    struct file_status status;
    return get_file_status(path, &status);
}

// The file that `name` means, downloaded if need be, and the recipe that goes with it.
static bool find_model_file(const char *name, bool quiet, struct diagnostics *d, char *path, size_t size,
                            const struct pretrained **recipe) {
    char error[1024];
    *recipe = NULL;
    if (!name) {
        if (find_data_file("models/" BUNDLED_MODEL, path, size))
            return true;
        report(d, "the bundled model %s was not found; name one by --model", path);
        return false;
    }
    if (!file_exists(name) && !pretrained_find(name) && !strpbrk(name, "./\\")) {
        report(d,
               "%s: there is no such file, and no published model of that name; names are resnext50_32x4d, "
               "resnext101_32x8d@v1 and others (see docs/manual.md)",
               name);
        return false;
    }
    if (file_exists(name) || !(*recipe = pretrained_find(name))) {
        *recipe = pretrained_find_file(name);
        snprintf(path, size, "%s", name);
        return true;
    }
    if (pretrained_fetch(*recipe, &(struct pretrained_options){.quiet = quiet}, path, size, error, sizeof error))
        return true;
    report(d, "%s", error);
    return false;
}

enum exit_status open_model_from(struct loaded_model *out, const char *model, const struct options *options,
                                 struct diagnostics *d) {
    struct cdl_pair pairs[PRETRAINED_RECIPE_PAIRS + MAX_METADATA + 1];
    struct cdl_model_params params = {.struct_size = sizeof params, .log = diagnostics_log(d), .metadata = pairs};
    const struct pretrained *recipe = NULL;
    char path[sizeof out->file] = "", *labels = NULL;
    int num_labels = 0;
    *out = (struct loaded_model){0};

    if (!options->arch && !find_model_file(model, options->quiet, d, path, sizeof path, &recipe))
        return EXIT_NO_MODEL;
    for (int i = 0; recipe && i < PRETRAINED_RECIPE_PAIRS; i++)
        pairs[params.num_metadata++] = recipe->recipe[i];
    if (options->label_file) {
        if (!(labels = read_label_file(options->label_file, &num_labels)))
            return EXIT_NO_MODEL;
        pairs[params.num_metadata++] = (struct cdl_pair){"labels", labels};
    }
    for (int i = 0; i < options->num_metadata; i++) // last: what the user says overrides
        pairs[params.num_metadata++] = options->metadata[i];

    d->labels_given = labels != NULL;
    const cdl_result r = options->arch ? cdl_model_random(&out->model, options->arch, (uint64_t)options->seed, &params)
                                       : cdl_model_load_file(&out->model, path, &params);
    free(labels);
    d->labels_given = false;
    if (r != CDL_OK)
        return r == CDL_ERR_INVALID ? EXIT_USAGE : EXIT_NO_MODEL;
    cdl_model_get_info(out->model, &out->info);
    snprintf(out->file, sizeof out->file, "%s", path);
    if (num_labels && num_labels != out->info.num_classes)
        complain("warning: %s: has %d labels, the model %d classes; the first label is class 0", options->label_file,
                 num_labels, out->info.num_classes);
    snprintf(out->name, sizeof out->name, "%s",
             options->arch ? options->arch
             : recipe      ? recipe->name
             : model       ? model
                           : out->info.architecture);
    out->imagenet_labels = out->info.num_labels == 0 && out->info.num_classes == IMAGENET_CLASSES;
    return EXIT_ALL_DONE;
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
