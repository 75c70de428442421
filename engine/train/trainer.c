// trainer.c - builds a trainer: its own copy of the model, program, pipelines, memory, slots.
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>

#include "train/dw_check.h"
#include "train/dx_check.h"
#include "train/network.h"
#include "train/prepare.h"
#include "tune/tuner.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

#define FIRST_LOSS_SCALE 65536.0f // PyTorch's
enum { DEFAULT_STAGING = 64 << 20, BOUNCE = 16 << 20, DEFAULT_BATCH = 32, DEFAULT_EMA_STEPS = 32, MAX_BATCH = 4096 };

static float or_default(float value, float standard) { return value < 0 ? 0 : value > 0 ? value : standard; }

static cdl_result check_params(const struct cdl_trainer_params *p, const cdl_log *log) {
    if (p->batch < 0 || p->batch > MAX_BATCH)
        return cdl_fail(log, CDL_ERR_INVALID, "a batch of %d pictures; 1 to %d are possible", p->batch, MAX_BATCH);
    CDL_REQUIRE(log, p->width >= 0 && p->width <= CDL_MAX_RESIZE_SIZE);
    CDL_REQUIRE(log, p->height >= 0 && p->height <= CDL_MAX_RESIZE_SIZE);
    CDL_REQUIRE(log, p->augment >= CDL_AUGMENT_NONE && p->augment <= CDL_AUGMENT_IMAGENET);
    CDL_REQUIRE(log, p->precision >= CDL_PRECISION_AUTO && p->precision <= CDL_PRECISION_FP16);
    CDL_EXPECT(log, p->tune >= CDL_TUNE_OFF && p->tune <= CDL_TUNE_FULL, "tune is %d, no cdl_tune", (int)p->tune);
    CDL_REQUIRE(log, p->ema_decay >= 0 && p->ema_decay < 1);
    CDL_REQUIRE(log, p->ema_steps >= 0 && p->ema_warmup >= 0);
    CDL_REQUIRE(log, p->num_classes >= 0 && p->num_classes <= 1 << 20);
    CDL_REQUIRE(log, p->label_smoothing >= 0 && p->label_smoothing <= 1);
    CDL_REQUIRE(log, isfinite(p->clip_grad_norm) && p->clip_grad_norm >= 0);
    CDL_REQUIRE(log, isfinite(p->momentum) && isfinite(p->weight_decay) && isfinite(p->norm_weight_decay));
    CDL_REQUIRE(log, p->brightness >= 0 && p->contrast >= 0 && p->saturation >= 0);
    CDL_REQUIRE(log, isfinite(p->brightness) && isfinite(p->contrast) && isfinite(p->saturation));
    CDL_EXPECT(log, p->mixup == 0 || (p->mixup >= 0.001f && p->mixup <= 1),
               "a mixup of %g; 0.001 to 1 are possible, or 0 for none", (double)p->mixup);
    const struct cdl_train_exchange *e = p->exchange;
    CDL_REQUIRE(log, !e || (e->share && e->reduce && e->finish && e->broadcast));
    CDL_EXPECT(log, !e || !p->timings, "cdl_trainer_create: timings are not taken of steps with an exchange");
    return CDL_OK;
}

static void settle(struct cdl_trainer *t, const struct cdl_trainer_params *params) {
    const struct cdl_recipe *recipe = &t->model->recipe;
    struct cdl_train_sight *s = &t->sight;
    *s = (struct cdl_train_sight){
        .augment = params->augment,
        .seed = params->seed,
        .width = params->width ? params->width : recipe->input_width,
        .height = params->height ? params->height : recipe->input_height,
        .brightness = params->brightness,
        .contrast = params->contrast,
        .saturation = params->saturation,
    };
    // Another input size sees the same part of a picture, as in a session. The recipe for small pictures shifts them as
    // they are.
    const int side = s->width < s->height ? s->width : s->height;
    const int recipe_side = recipe->input_width < recipe->input_height ? recipe->input_width : recipe->input_height;
    const long resized = lround((double)recipe->resize_size * side / recipe_side);
    s->resize_size = params->augment == CDL_AUGMENT_SMALL ? side : resized > 0 ? (int)resized : 1;
    s->resize_size = s->resize_size < CDL_MAX_RESIZE_SIZE ? s->resize_size : CDL_MAX_RESIZE_SIZE;
    t->interpolation = recipe->interpolation;
    t->ema_decay = params->ema_decay;
    t->ema_steps = params->ema_steps ? params->ema_steps : DEFAULT_EMA_STEPS;
    t->ema_warmup = params->ema_warmup;
}

