// keep.c - what a training leaves in its folder: weights, the exact state, a log and its curves. Each file but the log
// appears whole or not at all; the state is written last, and says how much of the log belongs to it.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "system/cache_folder.h"
#include "system/files.h"
#include "system/output_file.h"
#include "system/text_file.h"
#include "train/training.h"

static const char state_name[] = "last.state", log_name[] = "log.jsonl";
enum { MAX_NOTE = 1024, MAX_LOG = 1 << 30 };

// Fills `path` with the file's in the training's folder.
static bool path_of(const struct training *t, const char *name, char *path, size_t size) {
    const int length = snprintf(path, size, "%s/%s", t->folder, name);
    if (length >= 0 && (size_t)length < size)
        return true;
    complain("--out %s: the path is too long", t->folder);
    return false;
}

// ---- the state

static const char note_format[] =
    "processes %d accumulate %d pictures %zu batch %d seed %d shuffled %d epoch %d position %zu images %" SCNu64
    " correct %" SCNu64 " loss %lf best %lf log %" SCNd64;

bool keep_state(struct training *t) {
    char path[4096], note[MAX_NOTE];
    const struct standing *s = &t->at;
    if (!path_of(t, state_name, path, sizeof path))
        return false;
    fflush(t->log);
    snprintf(
        note, sizeof note,
        "processes %d accumulate %d pictures %zu batch %d seed %d shuffled %d epoch %d position %zu images %" PRIu64
        " correct %" PRIu64 " loss %.17g best %.17g log %" PRId64,
        t->processes.count, t->recipe.accumulate, t->train.count, t->recipe.batch, t->options->seed,
        !t->options->no_shuffle, s->epoch, s->position, s->images, s->correct, s->loss, s->best,
        (int64_t)ftell(t->log));
    return cdl_trainer_save_state(t->trainer, path, note) == CDL_OK;
}

// Goes on from last.state; false after a line on stderr.
static bool resume(struct training *t) {
    char path[4096], note[MAX_NOTE];
    struct standing *s = &t->at;
    size_t pictures;
    int processes, accumulate, batch, seed, shuffled;
    if (!path_of(t, state_name, path, sizeof path) ||
        cdl_trainer_load_state(t->trainer, path, note, sizeof note) != CDL_OK)
        return false;
    if (sscanf(note, note_format, &processes, &accumulate, &pictures, &batch, &seed, &shuffled, &s->epoch, &s->position,
               &s->images, &s->correct, &s->loss, &s->best, &s->log_bytes) != 13) {
        complain("%s: was written by another program or version; begin anew", path);
        return false;
    }
    if (processes != t->processes.count) {
        complain("%s: began with %d process%s; resume with as many, as mpirun -n %d starts them", path, processes,
                 processes == 1 ? "" : "es", processes);
        return false;
    }
    if (accumulate != t->recipe.accumulate || pictures != t->train.count || batch != t->recipe.batch ||
        seed != t->options->seed || shuffled == t->options->no_shuffle) {
        complain("%s: began with %zu pictures, --batch %d, --accumulate %d, --seed %d%s; resume with the same", path,
                 pictures, batch, accumulate, seed, shuffled ? "" : ", --no-shuffle");
        return false;
    }
    return true;
}

// ---- the log

// What the log holds beyond the state is of steps that will run again.
static bool cut_log(struct training *t, const char *path) {
    char why[256];
    size_t size;
    if (!file_readable(path))
        return true;
    char *text = read_text_file(path, MAX_LOG, &size, why, sizeof why);
    bool ok = text != NULL;
    if (!ok)
        complain("%s: %s", path, why);
    else
        curves_read(&t->curves, text, size < (size_t)t->at.log_bytes ? size : (size_t)t->at.log_bytes);
    if (ok && size > (size_t)t->at.log_bytes &&
        !output_file_write(path, text, (size_t)t->at.log_bytes, why, sizeof why)) {
        complain("%s", why);
        ok = false;
    }
    free(text);
    return ok;
}

