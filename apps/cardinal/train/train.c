// train.c - cardinal train: learn to classify, or to classify other things, from folders of pictures.
#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "system/interrupt.h"
#include "train/training.h"

enum { EMA_STEPS = 32 };   // torchvision's --model-ema-steps
enum { SMALL_INPUT = 64 }; // pixels: up to here pictures are shifted rather than cropped

static bool check_options(const struct options *o) {
    if (o->num_inputs != 2) {
        complain(
            "train needs two folders, TRAIN and VAL, with a folder for every class in each; see cardinal train --help");
        return false;
    }
    return true;
}

// ImageNet's folders are called by WordNet ids, of which a model's own labels say more.
static bool are_ids(const struct name_list *names) {
    for (size_t i = 0; i < names->count; i++) {
        const char *n = names->names[i];
        if (strlen(n) != 9 || n[0] != 'n' || strspn(n + 1, "0123456789") != 8)
            return false;
    }
    return true;
}

// As the trainer takes them: 0 is its own default, below 0 none.
static float rate_of(const struct decimal *given) {
    return !given->given ? 0 : given->value > 0 ? (float)given->value : -1;
}

// torchvision's references/classification/train.py: the decay is that of an average over a training, however many steps
// one has.
static float decay_of_averages(const struct training *t) {
    const struct decimal *ema = &t->options->ema;
    const double share = (1 - ema->value) * t->recipe.batch * EMA_STEPS / t->recipe.epochs;
    if (!ema->given || ema->value >= 1)
        return 0;
    return share < 1 ? (float)(1 - share) : FLT_MIN; // which takes all of the weights
}

static enum exit_status open_trainer(struct training *t) {
    const struct options *o = t->options;
    const struct cdl_model_info *m = &t->model.info;
    const int classes = (int)t->train.classes.count;
    const bool keep_labels = m->num_labels == classes && classes == m->num_classes && are_ids(&t->train.classes);
    const int width = o->width ? o->width : m->input_width;
    const cdl_augment standard = width <= SMALL_INPUT ? CDL_AUGMENT_SMALL : CDL_AUGMENT_IMAGENET;
    const cdl_result r = cdl_trainer_create(
        &t->trainer, t->device, t->model.model,
        cdl_trainer_params(.batch = t->recipe.batch, .width = o->width, .height = o->height,
                           .augment = o->augment ? (cdl_augment)(o->augment - 1) : standard, .seed = (uint64_t)o->seed,
                           .momentum = rate_of(&o->momentum), .weight_decay = rate_of(&o->weight_decay),
                           .norm_weight_decay = rate_of(&o->norm_weight_decay),
                           .label_smoothing = (float)o->label_smoothing.value, .freeze = o->freeze,
                           .precision = o->precision, .clip_grad_norm = (float)o->clip_grad_norm.value,
                           .ema_decay = decay_of_averages(t), .ema_steps = EMA_STEPS, .ema_warmup = t->recipe.warmup,
                           .recompute = o->checkpoint_stages, .num_classes = classes,
                           .labels = keep_labels ? NULL : (const char *const *)t->train.classes.names,
                           .initialise = o->arch != NULL));
    if (r != CDL_OK)
        return status_of(r);
    cdl_trainer_get_info(t->trainer, &t->info);
    if (!o->quiet)
        fprintf(
            stderr,
            "%s (%d classes, input %dx%d, %llu of %llu parameters learn) on %s%s\n%zu pictures to learn from, %zu to "
            "judge by; %.0f MB of device memory\n",
            t->model.name, classes, t->info.height, t->info.width, (unsigned long long)t->info.num_trainable,
            (unsigned long long)t->info.num_parameters, t->device_info.name,
            t->device_info.software ? ", a CPU driver: no GPU is used" : "", t->train.count, t->val.count,
            (double)(t->info.parameter_bytes + t->info.activation_bytes + t->info.staging_bytes) / (1 << 20));
    return EXIT_ALL_DONE;
}

