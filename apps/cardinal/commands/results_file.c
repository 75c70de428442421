// results_file.c - see results_file.h.
#include "commands/results_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands/features.h"
#include "picture/picture.h"
#include "system/files.h"
#include "system/interrupt.h"

// ---- what no output may be

struct output_name {
    const char *option, *path; // path NULL: not given
};

// Results are text: a picture that stands at `path` is a slip, or an input that a list will name.
static bool holds_picture(const char *path) {
    struct file_status status;
    uint8_t start[64];
    if (!get_file_status(path, &status) || status.kind != FILE_REGULAR)
        return false;
    FILE *file = fopen(path, "rb");
    const size_t size = file ? fread(start, 1, sizeof start, file) : 0;
    if (file)
        fclose(file);
    return picture_looks_like_one(start, size);
}

static bool spares_inputs(const struct output_name *out, const char *const *read, size_t num_read) {
    char error[1024];
    if (!output_spares(out->path, read, num_read, error, sizeof error))
        complain("%s", error);
    else if (holds_picture(out->path))
        complain("%s: holds a picture, which would be lost; name another file", out->path);
    else
        return true;
    return false;
}

static bool are_one(const struct output_name *a, const struct output_name *b) {
    struct file_status status;
    if (get_file_status(a->path, &status) && status.kind != FILE_REGULAR) // a device takes what comes
        return false;
    if (strcmp(a->path, b->path) && !same_file(a->path, b->path))
        return false;
    complain("%s and %s name the same file, %s", a->option, b->option, a->path);
    return true;
}

static bool are_free(const struct output_name *outputs, size_t num_outputs, const char *const *read, size_t num_read) {
    for (size_t i = 0; i < num_outputs; i++) {
        if (!outputs[i].path)
            continue;
        if (!spares_inputs(&outputs[i], read, num_read))
            return false;
        for (size_t j = 0; j < i; j++)
            if (outputs[j].path && are_one(&outputs[i], &outputs[j]))
                return false;
    }
    return true;
}

bool outputs_are_free(const struct options *o, const char *model_file) {
    const char *const files[] = {o->model,         o->label_file,  o->names_file, o->list,   o->class_map,
                                 o->valid_classes, o->real_labels, o->resume,     model_file};
    const size_t num_files = sizeof files / sizeof *files, count = num_files + (size_t)o->num_inputs;
    const char **read = malloc(count * sizeof *read);
    char *names = o->features ? features_names_path(o->features) : NULL;
    bool ok = read && (names || !o->features);
    if (ok) {
        memcpy(read, files, sizeof files);
        for (int i = 0; i < o->num_inputs; i++)
            read[num_files + (size_t)i] = o->inputs[i];
        const struct output_name outputs[] = {
            {"--output", o->output && strcmp(o->output, "-") ? o->output : NULL},
            {"--predictions", o->predictions},
            {"--report", o->report},
            {"--features", o->features},
            {"--features", names},
        };
        ok = are_free(outputs, sizeof outputs / sizeof *outputs, read, count);
    } else {
        complain("out of memory");
    }
    free(names);
    free(read);
    return ok;
}

// ---- --output

enum exit_status results_file_begin(struct results_file *r, const struct options *options) {
    char error[1024];
    *r = (struct results_file){0};
    if (!options->output || !strcmp(options->output, "-"))
        return EXIT_ALL_DONE;
    if (!output_file_begin(&r->output, options->output, error, sizeof error)) {
        complain("--output %s", error);
        return EXIT_SOME_FAILED;
    }
    if (!redirect_stdout(r->output.file, &r->standard_output)) {
        complain("--output %s: standard output cannot be led there (%s)", options->output, strerror(errno));
        output_file_end(&r->output, false, error, sizeof error);
        return EXIT_SOME_FAILED;
    }
    r->active = true;
    return EXIT_ALL_DONE;
}

// After stdout was flushed into the file, with which it shares its position.
static bool has_results(const struct results_file *r, int status) {
    const bool some = status == EXIT_SOME_FAILED || status == EXIT_INTERRUPTED;
    return status == EXIT_ALL_DONE || (some && ftell(r->output.file) > 0);
}

int results_file_end(struct results_file *r, int status) {
    if (!r->active)
        return status;
    char error[1024] = "";
    errno = 0;
    const bool whole = fflush(stdout) == 0 && !ferror(stdout);
    if (!whole)
        complain("--output %s: could not be written (%s)", r->output.path, errno ? strerror(errno) : "disk full?");
    clearerr(stdout); // what went wrong was told, and is not this stream's any more
    restore_stdout(r->standard_output);
    const bool ended = output_file_end(&r->output, whole && has_results(r, status), error, sizeof error);
    if (!ended && whole)
        complain("--output %s", error);
    r->active = false;
    return (whole && ended) || status != EXIT_ALL_DONE ? status : EXIT_SOME_FAILED;
}
