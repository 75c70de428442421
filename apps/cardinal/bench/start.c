// start.c - measures the time from a process's start to its first result. A child process is measured, because this one
// has loaded the driver and warmed up its compiler.
#ifndef _WIN32
#define _XOPEN_SOURCE 700
#endif
#include "bench/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "system/program_folder.h"
#include "commands/report.h"

// ---- the child

int bench_start_child(const struct options *options) {
    struct diagnostics d = {.level = CDL_LOG_WARN};
    struct loaded_model model = {0};
    struct cdl_session_info info;
    cdl_device *device = NULL;
    cdl_session *session = NULL;
    struct bench_images images = {0};
    const double start = now_ms();
    enum exit_status status = open_device(&device, options, &d);
    const double after_device = now_ms();
    if (status == EXIT_ALL_DONE)
        status = open_model(&model, options, &d);
    const double after_model = now_ms();
    if (status == EXIT_ALL_DONE)
        status = status_of(
            cdl_session_create(&session, device, model.model,
                               cdl_session_params(.max_batch = options->batch ? options->batch : 1,
                                                  .width = options->width, .height = options->height,
                                                  .precision = options->precision, .no_fold = options->no_fold)));
    const double after_session = now_ms();
    if (status == EXIT_ALL_DONE) {
        cdl_session_get_info(session, &info);
        if (!bench_images_make(&images, &model, info.max_batch, info.width, info.height,
                               (enum bench_input)options->bench_input))
            status = EXIT_NO_MODEL;
    }
    const double before_run = now_ms();
    if (status == EXIT_ALL_DONE)
        status = status_of(cdl_session_run(session, images.images, info.max_batch));
    if (status == EXIT_ALL_DONE)
        json_line(stdout, json_pack("{s:f, s:f, s:f, s:f, s:i, s:i}", "device_ms", after_device - start, "model_ms",
                                    after_model - after_device, "session_ms", after_session - after_model, "run_ms",
                                    now_ms() - before_run, "pipelines", info.pipelines, "pipelines_compiled",
                                    info.pipelines_compiled));
    fflush(stdout);
    bench_images_free(&images);
    cdl_session_destroy(&session);
    cdl_device_destroy(&device);
    cdl_model_destroy(&model.model);
    return (int)status;
}

// ---- the parent

#ifdef _WIN32
void bench_measure_start(struct bench_row *row, const struct bench_target *target) {
    (void)target;
    snprintf(row->start_error, sizeof row->start_error, "not available on Windows");
}
#else
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_ARGUMENTS = 24, MAX_ENVIRONMENT = 1024, FOLDER_SIZE = 512 };

// The variables that name Cardinal's cache and the shader caches of Mesa, NVIDIA and AMD.
static const char *const cache_variables[] = {"CARDINAL_CACHE",
                                              "XDG_CACHE_HOME",
                                              "MESA_SHADER_CACHE_DIR",
                                              "MESA_GLSL_CACHE_DIR",
                                              "__GL_SHADER_DISK_CACHE_PATH",
                                              "AMD_SHADER_DISK_CACHE_PATH"};
enum { NUM_VARIABLES = sizeof cache_variables / sizeof *cache_variables };

struct child {
    char program[2048];
    const char *arguments[MAX_ARGUMENTS];
    char numbers[4][32];
    char variables[NUM_VARIABLES][FOLDER_SIZE + 64];
    char *environment[MAX_ENVIRONMENT];
};

static bool is_cache_variable(const char *entry) {
    for (int i = 0; i < NUM_VARIABLES; i++) {
        const size_t length = strlen(cache_variables[i]);
        if (!strncmp(entry, cache_variables[i], length) && entry[length] == '=')
            return true;
    }
    return false;
}

// This process's environment, with every cache directed into `folder`.
static bool prepare_environment(struct child *c, const char *folder) {
    int n = 0;
    for (int i = 0; i < NUM_VARIABLES; i++) {
        snprintf(c->variables[i], sizeof c->variables[i], "%s=%s", cache_variables[i], folder);
        c->environment[n++] = c->variables[i];
    }
    for (char **entry = environ; *entry; entry++) {
        if (is_cache_variable(*entry))
            continue;
        if (n + 1 >= MAX_ENVIRONMENT)
            return false;
        c->environment[n++] = *entry;
    }
    c->environment[n] = NULL;
    return true;
}

static void prepare_arguments(struct child *c, const struct bench_row *row, const struct bench_target *t) {
    const struct options *o = t->options;
    int n = 0;
    snprintf(c->numbers[0], sizeof c->numbers[0], "%d", row->batch);
    snprintf(c->numbers[1], sizeof c->numbers[1], "%dx%d", row->height, row->width);
    snprintf(c->numbers[2], sizeof c->numbers[2], "%d", o->seed);
    const char *const arguments[] = {
        c->program,
        "bench",
        "--start-child",
        "--device",
        t->name,
        o->arch ? "--arch" : "--model",
        o->arch ? row->network : o->model,
        "--batch",
        c->numbers[0],
        "--size",
        c->numbers[1],
        "--seed",
        c->numbers[2],
        "--precision",
        precision_name(row->precision),
        "--input",
        input_names[row->input],
        o->no_fold ? "--no-fold" : NULL,
    };
    for (size_t i = 0; i < sizeof arguments / sizeof *arguments; i++)
        if (arguments[i])
            c->arguments[n++] = arguments[i];
    c->arguments[n] = NULL;
}

static bool read_result(const char *line, double total_ms, struct bench_start *out) {
    json_t *root = json_loads(line, 0, NULL);
    const bool ok =
        root && json_unpack(root, "{s:F, s:F, s:F, s:F, s:i, s:i}", "device_ms", &out->device_ms, "model_ms",
                            &out->model_ms, "session_ms", &out->session_ms, "run_ms", &out->run_ms, "pipelines",
                            &out->pipelines, "pipelines_compiled", &out->pipelines_compiled) == 0;
    json_decref(root);
    out->total_ms = ok ? total_ms : 0;
    return ok;
}

static bool run_child(struct child *c, struct bench_start *out) {
    posix_spawn_file_actions_t actions;
    int ends[2], status = 0;
    pid_t pid;
    char line[1024] = "";
    if (pipe(ends) != 0)
        return false;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    const double start = now_ms();
    const int failed = posix_spawn(&pid, c->program, &actions, NULL, (char **)(uintptr_t)c->arguments, c->environment);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    FILE *file = failed ? NULL : fdopen(ends[0], "r");
    const bool told = file && fgets(line, sizeof line, file);
    const double total = now_ms() - start;
    if (file)
        fclose(file);
    else
        close(ends[0]);
    if (!failed)
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    return told && !failed && WIFEXITED(status) && WEXITSTATUS(status) == 0 && read_result(line, total, out);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void bench_measure_start(struct bench_row *row, const struct bench_target *target) {
    static struct child child; // its texts are large for a stack
    char folder[FOLDER_SIZE];
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/cardinal-start-XXXXXX", base && base[0] && strlen(base) < 400 ? base : "/tmp");
    if (!program_path(child.program, sizeof child.program) || !mkdtemp(folder)) {
        snprintf(row->start_error, sizeof row->start_error, "not available: no folder for empty caches");
        return;
    }
    prepare_arguments(&child, row, target);
    if (!prepare_environment(&child, folder) || !run_child(&child, &row->cold) || !run_child(&child, &row->warm))
        snprintf(row->start_error, sizeof row->start_error, "not available: the child process failed");
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
#endif
