// A model: what is common to every source of weights, its lifetime, and what can be asked of it.
#include "model/model.h"

#include <stdlib.h>
#include <string.h>

// ---- checks common to every source of weights

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct cdl_tensor *)a)->name, ((const struct cdl_tensor *)b)->name);
}

// DataParallel, torch.compile and Lightning wrap a network in one more module, whose name then
// stands before every tensor's.
static void remove_common_prefix(struct cdl_tensor_list *list) {
    static const char *const prefixes[] = {"module.", "_orig_mod.", "model."};
    for (size_t p = 0; p < CDL_COUNT(prefixes);) {
        const size_t length = strlen(prefixes[p]);
        int i = 0;
        while (i < list->count && strncmp(list->items[i].name, prefixes[p], length) == 0)
            i++;
        if (list->count == 0 || i < list->count) {
            p++;
            continue;
        }
        for (i = 0; i < list->count; i++) {
            char *name = (char *)list->items[i].name;
            memmove(name, name + length, strlen(name + length) + 1);
        }
        p = 0; // a wrapper may hold another
    }
}

// Index of the first NaN or infinity of n packed elements, or -1. Works on exponent bits in blocks, so that compilers
// vectorise it: loading passes every weight through here.
static int64_t find_non_finite(cdl_dtype dtype, const uint8_t *data, int64_t n) {
    enum { BLOCK = 2048 };
    const size_t size = cdl_dtype_size(dtype);
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        const uint8_t *block = data + (size_t)start * size;
        int64_t bad = -1;
        if (dtype == CDL_DTYPE_F32) {
            uint32_t bits[BLOCK], any = 0; // copied, as tensors need not be aligned in the file
            memcpy(bits, block, (size_t)count * size);
            for (int64_t i = 0; i < count; i++)
                any |= (bits[i] & 0x7f800000u) == 0x7f800000u;
            for (int64_t i = 0; any && bad < 0 && i < count; i++)
                bad = (bits[i] & 0x7f800000u) == 0x7f800000u ? i : -1;
        } else {
            const uint16_t exponent = dtype == CDL_DTYPE_F16 ? 0x7c00u : 0x7f80u;
            uint16_t bits[BLOCK], any = 0;
            memcpy(bits, block, (size_t)count * size);
            for (int64_t i = 0; i < count; i++)
                any |= (bits[i] & exponent) == exponent;
            for (int64_t i = 0; any && bad < 0 && i < count; i++)
                bad = (bits[i] & exponent) == exponent ? i : -1;
        }
        if (bad >= 0)
            return start + bad;
    }
    return -1;
}

// `row`: room for one row.
static cdl_result check_values(const struct cdl_model *model, const struct cdl_tensor *t, float *row,
                               const cdl_log *log) {
    const int64_t rows = cdl_tensor_rows(t), row_size = cdl_tensor_row_size(t);
    const bool is_variance = cdl_ends_with(t->name, "running_var"), packed = cdl_tensor_is_contiguous(t, 0);
    int64_t bad = packed ? find_non_finite(t->dtype, t->data, rows * row_size) : -1;
    for (int64_t i = 0; bad < 0 && i < rows && (!packed || is_variance); i++) {
        cdl_tensor_read_row(t, i, row);
        bad = find_non_finite(CDL_DTYPE_F32, (const uint8_t *)row, row_size);
        if (bad >= 0)
            bad += i * row_size;
        for (int64_t j = 0; bad < 0 && is_variance && j < row_size; j++) {
            if (row[j] < 0) {
                return cdl_fail(log, CDL_ERR_FORMAT,
                                "%s: tensor %s: element %lld is %g, but a variance is never negative; "
                                "the file is damaged, or training diverged",
                                model->what, t->name, (long long)(i * row_size + j), (double)row[j]);
            }
        }
    }
    if (bad < 0)
        return CDL_OK;
    return cdl_fail(log, CDL_ERR_FORMAT,
                    "%s: tensor %s: element %lld is NaN or infinite; the file is damaged, or training "
                    "diverged: use an earlier checkpoint",
                    model->what, t->name, (long long)bad);
}

static cdl_result check_all_values(const struct cdl_model *model, const cdl_log *log) {
    int64_t row_size = 0;
    for (int i = 0; i < model->list.count; i++) {
        const int64_t n = cdl_tensor_row_size(&model->list.items[i]);
        row_size = n > row_size ? n : row_size;
    }
    if ((uint64_t)row_size > SIZE_MAX / sizeof(float))
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: a tensor is too large for this system", model->what);
    float *row = malloc((size_t)row_size * sizeof(*row));
    if (!row)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", model->what);
    cdl_result r = CDL_OK;
    for (int i = 0; i < model->list.count && r == CDL_OK; i++)
        r = check_values(model, &model->list.items[i], row, log);
    free(row);
    return r;
}

