#include "model/model.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_map.h"
#include "graph/graph.h"

// ---- tensors

size_t cdl_dtype_size(cdl_dtype dtype) { return dtype == CDL_DTYPE_F32 ? 4 : 2; }

int64_t cdl_tensor_count(const struct cdl_tensor *t) {
    int64_t count = 1;
    for (int d = 0; d < t->num_dims; d++)
        count *= t->shape[d];
    return count;
}

int64_t cdl_tensor_rows(const struct cdl_tensor *t) { return t->num_dims >= 2 ? t->shape[0] : 1; }

int64_t cdl_tensor_row_size(const struct cdl_tensor *t) { return cdl_tensor_count(t) / cdl_tensor_rows(t); }

// Whether dimensions `first`... lie in row-major order without gaps.
static bool is_contiguous(const struct cdl_tensor *t, int first) {
    int64_t expected = 1;
    for (int d = t->num_dims - 1; d >= first; d--) {
        if (t->shape[d] != 1 && t->stride[d] != expected)
            return false;
        expected *= t->shape[d];
    }
    return true;
}

static uint16_t load_u16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

// n elements, `stride` elements apart.
static void read_run(cdl_dtype dtype, const uint8_t *data, int64_t stride, int64_t n, float *out) {
    const int64_t step = stride * (int64_t)cdl_dtype_size(dtype);
    switch (dtype) {
    case CDL_DTYPE_F32:
        if (stride == 1) {
            memcpy(out, data, (size_t)n * sizeof(float));
            return;
        }
        for (int64_t i = 0; i < n; i++)
            memcpy(out + i, data + i * step, sizeof(float));
        return;
    case CDL_DTYPE_F16:
        for (int64_t i = 0; i < n; i++)
            out[i] = cdl_f16_to_f32(load_u16(data + i * step));
        return;
    case CDL_DTYPE_BF16:
        for (int64_t i = 0; i < n; i++)
            out[i] = cdl_bf16_to_f32(load_u16(data + i * step));
        return;
    }
}

void cdl_tensor_read_row(const struct cdl_tensor *t, int64_t i, float *out) {
    const int64_t size = (int64_t)cdl_dtype_size(t->dtype);
    const int first = t->num_dims >= 2 ? 1 : 0;
    const uint8_t *row = first ? t->data + i * t->stride[0] * size : t->data;
    if (is_contiguous(t, first)) {
        read_run(t->dtype, row, 1, cdl_tensor_row_size(t), out);
        return;
    }
    // An odometer over all dimensions but the last, which is read as one run.
    const int last = t->num_dims - 1;
    int64_t index[CDL_MAX_DIMS] = {0}, offset = 0;
    for (;;) {
        read_run(t->dtype, row + offset * size, t->stride[last], t->shape[last], out);
        out += t->shape[last];
        int d = last - 1;
        for (; d >= first; d--) {
            offset += t->stride[d];
            if (++index[d] < t->shape[d])
                break;
            offset -= t->stride[d] * t->shape[d];
            index[d] = 0;
        }
        if (d < first)
            return;
    }
}

bool cdl_tensor_name_ignored(const char *name) {
    static const char suffix[] = "num_batches_tracked";
    const size_t length = strlen(name), n = sizeof(suffix) - 1;
    return length >= n && strcmp(name + length - n, suffix) == 0;
}

// ---- tensor list

