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
    const double step = (double)t->recipe.batch * t->recipe.accumulate * t->processes.count;
    const double share = (1 - ema->value) * step * EMA_STEPS / t->recipe.epochs;
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
                           .precision = o->precision, .tune = o->tune, .clip_grad_norm = (float)o->clip_grad_norm.value,
                           .ema_decay = decay_of_averages(t), .ema_steps = EMA_STEPS, .ema_warmup = t->recipe.warmup,
                           .recompute = o->checkpoint_stages, .num_classes = classes,
                           .labels = keep_labels ? NULL : (const char *const *)t->train.classes.names,
                           .brightness = (float)o->brightness.value, .contrast = (float)o->contrast.value,
                           .saturation = (float)o->saturation.value, .mixup = (float)o->mixup.value,
                           .initialise = o->arch != NULL, .accumulate = t->recipe.accumulate > 1,
                           .exchange = t->processes.count > 1 ? &t->processes.exchange : NULL));
    if (r == CDL_OK)
        cdl_trainer_get_info(t->trainer, &t->info);
    return status_of(r);
}

// Each process of a machine takes a GPU of its own, as far as there are any; what the user names holds for all.
static const char *choose_device(const struct training *t, char text[16]) {
    enum { MOST = 64 };
    const struct options *o = t->options;
    if (o->device || getenv("CARDINAL_DEVICE") || t->processes.count == 1)
        return o->device;
    struct cdl_device_info *list = calloc(MOST, sizeof *list);
    int count = 0, gpus = 0, order[MOST];
    if (list)
        (void)cdl_device_list(list, MOST, &count, NULL);
    for (int i = 0; i < count && i < MOST; i++)
        if (!list[i].software && !list[i].unusable[0])
            order[gpus++] = i;
    free(list);
    if (gpus == 0)
        return NULL;
    snprintf(text, 16, "%d", order[t->processes.local_rank % gpus]);
    return text;
}

static void tell_what_trains(const struct training *t) {
    const int processes = t->processes.count, batch = t->recipe.batch * t->recipe.accumulate;
    fprintf(stderr,
            "%s (%d classes, input %dx%d, %llu of %llu parameters learn) on %s%s\n%zu pictures to learn from, %zu to "
            "judge by; %.0f MB of device memory\n",
            t->model.name, (int)t->train.classes.count, t->info.height, t->info.width,
            (unsigned long long)t->info.num_trainable, (unsigned long long)t->info.num_parameters, t->device_info.name,
            t->device_info.software ? ", a CPU driver: no GPU is used" : "", t->train.count, t->val.count,
            (double)(t->info.parameter_bytes + t->info.activation_bytes + t->info.staging_bytes) / (1 << 20));
    if (processes > 1)
        fprintf(stderr, "%d processes, %d on this machine; a step is %d pictures of each, %d in all\n", processes,
                t->processes.local_count, batch, processes * batch);
}

// Says where processes of this machine have the same device. Called by all.
static void tell_shared_devices(const struct training *t) {
    struct cdl_device_info first = t->device_info;
    processes_from_first(&t->processes, first.uuid, sizeof first.uuid);
    double same[] = {!strcmp(first.uuid, t->device_info.uuid)}; // a GPU's UUID is its own on any machine
    processes_sum(&t->processes, same, 1);
    if (t->processes.rank == 0 && same[0] > 1 && !t->options->quiet)
        fprintf(stderr, "%d processes share %s, which is no faster than one\n", (int)same[0], t->device_info.name);
}

static enum exit_status open_all(struct training *t) {
    struct options own = *t->options;
    char number[16];
    enum exit_status status = pictures_find(&t->train, own.inputs[0], NULL);
    if (status == EXIT_ALL_DONE)
        status = pictures_find(&t->val, own.inputs[1], &t->train);
    if (status == EXIT_ALL_DONE)
        status = open_model(&t->model, &own, &t->diagnostics);
    own.device = choose_device(t, number);
    if (status == EXIT_ALL_DONE)
        status = open_device(&t->device, &own, &t->diagnostics);
    if (status != EXIT_ALL_DONE)
        return status;
    cdl_device_get_info(t->device, &t->device_info);
    if (!(t->order = calloc(t->train.count, sizeof *t->order))) {
        complain("out of memory");
        return EXIT_SOME_FAILED;
    }
    status = open_trainer(t);
    if (status != EXIT_ALL_DONE || t->processes.rank > 0)
        return status;
    if (!t->options->quiet)
        tell_what_trains(t);
    return keep_open(t) ? EXIT_ALL_DONE : EXIT_USAGE;
}