static cdl_result make_program(const struct cdl_trainer *t, const struct cdl_trainer_params *params, int batch,
                               cdl_tune tune, struct cdl_train_program *out) {
    const float decay = or_default(params->weight_decay, 1e-4f);
    const bool fp16 = params->precision == CDL_PRECISION_FP16;
    struct cdl_tuner tuner = {.dev = t->dev, .mode = tune, .batch = batch, .fp16 = fp16};
    struct cdl_train_program_params p = {
        .batch = batch,
        .height = t->sight.height,
        .width = t->sight.width,
        .fp16 = fp16,
        .averages = params->ema_decay > 0,
        .recompute = params->recompute,
        .freeze = params->freeze,
        .label_smoothing = params->label_smoothing,
        .momentum = or_default(params->momentum, 0.9f),
        .weight_decay = decay,
        .norm_weight_decay = or_default(params->norm_weight_decay, decay),
        .clip_grad_norm = params->clip_grad_norm,
        .caps = &t->dev->caps,
    };
    cdl_result r = cdl_train_prepare(&tuner, t->model, &p);
    p.choose = cdl_tuner_choose;
    p.choose_dw = cdl_dw_choose;
    p.trust_dx = cdl_dx_trust;
    p.choose_ctx = &tuner;
    if (r == CDL_OK)
        r = cdl_train_program_create(out, t->model, &p, &t->dev->log);
    cdl_tuner_finish(&tuner);
    if (r == CDL_OK && tuner.result != CDL_OK)
        cdl_train_program_destroy(out);
    return tuner.result != CDL_OK ? tuner.result : r;
}

// What only some trainings need.
static cdl_result create_extra_pipelines(struct cdl_trainer *t, const struct cdl_trainer_params *params, bool fp16) {
    const bool wanted[CDL_NUM_TRAIN_EXTRAS] = {
        [CDL_TRAIN_MIX] = params->accumulate || params->exchange,
        [CDL_TRAIN_JITTER] = params->brightness + params->contrast + params->saturation > 0,
        [CDL_TRAIN_MIXUP] = params->mixup > 0,
    };
    VkPipeline *const pipelines[CDL_NUM_TRAIN_EXTRAS] = {&t->mix, &t->jitter, &t->mixup};
    cdl_result r = CDL_OK;
    for (int i = 0; i < CDL_NUM_TRAIN_EXTRAS && r == CDL_OK; i++) {
        const struct cdl_program program = cdl_train_extra((enum cdl_train_extra)i, fp16);
        if (wanted[i])
            r = cdl_pipeline_get(pipelines[i], t->dev, &program);
    }
    t->mixup_alpha = params->mixup;
    return r;
}