static enum exit_status open_all(struct training *t) {
    const struct options *o = t->options;
    enum exit_status status = pictures_find(&t->train, o->inputs[0], NULL);
    if (status == EXIT_ALL_DONE)
        status = pictures_find(&t->val, o->inputs[1], &t->train);
    if (status == EXIT_ALL_DONE)
        status = open_model(&t->model, o, &t->diagnostics);
    if (status == EXIT_ALL_DONE)
        status = open_device(&t->device, o, &t->diagnostics);
    if (status != EXIT_ALL_DONE)
        return status;
    cdl_device_get_info(t->device, &t->device_info);
    if (!(t->order = calloc(t->train.count, sizeof *t->order))) {
        complain("out of memory");
        return EXIT_SOME_FAILED;
    }
    status = open_trainer(t);
    return status == EXIT_ALL_DONE && !keep_open(t) ? EXIT_USAGE : status;
}

// Judges an epoch that was gone through, and keeps what it gave.
static enum exit_status finish_epoch(struct training *t, double began) {
    cdl_model *model = NULL;
    struct judgement j = {0};
    char refused[512] = "";
    t->diagnostics.captured = refused; // weights that are no numbers make no model
    t->diagnostics.captured_size = sizeof refused;
    const cdl_result r = cdl_trainer_model(t->trainer, &model);
    t->diagnostics.captured = NULL;
    if (r != CDL_OK && r != CDL_ERR_FORMAT)
        complain("%s", refused);
    enum exit_status status = r == CDL_OK           ? validate(t, model, &j)
                              : r == CDL_ERR_FORMAT ? training_diverged(t)
                                                    : status_of(r);
    if (status == EXIT_ALL_DONE && interrupted()) // half a judgement is none: it is made again
        status = (enum exit_status)EXIT_INTERRUPTED;
    if (status == EXIT_ALL_DONE) {
        const double top1 = j.images ? (double)j.top1 / (double)j.images : 0;
        const bool better = top1 > t->at.best;
        bool ok = keep_weights(t, model, "last.safetensors") && (!better || keep_weights(t, model, "best.safetensors"));
        log_epoch(t, learning_rate(&t->recipe, t->at.epoch), &j, (now_ms() - began) / 1e3);
        t->at = (struct standing){.epoch = t->at.epoch + 1, .best = better ? top1 : t->at.best};
        ok = ok && keep_state(t);
        status = ok ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
    }
    cdl_model_destroy(&model);
    return status;
}

static enum exit_status run(struct training *t) {
    enum exit_status status = EXIT_ALL_DONE;
    interrupt_catch();
    while (status == EXIT_ALL_DONE && t->at.epoch < t->recipe.epochs) {
        const double began = now_ms();
        status = epoch_run(t);
        if (status == EXIT_ALL_DONE)
            status = finish_epoch(t, began);
    }
    if ((int)status == EXIT_INTERRUPTED) {
        if (!keep_state(t))
            return EXIT_SOME_FAILED;
        complain("interrupted in epoch %d; the same command with --resume goes on from here", t->at.epoch + 1);
    }
    if (status == EXIT_ALL_DONE && !t->options->quiet)
        fprintf(stderr, "%s/best.safetensors is right on %.2f %% of the validation pictures\n", t->folder,
                100 * t->at.best);
    return status == EXIT_ALL_DONE && t->broken ? EXIT_SOME_FAILED : status;
}

int command_train(const struct options *options) {
    struct training t = {
        .options = options,
        .diagnostics.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN,
        .recipe = recipe_of(options),
        .folder = options->out ? options->out : "trained",
    };
    if (!check_options(options))
        return EXIT_USAGE;
    enum exit_status status = open_all(&t);
    if (status == EXIT_ALL_DONE)
        status = run(&t);
    if (!keep_close(&t) && status == EXIT_ALL_DONE)
        status = EXIT_SOME_FAILED;
    cdl_trainer_destroy(&t.trainer);
    cdl_device_destroy(&t.device);
    cdl_model_destroy(&t.model.model);
    free(t.order);
    pictures_free(&t.train);
    pictures_free(&t.val);
    return (int)status;
}
