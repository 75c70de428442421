// demo.c - the demo's life: a window and a GPU, models prepared beside it, and one frame after another.
#include "demo.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL_vulkan.h>
#include <jansson.h>

#include "pretrained/pretrained.h"
#include "commands/report.h"

static void wake(void *ctx) { // any thread
    struct demo *d = ctx;
    SDL_Event event = {.type = d->wake_event};
    SDL_PushEvent(&event);
}

void demo_toast(struct demo *d, bool bad, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    vsnprintf(d->toast, sizeof d->toast, fmt, args);
    va_end(args);
    d->toast_bad = bad;
    d->toast_until = now_ms() + (bad ? 9000 : 5000);
    d->dirty = true;
}

// ---- start

static bool fail(struct demo *d, enum exit_status status, const char *error) {
    complain("%s", error);
    if (d->window && d->options.frames == 0) // somebody is there to close it
        SDL_ShowSimpleMessageBox(SDL_MESSAGEBOX_ERROR, "Cardinal", error, d->window);
    d->status = status;
    return false;
}

// Of the machine. SDL would look for one in places where no desktop is, and talk on stderr; SDL_VIDEODRIVER lets it.
static bool no_display(void) {
#if defined(_WIN32) || defined(__APPLE__)
    return false;
#else
    return !SDL_getenv("DISPLAY") && !SDL_getenv("WAYLAND_DISPLAY") && !SDL_getenv("SDL_VIDEODRIVER");
#endif
}

// SDL's drivers that show nothing
static bool shows_nothing(void) {
    const char *driver = SDL_GetCurrentVideoDriver();
    return !driver || !strcmp(driver, "dummy") || !strcmp(driver, "offscreen") || !strcmp(driver, "evdev");
}

// A window where there is a display, else none where no person waits for one.
static bool open_window(struct demo *d) {
    const struct demo_options *o = &d->options;
    SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "0");
    SDL_SetHint("SDL_WINDOWS_DPI_SCALING", "1");
    SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "0"); // an interrupt is a wish to quit
    if (o->offscreen)
        return SDL_Init(SDL_INIT_EVENTS) == 0 || fail(d, EXIT_NO_DEVICE, SDL_GetError());
    if (no_display() || SDL_Init(SDL_INIT_VIDEO | SDL_INIT_EVENTS) != 0 || shows_nothing()) {
        if (o->frames > 0)
            return SDL_Init(SDL_INIT_EVENTS) == 0 || fail(d, EXIT_NO_DEVICE, SDL_GetError());
        SDL_Quit();
        return fail(d, EXIT_NO_DEVICE,
                    "there is no display for a window (is DISPLAY or WAYLAND_DISPLAY set?); without one, "
                    "--frames N --screenshot FILE draws into a file");
    }
    const Uint32 flags = SDL_WINDOW_VULKAN | SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI |
                         (o->fullscreen ? SDL_WINDOW_FULLSCREEN_DESKTOP : 0);
    d->window =
        SDL_CreateWindow("Cardinal", SDL_WINDOWPOS_UNDEFINED, SDL_WINDOWPOS_UNDEFINED, o->width, o->height, flags);
    if (!d->window) {
        char error[512];
        snprintf(error, sizeof error, "no window for Vulkan can be opened: %s", SDL_GetError());
        return fail(d, EXIT_NO_DEVICE, error);
    }
    SDL_SetWindowMinimumSize(d->window, 320, 240);
    SDL_EventState(SDL_DROPFILE, SDL_ENABLE);
    return true;
}

static void pixel_size(struct demo *d, int *width, int *height) {
    *width = d->options.width;
    *height = d->options.height;
    if (d->window)
        SDL_Vulkan_GetDrawableSize(d->window, width, height);
}

static VkResult create_renderer(struct demo *d) {
    int width, height;
    pixel_size(d, &width, &height);
    d->frame_new = d->frame.number != 0; // what is shown goes to the new GPU
    return renderer_create(d->machine->gpu, d->surface, width, height, &d->renderer);
}

