// classify.c - cardinal classify: names what pictures show.
#include "commands/cam_files.h"
#include "commands/features.h"
#include "inputs/folder.h"
#include "commands/report.h"
#include "commands/workspace.h"

#include <string.h>

enum { DEFAULT_BATCH = 8 };

struct classify {
    struct report report;
    struct cam_files *cam;     // NULL: none are wanted
    struct features *features; // likewise
    uint64_t failed;
};

static void on_outcome(void *ctx, const struct outcome *o) {
    struct classify *c = ctx;
    c->failed += o->error != NULL;
    report_picture(&c->report, o);
    char error[1200];
    if (c->cam && !o->error && !cam_files_write(c->cam, o, error, sizeof error)) {
        complain("%s", error);
        c->failed++;
    }
    if (c->features && !o->error && !features_write(c->features, o, error, sizeof error)) {
        complain("%s", error);
        c->failed++;
    }
}

static enum exit_status classify_inputs(const struct options *options, struct workspace *w) {
    struct input_stream *inputs = inputs_open(options->inputs, options->num_inputs, stdin);
    const int classes = w->model.info.num_classes, wanted = options->topk ? options->topk : 5;
    struct classify c = {.report = {
                             .file = stdout,
                             .format = options->format,
                             .model = &w->model,
                             .device = w->device_info.name,
                             .precision = precision_name(w->session_info.precision),
                             .topk = wanted < classes ? wanted : classes,
                         }};
    if (!inputs) {
        complain("out of memory");
        return status_of(CDL_ERR_NOMEM);
    }
    if (options->cam_folder && !(c.cam = cam_files_open(options->cam_folder, w->session, options->exif != EXIF_OFF))) {
        inputs_close(&inputs);
        return EXIT_SOME_FAILED;
    }
    if (options->features && !(c.features = features_open(options->features, w->session))) {
        cam_files_close(&c.cam);
        inputs_close(&inputs);
        return EXIT_SOME_FAILED;
    }
    report_begin(&c.report);
    const cdl_result r = runner_run(&(struct runner_params){
        .session = w->session,
        .inputs = inputs,
        .threads = options->threads,
        .batch = w->session_info.max_batch,
        .topk = c.report.topk,
        .exif = options->exif != EXIF_OFF,
        .keep_pixels = c.cam != NULL,
        .diagnostics = &w->diagnostics,
        .sink = on_outcome,
        .ctx = &c,
    });
    inputs_close(&inputs);
    cam_files_close(&c.cam);
    if (!features_close(&c.features, r == CDL_OK))
        c.failed++;
    return r != CDL_OK ? status_of(r) : c.failed ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

int command_classify(const struct options *options) {
    if (options->num_inputs == 0) {
        complain(
            "classify needs pictures: IMAGE, FOLDER, or - for a list on standard input; see cardinal classify --help");
        return EXIT_USAGE;
    }
    if (options->features && !features_name_is_good(options->features))
        return EXIT_USAGE;
    struct workspace w;
    // One picture needs no larger batch.
    const bool lone =
        options->num_inputs == 1 && strcmp(options->inputs[0], "-") != 0 && !folder_exists(options->inputs[0]);
    enum exit_status status = workspace_open(&w, options, lone ? 1 : DEFAULT_BATCH);
    if (status == EXIT_ALL_DONE)
        status = classify_inputs(options, &w);
    workspace_close(&w);
    return (int)status;
}