static cdl_result create_pipelines(struct cdl_trainer *t, const struct cdl_trainer_params *params) {
    const int count = t->program.num_steps;
    const struct cdl_program preprocess = cdl_fixed_program(CDL_PREPROCESS, t->program.fp16),
                             import = cdl_fixed_program(CDL_IMPORT, t->program.fp16);
    struct cdl_program *programs = malloc((size_t)count * sizeof *programs);
    t->pipelines = calloc((size_t)count, sizeof *t->pipelines);
    if (!programs || !t->pipelines) {
        free(programs);
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM, "out of memory while creating pipelines");
    }
    for (int i = 0; i < count; i++)
        programs[i] = t->program.steps[i].kernel.program;
    cdl_pipelines_prepare(t->dev, programs, count);
    free(programs);
    cdl_result r = cdl_pipeline_get(&t->preprocess, t->dev, &preprocess);
    if (r == CDL_OK)
        r = cdl_pipeline_get(&t->import, t->dev, &import);
    if (r == CDL_OK)
        r = create_extra_pipelines(t, params, preprocess.fp16);
    for (int i = 0; r == CDL_OK && i < count; i++)
        r = cdl_pipeline_get(&t->pipelines[i], t->dev, &t->program.steps[i].kernel.program);
    return r;
}

static cdl_result create_slot(struct cdl_trainer *t, struct cdl_train_slot *slot) {
    struct cdl_device *dev = t->dev;
    VkCommandBuffer commands[4];
    slot->recorded_images = slot->recorded_segments = slot->images = -1;
    cdl_result r = cdl_upload_create(&slot->staging, dev, t->staging_bytes, "pixels on their way to the device");
    if (r == CDL_OK)
        r = cdl_buffer_create(&slot->readback, dev, 256, CDL_MEMORY_READBACK, "a step's result");
    if (r != CDL_OK)
        return r;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = t->pool,
        .commandBufferCount = CDL_COUNT(commands),
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &allocate, commands));
    slot->preprocess = commands[0];
    slot->gradients = commands[1];
    slot->mix = commands[2];
    slot->update = commands[3];
    r = cdl_fence_create(&slot->done, dev);
error:
    return r;
}

// The largest batch whose step takes at most `room` bytes beside the parameters, below the one that was asked for.
static int largest_batch(const struct cdl_trainer *t, const struct cdl_trainer_params *params, uint64_t room) {
    int fits = 0, over = t->program.batch;
    while (over - fits > 1) {
        const int batch = (fits + over) / 2;
        struct cdl_train_program trial;
        const bool made = make_program(t, params, batch, CDL_TUNE_OFF, &trial) == CDL_OK;
        if (made && trial.arena_bytes <= room)
            fits = batch;
        else
            over = batch;
        if (made)
            cdl_train_program_destroy(&trial);
    }
    return fits;
}

// Whether the device has the memory; else how large a batch may be.
static cdl_result check_memory(const struct cdl_trainer *t, const struct cdl_trainer_params *params,
                               size_t parameters) {
    const struct cdl_device_info *info = &t->dev->info;
    const uint64_t arena = t->program.arena_bytes, whole = info->free_bytes ? info->free_bytes : info->memory_bytes;
    const uint64_t left = whole > parameters ? whole - parameters : 0;
    const uint64_t room = left < t->dev->max_allocation ? left : t->dev->max_allocation;
    if (arena <= room)
        return CDL_OK;
    const int fits = largest_batch(t, params, room);
    if (fits == 0)
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM,
                        "%s: a step of one picture does not fit into its %llu MB; use a smaller input size or network",
                        info->name, (unsigned long long)room >> 20);
    return cdl_fail(
        &t->dev->log, CDL_ERR_NOMEM,
        "%s: a step of %d pictures takes %llu MB beside the parameters, and %llu MB are there; a batch of %d "
        "fits",
        info->name, t->program.batch, (unsigned long long)arena >> 20, (unsigned long long)room >> 20, fits);
}

