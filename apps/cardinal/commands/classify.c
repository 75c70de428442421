// classify.c - cardinal classify: names what pictures show.
#include "commands/cam_files.h"
#include "commands/features.h"
#include "inputs/folder.h"
#include "commands/report.h"
#include "commands/workspace.h"

#include <errno.h>
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
    if (c->cam && !o->error && !cam_files_write(c->cam, c->report.model, o, error, sizeof error)) {
        complain("%s", error);
        c->failed++;
    }
    if (c->features && !o->error && !features_write(c->features, o, error, sizeof error)) {
        complain("%s", error);
        c->failed++;
    }
}

static enum exit_status classify_inputs(const struct options *options, struct workspace *w, FILE *list) {
    const struct input_sources sources = {
        .args = options->inputs,
        .count = options->num_inputs,
        .standard_input = stdin,
        .list = list,
        .list_name = options->list,
        .null_separated = options->null_separated,
    };
    struct input_stream *inputs = inputs_open_from(&sources);
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
    if (options->cam_folder) {
        c.cam = cam_files_open(options->cam_folder, w->session, options->exif != EXIF_OFF, &sources);
        if (!c.cam) {
            inputs_close(&inputs);
            return EXIT_SOME_FAILED;
        }
        inputs_pass_over(inputs, options->cam_folder, cam_files_own, c.cam);
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
    if (r == CDL_OK && inputs_num_skipped(inputs)) {
        char skipped[512];
        inputs_tell_skipped(inputs, skipped, sizeof skipped);
        complain("warning: %s", skipped);
        c.failed++;
    }
    inputs_close(&inputs);
    c.failed += !cam_files_close(&c.cam);
    if (!features_close(&c.features, r == CDL_OK))
        c.failed++;
    return r != CDL_OK ? status_of(r) : c.failed ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

// Opens the file of --list. false: a line on stderr said why.
static bool open_list(const struct options *options, FILE **list) {
    *list = NULL;
    if (!options->list)
        return true;
    *list = !strcmp(options->list, "-") ? stdin : fopen(options->list, "rb");
    if (!*list)
        complain("--list %s: cannot be opened (%s)", options->list, strerror(errno));
    return *list != NULL;
}

int command_classify(const struct options *options) {
    bool dash = false;
    for (int i = 0; i < options->num_inputs; i++)
        dash = dash || !strcmp(options->inputs[i], "-");
    if (options->num_inputs == 0 && !options->list) {
        complain("classify needs pictures: IMAGE, FOLDER, an http address, - for a picture or a list of paths on "
                 "standard input, or --list FILE; see cardinal classify --help");
        return EXIT_USAGE;
    }
    if (options->null_separated && !options->list && !dash) {
        complain("--null says how the list of --list FILE or - ends its paths; there is no list");
        return EXIT_USAGE;
    }
    if (options->features && !features_name_is_good(options->features))
        return EXIT_USAGE;
    struct workspace w;
    FILE *list;
    if (!open_list(options, &list))
        return EXIT_SOME_FAILED;
    // One picture needs no larger batch.
    const bool lone = options->num_inputs == 1 && !list && !dash && !folder_exists(options->inputs[0]);
    enum exit_status status = workspace_open(&w, options, lone ? 1 : DEFAULT_BATCH);
    if (status == EXIT_ALL_DONE)
        status = classify_inputs(options, &w, list);
    workspace_close(&w);
    if (list && list != stdin)
        fclose(list);
    return (int)status;
}