static bool open_gpu(struct demo *d) {
    char error[1024];
    if (!vulkan_open(&d->vk, d->window, d->options.validate, error, sizeof error))
        return fail(d, EXIT_NO_DEVICE, error);
    if (d->window && !SDL_Vulkan_CreateSurface(d->window, d->vk.instance, &d->surface))
        return fail(d, EXIT_NO_DEVICE, SDL_GetError());
    const char *name = d->options.app.device ? d->options.app.device : SDL_getenv("CARDINAL_DEVICE");
    d->choice.gpu = vulkan_find_gpu(&d->vk, name, error, sizeof error);
    d->machine = d->choice.gpu >= 0 ? calloc(1, sizeof *d->machine) : NULL;
    if (!d->machine || !(d->machine->gpu = gpu_open(&d->vk, d->choice.gpu, d->surface, error, sizeof error)))
        return fail(d, EXIT_NO_DEVICE, error);
    const VkResult result = create_renderer(d);
    return result >= 0 || fail(d, EXIT_NO_DEVICE, vulkan_result_name(result));
}

int demo_add_model(struct demo *d, const char *name) {
    for (int i = 0; i < d->num_models; i++)
        if (!strcmp(d->models[i], name))
            return i;
    if (d->num_models == MAX_MODELS || strlen(name) >= sizeof d->models[0])
        return 0;
    snprintf(d->models[d->num_models], sizeof d->models[0], "%s", name);
    return d->num_models++;
}

static void list_models(struct demo *d) {
    const struct pretrained *p;
    demo_add_model(d, ""); // the bundled one
    if (d->options.app.model)
        demo_add_model(d, d->options.app.model);
    for (int i = 0; (p = pretrained_at(i)); i++)
        if (p->is_default)
            demo_add_model(d, p->arch);
}

bool demo_open(struct demo *d) {
    char error[1200];
    d->cam_on = d->options.cam;
    d->cam_strength = d->cam_on ? 1 : 0;
    if (!open_window(d))
        return false;
    d->wake_event = SDL_RegisterEvents(1);
    d->canvas.text = text_open(d->options.font, error, sizeof error);
    if (!d->canvas.text)
        return fail(d, EXIT_USAGE, error);
    if (!open_gpu(d))
        return false;
    d->status = EXIT_NO_DEVICE; // until all is there
    if (!demo_sources_open(d))
        return d->status == EXIT_SOME_FAILED ? false : fail(d, EXIT_NO_DEVICE, "out of memory or threads");
    d->status = d->num_given < d->options.num_sources ? EXIT_SOME_FAILED : EXIT_ALL_DONE; // the others are shown
    list_models(d);
    d->choice.precision = d->options.app.precision;
    if (d->options.app.model)
        snprintf(d->choice.model, sizeof d->choice.model, "%s", d->options.app.model);
    demo_prepare(d, &d->choice);
    return true;
}

// A download cannot be called off; the process ends without waiting for it.
static void end_preparation(struct demo *d) {
    struct bundle bundle;
    enum exit_status status;
    char error[1024];
    const double until = now_ms() + 5000;
    while (d->preparation && !prepare_done(d->preparation) && now_ms() < until)
        SDL_Delay(5);
    if (d->preparation && !prepare_done(d->preparation)) {
        complain("a model is still being prepared; leaving without it");
        fflush(NULL);
        _Exit((int)d->status);
    }
    if (d->preparation && prepare_take(&d->preparation, &bundle, &status, error, sizeof error)) {
        bundle_close(&bundle);
        if (bundle.machine != d->machine)
            machine_close(&bundle.machine);
    }
}

