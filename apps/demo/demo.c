// demo.c - the demo's life: a window and a GPU, models prepared beside it, and one frame after another.
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <SDL_vulkan.h>

// ---- start

static bool fail(struct demo *d, enum exit_status status, const char *error) {
    complain("%s", error);
    if (d->window && d->options.frames == 0) // somebody is there to close it
        SDL_ShowSimpleMessageBox(SDL_MESSAGEBOX_ERROR, "Cardinal", error, d->window);
    d->status = status;
    return false;
}

// Asked before SDL is: without these variables SDL would try its drivers for machines without a desktop, and they write
// to stderr. Who sets SDL_VIDEODRIVER wants that.
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
    d->sources.frame_new = d->sources.frame.number != 0; // what is shown goes to the new GPU
    return renderer_create(d->machine->gpu, d->surface, width, height, &d->renderer);
}

static bool open_gpu(struct demo *d) {
    char error[1024];
    if (!vulkan_open(&d->vk, d->window, d->options.validate, error, sizeof error))
        return fail(d, EXIT_NO_DEVICE, error);
    if (d->window && !SDL_Vulkan_CreateSurface(d->window, d->vk.instance, &d->surface))
        return fail(d, EXIT_NO_DEVICE, SDL_GetError());
    const char *name = d->options.app.device ? d->options.app.device : SDL_getenv("CARDINAL_DEVICE");
    d->choices.current.gpu = vulkan_find_gpu(&d->vk, name, error, sizeof error);
    d->machine = d->choices.current.gpu >= 0 ? calloc(1, sizeof *d->machine) : NULL;
    if (!d->machine || !(d->machine->gpu = gpu_open(&d->vk, d->choices.current.gpu, d->surface, error, sizeof error)))
        return fail(d, EXIT_NO_DEVICE, error);
    const VkResult result = create_renderer(d);
    return result >= 0 || fail(d, EXIT_NO_DEVICE, vulkan_result_name(result));
}

bool demo_open(struct demo *d) {
    char error[1200];
    if (!open_window(d))
        return false;
    interface_open(&d->ui, d->options.cam);
    d->screenshots.path = d->options.screenshot;
    d->canvas.text = text_open(d->options.font, error, sizeof error);
    if (!d->canvas.text)
        return fail(d, EXIT_USAGE, error);
    if (!open_gpu(d))
        return false;
    if (!sources_open(&d->sources, &d->ui, d->options.sources, d->options.num_sources, d->options.seconds))
        return d->sources.failed && d->sources.num_given == 0 ? false
                                                              : fail(d, EXIT_NO_DEVICE, "out of memory or threads");
    choices_open(&d->choices, d->options.app.model, d->options.app.precision);
    const struct choice first = d->choices.current;
    demo_prepare(d, &first);
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
        _Exit((int)demo_status(d));
    }
    if (d->preparation && prepare_take(&d->preparation, &bundle, &status, error, sizeof error)) {
        bundle_close(&bundle);
        if (bundle.machine != d->machine)
            machine_close(&bundle.machine);
    }
}

void demo_close(struct demo *d) {
    sources_close(&d->sources);
    end_preparation(d);
    screenshots_finish(&d->screenshots, &d->ui);
    classifier_close(&d->classifier, &d->renderer);
    renderer_destroy(&d->renderer);
    machine_close(&d->machine);
    if (d->surface)
        vkDestroySurfaceKHR(d->vk.instance, d->surface, NULL);
    if (d->vk.validating && vulkan_messages(&d->vk) > 0)
        d->status = EXIT_SOME_FAILED;
    if (d->vk.validating)
        fprintf(stderr, "validation: %d messages\n", vulkan_messages(&d->vk));
    vulkan_close(&d->vk);
    text_close(&d->canvas.text);
    if (d->window)
        SDL_DestroyWindow(d->window);
    SDL_Quit();
}