// The first process in front: a mistake is told once, and the others find kernels that the driver has compiled.
static enum exit_status open_together(struct training *t) {
    const struct processes *p = &t->processes;
    enum exit_status status = p->rank == 0 ? open_all(t) : EXIT_ALL_DONE;
    processes_from_first(p, &status, sizeof status);
    if (status != EXIT_ALL_DONE || p->count == 1)
        return status;
    if (p->rank > 0)
        status = training_failed(t, open_all(t));
    size_t pictures = t->train.count;
    processes_from_first(p, &pictures, sizeof pictures);
    if (status == EXIT_ALL_DONE && pictures != t->train.count) {
        complain("%s: holds %zu pictures for process %d and %zu for the first; all need the same folders",
                 t->options->inputs[0], t->train.count, p->rank, pictures);
        status = training_failed(t, EXIT_USAGE);
    }
    tell_shared_devices(t);
    processes_from_first(p, &t->at, sizeof t->at);
    if (status == EXIT_ALL_DONE)
        status = training_failed(t, status_of(cdl_trainer_align(t->trainer)));
    return status;
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
        ok = ok && keep_curves(t) && keep_state(t);
        status = ok ? EXIT_ALL_DONE : EXIT_SOME_FAILED;
    }
    cdl_model_destroy(&model);
    return status;
}

static enum exit_status run(struct training *t) {
    const struct processes *p = &t->processes;
    enum exit_status status = EXIT_ALL_DONE;
    interrupt_catch();
    if (p->count > 1) // mpirun passes on SIGUSR1, and ends its processes by SIGTERM
        interrupt_catch_ends();
    while (status == EXIT_ALL_DONE && t->at.epoch < t->recipe.epochs) {
        const double began = now_ms();
        status = epoch_run(t);
        if (status == EXIT_ALL_DONE && p->rank == 0)
            status = finish_epoch(t, began);
        processes_from_first(p, &status, sizeof status);
        processes_from_first(p, &t->at, sizeof t->at);
    }
    if ((int)status == EXIT_INTERRUPTED && p->rank == 0) {
        if (!keep_state(t))
            return training_failed(t, EXIT_SOME_FAILED);
        complain("interrupted in epoch %d; the same command with --resume goes on from here", t->at.epoch + 1);
    }
    if (status == EXIT_ALL_DONE && !t->options->quiet && p->rank == 0)
        fprintf(stderr, "%s/best.safetensors is right on %.2f %% of the validation pictures\n", t->folder,
                100 * t->at.best);
    double broken[] = {(double)t->broken};
    processes_sum(p, broken, 1);
    return status == EXIT_ALL_DONE && broken[0] > 0 ? EXIT_SOME_FAILED : status;
}

int command_train(const struct options *options) {
    struct training t = {
        .options = options,
        .diagnostics.level = options->verbose ? CDL_LOG_DEBUG : CDL_LOG_WARN,
        .recipe = recipe_of(options),
        .folder = options->out ? options->out : "trained",
    };
    if (!check_options(options) || !processes_open(&t.processes))
        return EXIT_USAGE;
    enum exit_status status = open_together(&t);
    if (status == EXIT_ALL_DONE)
        status = run(&t);
    if (!keep_close(&t) && status == EXIT_ALL_DONE)
        status = EXIT_SOME_FAILED;
    cdl_trainer_destroy(&t.trainer);
    cdl_device_destroy(&t.device);
    cdl_model_destroy(&t.model.model);
    free(t.order);
    curves_free(&t.curves);
    pictures_free(&t.train);
    pictures_free(&t.val);
    processes_close(&t.processes);
    return (int)status;
}
