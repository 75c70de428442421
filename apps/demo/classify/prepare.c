// prepare.c - see prepare.h.
#include "classify/prepare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "system/cache_folder.h"

struct preparation {
    const struct vulkan *vk;
    VkSurfaceKHR surface;
    struct machine *given;
    struct options options;
    struct choice choice;
    void (*on_done)(void *ctx);
    void *ctx;
    SDL_Thread *thread;
    SDL_atomic_t done;
    // the thread's
    struct bundle bundle;
    enum exit_status status; // EXIT_ALL_DONE: bundle is whole
    struct diagnostics diagnostics;
    char error[1200];
};

static void on_log(void *ctx, cdl_log_level level, const char *msg) { // any thread
    struct machine *m = ctx;
    if (level == CDL_LOG_ERR) {
        SDL_AtomicLock(&m->lock);
        snprintf(m->last_error, sizeof m->last_error, "%s", msg);
        SDL_AtomicUnlock(&m->lock);
    }
    complain("%s%s", level == CDL_LOG_WARN ? "warning: " : "", msg);
}

// What went wrong last, for people.
static void explain(struct preparation *p, const char *what) {
    struct machine *m = p->bundle.machine;
    SDL_AtomicLock(&m->lock);
    snprintf(p->error, sizeof p->error, "%s: %s", what, m->last_error[0] ? m->last_error : "the terminal tells why");
    SDL_AtomicUnlock(&m->lock);
}

static bool open_machine(struct preparation *p) {
    char folder[1024], error[256];
    struct machine *m = p->given;
    if (!m) {
        m = calloc(1, sizeof *m);
        p->bundle.machine = m;
        if (!m || !(m->gpu = gpu_open(p->vk, p->choice.gpu, p->surface, p->error, sizeof p->error)))
            return false;
    }
    p->bundle.machine = m;
    if (m->device)
        return true;
    const bool cache = cache_folder("", folder, sizeof folder, error, sizeof error) && make_folders(folder);
    const cdl_log log = {on_log, m, p->options.verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN};
    if (gpu_import(m->gpu, cache ? folder : NULL, log, &m->device) != CDL_OK) {
        explain(p, p->vk->gpus[p->choice.gpu].name);
        return false;
    }
    cdl_device_get_info(m->device, &m->info);
    return true;
}

static void prepare(struct preparation *p) {
    struct bundle *b = &p->bundle;
    p->diagnostics =
        (struct diagnostics){.level = CDL_LOG_WARN, .captured = p->error, .captured_size = sizeof p->error};
    p->status = EXIT_NO_DEVICE;
    if (!open_machine(p))
        return;
    p->status = open_model_from(&b->model, p->choice.model[0] ? p->choice.model : NULL, &p->options, &p->diagnostics);
    if (p->status != EXIT_ALL_DONE) {
        if (!p->error[0])
            snprintf(p->error, sizeof p->error, "%s could not be loaded; the terminal tells why",
                     p->choice.model[0] ? p->choice.model : "the model");
        return;
    }
    const cdl_result r =
        cdl_session_create(&b->session, b->machine->device, b->model.model,
                           cdl_session_params(.precision = p->choice.precision, .cam = true, .vulkan = true));
    p->status = r == CDL_OK ? EXIT_ALL_DONE : status_of(r);
    if (r == CDL_OK)
        cdl_session_get_info(b->session, &b->info);
    else
        explain(p, b->model.name);
}

static int run(void *ctx) {
    struct preparation *p = ctx;
    prepare(p);
    SDL_AtomicSet(&p->done, 1);
    p->on_done(p->ctx);
    return 0;
}

struct preparation *prepare_start(const struct vulkan *vk, VkSurfaceKHR surface, struct machine *machine,
                                  const struct options *options, const struct choice *choice,
                                  void (*on_done)(void *ctx), void *ctx) {
    struct preparation *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    *p = (struct preparation){
        .vk = vk, .surface = surface, .options = *options, .choice = *choice, .on_done = on_done, .ctx = ctx};
    if (choice->model[0])
        p->options.arch = NULL; // was for the first model
    p->given = machine && machine->gpu->index == choice->gpu ? machine : NULL;
    p->thread = SDL_CreateThread(run, "prepare", p);
    if (!p->thread) {
        free(p);
        return NULL;
    }
    return p;
}

bool prepare_done(struct preparation *p) { return SDL_AtomicGet(&p->done) != 0; }
const struct choice *prepare_choice(const struct preparation *p) { return &p->choice; }

bool prepare_take(struct preparation **preparation, struct bundle *out, enum exit_status *status, char *error,
                  size_t error_size) {
    struct preparation *p = *preparation;
    SDL_WaitThread(p->thread, NULL);
    *preparation = NULL;
    *status = p->status;
    const bool ok = p->status == EXIT_ALL_DONE;
    if (ok) {
        *out = p->bundle;
    } else {
        snprintf(error, error_size, "%s", p->error);
        bundle_close(&p->bundle);
        if (p->bundle.machine != p->given)
            machine_close(&p->bundle.machine);
    }
    free(p);
    return ok;
}

void machine_close(struct machine **machine) {
    if (!*machine)
        return;
    cdl_device_destroy(&(*machine)->device);
    gpu_close(&(*machine)->gpu);
    free(*machine);
    *machine = NULL;
}

void bundle_close(struct bundle *bundle) {
    cdl_session_destroy(&bundle->session);
    cdl_model_destroy(&bundle->model.model);
}
