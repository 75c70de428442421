// main.c - cardinal-demo: live classification of a camera, a video or pictures.
#include "demo.h"

#include <stdio.h>
#include <stdlib.h>

#include <libavdevice/avdevice.h>
#include <libavutil/log.h>

#include "commands/report.h"
#include "system/output_file.h"

static int list_cameras(void) {
    struct source_spec cameras[MAX_CAMERAS];
    const int count = cameras_list(cameras, MAX_CAMERAS);
    for (int i = 0; i < count; i++)
        printf("%s  (%s)\n", cameras[i].name, cameras[i].url);
    if (count == 0)
        complain(cameras_supported() ? "no camera was found" : "this FFmpeg has no cameras");
    return count > 0 ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
}

static void run(struct demo *d) {
    while (!d->ui.quit) {
        SDL_Event event;
        // Work that ends on the GPU wakes nobody: it is looked after.
        const bool busy =
            d->classifier.running || d->renderer.shot_serial || classifier_wants(&d->classifier, &d->sources.frame);
        const double pause = d->ui.next_draw - now_ms();
        const int timeout = busy ? 1 : pause < 1 ? 1 : pause > 100 ? 100 : (int)pause;
        if (SDL_WaitEventTimeout(&event, timeout))
            do
                demo_event(d, &event);
            while (SDL_PollEvent(&event));
        if (!demo_frame(d)) {
            d->status = EXIT_NO_DEVICE;
            return;
        }
    }
    if (d->renderer.shot_serial) { // of the last frame
        renderer_wait(&d->renderer);
        screenshots_poll(&d->screenshots, &d->renderer, &d->ui);
    }
}

int main(int argc, char **argv) {
    static struct demo demo; // large
    json_prepare();
    const int builtin = arguments_run_builtin(&demo_program, argc, argv);
    if (builtin >= 0)
        return builtin;
    output_files_prepare();
    if (!demo_options_parse(&demo.options, argc, argv))
        return EXIT_USAGE;
    if (demo.options.help) {
        arguments_print_usage(&demo_program, stdout);
        return EXIT_ALL_DONE;
    }
    avdevice_register_all();
    av_log_set_level(demo.options.app.verbose ? AV_LOG_WARNING : AV_LOG_QUIET);
    if (demo.options.list)
        return list_cameras();
    const bool opened = demo_open(&demo);
    if (opened)
        run(&demo);
    if (opened && demo.options.stats && demo.machine)
        demo_print_stats(&demo);
    demo_close(&demo);
    return demo_status(&demo);
}
