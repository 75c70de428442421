// session.c - builds a session: plan, pipelines, weights, memory, slots.
#include "session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "preprocess.h"

enum { DEFAULT_STAGING = 32 << 20, MAX_BATCH = 4096, MAX_SLOTS = 16 };

static cdl_precision choose_precision(cdl_precision wanted, const struct cdl_device_info *info) {
    if (wanted != CDL_PRECISION_AUTO)
        return wanted;
    // CPU drivers convert halves in software, lane by lane.
    return !info->software && (info->fp16 || info->storage16) ? CDL_PRECISION_FP16 : CDL_PRECISION_FP32;
}

static void layout_results(struct cdl_session *s) {
    struct cdl_results_layout *l = &s->results;
    const size_t batch = (size_t)s->info.max_batch, plane = cdl_align_up(batch * (size_t)s->num_classes * sizeof(float), 256);
    for (l->sort_size = 1; l->sort_size < s->num_classes; l->sort_size *= 2)
        ;
    l->logits = 0;
    l->probs = plane;
    l->order = 2 * plane;
    l->size = 2 * plane + batch * (size_t)l->sort_size * sizeof(uint32_t);
}

static bool same_pipeline(const struct cdl_kernel *a, const struct cdl_kernel *b) {
    return !strcmp(a->shader, b->shader) && a->fp16 == b->fp16 && a->num_constants == b->num_constants &&
           !memcmp(a->constants, b->constants, (size_t)a->num_constants * sizeof *a->constants);
}

static cdl_result create_pipelines(struct cdl_session *s) {
    const struct cdl_plan *plan = &s->plan;
    struct cdl_kernel kernel;
    s->pipelines = calloc((size_t)plan->graph.num_ops, sizeof(VkPipeline));
    if (!s->pipelines)
        return cdl_fail(&s->dev->log, CDL_ERR_NOMEM, "out of memory while creating pipelines");
    cdl_result r = CDL_OK;
    for (int i = 0; r == CDL_OK && i < plan->graph.num_ops; i++) {
        int same = 0;
        while (same < i && !same_pipeline(&plan->steps[i].kernel, &plan->steps[same].kernel))
            same++;
        if (same < i)
            s->pipelines[i] = s->pipelines[same];
        else
            r = cdl_pipeline_create(&s->pipelines[i], s->dev, &plan->steps[i].kernel);
    }
    const struct { VkPipeline *out; const char *shader; bool pointwise; } around[] = {
        {&s->preprocess, "preprocess", true}, {&s->import, "import", true}, {&s->softmax, "softmax", false}, {&s->top_k, "top_k", false},
    };
    for (size_t i = 0; r == CDL_OK && i < CDL_COUNT(around); i++) {
        if (around[i].pointwise)
            cdl_pointwise_kernel(&kernel, around[i].shader, plan->fp16);
        else
            cdl_reduce_kernel(&kernel, around[i].shader);
        r = cdl_pipeline_create(around[i].out, s->dev, &kernel);
    }
    return r;
}

static cdl_result create_slot(struct cdl_session *s, struct cdl_slot *slot) {
    struct cdl_device *dev = s->dev;
    VkCommandBuffer commands[2];
    cdl_result r = cdl_buffer_create(&slot->staging, dev, s->info.staging_bytes, CDL_MEMORY_UPLOAD, "pixels on their way to the device");
    if (r == CDL_OK)
        r = cdl_buffer_create(&slot->readback, dev, s->results.size, CDL_MEMORY_READBACK, "results");
    if (r != CDL_OK)
        return r;
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = s->pool, .commandBufferCount = 2,
    };
    const VkSemaphoreTypeCreateInfo type = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO, .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    const VkQueryPoolCreateInfo queries = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = (uint32_t)s->num_queries,
    };
    CDL_VK(dev, AllocateCommandBuffers(dev->handle, &allocate, commands));
    slot->preprocess = commands[0];
    slot->network = commands[1];
    CDL_VK(dev, CreateSemaphore(dev->handle, &semaphore, NULL, &slot->done));
    if (dev->timestamp_bits)
        CDL_VK(dev, CreateQueryPool(dev->handle, &queries, NULL, &slot->queries));
    slot->ticks = calloc((size_t)s->num_queries, sizeof *slot->ticks);
    if (!slot->ticks)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    return cdl_record_network(s, slot, s->info.max_batch);
