// convert.c - cardinal convert: any loadable weights to .safetensors with the recipe inside.
#include "app.h"

#include <stdlib.h>

#include "commands/results_file.h"
#include "system/files.h"
#include "system/output_file.h"
#include "system/text.h"

// On file systems without unnamed files, such as those of USB sticks, the library writes into PATH.tmpN (see cdl.h). A
// signal that ends this process removes that.
static int remember_temporary(const char *out) {
    char path[4096];
    struct file_status status;
    for (int i = 0; i < 100; i++)
        if ((size_t)snprintf(path, sizeof path, "%s.tmp%d", out, i) < sizeof path && !get_file_status(path, &status) &&
            !is_link(path))
            return temporary_remember(path);
    return -1;
}

static cdl_result save(const struct loaded_model *m, const char *out, const struct options *options,
                       struct diagnostics *d) {
    const cdl_log log = diagnostics_log(d);
    char *path = follow_links(out); // the file that will be replaced
    const int temporary = path ? remember_temporary(path) : -1;
    free(path);
    const cdl_result r = cdl_model_save(m->model, out, options->dtype, &log);
    temporary_forget(temporary);
    return r;
}

int command_convert(const struct options *options) {
    struct diagnostics d = {.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN};
    // IN may be given by --model, too, and OUT by --output.
    const int num_in = options->arch || options->model ? 0 : 1, needed = num_in + !options->output;
    const bool complete = options->num_inputs == needed;
    const char *out = options->output ? options->output : complete ? options->inputs[needed - 1] : "";
    if (!complete || !ends_in(out, ".safetensors")) {
        complain(
            "convert needs IN (a file or a name) or --arch NAME, and OUT.safetensors; see cardinal convert --help");
        return EXIT_USAGE;
    }
    struct loaded_model m;
    struct options with_any = *options;
    with_any.any_metadata = true;
    with_any.output = out;
    with_any.num_inputs = num_in;
    const enum exit_status status = open_model_from(&m, num_in ? options->inputs[0] : options->model, &with_any, &d);
    if (status != EXIT_ALL_DONE)
        return (int)status;
    if (!outputs_are_free(&with_any, m.file)) {
        cdl_model_destroy(&m.model);
        return EXIT_USAGE;
    }
    const cdl_result r = save(&m, out, options, &d);
    if (r == CDL_OK && !options->quiet) {
        print_escaped(stderr, out);
        fprintf(stderr, ": %s, %d classes, %llu parameters\n", m.info.architecture, m.info.num_classes,
                (unsigned long long)m.info.num_parameters);
    }
    cdl_model_destroy(&m.model);
    return r == CDL_OK ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}