void demo_close(struct demo *d) {
    demo_sources_close(d);
    end_preparation(d);
    screenshot_finish(d);
    classifier_close(&d->classifier, &d->renderer);
    renderer_destroy(&d->renderer);
    machine_close(&d->machine);
    if (d->surface)
        vkDestroySurfaceKHR(d->vk.instance, d->surface, NULL);
    if (d->vk.validating && SDL_AtomicGet(&d->vk.validation_messages) > 0)
        d->status = EXIT_SOME_FAILED;
    if (d->vk.validating)
        fprintf(stderr, "validation: %d messages\n", SDL_AtomicGet(&d->vk.validation_messages));
    vulkan_close(&d->vk);
    text_close(&d->canvas.text);
    if (d->window)
        SDL_DestroyWindow(d->window);
    SDL_Quit();
}

// ---- models and GPUs

void demo_prepare(struct demo *d, const struct choice *choice) {
    if (d->preparation) {
        d->queued = *choice;
        d->has_queued = true;
        return;
    }
    if (choice->model[0])
        demo_add_model(d, choice->model);
    d->choice = *choice;
    d->preparation = prepare_start(&d->vk, d->surface, d->machine, &d->options.app, choice, wake, d);
    if (!d->preparation)
        demo_toast(d, true, "out of memory");
    d->dirty = true;
}

// The class that --class names, by number or label.
static void choose_class(struct demo *d, const struct bundle *b) {
    const char *name = d->options.class_name;
    char *end;
    const long number = name ? strtol(name, &end, 10) : -1;
    for (int i = 0; name && i < b->info.num_classes; i++)
        if ((*name && !*end && number == i) || !strcmp(class_label(&b->model, i), name)) {
            classifier_choose(&d->classifier, i);
            return;
        }
    if (name && !d->classifier.results)
        complain("--class %s: %s has no such class; the map is of the best one", name, b->model.name);
}

static bool take_bundle(struct demo *d) {
    struct bundle bundle;
    char error[1024];
    enum exit_status status;
    d->dirty = true;
    if (!prepare_take(&d->preparation, &bundle, &status, error, sizeof error)) {
        complain("%s", error);
        demo_toast(d, true, "%s", error);
        if (d->classifier.ready)
            d->choice = d->worked;
        if (!d->classifier.ready && d->options.frames > 0) {
            d->status = status;
            d->quit = true;
        }
        return true;
    }
    classifier_close(&d->classifier, &d->renderer);
    if (bundle.machine != d->machine) {
        renderer_destroy(&d->renderer);
        machine_close(&d->machine);
        d->machine = bundle.machine;
        text_touch_all(d->canvas.text);
        if (create_renderer(d) < 0) {
            bundle_close(&bundle);
            return false;
        }
    }
    if (!classifier_open(&d->classifier, &bundle)) {
        demo_toast(d, true, "out of memory");
        classifier_close(&d->classifier, &d->renderer);
    }
    d->worked = d->choice;
    choose_class(d, &bundle);
    return true;
}

// The GPU was lost, as drivers do after a hang: all of it is made anew.
static bool recover(struct demo *d) {
    char error[1024];
    complain("the GPU was lost%s", ++d->losses > 3 ? " again; giving up" : "; starting anew");
    if (d->losses > 3)
        return false;
    end_preparation(d);
    classifier_close(&d->classifier, &d->renderer);
    renderer_destroy(&d->renderer);
    machine_close(&d->machine);
    d->machine = calloc(1, sizeof *d->machine);
    if (!d->machine || !(d->machine->gpu = gpu_open(&d->vk, d->choice.gpu, d->surface, error, sizeof error)) ||
        create_renderer(d) < 0)
        return false;
    text_touch_all(d->canvas.text);
    const struct choice choice = d->choice;
    demo_prepare(d, &choice);
    return true;
}

// ---- frames

static double wanted_frame_ms(struct demo *d) {
    struct source_status status = {0};
    if (d->source)
        source_status(d->source, &status);
    if (d->active.kind == SOURCE_PICTURES || d->paused)
        return 100; // nothing moves but bars
    const double ms = status.rate > 0 ? 1000 / status.rate : 33;
    return ms < 4 ? 4 : ms > 100 ? 100 : ms;
}