error:
    return r;
}

static cdl_result create_memory(struct cdl_session *s) {
    struct cdl_device *dev = s->dev;
    layout_results(s);
    s->results_at = cdl_align_up(s->plan.arena_bytes, 256);
    s->info.activation_bytes = s->results_at + s->results.size;
    s->info.weight_bytes = s->plan.weights_bytes;
    s->num_queries = s->timings ? s->plan.graph.num_ops + 3 : 3;
    cdl_result r = cdl_buffer_create(&s->arena, dev, s->info.activation_bytes, CDL_MEMORY_DEVICE, "activations");
    if (r != CDL_OK)
        return r;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = dev->queue_family,
    };
    CDL_VK(dev, CreateCommandPool(dev->handle, &pool, NULL, &s->pool));
    s->slots = calloc((size_t)s->info.num_slots, sizeof *s->slots);
    if (!s->slots)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    for (int i = 0; r == CDL_OK && i < s->info.num_slots; i++)
        r = create_slot(s, &s->slots[i]);
error:
    return r;
}

// Sizes and precision of the session, from its parameters and the model's recipe.
static cdl_result settle(struct cdl_session *s, const struct cdl_session_params *params) {
    const struct cdl_recipe *recipe = &s->model->recipe;
    const cdl_log *log = &s->dev->log;
    CDL_REQUIRE(log, params->max_batch >= 0 && params->max_batch <= MAX_BATCH);
    CDL_REQUIRE(log, params->num_slots >= 0 && params->num_slots <= MAX_SLOTS);
    CDL_REQUIRE(log, params->width >= 0 && params->width <= CDL_MAX_RESIZE_SIZE);
    CDL_REQUIRE(log, params->height >= 0 && params->height <= CDL_MAX_RESIZE_SIZE);
    CDL_REQUIRE(log, params->precision >= CDL_PRECISION_AUTO && params->precision <= CDL_PRECISION_FP16);
    s->timings = params->timings;
    s->info = (struct cdl_session_info){
        .max_batch = params->max_batch ? params->max_batch : 1,
        .num_slots = params->num_slots ? params->num_slots : 1,
        .width = params->width ? params->width : recipe->input_width,
        .height = params->height ? params->height : recipe->input_height,
        .precision = choose_precision(params->precision, &s->dev->info),
    };
    // Another input size sees the same part of a picture: the resize size scales along.
    const int short_side = s->info.width < s->info.height ? s->info.width : s->info.height;
    const int recipe_side = recipe->input_width < recipe->input_height ? recipe->input_width : recipe->input_height;
    s->resize_size = (int)lround((double)recipe->resize_size * short_side / recipe_side);
    if (s->resize_size > CDL_MAX_RESIZE_SIZE)
        return cdl_fail(log, CDL_ERR_INVALID, "an input of %dx%d resizes pictures to %d pixels, at most %d are possible",
                        s->info.height, s->info.width, s->resize_size, CDL_MAX_RESIZE_SIZE);
    // Room for the job table, for one float tensor, and for the tables of a picture shrunk as far as possible.
    const size_t jobs = cdl_align_up((size_t)s->info.max_batch * sizeof(struct preprocess_job), 256);
    const size_t tensor = (size_t)s->info.width * (size_t)s->info.height * 12;
    const size_t wanted = params->staging_bytes ? params->staging_bytes : DEFAULT_STAGING;
    s->info.staging_bytes = wanted > jobs + tensor ? wanted : jobs + tensor;
    return CDL_OK;
}