bool keep_open(struct training *t) {
    char state[4096], path[4096];
    struct file_status status;
    t->at.best = -1;
    if (!path_of(t, state_name, state, sizeof state) || !path_of(t, log_name, path, sizeof path))
        return false;
    const bool there = get_file_status(state, &status);
    if (there && !t->options->resume_training) {
        complain("--out %s: holds a training already; --resume goes on with it, or name another folder", t->folder);
        return false;
    }
    if (!make_output_folders(t->folder)) {
        complain("--out %s: the folder cannot be made (%s)", t->folder, strerror(errno));
        return false;
    }
    if (t->options->resume_training && !there)
        complain("warning: %s: is not there, so the training begins anew", state);
    if (there && !resume(t))
        return false;
    if (there ? !cut_log(t, path) : (remove(path) != 0 && errno != ENOENT)) {
        if (!there)
            complain("%s: cannot be removed (%s)", path, strerror(errno));
        return false;
    }
    t->log = fopen(path, "ab");
    if (!t->log || fseek(t->log, 0, SEEK_END) != 0) {
        complain("%s: cannot be written (%s)", path, strerror(errno));
        return false;
    }
    return true;
}

static void write_line(struct training *t, json_t *line) {
    json_dumpf(line, t->log, JSON_COMPACT | JSON_REAL_PRECISION(9));
    fputc('\n', t->log);
    fflush(t->log);
    json_decref(line);
}

void log_step(struct training *t, const struct cdl_train_result *result, double loss, double lr, double images_per_s) {
    if (!t->log || !t->options->log_every || result->step % (uint64_t)t->options->log_every)
        return;
    json_t *line = json_pack("{s:i, s:I, s:f, s:f, s:f}", "epoch", t->at.epoch + 1, "step", (json_int_t)result->step,
                             "loss", loss, "lr", lr, "images_per_s", images_per_s);
    if (t->options->precision == CDL_PRECISION_FP16) {
        json_object_set_new(line, "loss_scale", json_real((double)result->loss_scale));
        json_object_set_new(line, "skipped_steps", json_integer((json_int_t)result->skipped_steps));
    }
    write_line(t, line);
}

void log_epoch(struct training *t, double lr, const struct judgement *j, double seconds) {
    const double images = t->at.images ? (double)t->at.images : 1, judged = j->images ? (double)j->images : 1;
    const double values[CURVE_VALUES] = {
        t->at.epoch + 1,          t->at.loss / images,     j->loss, (double)t->at.correct / images,
        (double)j->top1 / judged, (double)j->top5 / judged};
    if (!curves_add(&t->curves, values))
        complain("warning: out of memory; the curves lack epoch %d", t->at.epoch + 1);
    cdl_trainer_get_info(t->trainer, &t->info);
    write_line(t, json_pack("{s:i, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "epoch", t->at.epoch + 1, "step",
                            (json_int_t)t->info.step, "train_loss", t->at.loss / images, "train_top1",
                            (double)t->at.correct / images, "val_loss", j->loss, "val_top1", (double)j->top1 / judged,
                            "val_top5", (double)j->top5 / judged, "lr", lr, "seconds", seconds));
    if (t->options->quiet)
        return;
    fprintf(stderr,
            "epoch %d of %d: loss %.4f, top-1 %.2f %%; validation: loss %.4f, top-1 %.2f %%, top-5 %.2f %%; %.1f s\n",
            t->at.epoch + 1, t->recipe.epochs, t->at.loss / images, 100 * (double)t->at.correct / images, j->loss,
            100 * (double)j->top1 / judged, 100 * (double)j->top5 / judged, seconds);
}

bool keep_close(struct training *t) {
    const bool failed = t->log && ferror(t->log), unwritten = t->log && fclose(t->log) != 0;
    if (failed || unwritten)
        complain("%s/%s: could not be written; is the disk full?", t->folder, log_name);
    t->log = NULL;
    return !failed && !unwritten;
}

bool keep_curves(struct training *t) {
    char path[4096];
    return path_of(t, "curves.svg", path, sizeof path) && curves_write(&t->curves, path);
}

// ---- weights

bool keep_weights(struct training *t, cdl_model *model, const char *name) {
    char path[4096];
    const cdl_log log = diagnostics_log(&t->diagnostics);
    return path_of(t, name, path, sizeof path) && cdl_model_save(model, path, CDL_DTYPE_F32, &log) == CDL_OK;
}