static bool live(const struct demo *d) {
    return d->source && d->source_worked && d->active.kind != SOURCE_PICTURES && !d->paused;
}

static void count_frame(struct demo *d, bool fresh, double now) {
    if (d->classifier.results == 0)
        return;
    if (d->frames_counted++ == 0) {
        d->counting_since = now;
        d->results_before = d->classifier.results;
    }
    d->fresh_counted += fresh;
}

static void record_history(struct demo *d) {
    const struct classifier *c = &d->classifier;
    struct frame_record *h = &d->history[d->history_at++ % HISTORY];
    const double preprocess = c->running && c->next_slice == 1 ? c->preprocess_ms : 0, work = d->renderer.times.work_ms;
    *h = (struct frame_record){(float)d->frame.capture_ms, (float)preprocess,
                               (float)(work > preprocess ? work - preprocess : 0), (float)d->renderer.times.draw_ms};
}

// Figures change four times a second.
static void refresh_figures(struct demo *d, double now) {
    const struct classifier *c = &d->classifier;
    const double network = c->work_ms - c->preprocess_ms;
    int count = 0; // of the last two seconds
    if (now - d->shown.at < 250)
        return;
    while (count < 64 && count < d->frame_times_at && now - d->frame_times[(d->frame_times_at - 1 - count) % 64] < 2000)
        count++;
    const double oldest = count > 1 ? d->frame_times[(d->frame_times_at - count) % 64] : now;
    d->shown.at = now;
    d->shown.rate = count > 2 ? 1000 * (count - 1) / (now - oldest) : 0;
    d->shown.results_rate =
        d->active.kind != SOURCE_PICTURES && c->interval_ms > 0 && now - c->last_at < 5 * c->interval_ms + 500
            ? 1000 / c->interval_ms
            : 0;
    d->shown.capture = d->frame.capture_ms;
    d->shown.preprocess = c->preprocess_ms;
    d->shown.network = network > 0 ? network : 0;
    d->shown.draw = d->renderer.times.draw_ms;
    d->shown.total = c->total_ms;
}

static VkResult draw(struct demo *d, double now) {
    struct placed_picture picture = {0};
    struct renderer *r = &d->renderer;
    const bool fresh = d->frame_new;
    VkResult result = renderer_begin(r);
    if (result != VK_SUCCESS)
        return result;
    if (fresh) {
        if (d->frame.cut)
            d->classifier.cut_pending = true;
        d->frame_new = false;
        result = renderer_set_picture(r, &d->frame);
    }
    if (result < 0)
        return result;
    if (d->classifier.map_changed)
        renderer_set_map(r, d->classifier.map);
    d->classifier.map_changed = false;
    if (now - d->drawn_at > 1.5 * wanted_frame_ms(d) && (d->classifier.running || live(d)))
        d->frames_late++;
    classifier_record(&d->classifier, r, &d->frame, wanted_frame_ms(d), d->frames_late);
    const float step = (float)(now - d->drawn_at) / 200, wanted = d->cam_on ? 1 : 0;
    d->cam_strength =
        wanted > d->cam_strength ? fminf(wanted, d->cam_strength + step) : fmaxf(wanted, d->cam_strength - step);
    if (fresh)
        d->frame_times[d->frame_times_at++ % 64] = now;
    refresh_figures(d, now);
    record_history(d);
    d->dirty = false;
    d->drawn_at = now;
    canvas_begin(&d->canvas);
    view_draw(d, &picture);
    count_frame(d, fresh, now);
    if (d->options.frames > 0 && d->frames_counted >= (uint64_t)d->options.frames) {
        if (d->options.screenshot)
            renderer_want_shot(r);
        d->quit = true;
    }
    d->frames_shown++;
    return renderer_end(r, &d->canvas, &picture);
}

static bool anything_to_draw(struct demo *d, double now) {
    if (d->frame_new || d->dirty || now >= d->next_draw)
        return true;
    const bool waiting =
        live(d) && now - d->drawn_at < 1.5 * wanted_frame_ms(d); // the next frame takes the next slice along
    return classifier_wants(&d->classifier, &d->frame) && !waiting;
}

