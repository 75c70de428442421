// app.h - what the subcommands of `cardinal` share: options, diagnostics, exit statuses, opening models and devices.
#ifndef CARDINAL_APP_H_
#define CARDINAL_APP_H_

#include <stdio.h>

#include "cdl/cdl.h"

#include "system/clock.h"

// The model that is used where none is named: models/BUNDLED_MODEL.safetensors beside the program, and what it knows.
#define BUNDLED_MODEL "resnext26_32x4d_everyday"
#define BUNDLED_CLASSES "105 everyday names"

enum exit_status {
    EXIT_ALL_DONE = 0,
    EXIT_SOME_FAILED = 1, // the other inputs were done
    EXIT_USAGE = 2,
    EXIT_NO_DEVICE = 3,
    EXIT_NO_MODEL = 4,
};

enum output_format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CSV, FORMAT_MARKDOWN, FORMAT_HTML };
enum exif_mode { EXIF_DEFAULT, EXIF_ON, EXIF_OFF };
enum { MAX_METADATA = 32, MAX_LIST = 16 };

// The values of an option that takes a list, such as "1,8,32".
struct int_list {
    int items[MAX_LIST], count;
};

// A number that may be zero, and whether it was given.
struct decimal {
    double value;
    bool given;
};

struct options {
    const char *model, *arch, *device, *label_file, *predictions, *cam_folder, *output;
    const char *list, *class_map, *valid_classes, *real_labels, *resume, *report, *features; // files; a folder
    const char *names_file;
    cdl_tune tune;
    cdl_precision precision; // in bench the first of `precisions`, as `batch` is of `batches`
    cdl_dtype dtype;
    enum output_format format;
    enum exif_mode exif;
    int topk, batch, width, height, threads, seed;   // 0: not given
    struct int_list batches, precisions;             // bench's
    int duration_ms, bench_input, suite, sustain_ms; // enum bench_input, enum suite_choice
    double fail_below;                               // compare's; 0: not given
    const char *out, *freeze;                        // train's
    struct decimal lr, lr_gamma, momentum, weight_decay, norm_weight_decay, label_smoothing, mixup, clip_grad_norm, ema;
    struct decimal brightness, contrast, saturation;
    int epochs, accumulate, lr_step, warmup, log_every, schedule, augment; // the last two: words, from 1
    bool resume_training, no_shuffle, checkpoint_stages;
    bool no_fold, quiet, verbose, validate, help, layers, start, start_child, null_separated, train;
    struct cdl_pair metadata[MAX_METADATA]; // keys are malloc'd, values point behind their '='
    int num_metadata;
    bool any_metadata;         // keys without a meaning are taken: convert keeps them
    const char *const *inputs; // the arguments that are not options
    int num_inputs;
};

// Diagnostics on stderr, a line each: "cardinal: ...".
void complain(const char *fmt, ...);

// Where the library's log goes: errors and warnings to stderr, or into `captured` while that is set.
struct diagnostics {
    cdl_log_level level;
    char *captured; // an error's line goes here instead of to stderr
    size_t captured_size;
};
cdl_log diagnostics_log(struct diagnostics *d);

struct loaded_model {
    cdl_model *model;
    struct cdl_model_info info;
    char name[512];       // as the user would call it
    char file[4096];      // "": there is none
    bool imagenet_labels; // the file has 1000 classes and no labels, so they are taken to be ImageNet's
};
// Loads the model that --model or --arch names, or the bundled one, and applies --metadata and --label-file.
// EXIT_ALL_DONE, or the exit status after a line on stderr.
enum exit_status open_model(struct loaded_model *out, const struct options *options, struct diagnostics *d);
// The same for `model`, a file or a name, in place of --model.
enum exit_status open_model_from(struct loaded_model *out, const char *model, const struct options *options,
                                 struct diagnostics *d);
const char *class_label(const struct loaded_model *m, int id); // "" where it has none

enum exit_status open_device(cdl_device **out, const struct options *options, struct diagnostics *d);
enum exit_status status_of(cdl_result r); // of a failed device or session call

// As --precision, --tune and --input take them, by the values of their enumerations.
extern const char *const precision_names[3], *const tune_names[3], *const input_names[4];
const char *precision_name(cdl_precision p); // "fp32"

int command_bench(const struct options *options);
int command_classify(const struct options *options);
int command_compare(const struct options *options);
int command_eval(const struct options *options);
int command_similar(const struct options *options);
int command_devices(const struct options *options);
int command_convert(const struct options *options);
int command_models(const struct options *options);
int command_train(const struct options *options);

#endif // CARDINAL_APP_H_
