// eval.c - cardinal eval: accuracy over a folder of class folders.
#include "commands/report.h"
#include "commands/workspace.h"
#include "system/files.h"
#include "system/output_file.h"

#include <string.h>

enum { DEFAULT_BATCH = 32 };

struct eval {
    struct report predictions; // .file NULL: none
    struct input_stream *inputs;
    int num_ranks; // best classes wanted of each picture: 5 for the top-5 accuracy, or more for --topk
    uint64_t images, failed, top1, top5;
    double started_at, shown_at;
    bool progress;
};

static void show_progress(struct eval *e, bool last) {
    const double now = now_ms();
    if (!e->progress || (!last && now - e->shown_at < 200))
        return;
    e->shown_at = now;
    const double seconds = (now - e->started_at) / 1e3, images = e->images ? (double)e->images : 1;
    fprintf(stderr, "\r%llu images, %.1f images/s, top-1 %.2f %%, top-5 %.2f %%%s", (unsigned long long)e->images,
            seconds > 0 ? (double)e->images / seconds : 0, 100 * (double)e->top1 / images,
            100 * (double)e->top5 / images, last ? "\n" : "  ");
    fflush(stderr);
}

static void on_outcome(void *ctx, const struct outcome *o) {
    struct eval *e = ctx;
    if (o->error) {
        if (e->progress)
            fputc('\n', stderr);
        complain("%s", o->error);
        e->failed++;
    } else {
        e->images++;
        for (int i = 0; i < 5 && i < e->num_ranks; i++)
            if (o->top[i].id == o->decoded->class_index) {
                e->top1 += i == 0;
                e->top5++;
            }
    }
    if (e->predictions.file)
        report_picture(&e->predictions, o);
    show_progress(e, false);
}

static void print_summary(const struct eval *e, const struct workspace *w, enum output_format format) {
    const double seconds = (now_ms() - e->started_at) / 1e3, images = e->images ? (double)e->images : 1;
    const double top1 = (double)e->top1 / images, top5 = (double)e->top5 / images, rate = (double)e->images / seconds;
    const char *precision = precision_name(w->session_info.precision);
    if (format == FORMAT_JSON) {
        json_t *o = json_object();
        json_object_set_new(o, "images", json_integer((json_int_t)e->images));
        json_object_set_new(o, "failed", json_integer((json_int_t)e->failed));
        json_object_set_new(o, "top1", json_real(top1));
        json_object_set_new(o, "top5", json_real(top5));
        json_object_set_new(o, "images_per_s", json_real(rate));
        json_object_set_new(o, "seconds", json_real(seconds));
        json_object_set_new(o, "batch", json_integer(w->session_info.max_batch));
        json_object_set_new(o, "model", json_text(w->model.name));
        json_object_set_new(o, "device", json_text(w->device_info.name));
        json_object_set_new(o, "driver", json_text(w->device_info.driver));
        json_object_set_new(o, "precision", json_text(precision));
        json_line(stdout, o);
    } else if (format == FORMAT_CSV) {
        printf("images,failed,top1,top5,images_per_s,seconds\n%llu,%llu,%.6f,%.6f,%.2f,%.2f\n",
               (unsigned long long)e->images, (unsigned long long)e->failed, top1, top5, rate, seconds);
    } else {
        printf("images      %llu%s\n", (unsigned long long)e->images, e->failed ? "" : ", none failed");
        if (e->failed)
            printf("failed      %llu (not counted)\n", (unsigned long long)e->failed);
        printf("top-1       %.2f %%\ntop-5       %.2f %%\nimages/s    %.1f (%.1f s, decoding included)\n", 100 * top1,
               100 * top5, rate, seconds);
    }
}

