// convert.c - cardinal convert: any loadable weights to .safetensors with the recipe inside.
#include "app.h"
#include "system/text.h"

int command_convert(const struct options *options) {
    struct diagnostics d = {.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN};
    const int needed = options->arch || options->model ? 1 : 2; // IN may be given by --model too
    if (options->num_inputs != needed || !ends_in(options->inputs[needed - 1], ".safetensors")) {
        complain(
            "convert needs IN (a file or a name) or --arch NAME, and OUT.safetensors; see cardinal convert --help");
        return EXIT_USAGE;
    }
    const char *out = options->inputs[needed - 1];
    struct loaded_model m;
    struct options with_any = *options;
    with_any.any_metadata = true;
    const enum exit_status status =
        open_model_from(&m, needed == 1 ? options->model : options->inputs[0], &with_any, &d);
    if (status != EXIT_ALL_DONE)
        return (int)status;
    const cdl_log log = diagnostics_log(&d);
    const cdl_result r = cdl_model_save(m.model, out, options->dtype, &log);
    if (r == CDL_OK && !options->quiet)
        fprintf(stderr, "%s: %s, %d classes, %llu parameters\n", out, m.info.architecture, m.info.num_classes,
                (unsigned long long)m.info.num_parameters);
    cdl_model_destroy(&m.model);
    return r == CDL_OK ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}