static cdl_result create_memory(struct cdl_trainer *t, const struct cdl_trainer_params *params) {
    struct cdl_device *dev = t->dev;
    const struct cdl_train_program *p = &t->program;
    const size_t tensor = (size_t)t->sight.width * (size_t)t->sight.height * 12;
    const size_t learned = p->parameters.trainable * sizeof(float), all = p->parameters.size * sizeof(float);
    const size_t lasting = all + (params->accumulate ? 3 : 2) * learned + (t->ema_decay > 0 ? all : 0);
    t->jobs_at = p->input_bytes;
    t->jitters_at = t->jobs_at + cdl_align_up((size_t)p->batch * sizeof(struct preprocess_job), 256);
    t->pixels_at = t->jitters_at + cdl_align_up((size_t)p->batch * sizeof(struct train_jitter), 256);
    const size_t staging = params->staging_bytes ? params->staging_bytes : DEFAULT_STAGING;
    t->staging_bytes = staging > t->pixels_at + tensor ? staging : t->pixels_at + tensor;
    cdl_logf(&dev->log, CDL_LOG_INFO,
             "a step of %d pictures takes %zu MB of device memory: %zu of activations and "
             "gradients, %zu of parameters",
             p->batch, (p->arena_bytes + lasting) >> 20, p->arena_bytes >> 20, lasting >> 20);
    cdl_result r = check_memory(t, params, lasting);
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->parameters, dev, all, CDL_MEMORY_DEVICE, "parameters");
    if (r == CDL_OK && t->ema_decay > 0)
        r = cdl_buffer_create(&t->averages, dev, all, CDL_MEMORY_DEVICE, "averaged parameters");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->momentum, dev, learned, CDL_MEMORY_DEVICE, "momentum");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->gradients, dev, learned, CDL_MEMORY_DEVICE, "gradients");
    if (r == CDL_OK && params->accumulate)
        r = cdl_buffer_create(&t->sum, dev, learned, CDL_MEMORY_DEVICE, "sums of gradients");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->scaling, dev, sizeof(struct cdl_train_scaling), CDL_MEMORY_DEVICE, "the loss scale");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->arena, dev, p->arena_bytes, CDL_MEMORY_DEVICE, "activations of a training step");
    if (r == CDL_OK)
        r = cdl_buffer_create(&t->bounce, dev, BOUNCE, CDL_MEMORY_READBACK, "weights on their way back");
    if (r == CDL_OK)
        r = cdl_once_create(&t->once, dev);
    if (r == CDL_OK)
        r = cdl_command_pool_create(&t->pool, dev);
    if (r == CDL_OK && !(t->tables = malloc(t->staging_bytes))) // pages that are never touched cost nothing
        r = cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a trainer");
    for (int i = 0; r == CDL_OK && i < CDL_TRAIN_SLOTS; i++)
        r = create_slot(t, &t->slots[i]);
    return r;
}

// The weights, the loss scale, and zeros for momentum and gradients: those of padding are never written otherwise.
static cdl_result fill_memory(struct cdl_trainer *t) {
    const size_t count = t->program.parameters.size;
    const struct cdl_train_scaling scaling = {.scale = t->program.fp16 ? FIRST_LOSS_SCALE : 1};
    float *values = calloc(count, sizeof *values);
    if (!values)
        return cdl_fail(&t->dev->log, CDL_ERR_NOMEM, "out of memory for %zu weights", count);
    cdl_result r = cdl_train_upload(t, &t->momentum, values, (size_t)t->momentum.size);
    if (r == CDL_OK)
        r = cdl_train_upload(t, &t->gradients, values, (size_t)t->gradients.size);
    if (r == CDL_OK)
        r = cdl_train_upload(t, &t->scaling, &scaling, sizeof scaling);
    cdl_parameters_read(&t->program.parameters, values);
    if (r == CDL_OK)
        r = cdl_train_upload(t, &t->parameters, values, count * sizeof *values);
    if (r == CDL_OK && t->averages.size)
        r = cdl_train_upload(t, &t->averages, values, count * sizeof *values);
    free(values);
    return r;
}

