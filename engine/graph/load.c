// The public functions that make a model: they have the model room read or make its weights, and then recognise the
// network, which takes a graph.
#include "graph/load.h"

#include <stdlib.h>

#include "graph/resnet.h"

// Networks with a 3x3 stem that keeps the picture's size and three or four stages are made for small pictures, as those
// for CIFAR are. Of others with such a stem nothing is known: they run as every network does.
static void fit_to_stem(cdl_model *model, const cdl_log *log) {
    const struct cdl_tensor *conv1 = cdl_model_find(model, "conv1.weight");
    struct cdl_recipe *recipe = &model->recipe;
    if (conv1->shape[2] >= 7 || recipe->stem_stride == 2 || recipe->stem_pool == 1 ||
        cdl_model_metadata(model, "input_size"))
        return;
    if (cdl_model_find(model, "layer3.0.conv1.weight")) {
        recipe->input_width = recipe->input_height = 32;
        if (!cdl_model_metadata(model, "resize_size"))
            recipe->resize_size = 32;
    }
    cdl_logf(log, CDL_LOG_WARN,
             "%s: says nothing of the size of its pictures; it runs at %dx%d, %s; "
             "metadata input_size, resize_size, mean and std tell it otherwise",
             model->what, recipe->input_width, recipe->input_height,
             recipe->input_width == 32 ? "as networks with such a stem are mostly trained"
                                       : "though its stem suits small pictures");
}

cdl_result cdl_model_recognise(cdl_model **out, cdl_model *model, const cdl_log *log) {
    char name[64] = "";
    bool *used = calloc((size_t)model->list.count + 1, sizeof(*used));
    cdl_result r = used ? CDL_OK : cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", model->what);
    if (r == CDL_OK)
        r = cdl_infer_architecture(model, name, &model->num_classes, used, log);
    if (r == CDL_OK)
        r = cdl_model_complete(model, used, log);
    if (r == CDL_OK)
        fit_to_stem(model, log);
    free(used);
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
    return r == CDL_OK ? cdl_model_recognise(out, model, &p.log) : r;
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
        r = cdl_model_recognise(out, model, &p.log);
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
    return r == CDL_OK ? cdl_model_recognise(out, model, &p.log) : r;
}