cdl_result cdl_model_finish(struct cdl_model *model, const struct cdl_model_params *params) {
    const cdl_log *log = &params->log;
    struct cdl_tensor_list *list = &model->list;
    if (list->count == 0) {
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: holds no floating-point tensor; save the network's state_dict()",
                        model->what);
    }
    remove_common_prefix(list);
    qsort(list->items, (size_t)list->count, sizeof(*list->items), compare_names);
    for (int i = 0; i < list->count; i++) {
        const struct cdl_tensor *t = &list->items[i];
        if (i > 0 && strcmp(t[-1].name, t->name) == 0)
            return cdl_fail(log, CDL_ERR_FORMAT, "%s: tensor %s appears twice; save the model again", model->what,
                            t->name);
        if (!cdl_ends_with(t->name, "running_mean") && !cdl_ends_with(t->name, "running_var"))
            model->num_parameters += (uint64_t)cdl_tensor_count(t);
    }
    cdl_result r = check_all_values(model, log);
    return r == CDL_OK ? cdl_model_apply_metadata(model, params) : r;
}

// ---- lifetime

struct cdl_model *cdl_model_new(const char *what) {
    struct cdl_model *model = calloc(1, sizeof(*model));
    if (!model)
        return NULL;
    atomic_init(&model->references, 1);
    cdl_format_text(model->what, sizeof(model->what), "%s", what);
    return model;
}

void cdl_model_retain(struct cdl_model *model) {
    atomic_fetch_add_explicit(&model->references, 1, memory_order_relaxed);
}

void cdl_model_destroy(cdl_model **model) {
    if (!model || !*model)
        return;
    struct cdl_model *m = *model;
    *model = NULL;
    // Acquire-release: the last owner sees all the others' reads done before it frees.
    if (atomic_fetch_sub_explicit(&m->references, 1, memory_order_acq_rel) > 1)
        return;
    cdl_tensor_list_free(&m->list);
    for (int i = 0; i < m->num_labels; i++)
        free(m->labels[i]);
    free(m->labels);
    if (m->free_fn)
        m->free_fn(m->free_ctx, m->data);
    free(m);
}

cdl_result cdl_model_read_params(struct cdl_model_params *out, const struct cdl_model_params *in) {
    if (!cdl_read_params(out, sizeof(*out), in))
        return CDL_ERR_INVALID;
    CDL_REQUIRE(&out->log, out->num_metadata >= 0);
    CDL_REQUIRE(&out->log, out->num_metadata == 0 || out->metadata);
    for (int i = 0; i < out->num_metadata; i++)
        CDL_REQUIRE(&out->log, out->metadata[i].key && out->metadata[i].value);
    CDL_REQUIRE(&out->log, out->num_defaults >= 0);
    CDL_REQUIRE(&out->log, out->num_defaults == 0 || out->defaults);
    for (int i = 0; i < out->num_defaults; i++)
        CDL_REQUIRE(&out->log, out->defaults[i].key && out->defaults[i].value);
    return CDL_OK;
}

// ---- questions

const struct cdl_tensor *cdl_model_find(const struct cdl_model *model, const char *name) {
    const struct cdl_tensor key = {.name = name};
    if (model->list.count == 0)
        return NULL;
    return bsearch(&key, model->list.items, (size_t)model->list.count, sizeof(key), compare_names);
}

const char *cdl_model_metadata(const struct cdl_model *model, const char *key) {
    for (int i = 0; i < model->list.num_metadata; i++) {
        if (strcmp(model->list.metadata[i].key, key) == 0)
            return model->list.metadata[i].value;
    }
    return NULL;
}

void cdl_model_get_info(const cdl_model *model, struct cdl_model_info *out) {
    const struct cdl_recipe *recipe = &model->recipe;
    memset(out, 0, sizeof(*out));
    cdl_format_text(out->architecture, sizeof(out->architecture), "%s", recipe->architecture);
    out->num_classes = model->num_classes;
    out->num_labels = model->num_labels;
    out->input_width = recipe->input_width;
    out->input_height = recipe->input_height;
    out->resize_size = recipe->resize_size;
    out->interpolation = recipe->interpolation;
    memcpy(out->mean, recipe->mean, sizeof(out->mean));
    memcpy(out->std, recipe->std, sizeof(out->std));
    out->num_parameters = model->num_parameters;
}

const char *cdl_model_class_name(const cdl_model *model, int id) {
    return id >= 0 && id < model->num_labels ? model->labels[id] : NULL;
}
