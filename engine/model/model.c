// A model: what is common to every source of weights, its lifetime, and what can be asked of it.
#include "model/model.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REPEATED = 64 << 20 }; // bytes by which tensors may exceed twice the file

// ---- checks common to every source of weights

static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct cdl_tensor *)a)->name, ((const struct cdl_tensor *)b)->name);
}

// Index of the first NaN or infinity of n packed elements, or -1. Works on exponent bits in blocks, so that compilers
// vectorise it: loading passes every weight through here.
static int64_t find_non_finite(int dtype, const uint8_t *data, int64_t n) {
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
    const bool is_variance = cdl_ends_with(t->name, "running_var"),
               packed = t->dtype != CDL_DTYPE_F64 && cdl_tensor_is_contiguous(t, 0);
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

static cdl_result sort(struct cdl_model *model, const cdl_log *log) {
    struct cdl_tensor_list *list = &model->list;
    qsort(list->items, (size_t)list->count, sizeof(*list->items), compare_names);
    for (int i = 1; i < list->count; i++)
        if (strcmp(list->items[i - 1].name, list->items[i].name) == 0)
            return cdl_fail(log, CDL_ERR_FORMAT, "%s: tensor %s appears twice; save the model again", model->what,
                            list->items[i].name);
    return CDL_OK;
}

static void remove_metadata(struct cdl_tensor_list *list, const char *key) {
    int kept = 0;
    for (int i = 0; i < list->num_metadata; i++) {
        if (strcmp(list->metadata[i].key, key) != 0) {
            list->metadata[kept++] = list->metadata[i];
            continue;
        }
        free(list->metadata[i].key);
        free(list->metadata[i].value);
    }
    list->num_metadata = kept;
}

cdl_result cdl_model_finish(struct cdl_model *model, const struct cdl_model_params *params) {
    const cdl_log *log = &params->log;
    int readable = 0;
    for (int i = 0; i < model->list.count; i++)
        readable += cdl_tensor_is_readable(&model->list.items[i]);
    if (readable == 0) {
        return cdl_fail(log, CDL_ERR_FORMAT, "%s: holds no floating-point tensor; save the network's state_dict()",
                        model->what);
    }
    cdl_result r = cdl_model_rename(model, params);
    if (r == CDL_OK)
        r = sort(model, log);
    if (r == CDL_OK)
        r = cdl_model_apply_metadata(model, params);
    if (r == CDL_OK && cdl_params_metadata(params, "weights")) // says something of the file, nothing of the model
        remove_metadata(&model->list, "weights");
    return r;
}

// Names tensors that the network has no use for, in the file's order, weights before biases.
static cdl_result refuse_unused(const struct cdl_model *model, const bool *used, int count, const cdl_log *log) {
    char names[400] = "";
    int first = INT_MAX, last = -1;
    for (int told = 0; told < 3; told++) { // the next in order
        first = INT_MAX;
        int next = -1;
        for (int i = 0; i < model->list.count; i++) {
            const struct cdl_tensor *t = &model->list.items[i];
            if (!used[i] && !cdl_tensor_is_bookkeeping(t) && t->order > last && t->order < first) {
                first = t->order;
                next = i;
            }
        }
        if (next < 0)
            break;
        last = first;
        const size_t length = strlen(names);
        cdl_format_text(names + length, sizeof(names) - length, "%s%.120s", told ? ", " : "",
                        model->list.items[next].name);
    }
    const char *likeness = cdl_likeness(&model->list);
    return cdl_fail(log, CDL_ERR_FORMAT,
                    "%s: the network that its names tell has no place for %d of its tensors (%s%s)%s%s; it would "
                    "answer wrongly without them. If they are no part of the network, a names file can say so",
                    model->what, count, names, count > 3 ? ", ..." : "", likeness[0] ? ": " : "", likeness);
}

cdl_result cdl_model_complete(struct cdl_model *model, const bool *used, const cdl_log *log) {
    struct cdl_tensor_list *list = &model->list;
    int unused = 0, kept = 0;
    uint64_t bytes = 0;
    for (int i = 0; i < list->count; i++) {
        const struct cdl_tensor *t = &list->items[i];
        if (used[i])
            bytes += (uint64_t)cdl_tensor_count(t) * cdl_dtype_size(t->dtype);
        unused += !used[i] && !cdl_tensor_is_bookkeeping(t);
        // Tensors may share and repeat memory: a small file must not take hours.
        if (bytes > 2 * (uint64_t)model->size + MAX_REPEATED)
            return cdl_fail(log, CDL_ERR_FORMAT,
                            "%s: its tensors up to %s repeat the file's bytes too often; save them as "
                            "tensor.contiguous()",
                            model->what, t->name);
    }
    if (unused)
        return refuse_unused(model, used, unused, log);
    for (int i = 0; i < list->count; i++) {
        if (used[i])
            list->items[kept++] = list->items[i];
        else
            free((char *)list->items[i].name);
    }
    list->count = kept;
    for (int i = 0; i < list->count; i++) {
        const struct cdl_tensor *t = &list->items[i];
        if (!cdl_ends_with(t->name, "running_mean") && !cdl_ends_with(t->name, "running_var"))
            model->num_parameters += (uint64_t)cdl_tensor_count(t);
    }
    return check_all_values(model, log);
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

const char *cdl_params_metadata(const struct cdl_model_params *params, const char *key) {
    for (int i = params->num_metadata; i-- > 0;) // the last counts, as in cdl_model_apply_metadata
        if (strcmp(params->metadata[i].key, key) == 0)
            return params->metadata[i].value;
    return NULL;
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
