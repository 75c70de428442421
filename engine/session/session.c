// session.c - builds a session: plan, pipelines, weights, memory, slots.
#include "session/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "session/host_run.h"
#include "kernels/preprocess.h"
#include "session/pixels.h"
#include "session/record.h"
#include "session/submit.h"
#include "tune/tuner.h"
#include "vulkan/commands.h"
#include "vulkan/queue.h"

enum { DEFAULT_STAGING = 32 << 20, HOST_STAGING = 4 << 20, MAX_BATCH = 4096, MAX_SLOTS = 16 };

static cdl_precision choose_precision(cdl_precision wanted, const struct cdl_device_info *info) {
    if (wanted != CDL_PRECISION_AUTO)
        return wanted;
    // CPU drivers convert halves in software, lane by lane.
    return !info->software && (info->fp16 || info->storage16) ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32;
}

static void layout_results(struct cdl_session *s) {
    struct cdl_results_layout *l = &s->results;
    const size_t batch = (size_t)s->info.max_batch,
                 plane = cdl_align_up(batch * (size_t)s->info.num_classes * sizeof(float), 256);
    for (l->sort_size = 1; l->sort_size < s->info.num_classes; l->sort_size *= 2)
        ;
    l->logits = 0;
    l->probs = plane;
    l->order = 2 * plane;
    l->size = cdl_align_up(2 * plane + batch * (size_t)l->sort_size * sizeof(uint32_t), 256);
    l->features = l->size;
    l->features_stride = cdl_plan_image_bytes(&s->plan, s->plan.graph.features);
    l->map = cdl_align_up(l->features + batch * l->features_stride, 256);
    l->map_stride = s->class_weights ? cdl_plan_image_bytes(&s->plan, s->plan.graph.map) : 0;
    l->progress = cdl_align_up(l->map + batch * l->map_stride, 256);
    l->readback_size = l->progress + sizeof(uint32_t);
}

static cdl_result create_pipelines(struct cdl_session *s) {
    static const enum cdl_fixed_program around[] = {CDL_PREPROCESS, CDL_IMPORT, CDL_CLASSIFY};
    const struct cdl_plan *plan = &s->plan;
    s->pipelines = calloc((size_t)plan->num_steps, sizeof(VkPipeline));
    if (!s->pipelines)
        return cdl_fail(&s->dev->log, CDL_ERR_NOMEM, "out of memory while creating pipelines");
    cdl_result r = CDL_OK;
    for (int i = 0; r == CDL_OK && i < plan->num_steps; i++)
        r = cdl_pipeline_get(&s->pipelines[i], s->dev, &plan->steps[i].kernel.program);
    for (size_t i = 0; r == CDL_OK && i < CDL_COUNT(around); i++) {
        const struct cdl_program program = cdl_fixed_program(around[i], plan->fp16);
        r = cdl_pipeline_get(&s->fixed[around[i]], s->dev, &program);
    }
    return r;
}

static cdl_result create_slot(struct cdl_session *s, struct cdl_slot *slot) {
    struct cdl_device *dev = s->dev;
    VkCommandBuffer commands[2];
    cdl_result r = cdl_upload_create(&slot->staging, dev, s->info.staging_bytes, "pixels on their way to the device");
    if (r == CDL_OK)
        r = cdl_buffer_create(&slot->readback, dev, s->results.readback_size, CDL_MEMORY_READBACK, "results");
    if (r != CDL_OK)
        return r;
    memset((uint8_t *)slot->readback.mapped + s->results.progress, 0, sizeof slot->recordings);
    if ((r = cdl_buffer_flush(&slot->readback, dev)) != CDL_OK)
        return r;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = s->pool,
        .commandBufferCount = 2,
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &allocate, commands));
    slot->preprocess = commands[0];
    slot->network = commands[1];
    const uint32_t queries = (uint32_t)cdl_num_queries(s, s->info.max_batch);
    if ((r = cdl_fence_create(&slot->done, dev)) != CDL_OK ||
        (r = cdl_timestamps_create(&slot->queries, dev, queries)) != CDL_OK)
        return r;
    slot->ticks = calloc(queries, sizeof *slot->ticks);
    if (!slot->ticks)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    return cdl_record_network(s, slot, s->info.max_batch);
error:
    return r;
}