static char *copy_text(const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

cdl_result cdl_tensor_list_add(struct cdl_tensor_list *list, const struct cdl_tensor *t, const cdl_log *log) {
    if (list->count == list->capacity) {
        const int capacity = list->capacity ? list->capacity * 2 : 64;
        struct cdl_tensor *items = NULL;
        if (list->capacity < INT32_MAX / 2 && (size_t)capacity < SIZE_MAX / sizeof(*items))
            items = realloc(list->items, (size_t)capacity * sizeof(*items));
        if (!items)
            return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for %d tensors", capacity);
        list->items = items;
        list->capacity = capacity;
    }
    char *name = copy_text(t->name);
    if (!name)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for a tensor's name");
    list->items[list->count] = *t;
    list->items[list->count++].name = name;
    return CDL_OK;
}

cdl_result cdl_tensor_list_set_metadata(struct cdl_tensor_list *list, const char *key, const char *value,
                                        const cdl_log *log) {
    char *copy = copy_text(value);
    if (!copy)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for metadata");
    for (int i = 0; i < list->num_metadata; i++) {
        if (strcmp(list->metadata[i].key, key) == 0) {
            free(list->metadata[i].value);
            list->metadata[i].value = copy;
            return CDL_OK;
        }
    }
    char *key_copy = copy_text(key);
    struct cdl_text_pair *pairs = realloc(list->metadata, ((size_t)list->num_metadata + 1) * sizeof(*pairs));
    if (pairs)
        list->metadata = pairs;
    if (!key_copy || !pairs) {
        free(key_copy);
        free(copy);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for metadata");
    }
    pairs[list->num_metadata].key = key_copy;
    pairs[list->num_metadata++].value = copy;
    return CDL_OK;
}

void cdl_tensor_list_free(struct cdl_tensor_list *list) {
    for (int i = 0; i < list->count; i++)
        free((char *)list->items[i].name); // malloc'd by cdl_tensor_list_add
    for (int i = 0; i < list->num_metadata; i++) {
        free(list->metadata[i].key);
        free(list->metadata[i].value);
    }
    free(list->items);
    free(list->metadata);
    memset(list, 0, sizeof(*list));
}

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
        p = 0; // wrappers nest
    }
}

