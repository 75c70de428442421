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
    size_t places;                      // of this process's part of the epoch's order
    size_t first;                       // of these, where the pool began
    double lr;
    struct progress progress;
    uint64_t images_before; // of this epoch, when it was resumed
    double began;
};

// The picture at a place of this process's part: torch's DistributedSampler deals the order out one by one, and begins
// it again where the last round would not go round.
static uint32_t picture_at(const struct training *t, size_t place) {
    const struct processes *p = &t->processes;
    return t->order[(place * (size_t)p->count + (size_t)p->rank) % t->train.count];
}

// Decodes the places of the next batch. What cannot be decoded is told, and left out. false: the pool has ended early.
static bool gather(struct epoch *e) {
    struct training *t = e->t;
    const size_t left = e->places - t->at.position, batch = (size_t)t->recipe.batch;
    const size_t end = t->at.position + (left < batch ? left : batch);
    struct decoded d;
    e->count = 0;
    while (t->at.position < end) {
        if (!decode_pool_next(e->pool, &d))
            return false;
        const uint32_t index = picture_at(t, t->at.position++);
        if (!d.ok) {
            progress_clear(&e->progress);
            complain("%s; it is left out", d.error);
            t->broken++;
            decoded_free(&d);
            continue;
        }
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
    return true;
}

static void drop(struct epoch *e) {
    for (int i = 0; i < e->count; i++)
        decoded_free(&e->batch[i]);
    e->count = 0;
}

enum exit_status training_diverged(const struct training *t) {
    if (t->processes.rank == 0)
        complain("training has diverged in epoch %d: the loss, a gradient or a weight is no number. A lower --lr than "
                 "%g may help; %s keeps what it had before this epoch",
                 t->at.epoch + 1, t->recipe.lr, t->folder);
    return EXIT_SOME_FAILED;
}

enum exit_status training_failed(const struct training *t, enum exit_status status) {
    if (status != EXIT_ALL_DONE)
        processes_abort(&t->processes, (int)status);
    return status;
}

// Takes the results of all steps but the last `behind`, of all processes.
static enum exit_status take_results(struct epoch *e, uint64_t steps, uint64_t behind) {
    struct training *t = e->t;
    struct cdl_train_result result = {0};
    while (result.step + behind < steps) {
        const cdl_result r = cdl_trainer_result(t->trainer, true, &result);
        if (r == CDL_NOT_READY)
            return EXIT_ALL_DONE;
        if (r != CDL_OK)
            return training_failed(t, status_of(r));
        double all[] = {result.images, result.correct, (double)result.loss * result.images};
        processes_sum(&t->processes, all, 3);
        t->at.images += (uint64_t)all[0];
        t->at.correct += (uint64_t)all[1];
        t->at.loss += all[2];
        const double seconds = (now_ms() - e->began) / 1e3, loss = all[2] / all[0];
        const double rate = seconds > 0 ? (double)(t->at.images - e->images_before) / seconds : 0;
        // Mixed precision may skip a step now and then; not without a scale that had to come down.
        if (!isfinite(loss) || (result.skipped && result.loss_scale <= 1)) {
            progress_clear(&e->progress);
            return training_diverged(t);
        }
        log_step(t, &result, loss, e->lr, rate);
        char text[96];
        snprintf(text, sizeof text, ", epoch %d of %d, loss %.3f, top-1 %.1f %%", t->at.epoch + 1, t->recipe.epochs,
                 t->at.loss / (double)t->at.images, 100 * (double)t->at.correct / (double)t->at.images);
        progress_show(&e->progress, t->at.position * (size_t)t->processes.count, text, false);
    }
    return EXIT_ALL_DONE;
}

// One step from as many batches as it takes. A process whose pictures all were broken takes part with none: the others
// would wait for it. *steps: the number of steps so far; *stop: in one of the processes it was asked to stop.
static enum exit_status make_step(struct epoch *e, uint64_t *steps, bool *stop) {
    struct training *t = e->t;
    double images = 0;
    cdl_result r = CDL_OK;
    for (int part = 1; r == CDL_OK; part++) {
        if (!gather(e)) {
            complain("pictures cannot be read any more");
            return training_failed(t, EXIT_SOME_FAILED);
        }
        images += e->count;
        if (part == t->recipe.accumulate || t->at.position == e->places)
            break;
        if (e->count)
            r = cdl_trainer_accumulate(t->trainer, e->pictures, e->count, t->at.epoch);
        drop(e);
    }
    if (r != CDL_OK)
        return training_failed(t, status_of(r));
    double all[] = {images, interrupted()};
    processes_sum(&t->processes, all, 2);
    *stop = all[1] > 0;
    if (all[0] > 0) {
        t->processes.share = images / all[0];
        r = cdl_trainer_step(t->trainer, e->pictures, e->count, t->at.epoch, (float)e->lr);
        ++*steps;
    }
    drop(e);
    return training_failed(t, status_of(r));
}

static enum exit_status run(struct epoch *e) {
    struct training *t = e->t;
    struct cdl_trainer_info info;
    cdl_trainer_get_info(t->trainer, &info);
    uint64_t steps = info.step;
    enum exit_status status = EXIT_ALL_DONE;
    for (bool stop = false; status == EXIT_ALL_DONE && !stop && t->at.position < e->places;) {
        status = make_step(e, &steps, &stop);
        if (status == EXIT_ALL_DONE)
            status = take_results(e, steps, 1);
    }
    if (status == EXIT_ALL_DONE)
        status = take_results(e, steps, 0);
    const bool whole = t->at.position == e->places;
    if (status == EXIT_ALL_DONE && t->at.images == 0 && whole) {
        if (t->processes.rank == 0)
            complain("not one picture could be decoded");
        status = EXIT_SOME_FAILED;
    }
    return status == EXIT_ALL_DONE && !whole ? (enum exit_status)EXIT_INTERRUPTED : status;
}

enum exit_status epoch_run(struct training *t) {
    const size_t processes = (size_t)t->processes.count;
    struct epoch e = {.t = t, .first = t->at.position, .lr = learning_rate(&t->recipe, t->at.epoch)};
    e.places = (t->train.count + processes - 1) / processes;
    const size_t left = e.places - e.first;
    const struct input_item **items = calloc(left + 1, sizeof *items);
    e.batch = calloc((size_t)t->recipe.batch, sizeof *e.batch);
    e.pictures = calloc((size_t)t->recipe.batch, sizeof *e.pictures);
    cdl_train_order((uint64_t)t->options->seed, t->at.epoch, (uint32_t)t->train.count, t->order);
    for (size_t i = 0; t->options->no_shuffle && i < t->train.count; i++)
        t->order[i] = (uint32_t)i;
    for (size_t i = 0; items && i < left; i++)
        items[i] = &t->train.items[picture_at(t, e.first + i)];
    struct input_stream *stream = items ? inputs_open_items(items, left) : NULL;
    if (stream)
        e.pool = decode_pool_create(
            stream, &(struct decode_pool_params){.threads = t->options->threads, .max_pictures = 2 * t->recipe.batch});
    enum exit_status status = EXIT_SOME_FAILED;
    progress_begin(&e.progress, e.places * processes, e.first * processes, t->options->quiet || t->processes.rank);
    e.images_before = t->at.images;
    e.began = now_ms();
    if (e.pool && e.batch && e.pictures) {
        status = run(&e);
    } else {
        complain("out of memory");
        training_failed(t, status);
    }
    progress_clear(&e.progress);
    drop(&e);
    decode_pool_destroy(&e.pool);
    inputs_close(&stream);
    free(items);
    free(e.batch);
    free(e.pictures);
    return status;
}
