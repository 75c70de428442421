// training.h - what the files of `cardinal train` share.
//
// pictures.c finds what is to be learned, epoch.c goes through it once, validate.c judges, keep.c writes and reads what
// stays, curves.c draws it, processes.c reaches the other processes of a training, train.c is the command.
#ifndef CARDINAL_TRAINING_H_
#define CARDINAL_TRAINING_H_

#include "app.h"
#include "cdl/cdl_train.h"
#include "eval/progress.h"
#include "inputs/folder.h"
#include "inputs/inputs.h"
#include "train/processes.h"

struct picture_set {
    struct input_item *items;
    size_t count, capacity;
    struct name_list classes; // by the folders' names
};

// The recipe, defaults filled in.
struct recipe {
    int epochs, batch, accumulate, lr_step, warmup;
    double lr, lr_gamma;
    bool cosine;
};

struct judgement { // of the validation pictures
    uint64_t images, top1, top5;
    double loss; // their mean
};

// Where a training stands: all that --resume needs beside the trainer's own state. The same in all processes.
struct standing {
    int epoch;                // that is under way or comes next, from 0
    size_t position;          // pictures of its order that are done, of this process's part
    uint64_t images, correct; // of all processes
    double loss;              // sum over `images`, of this epoch
    double best;              // top-1 of best.safetensors; below 0: there is none
    int64_t log_bytes;        // of log.jsonl
};

// Of every epoch so far: its number, then losses and shares that are right, in the order of curves.c's keys.
enum { CURVE_VALUES = 6 };
struct curves {
    double (*epochs)[CURVE_VALUES]; // [count]
    size_t count, capacity;
};

struct training {
    const struct options *options;
    struct processes processes;
    struct diagnostics diagnostics;
    struct recipe recipe;
    struct picture_set train, val;
    struct loaded_model model;
    cdl_device *device;
    struct cdl_device_info device_info;
    cdl_trainer *trainer;
    struct cdl_trainer_info info;
    struct standing at;
    struct curves curves;
    uint32_t *order; // [train.count]
    FILE *log;       // of the first process alone, as all that is written
    uint64_t broken; // pictures that could not be decoded so far
    const char *folder;
};

// ---- pictures.c

// The class folders of a folder, and their pictures. EXIT_ALL_DONE, or the exit status after a line on stderr; either
// way to be freed. like: a set whose classes these must be among, and are numbered by; NULL: none.
enum exit_status pictures_find(struct picture_set *out, const char *folder, const struct picture_set *like);
void pictures_free(struct picture_set *set);

// ---- schedule.c

struct recipe recipe_of(const struct options *options);
// Of an epoch: torchvision's StepLR or CosineAnnealingLR, behind LinearLR from a hundredth while it warms up.
double learning_rate(const struct recipe *recipe, int epoch);

// ---- epoch.c

// From t->at on to the end of its epoch, or to an interruption. EXIT_ALL_DONE, EXIT_INTERRUPTED, or what ended it.
enum exit_status epoch_run(struct training *t);
// Says on stderr that it has come to numbers that are none, and what may help.
enum exit_status training_diverged(const struct training *t);
// This process alone has failed, and said so: the others end, too.
enum exit_status training_failed(const struct training *t, enum exit_status status);

// ---- validate.c

enum exit_status validate(struct training *t, cdl_model *model, struct judgement *out);

// ---- keep.c

bool keep_open(struct training *t);  // the folder and its log; with --resume where it stood
bool keep_state(struct training *t); // last.state
bool keep_weights(struct training *t, cdl_model *model, const char *name);
// Of all processes; loss: the mean of its pictures.
// loss: of all processes.
void log_step(struct training *t, const struct cdl_train_result *result, double loss, double lr, double images_per_s);
bool keep_curves(struct training *t); // curves.svg
void log_epoch(struct training *t, double lr, const struct judgement *judgement, double seconds);
bool keep_close(struct training *t); // the log

// ---- curves.c

bool curves_add(struct curves *curves, const double values[CURVE_VALUES]); // false: no memory
void curves_read(struct curves *curves, const char *log, size_t size);     // the epochs' lines of a log
bool curves_write(const struct curves *curves, const char *path);          // false after a line on stderr
void curves_free(struct curves *curves);

#endif // CARDINAL_TRAINING_H_