static cdl_result describe_steps(struct cdl_session *s) {
    if (!s->timings)
        return CDL_OK;
    s->texts = calloc((size_t)s->plan.num_steps, sizeof *s->texts);
    if (!s->texts)
        return cdl_fail(&s->dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    for (int i = 0; i < s->plan.num_steps; i++) {
        const struct cdl_work work = cdl_step_work(&s->plan, i);
        cdl_work_text(&work, s->texts[i].operation);
        cdl_program_name(&s->plan.steps[i].kernel.program, s->texts[i].kernel);
    }
    return CDL_OK;
}

// What comes out of the network, by the plan.
static cdl_result prepare_outputs(struct cdl_session *s, bool cam) {
    const struct cdl_graph *g = &s->plan.graph;
    const struct cdl_value *map = &g->values[g->map];
    s->info.num_classes = g->num_classes;
    s->info.num_features = map->channels;
    s->info.cam_width = map->width;
    s->info.cam_height = map->height;
    s->info.max_slices = s->plan.num_steps;
    if (cam && !(s->class_weights = calloc(2 * (size_t)map->channels, sizeof *s->class_weights)))
        return cdl_fail(&s->dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    return CDL_OK;
}

static cdl_result create_memory(struct cdl_session *s) {
    struct cdl_device *dev = s->dev;
    layout_results(s);
    s->results_at = cdl_align_up(s->plan.arena_bytes, 256);
    s->info.activation_bytes = s->results_at + s->results.size;
    s->info.weight_bytes = s->plan.weights_bytes;
    s->info.live_bytes = s->plan.live_bytes + s->results.size;
    cdl_result r = cdl_buffer_create(&s->arena, dev, s->info.activation_bytes, CDL_MEMORY_DEVICE, "activations");
    if (r == CDL_OK)
        r = cdl_command_pool_create(&s->pool, dev);
    if (r != CDL_OK)
        return r;
    s->slots = calloc((size_t)s->info.num_slots, sizeof *s->slots);
    s->tables = malloc(s->info.staging_bytes); // pages that are never touched cost nothing
    if (!s->slots || !s->tables)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    for (int i = 0; r == CDL_OK && i < s->info.num_slots; i++)
        r = create_slot(s, &s->slots[i]);
    return r;
}

// A host's images stay where they are: only their tables come by staging, here for sides of 16384 pixels. Some room for
// pixels from host memory is left all the same.
static size_t default_staging(const struct cdl_session *s, size_t jobs) {
    const struct cdl_source large = {.column_taps = cdl_resample_taps(s->interpolation, 16384, s->resize_size),
                                     .row_taps = cdl_resample_taps(s->interpolation, 16384, s->resize_size)};
    const size_t tables = jobs + (size_t)s->info.max_batch * cdl_stage_job_bytes(s, &large);
    const size_t wanted = tables > HOST_STAGING ? tables : HOST_STAGING;
    return s->dev->imported && wanted < DEFAULT_STAGING ? wanted : DEFAULT_STAGING;
}

// Sizes and precision of the session, from its parameters and the model's recipe.
static cdl_result settle(struct cdl_session *s, const struct cdl_session_params *params) {
    const struct cdl_recipe *recipe = &s->model->recipe;
    const cdl_log *log = &s->dev->log;
    if (params->max_batch < 0 || params->max_batch > MAX_BATCH)
        return cdl_fail(log, CDL_ERR_INVALID, "max_batch is %d; 1 to %d are possible", params->max_batch, MAX_BATCH);
    CDL_EXPECT(log, params->num_slots >= 0 && params->num_slots <= MAX_SLOTS, "num_slots is %d; 1 to %d are possible",
               params->num_slots, MAX_SLOTS);
    CDL_EXPECT(log, params->width >= 0 && params->width <= CDL_MAX_RESIZE_SIZE, "width is %d; up to %d are possible",
               params->width, CDL_MAX_RESIZE_SIZE);
    CDL_EXPECT(log, params->height >= 0 && params->height <= CDL_MAX_RESIZE_SIZE, "height is %d; up to %d are possible",
               params->height, CDL_MAX_RESIZE_SIZE);
    CDL_EXPECT(log, params->tune >= CDL_TUNE_OFF && params->tune <= CDL_TUNE_FULL, "tune is %d, no cdl_tune",
               (int)params->tune);
    CDL_EXPECT(log, params->precision >= CDL_PRECISION_AUTO && params->precision <= CDL_PRECISION_FP16,
               "precision is %d, no cdl_precision", (int)params->precision);
    s->timings = params->timings;
    s->info = (struct cdl_session_info){
        .max_batch = params->max_batch ? params->max_batch : 1,
        .num_slots = params->num_slots ? params->num_slots : 1,
        .width = params->width ? params->width : recipe->input_width,
        .height = params->height ? params->height : recipe->input_height,
        .precision = choose_precision(params->precision, &s->dev->info),
    };
    s->interpolation = recipe->interpolation;
    // Another input size sees the same part of a picture: the resize size scales along.
    const int short_side = s->info.width < s->info.height ? s->info.width : s->info.height;
    const int recipe_side = recipe->input_width < recipe->input_height ? recipe->input_width : recipe->input_height;
    s->resize_size = (int)lround((double)recipe->resize_size * short_side / recipe_side);
    s->resize_size = s->resize_size > 0 ? s->resize_size : 1;
    if (s->resize_size > CDL_MAX_RESIZE_SIZE)
        return cdl_fail(log, CDL_ERR_INVALID,
                        "an input of %dx%d resizes pictures to %d pixels, at most %d are possible", s->info.height,
                        s->info.width, s->resize_size, CDL_MAX_RESIZE_SIZE);
    // Room for the job table, for one float tensor, and for the tables of a picture shrunk as far as possible.
    const size_t jobs = cdl_align_up((size_t)s->info.max_batch * sizeof(struct preprocess_job), 256);
    const size_t tensor = (size_t)s->info.width * (size_t)s->info.height * 12;
    const size_t wanted = params->staging_bytes ? params->staging_bytes : default_staging(s, jobs);
    s->info.staging_bytes = wanted > jobs + tensor ? wanted : jobs + tensor;
    return CDL_OK;
}

static cdl_result plan_once(struct cdl_session *s, const struct cdl_session_params *params, bool keep,
                            bool *none_works) {
    struct cdl_tuner tuner = {.dev = s->dev,
                              .mode = params->tune,
                              .batch = s->info.max_batch,
                              .fp16 = s->info.precision == CDL_PRECISION_FP16};
    const struct cdl_plan_params plan = {
        .max_batch = s->info.max_batch,
        .height = s->info.height,
        .width = s->info.width,
        .fold = !params->no_fold,
        .fp16 = tuner.fp16,
        .keep_map = params->cam,
        .keep_values = keep,
        .caps = &s->dev->caps,
        .choose = cdl_tuner_choose,
        .prepare = cdl_tuner_prepare,
        .choose_ctx = &tuner,
    };
    cdl_result r = cdl_plan_create(&s->plan, s->model, &plan, &s->dev->log);
    if (r == CDL_OK)
        r = cdl_tuner_choose_segment(&tuner, &s->plan);
    if (r == CDL_OK)
        cdl_plan_log(&s->plan, &s->dev->log);
    if (r == CDL_OK && tuner.result == CDL_OK)
        cdl_logf(&s->dev->log, CDL_LOG_INFO,
                 "%s at %dx%d, max_batch %d, %s: kernels of %d convolutions by their time, of %d by rank%s",
                 s->model->recipe.architecture, s->info.height, s->info.width, s->info.max_batch,
                 tuner.fp16 ? "fp16" : "fp32", tuner.num_timed, tuner.num_ranked,
                 tuner.num_ranked ? " (see cdl_session_params.tune)" : "");
    cdl_tuner_finish(&tuner);
    *none_works = tuner.none_works;
    return tuner.result != CDL_OK ? tuner.result : r;
}

static cdl_result make_plan(struct cdl_session *s, const struct cdl_session_params *params, bool keep) {
    bool none_works;
    cdl_result r = plan_once(s, params, keep, &none_works);
    if (none_works && params->precision == CDL_PRECISION_AUTO && s->info.precision == CDL_PRECISION_FP16) {
        cdl_logf(&s->dev->log, CDL_LOG_WARN, "%s: fp16 does not work here, fp32 is used instead", s->dev->info.name);
        s->info.precision = CDL_PRECISION_FP32;
        r = plan_once(s, params, keep, &none_works);
    }
    return r;
}

// Pipelines that the device made so far, and how many of them its driver said it had in its cache.
static struct cdl_pipelines count_pipelines(struct cdl_device *dev) {
    cdl_mutex_lock(&dev->lock);
    const struct cdl_pipelines p = dev->pipelines;
    cdl_mutex_unlock(&dev->lock);
    return p;
}

// Tells what the session's creation compiled, and keeps it for the next start.
static void account_for_pipelines(struct cdl_session *s, const struct cdl_pipelines *before) {
    const struct cdl_pipelines now = count_pipelines(s->dev);
    const int told = now.told - before->told, hits = now.hits - before->hits;
    s->info.pipelines = now.created - before->created;
    s->info.pipelines_compiled = told == s->info.pipelines ? told - hits : -1;
    if (s->info.pipelines_compiled >= 0)
        cdl_logf(&s->dev->log, CDL_LOG_DEBUG, "%d pipelines made, %d of them from the cache", s->info.pipelines, hits);
    else
        cdl_logf(&s->dev->log, CDL_LOG_DEBUG, "%d pipelines made; the driver does not tell which were in the cache",
                 s->info.pipelines);
    if (s->info.pipelines > hits)
        cdl_pipelines_save(s->dev);
}

cdl_result cdl_session_create_with(cdl_session **out, cdl_device *dev, cdl_model *model,
                                   const struct cdl_session_params *given, bool keep_values) {
    struct cdl_session_params copy, *params = &copy;
    CDL_EXPECT(&dev->log, out, "cdl_session_create: out is NULL");
    *out = NULL;
    CDL_EXPECT(&dev->log, model, "cdl_session_create: model is NULL");
    CDL_EXPECT(&dev->log, cdl_read_params(params, sizeof *params, given),
               "cdl_session_create: params->struct_size is 0");
    cdl_result r = cdl_device_check(dev);
    if (r != CDL_OK)
        return r;
    struct cdl_session *s = calloc(1, sizeof *s);
    if (!s)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    s->dev = dev;
    s->model = model;
    cdl_model_retain(model);
    cdl_device_enter(dev);
    const struct cdl_pipelines before = count_pipelines(dev);
    r = settle(s, params);
    if (r == CDL_OK)
        r = make_plan(s, params, keep_values);
    if (r == CDL_OK)
        r = prepare_outputs(s, params->cam);
    if (r == CDL_OK)
        r = create_pipelines(s);
    if (r == CDL_OK)
        r = cdl_weights_acquire(&s->weights, dev, model, &s->plan);
    if (r == CDL_OK)
        r = describe_steps(s);
    if (r == CDL_OK)
        r = create_memory(s);
    if (r == CDL_OK && (params->vulkan || dev->imported))
        r = cdl_create_inputs(s);
    if (r == CDL_OK) {
        account_for_pipelines(s, &before);
        *out = s;
    } else {
        cdl_session_destroy(&s);
    }
    return r;
}

cdl_result cdl_session_create(cdl_session **out, cdl_device *dev, cdl_model *model,
                              const struct cdl_session_params *params) {
    return cdl_session_create_with(out, dev, model, params, false);
}

// ---- the end

// Whether the device is done with all of the session; else logs why that is not known.
static bool settled(struct cdl_session *s) {
    bool all = true;
    for (int i = 0; s->slots && i < s->info.num_slots; i++)
        all = cdl_slot_settle(s, &s->slots[i]) == CDL_OK && all;
    return all;
}

static void free_session(struct cdl_session *s) {
    struct cdl_device *dev = s->dev;
    for (int i = 0; s->slots && i < s->info.num_slots; i++) {
        struct cdl_slot *slot = &s->slots[i];
        if (slot->done)
            dev->vkd.DestroyFence(dev->handle, slot->done, dev->allocator);
        if (slot->queries)
            dev->vkd.DestroyQueryPool(dev->handle, slot->queries, dev->allocator);
        cdl_upload_destroy(&slot->staging);
        cdl_buffer_destroy(&slot->readback, dev);
        free(slot->ticks);
        free(slot->inputs);
    }
    free(s->slots);
    if (s->inputs)
        dev->vkd.DestroyDescriptorPool(dev->handle, s->inputs, dev->allocator);
    if (s->pool)
        dev->vkd.DestroyCommandPool(dev->handle, s->pool, dev->allocator);
    free(s->pipelines);
    cdl_buffer_destroy(&s->arena, dev);
    cdl_weights_release(&s->weights, dev);
    cdl_plan_destroy(&s->plan);
    free(s->texts);
    free(s->class_weights);
    free(s->tables);
    cdl_model_destroy(&s->model);
    free(s);
}

// Sessions that were destroyed while the device used them, and would not end in time: they go with the device.
struct kept {
    struct cdl_session *first; // under the device's lock
};

static bool settle_kept(struct cdl_device *dev, void *data) {
    struct kept *kept = data;
    while (kept->first) { // the device has no session, so that no other thread adds one
        struct cdl_session *s = kept->first;
        if (!cdl_device_is_lost(dev) && !settled(s))
            return false;
        kept->first = s->next_kept;
        free_session(s);
    }
    return true;
}

static void keep(struct cdl_session *s) {
    static const struct cdl_device_data_kind kind = {.size = sizeof(struct kept), .settle = settle_kept};
    struct kept *kept = cdl_device_data(s->dev, &kind);
    cdl_fail(&s->dev->log, CDL_ERR_INVALID,
             "cdl_session_destroy: the device may still run commands of the session; its memory stays until "
             "cdl_device_destroy");
    if (!kept)
        return; // no memory, and nothing is freed that the device may use
    cdl_mutex_lock(&s->dev->lock);
    s->next_kept = kept->first;
    kept->first = s;
    cdl_mutex_unlock(&s->dev->lock);
}

void cdl_session_destroy(cdl_session **session) {
    if (!session || !*session)
        return;
    struct cdl_session *s = *session;
    struct cdl_device *dev = s->dev;
    *session = NULL;
    if (cdl_device_is_lost(dev) || settled(s))
        free_session(s);
    else
        keep(s);
    cdl_device_leave(dev);
}

void cdl_session_get_info(const cdl_session *s, struct cdl_session_info *out) { *out = s->info; }
