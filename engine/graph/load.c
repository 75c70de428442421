// The public functions that make a model: they have the model room read or make its weights, and then recognise the
// network, which takes a graph.
#include "graph/resnet.h"

// Completes what a source made: its class count and its name. On failure destroys the model.
static cdl_result recognise(cdl_model **out, cdl_model *model, const cdl_log *log) {
    char name[64] = "";
    const cdl_result r = cdl_infer_architecture(model, name, &model->num_classes, log);
    if (r != CDL_OK) {
        cdl_model_destroy(&model);
        return r;
    }
    struct cdl_recipe *recipe = &model->recipe;
    if (!recipe->architecture[0]) // else metadata names it
        cdl_format_text(recipe->architecture, sizeof(recipe->architecture), "%s", name);
    if (model->num_labels > 0 && model->num_labels != model->num_classes) {
        cdl_logf(log, CDL_LOG_WARN, "%s: has %d labels, but the model %s has %d classes; correct the labels",
                 model->labels_from, model->num_labels, model->what, model->num_classes);
    }
    *out = model;
    return CDL_OK;
}

cdl_result cdl_model_load_file(cdl_model **out, const char *path, const struct cdl_model_params *params) {
    struct cdl_model_params p;
    if (out)
        *out = NULL;
    cdl_result r = cdl_model_read_params(&p, params);
    if (r != CDL_OK)
        return r;
    CDL_REQUIRE(&p.log, out != NULL);
    CDL_REQUIRE(&p.log, path != NULL);
    cdl_model *model;
    r = cdl_model_read_file(&model, path, &p);
    return r == CDL_OK ? recognise(out, model, &p.log) : r;
}

cdl_result cdl_model_load_memory(cdl_model **out, const void *data, size_t size,
                                 void (*free_fn)(void *ctx, const void *data), void *ctx,
                                 const struct cdl_model_params *params) {
    struct cdl_model_params p;
    if (out)
        *out = NULL;
    cdl_result r = cdl_model_read_params(&p, params);
    if (r != CDL_OK)
        return r;
    CDL_REQUIRE(&p.log, out != NULL);
    CDL_REQUIRE(&p.log, data != NULL || size == 0);
    cdl_model *model;
    r = cdl_model_read_memory(&model, data, size, "memory", &p);
    if (r == CDL_OK)
        r = recognise(out, model, &p.log);
    if (r == CDL_OK) { // only now is `data` the model's: on failure it stays the caller's
        model->free_fn = free_fn;
        model->free_ctx = ctx;
    }
    return r;
}

cdl_result cdl_model_random(cdl_model **out, const char *arch, uint64_t seed, const struct cdl_model_params *params) {
    struct cdl_model_params p;
    if (out)
        *out = NULL;
    cdl_result r = cdl_model_read_params(&p, params);
    if (r != CDL_OK)
        return r;
    CDL_REQUIRE(&p.log, out != NULL);
    CDL_REQUIRE(&p.log, arch != NULL);
    cdl_model *model;
    r = cdl_model_make_random(&model, arch, seed, &p);
    return r == CDL_OK ? recognise(out, model, &p.log) : r;
}