static cdl_result create(cdl_session **out, cdl_device *dev, cdl_model *model, const struct cdl_session_params *params, bool keep) {
    static const struct cdl_session_params defaults = {.struct_size = sizeof defaults};
    params = params ? params : &defaults;
    *out = NULL;
    CDL_REQUIRE(&dev->log, model != NULL && params->struct_size == sizeof *params);
    struct cdl_session *s = calloc(1, sizeof *s);
    if (!s)
        return cdl_fail(&dev->log, CDL_ERR_NOMEM, "out of memory while creating a session");
    s->dev = dev;
    s->model = model;
    cdl_model_retain(model);
    cdl_result r = settle(s, params);
    if (r == CDL_OK) {
        const struct cdl_plan_params plan = {
            .max_batch = s->info.max_batch, .height = s->info.height, .width = s->info.width, .fold = !params->no_fold,
            .fp16 = s->info.precision == CDL_PRECISION_FP16, .keep_values = keep, .caps = &dev->caps,
        };
        r = cdl_plan_create(&s->plan, model, &plan, &dev->log);
    }
    s->num_classes = s->plan.graph.num_classes;
    if (r == CDL_OK)
        r = create_pipelines(s);
    if (r == CDL_OK)
        r = cdl_weights_acquire(&s->weights, dev, model, &s->plan);
    if (r == CDL_OK)
        r = create_memory(s);
    if (r == CDL_OK)
        *out = s;
    else
        cdl_session_destroy(&s);
    return r;
}

cdl_result cdl_session_create(cdl_session **out, cdl_device *dev, cdl_model *model, const struct cdl_session_params *params) {
    return create(out, dev, model, params, false);
}

cdl_result cdl_session_create_keeping(cdl_session **out, cdl_device *dev, cdl_model *model, const struct cdl_session_params *params) {
    return create(out, dev, model, params, true);
}

static void destroy_pipelines(struct cdl_session *s) {
    const struct cdl_vk_device_table *vkd = &s->dev->vkd;
    const VkPipeline around[] = {s->preprocess, s->import, s->softmax, s->top_k};
    for (size_t i = 0; i < CDL_COUNT(around); i++)
        if (around[i])
            vkd->DestroyPipeline(s->dev->handle, around[i], NULL);
    for (int i = 0; s->pipelines && i < s->plan.graph.num_ops; i++) {
        bool shared = false; // the first of equal pipelines owns it
        for (int j = 0; j < i; j++)
            shared = shared || s->pipelines[j] == s->pipelines[i];
        if (s->pipelines[i] && !shared)
            vkd->DestroyPipeline(s->dev->handle, s->pipelines[i], NULL);
    }
    free(s->pipelines);
}

void cdl_session_destroy(cdl_session **session) {
    if (!session || !*session)
        return;
    struct cdl_session *s = *session;
    struct cdl_device *dev = s->dev;
    for (int i = 0; s->slots && i < s->info.num_slots; i++) {
        struct cdl_slot *slot = &s->slots[i];
        if (slot->done && slot->submitted)
            cdl_slot_wait(s, slot, UINT64_MAX);
        if (slot->done)
            dev->vkd.DestroySemaphore(dev->handle, slot->done, NULL);
        if (slot->queries)
            dev->vkd.DestroyQueryPool(dev->handle, slot->queries, NULL);
        cdl_buffer_destroy(&slot->staging, dev);
        cdl_buffer_destroy(&slot->readback, dev);
        free(slot->ticks);
    }
    free(s->slots);
    if (s->pool)
        dev->vkd.DestroyCommandPool(dev->handle, s->pool, NULL);
    destroy_pipelines(s);
    cdl_buffer_destroy(&s->arena, dev);
    cdl_weights_release(&s->weights, dev);
    cdl_plan_destroy(&s->plan);
    cdl_model_destroy(&s->model);
    free(s);
    *session = NULL;
}

void cdl_session_get_info(const cdl_session *s, struct cdl_session_info *out) { *out = s->info; }