bool demo_frame(struct demo *d) {
    bool failed = false;
    if (d->preparation && prepare_done(d->preparation)) {
        if (!take_bundle(d))
            return recover(d);
        if (d->has_queued) {
            d->has_queued = false;
            demo_prepare(d, &d->queued);
        }
    }
    int width, height;
    pixel_size(d, &width, &height);
    renderer_resize(&d->renderer, width, height);
    renderer_poll(&d->renderer);
    d->dirty |= classifier_collect(&d->classifier, &d->renderer, &failed) && !live(d);
    demo_watch_source(d);
    screenshot_poll(d);
    const double now = now_ms();
    if (failed)
        return recover(d);
    if (!anything_to_draw(d, now))
        return true;
    const VkResult result = draw(d, now);
    if (result == VK_NOT_READY) // minimized, or hidden
        SDL_Delay(10);
    if (result >= 0)
        return true;
    complain("%s", vulkan_result_name(result));
    return result == VK_ERROR_DEVICE_LOST ? recover(d) : false;
}

// ---- figures

void demo_print_stats(struct demo *d) {
    const struct classifier *c = &d->classifier;
    const double seconds = (now_ms() - d->counting_since) / 1000;
    struct source_status status = {0};
    json_t *line = json_object();
    if (d->source)
        source_status(d->source, &status);
    json_object_set_new(line, "device", json_text(d->machine->info.name));
    json_object_set_new(line, "driver", json_text(d->machine->info.driver));
    json_object_set_new(line, "model", json_text(c->bundle.model.name));
    json_object_set_new(line, "precision", json_text(precision_name(c->bundle.info.precision)));
    json_object_set_new(line, "source", json_text(d->active.name));
    json_object_set_new(line, "window", json_boolean(d->window != NULL));
    json_object_set_new(line, "width", json_integer(d->renderer.target.width));
    json_object_set_new(line, "height", json_integer(d->renderer.target.height));
    json_object_set_new(line, "frames", json_integer((json_int_t)d->frames_counted));
    json_object_set_new(line, "seconds", json_real(seconds));
    json_object_set_new(line, "source_fps", json_real(status.rate));
    json_object_set_new(line, "shown_fps", json_real(seconds > 0 ? (double)d->fresh_counted / seconds : 0));
    json_object_set_new(line, "dropped", json_integer((json_int_t)status.dropped));
    json_object_set_new(line, "classified_per_s",
                        json_real(seconds > 0 ? (double)(c->results - d->results_before) / seconds : 0));
    json_object_set_new(line, "slices", json_integer(c->slices));
    json_object_set_new(line, "max_slices", json_integer(c->bundle.info.max_slices));
    json_t *ms = json_object();
    json_object_set_new(ms, "capture", json_real(d->frame.capture_ms));
    json_object_set_new(ms, "preprocess", json_real(c->preprocess_ms));
    json_object_set_new(ms, "gpu", json_real(c->work_ms));
    json_object_set_new(ms, "draw", json_real(d->renderer.times.draw_ms));
    json_object_set_new(ms, "total", json_real(c->total_ms));
    json_object_set_new(line, "ms", ms);
    json_t *top = json_array();
    for (int i = 0; i < c->num_top; i++) {
        json_t *entry = json_object();
        json_object_set_new(entry, "class", json_integer(c->top[i].id));
        json_object_set_new(entry, "label", json_text(class_label(&c->bundle.model, c->top[i].id)));
        json_object_set_new(entry, "prob", json_real((double)c->top[i].prob));
        json_array_append_new(top, entry);
    }
    json_object_set_new(line, "top", top);
    json_object_set_new(line, "cam_class", json_integer(c->cam_shown));
    json_object_set_new(line, "validation_messages",
                        d->vk.validating ? json_integer(SDL_AtomicGet(&d->vk.validation_messages)) : json_null());
    json_line(stdout, line);
}
