// epoch.c - one pass over the pictures: decoded ahead by a pool, a batch at a time to the trainer, results a step late.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inputs/decode_pool.h"
#include "system/interrupt.h"
#include "train/training.h"

struct epoch {
    struct training *t;
    struct decode_pool *pool;
    struct decoded *batch;              // [recipe.batch]
    struct cdl_train_picture *pictures; // [recipe.batch]
    int count;                          // of the batch
    size_t first;                       // place in the order at which the pool began
    double lr;
    struct progress progress;
    uint64_t images_before; // of this epoch, when it was resumed
    double began;
};

// Decoded pictures up to a batch. What cannot be decoded is told, and left out.
static void gather(struct epoch *e) {
    struct training *t = e->t;
    struct decoded d;
    e->count = 0;
    while (e->count < t->recipe.batch && decode_pool_next(e->pool, &d)) {
        const size_t place = e->first + (size_t)d.index;
        t->at.position = place + 1;
        if (!d.ok) {
            progress_clear(&e->progress);
            complain("%s; it is left out", d.error);
            t->broken++;
            decoded_free(&d);
            continue;
        }
        const uint32_t index = t->order[place];
        e->pictures[e->count] = (struct cdl_train_picture){
            .pixels = {.data = d.picture.rgba,
                       .width = d.picture.width,
                       .height = d.picture.height,
                       .format = CDL_FORMAT_RGBA8,
                       .orientation = t->options->exif == EXIF_ON ? d.picture.orientation : 1},
            .label = t->train.items[index].class_index,
            .index = index,
        };
        e->batch[e->count++] = d;
    }
}

static void drop(struct epoch *e) {
    for (int i = 0; i < e->count; i++)
        decoded_free(&e->batch[i]);
    e->count = 0;
}

enum exit_status training_diverged(const struct training *t) {
    complain(
        "training has diverged in epoch %d: the loss, a gradient or a weight is no number. A lower --lr than %g may "
        "help; %s keeps what it had before this epoch",
        t->at.epoch + 1, t->recipe.lr, t->folder);
    return EXIT_SOME_FAILED;
}

// Takes the results of all steps but the last `behind`.
static enum exit_status take_results(struct epoch *e, uint64_t steps, uint64_t behind) {
    struct training *t = e->t;
    struct cdl_train_result result = {0};
    while (result.step + behind < steps) {
        const cdl_result r = cdl_trainer_result(t->trainer, true, &result);
        if (r == CDL_NOT_READY)
            return EXIT_ALL_DONE;
        if (r != CDL_OK)
            return status_of(r);
        t->at.images += (uint64_t)result.images;
        t->at.correct += (uint64_t)result.correct;
        t->at.loss += (double)result.loss * result.images;
        const double seconds = (now_ms() - e->began) / 1e3;
        const double rate = seconds > 0 ? (double)(t->at.images - e->images_before) / seconds : 0;
        // Mixed precision may skip a step now and then; not without a scale that had to come down.
        if (!isfinite(result.loss) || (result.skipped && result.loss_scale <= 1)) {
            progress_clear(&e->progress);
            return training_diverged(t);
        }
        log_step(t, &result, e->lr, rate);
        char text[96];
        snprintf(text, sizeof text, ", epoch %d of %d, loss %.3f, top-1 %.1f %%", t->at.epoch + 1, t->recipe.epochs,
                 t->at.loss / (double)t->at.images, 100 * (double)t->at.correct / (double)t->at.images);
        progress_show(&e->progress, t->at.position, text, false);
    }
    return EXIT_ALL_DONE;
}

static enum exit_status run(struct epoch *e) {
    struct training *t = e->t;
    struct cdl_trainer_info info;
    cdl_trainer_get_info(t->trainer, &info);
    uint64_t steps = info.step;
    enum exit_status status = EXIT_ALL_DONE;
    while (status == EXIT_ALL_DONE && !interrupted()) {
        gather(e);
        if (e->count == 0)
            break;
        const cdl_result r = cdl_trainer_step(t->trainer, e->pictures, e->count, t->at.epoch, (float)e->lr);
        drop(e);
        status = status_of(r);
        if (r == CDL_OK)
            status = take_results(e, ++steps, 1);
    }
    if (status == EXIT_ALL_DONE)
        status = take_results(e, steps, 0);
    if (status == EXIT_ALL_DONE && t->at.images == 0 && t->at.position == t->train.count) {
        complain("not one picture could be decoded");
        status = EXIT_SOME_FAILED;
    }
    const bool whole = t->at.position == t->train.count;
    return status == EXIT_ALL_DONE && !whole ? (enum exit_status)EXIT_INTERRUPTED : status;
}

enum exit_status epoch_run(struct training *t) {
    struct epoch e = {.t = t, .first = t->at.position, .lr = learning_rate(&t->recipe, t->at.epoch)};
    const size_t left = t->train.count - e.first;
    const struct input_item **items = calloc(left + 1, sizeof *items);
    e.batch = calloc((size_t)t->recipe.batch, sizeof *e.batch);
    e.pictures = calloc((size_t)t->recipe.batch, sizeof *e.pictures);
    cdl_train_order((uint64_t)t->options->seed, t->at.epoch, (uint32_t)t->train.count, t->order);
    for (size_t i = 0; t->options->no_shuffle && i < t->train.count; i++)
        t->order[i] = (uint32_t)i;
    for (size_t i = 0; items && i < left; i++)
        items[i] = &t->train.items[t->order[e.first + i]];
    struct input_stream *stream = items ? inputs_open_items(items, left) : NULL;
    if (stream)
        e.pool = decode_pool_create(
            stream, &(struct decode_pool_params){.threads = t->options->threads, .max_pictures = 2 * t->recipe.batch});
    enum exit_status status = EXIT_SOME_FAILED;
    progress_begin(&e.progress, t->train.count, e.first, t->options->quiet);
    e.images_before = t->at.images;
    e.began = now_ms();
    if (e.pool && e.batch && e.pictures)
        status = run(&e);
    else
        complain("out of memory");
    progress_clear(&e.progress);
    drop(&e);
    decode_pool_destroy(&e.pool);
    inputs_close(&stream);
    free(items);
    free(e.batch);
    free(e.pictures);
    return status;
}