cdl_result cdl_trainer_create(cdl_trainer **out, cdl_device *dev, cdl_model *model,
                              const struct cdl_trainer_params *params) {
    struct cdl_trainer_params p;
    if (out)
        *out = NULL;
    if (!dev)
        return CDL_ERR_INVALID;
    CDL_REQUIRE(&dev->log, out != NULL);
    CDL_REQUIRE(&dev->log, model != NULL);
    CDL_REQUIRE(&dev->log, cdl_read_params(&p, sizeof p, params));
    cdl_result r = check_params(&p, &dev->log);
    if (r != CDL_OK)
        return r;
    struct cdl_trainer *t = calloc(1, sizeof *t);
    if (!t)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a trainer");
    t->dev = dev;
    cdl_device_enter(dev);
    const struct cdl_network_change change = {p.num_classes, p.labels, p.initialise, p.seed};
    r = cdl_network_copy(&t->model, model, &change, &dev->log);
    if (r == CDL_OK) {
        settle(t, &p);
        r = make_program(t, &p, p.batch ? p.batch : DEFAULT_BATCH, p.tune, &t->program);
    }
    if (r == CDL_OK)
        cdl_train_program_log(&t->program, &dev->log);
    if (r == CDL_OK)
        r = create_memory(t, &p); // first: too little of it is told at once, not after minutes of compiling
    if (r == CDL_OK)
        r = create_pipelines(t, &p);
    if (r == CDL_OK)
        r = cdl_train_timings_create(t, p.timings);
    if (r == CDL_OK && p.exchange)
        r = cdl_train_link_create(t, p.exchange);
    if (r == CDL_OK)
        r = fill_memory(t);
    if (r == CDL_OK)
        *out = t;
    else
        cdl_trainer_destroy(&t);
    return r;
}

void cdl_trainer_destroy(cdl_trainer **trainer) {
    if (!trainer || !*trainer)
        return;
    struct cdl_trainer *t = *trainer;
    struct cdl_device *dev = t->dev;
    *trainer = NULL;
    if (t->slots[CDL_TRAIN_SLOTS - 1].done)
        (void)cdl_train_wait(t); // a lost device has nothing in flight
    cdl_train_link_destroy(t);
    for (int i = 0; i < CDL_TRAIN_SLOTS; i++) {
        cdl_upload_destroy(&t->slots[i].staging);
        cdl_buffer_destroy(&t->slots[i].readback, dev);
        if (t->slots[i].done)
            dev->vkd.DestroyFence(dev->handle, t->slots[i].done, dev->allocator);
    }
    cdl_train_timings_destroy(t);
    if (t->pool)
        dev->vkd.DestroyCommandPool(dev->handle, t->pool, dev->allocator);
    cdl_once_destroy(&t->once);
    struct cdl_buffer *buffers[] = {&t->parameters, &t->momentum, &t->gradients, &t->scaling,
                                    &t->averages,   &t->arena,    &t->bounce,    &t->sum};
    for (size_t i = 0; i < CDL_COUNT(buffers); i++)
        cdl_buffer_destroy(buffers[i], dev);
    cdl_train_program_destroy(&t->program);
    cdl_model_destroy(&t->model);
    free(t->pipelines);
    free(t->tables);
    free(t);
    cdl_device_leave(dev);
}

void cdl_trainer_get_info(const cdl_trainer *t, struct cdl_trainer_info *out) {
    const struct cdl_parameters *all = &t->program.parameters;
    *out = (struct cdl_trainer_info){
        .batch = t->program.batch,
        .width = t->sight.width,
        .height = t->sight.height,
        .num_classes = t->program.graph.num_classes,
        .step = t->step,
        .parameter_bytes = t->parameters.size + t->momentum.size + t->gradients.size + t->sum.size + t->averages.size,
        .activation_bytes = t->arena.size,
        .staging_bytes = CDL_TRAIN_SLOTS * t->staging_bytes,
        .num_dispatches = t->program.num_steps,
    };
    for (int i = 0; i < all->count; i++) {
        const struct cdl_parameter *p = &all->items[i];
        out->num_trainable += p->trainable ? p->count : 0;
        out->num_parameters += p->kind == CDL_PARAMETER_WEIGHT || p->kind == CDL_PARAMETER_NORM ? p->count : 0;
    }
}