// Warns where a folder has the name of another class: folders and classes are then in different orders, and the
// accuracy means nothing.
static void check_order(const struct eval *e, const struct workspace *w) {
    for (int i = 0; i < inputs_num_classes(e->inputs); i++)
        for (int j = 0; j < w->model.info.num_classes; j++)
            if (j != i && !strcmp(inputs_class_name(e->inputs, i), class_label(&w->model, j))) {
                complain(
                    "warning: folder %s counts as class %d (folders in order of name), but the model calls class %d so",
                    inputs_class_name(e->inputs, i), i, j);
                return;
            }
}

static enum exit_status evaluate(const struct options *options, struct workspace *w, struct eval *e) {
    if (inputs_num_classes(e->inputs) > w->model.info.num_classes) {
        complain("%s has %d class folders, the model only %d classes", options->inputs[0],
                 inputs_num_classes(e->inputs), w->model.info.num_classes);
        return EXIT_USAGE;
    }
    check_order(e, w);
    e->started_at = now_ms();
    const cdl_result r = runner_run(&(struct runner_params){
        .session = w->session,
        .inputs = e->inputs,
        .threads = options->threads,
        .batch = w->session_info.max_batch,
        .topk = e->num_ranks,
        .exif = options->exif == EXIF_ON, // torchvision's ImageFolder does not turn pictures
        .diagnostics = &w->diagnostics,
        .sink = on_outcome,
        .ctx = e,
    });
    show_progress(e, true);
    if (r != CDL_OK)
        return status_of(r);
    if (e->images > 0)
        print_summary(e, w, options->format);
    else
        complain("%s: no picture in its class folders could be classified (GIF is not taken, as by ImageFolder)",
                 options->inputs[0]);
    if (inputs_num_skipped(e->inputs)) {
        char skipped[512];
        inputs_tell_skipped(e->inputs, skipped, sizeof skipped);
        complain("warning: %s", skipped);
    }
    if (e->images == 0)
        return EXIT_SOME_FAILED;
    return e->failed || inputs_num_skipped(e->inputs) ? EXIT_SOME_FAILED : EXIT_ALL_DONE;
}

int command_eval(const struct options *options) {
    char error[512];
    struct workspace w = {0};
    struct eval e = {.progress = !options->quiet && stderr_is_terminal()};
    if (options->num_inputs != 1) {
        complain("eval needs one folder, with a folder for every class in it; see cardinal eval --help");
        return EXIT_USAGE;
    }
    enum exit_status status = EXIT_SOME_FAILED;
    if (!(e.inputs = inputs_open_labelled(options->inputs[0], error, sizeof error)))
        complain("%s", error);
    else
        status = workspace_open(&w, options, DEFAULT_BATCH);
    if (status == EXIT_ALL_DONE) {
        const int wanted = options->topk ? options->topk : 5, ranks = wanted > 5 ? wanted : 5,
                  classes = w.model.info.num_classes;
        e.num_ranks = ranks < classes ? ranks : classes;
        e.predictions = (struct report){
            .format = FORMAT_JSON,
            .model = &w.model,
            .device = w.device_info.name,
            .precision = precision_name(w.session_info.precision),
            .topk = wanted < classes ? wanted : classes,
        };
        const char *const read[] = {options->inputs[0], w.model.file, options->label_file};
        if (options->predictions && !output_spares(options->predictions, read, 3, error, sizeof error)) {
            complain("%s", error);
            status = EXIT_USAGE;
        } else if (options->predictions && !(e.predictions.file = fopen(options->predictions, "w"))) {
            complain("%s: cannot be written", options->predictions);
            status = EXIT_USAGE;
        }
    }
    if (status == EXIT_ALL_DONE)
        status = evaluate(options, &w, &e);
    if (e.predictions.file) {
        const bool damaged = ferror(e.predictions.file) != 0;
        if (fclose(e.predictions.file) != 0 || damaged) {
            complain("%s: could not be written whole; is the disk full?", options->predictions);
            status = status == EXIT_ALL_DONE ? EXIT_SOME_FAILED : status;
        }
    }
    inputs_close(&e.inputs);
    workspace_close(&w);
    return (int)status;
}
