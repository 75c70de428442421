// training.h - what the files of `cardinal train` share.
//
// pictures.c finds what is to be learned, epoch.c goes through it once, validate.c judges, keep.c writes and reads what
// stays, train.c is the command.
#ifndef CARDINAL_TRAINING_H_
#define CARDINAL_TRAINING_H_

#include "app.h"
#include "cdl/cdl_train.h"
#include "eval/progress.h"
#include "inputs/folder.h"
#include "inputs/inputs.h"

struct picture_set {
    struct input_item *items;
    size_t count, capacity;
    struct name_list classes; // by the folders' names
};

// The recipe, defaults filled in.
struct recipe {
    int epochs, batch, lr_step, warmup;
    double lr, lr_gamma;
    bool cosine;
};

struct judgement { // of the validation pictures
    uint64_t images, top1, top5;
    double loss; // their mean
};

// Where a training stands: all that --resume needs beside the trainer's own state.
struct standing {
    int epoch;       // that is under way or comes next, from 0
    size_t position; // pictures of its order that are done
    uint64_t images, correct;
    double loss;       // sum over `images`, of this epoch
    double best;       // top-1 of best.safetensors; below 0: there is none
    int64_t log_bytes; // of log.jsonl
};

struct training {
    const struct options *options;
    struct diagnostics diagnostics;
    struct recipe recipe;
    struct picture_set train, val;
    struct loaded_model model;
    cdl_device *device;
    struct cdl_device_info device_info;
    cdl_trainer *trainer;
    struct cdl_trainer_info info;
    struct standing at;
    uint32_t *order; // [train.count]
    FILE *log;
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

// ---- validate.c

enum exit_status validate(struct training *t, cdl_model *model, struct judgement *out);

// ---- keep.c

bool keep_open(struct training *t);  // the folder and its log; with --resume where it stood
bool keep_state(struct training *t); // last.state
bool keep_weights(struct training *t, cdl_model *model, const char *name);
void log_step(struct training *t, const struct cdl_train_result *result, double lr, double images_per_s);
void log_epoch(struct training *t, double lr, const struct judgement *judgement, double seconds);
bool keep_close(struct training *t); // the log

#endif // CARDINAL_TRAINING_H_