// What ended the run comes before what was merely passed over.
enum exit_status demo_status(const struct demo *d) {
    const bool failed = d->sources.failed || d->screenshots.failed;
    return d->status ? d->status : failed ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

// ---- models and GPUs

void demo_prepare(struct demo *d, const struct choice *choice) {
    struct choices *c = &d->choices;
    if (d->preparation) {
        c->queued = *choice;
        c->has_queued = true;
        return;
    }
    choices_add_model(c, choice->model);
    c->current = *choice;
    d->preparation = prepare_start(&d->vk, d->surface, d->machine, &d->options.app, choice, interface_wake, &d->ui);
    if (!d->preparation)
        interface_toast(&d->ui, true, "out of memory");
    d->ui.dirty = true;
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
    d->ui.dirty = true;
    if (!prepare_take(&d->preparation, &bundle, &status, error, sizeof error)) {
        complain("%s", error);
        interface_toast(&d->ui, true, "%s", error);
        if (d->classifier.ready)
            d->choices.current = d->choices.worked;
        if (!d->classifier.ready && d->options.frames > 0) {
            d->status = status;
            d->ui.quit = true;
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
        interface_toast(&d->ui, true, "out of memory");
        classifier_close(&d->classifier, &d->renderer);
    }
    d->choices.worked = d->choices.current;
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
    if (!d->machine || !(d->machine->gpu = gpu_open(&d->vk, d->choices.current.gpu, d->surface, error, sizeof error)) ||
        create_renderer(d) < 0)
        return false;
    text_touch_all(d->canvas.text);
    const struct choice choice = d->choices.current;
    demo_prepare(d, &choice);
    return true;
}

// ---- frames

static VkResult draw(struct demo *d, double now) {
    struct placed_picture picture = {0};
    struct renderer *r = &d->renderer;
    struct classifier *c = &d->classifier;
    struct sources *s = &d->sources;
    const double wanted_ms = sources_frame_ms(s), took_ms = now - d->figures.drawn_at;
    const struct frame_facts facts = {
        .now = now,
        .fresh = s->frame_new,
        .still = s->active.kind == SOURCE_PICTURES,
        .capture_ms = s->frame.capture_ms,
    };
    VkResult result = renderer_begin(r);
    if (result != VK_SUCCESS)
        return result;
    if (facts.fresh) {
        if (s->frame.cut)
            c->cut_pending = true;
        s->frame_new = false;
        result = renderer_set_picture(r, &s->frame);
    }
    if (result < 0)
        return result;
    if (c->map_changed)
        renderer_set_map(r, c->map);
    c->map_changed = false;
    if (took_ms > 1.5 * wanted_ms && (c->running || sources_live(s)))
        d->figures.frames_late++;
    classifier_record(c, r, &s->frame, wanted_ms, d->figures.frames_late);
    interface_fade(&d->ui, took_ms);
    figures_add(&d->figures, &facts, c, &r->times);
    d->ui.dirty = false;
    canvas_begin(&d->canvas);
    view_draw(d, &picture);
    if (d->options.frames > 0 && d->figures.frames_counted >= (uint64_t)d->options.frames) {
        if (d->options.screenshot)
            renderer_want_shot(r);
        d->ui.quit = true;
    }
    return renderer_end(r, &d->canvas, &picture);
}

static bool anything_to_draw(struct demo *d, double now) {
    if (d->sources.frame_new || d->ui.dirty || now >= d->ui.next_draw)
        return true;
    // The next frame of a live source takes the next slice along.
    const bool waiting = sources_live(&d->sources) && now - d->figures.drawn_at < 1.5 * sources_frame_ms(&d->sources);
    return classifier_wants(&d->classifier, &d->sources.frame) && !waiting;
}

bool demo_frame(struct demo *d) {
    bool failed = false;
    if (d->preparation && prepare_done(d->preparation)) {
        if (!take_bundle(d))
            return recover(d);
        if (d->choices.has_queued) {
            d->choices.has_queued = false;
            demo_prepare(d, &d->choices.queued);
        }
    }
    int width, height;
    pixel_size(d, &width, &height);
    renderer_resize(&d->renderer, width, height);
    renderer_poll(&d->renderer);
    d->ui.dirty |= classifier_collect(&d->classifier, &d->renderer, &failed) && !sources_live(&d->sources);
    sources_watch(&d->sources);
    screenshots_poll(&d->screenshots, &d->renderer, &d->ui);
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
