#include "commands/workspace.h"

#include "commands/results_file.h"
#include "system/text.h"

enum exit_status workspace_open_model(struct workspace *out, const struct options *options) {
    *out = (struct workspace){.diagnostics.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN};
    const enum exit_status status = open_model(&out->model, options, &out->diagnostics);
    return status == EXIT_ALL_DONE && !outputs_are_free(options, out->model.file) ? EXIT_USAGE : status;
}

enum exit_status workspace_open(struct workspace *out, const struct options *options, int default_batch) {
    const enum exit_status status = workspace_open_model(out, options);
    return status == EXIT_ALL_DONE ? workspace_open_session(out, options, default_batch) : status;
}

enum exit_status workspace_open_session(struct workspace *out, const struct options *options, int default_batch) {
    const enum exit_status status = open_device(&out->device, options, &out->diagnostics);
    if (status != EXIT_ALL_DONE)
        return status;
    const cdl_result r = cdl_session_create(
        &out->session, out->device, out->model.model,
        cdl_session_params(.max_batch = options->batch ? options->batch : default_batch, .width = options->width,
                           .height = options->height, .precision = options->precision, .num_slots = 2,
                           .no_fold = options->no_fold, .tune = options->tune,
                           .cam = options->cam_folder || options->report));
    if (r != CDL_OK)
        return status_of(r);
    cdl_device_get_info(out->device, &out->device_info);
    cdl_session_get_info(out->session, &out->session_info);
    if (!options->quiet) {
        print_escaped(stderr, out->model.name); // a path, maybe
        fprintf(stderr, " (%d classes, input %dx%d, %s) on %s [%s]%s\n", out->model.info.num_classes,
                out->session_info.height, out->session_info.width, precision_name(out->session_info.precision),
                out->device_info.name, out->device_info.driver,
                out->device_info.software ? ", a CPU driver: no GPU is used" : "");
    }
    return EXIT_ALL_DONE;
}

void workspace_close(struct workspace *w) {
    cdl_session_destroy(&w->session);
    cdl_device_destroy(&w->device);
    cdl_model_destroy(&w->model.model);
}