// Index of the first NaN or infinity of n packed elements, or -1. Works on exponent bits in blocks,
// so that compilers vectorise it: a file of 350 MB passes here.
static int64_t find_non_finite(cdl_dtype dtype, const uint8_t *data, int64_t n) {
    enum { BLOCK = 2048 };
    const size_t size = cdl_dtype_size(dtype);
    for (int64_t start = 0; start < n; start += BLOCK) {
        const int64_t count = n - start < BLOCK ? n - start : BLOCK;
        const uint8_t *block = data + (size_t)start * size;
        int64_t bad = -1;
        if (dtype == CDL_DTYPE_F32) {
            uint32_t bits[BLOCK], any = 0; // copied, as the file promises no alignment
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

static bool ends_with(const char *text, const char *suffix) {
    const size_t length = strlen(text), n = strlen(suffix);
    return length >= n && strcmp(text + length - n, suffix) == 0;
}

// `row`: room for one row.
static cdl_result check_values(const struct cdl_model *model, const struct cdl_tensor *t, float *row,
                               const cdl_log *log) {
    const int64_t rows = cdl_tensor_rows(t), row_size = cdl_tensor_row_size(t);
    const bool is_variance = ends_with(t->name, "running_var"), packed = is_contiguous(t, 0);
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
        if (!ends_with(t->name, "running_mean") && !ends_with(t->name, "running_var"))
            model->num_parameters += (uint64_t)cdl_tensor_count(t);
    }
    cdl_result r = check_all_values(model, log);
    if (r == CDL_OK)
        r = cdl_model_apply_metadata(model, params);
    char name[64] = "";
    if (r == CDL_OK)
        r = cdl_infer_architecture(model, name, &model->num_classes, log);
    if (r != CDL_OK)
        return r;
    if (!model->recipe.architecture[0])
        cdl_format_text(model->recipe.architecture, sizeof(model->recipe.architecture), "%s", name);
    if (model->num_labels > 0 && model->num_labels != model->num_classes) {
        cdl_logf(log, CDL_LOG_WARN, "%s: has %d labels for %d classes; correct the metadata's labels", model->what,
                 model->num_labels, model->num_classes);
    }
    return CDL_OK;
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
    if (m->release)
        m->release(m);
    free(m);
}

cdl_result cdl_model_read_params(struct cdl_model_params *out, const struct cdl_model_params *in) {
    if (!cdl_read_params(out, sizeof(*out), in))
        return CDL_ERR_INVALID;
    CDL_REQUIRE(&out->log, out->num_metadata >= 0);
    CDL_REQUIRE(&out->log, out->num_metadata == 0 || out->metadata);
    for (int i = 0; i < out->num_metadata; i++)
        CDL_REQUIRE(&out->log, out->metadata[i].key && out->metadata[i].value);
    return CDL_OK;
}

// ---- loading

// What a file that is no model appears to be, with the remedy.
static const char *describe_unknown(const uint8_t *data, size_t size) {
    static const struct {
        const char *magic;
        size_t offset;
        const char *text;
    } known[] = {
        {"version https://git-lfs", 0, "is a git-lfs pointer, not the file itself; run `git lfs pull`"},
        {"<!DOCTYPE", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<!doctype", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<html", 0, "is a web page, probably an error page saved in place of a download; download the file again"},
        {"<?xml", 0, "is an XML text, probably an error page saved in place of a download; download the file again"},
        {"\x89HDF", 0, "is an HDF5 file (Keras); save the weights with PyTorch or as .safetensors"},
        {"GGUF", 0, "is a GGUF file; save the weights with PyTorch or as .safetensors"},
        {"TFL3", 4, "is a TensorFlow Lite model; save the weights with PyTorch or as .safetensors"},
        {"\x93NUMPY", 0, "is a NumPy array; save the weights with PyTorch or as .safetensors"},
        {"\x1f\x8b", 0, "is gzip-compressed; decompress it first"},
        {"ustar", 257, "is a tar archive, as PyTorch before 0.1.10 wrote; save the state_dict again with PyTorch"},
        {"\xff\xd8\xff", 0, "is a JPEG picture, no model; exchange the arguments"},
        {"\x89PNG", 0, "is a PNG picture, no model; exchange the arguments"},
    };
    if (size == 0)
        return "is empty; download or save it again";
    for (size_t i = 0; i < CDL_COUNT(known); i++) {
        const size_t n = strlen(known[i].magic);
        if (size >= known[i].offset + n && memcmp(data + known[i].offset, known[i].magic, n) == 0)
            return known[i].text;
    }
    // A protobuf of ONNX's outermost message: field 1 (ir_version) a small number, then a length-delimited field.
    if (size >= 4 && data[0] == 0x08 && data[1] >= 1 && data[1] < 32 && (data[2] & 7) == 2 && data[2] >> 3 < 32)
        return "appears to be an ONNX model; save the original network's state_dict with PyTorch";
    size_t text = 0;
    while (text < size && text < 256 && (data[text] >= 0x20 || (data[text] >= 9 && data[text] <= 13)))
        text++;
    if (text == size || text == 256)
        return "is a text file, no model; name a .pth or .safetensors file";
    return "is neither .safetensors nor a PyTorch file; convert it, or download it again";
}

// Everything after the bytes are at hand. On failure the caller keeps them.
static cdl_result load(cdl_model **out, const void *data, size_t size, const char *what,
                       const struct cdl_model_params *params) {
    struct cdl_model *model = cdl_model_new(what);
    if (!model)
        return cdl_fail(&params->log, CDL_ERR_NOMEM, "%s: out of memory", what);
    model->data = data;
    model->size = size;
    cdl_result r;
    if (cdl_is_safetensors(data, size))
        r = cdl_parse_safetensors(&model->list, data, size, what, &params->log);
    else if (cdl_is_pth(data, size))
        r = cdl_parse_pth(&model->list, data, size, what, &params->log);
    else
        r = cdl_fail(&params->log, CDL_ERR_FORMAT, "%s: %s", what, describe_unknown(data, size));
    if (r == CDL_OK)
        r = cdl_model_finish(model, params);
    if (r == CDL_OK)
        *out = model;
    else
        cdl_model_destroy(&model);
    return r;
}

static void release_mapping(struct cdl_model *model) { cdl_file_unmap(model->data, model->size); }

static void release_memory(struct cdl_model *model) {
    if (model->free_fn)
        model->free_fn(model->free_ctx, model->data);
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
    const void *data;
    size_t size;
    r = cdl_file_map(&data, &size, path, &p.log);
    if (r != CDL_OK)
        return r;
    r = load(out, data, size, path, &p);
    if (r == CDL_OK)
        (*out)->release = release_mapping;
    else
        cdl_file_unmap(data, size);
    return r;
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
    r = load(out, data, size, "memory", &p);
    if (r == CDL_OK) {
        (*out)->free_fn = free_fn;
        (*out)->free_ctx = ctx;
        (*out)->release = release_memory;
    }
    return r;
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
    memcpy(out->mean, recipe->mean, sizeof(out->mean));
    memcpy(out->std, recipe->std, sizeof(out->std));
    out->num_parameters = model->num_parameters;
}

const char *cdl_model_class_name(const cdl_model *model, int id) {
    return id >= 0 && id < model->num_labels ? model->labels[id] : NULL;
}
