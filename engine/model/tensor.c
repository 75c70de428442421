// Tensors inside a mapped file, and lists of them.
#include "model/tensor.h"

#include <stdlib.h>
#include <string.h>

// ---- tensors

size_t cdl_dtype_size(int dtype) {
    switch (dtype) {
    case CDL_DTYPE_F32: return 4;
    case CDL_DTYPE_F16:
    case CDL_DTYPE_BF16: return 2;
    case CDL_DTYPE_F64: return 8;
    }
    return 0;
}

bool cdl_tensor_is_readable(const struct cdl_tensor *t) { return t->data && t->dtype != CDL_DTYPE_OTHER; }

int64_t cdl_tensor_count(const struct cdl_tensor *t) {
    int64_t count = 1;
    for (int d = 0; d < t->num_dims; d++)
        count *= t->shape[d];
    return count;
}

int64_t cdl_tensor_rows(const struct cdl_tensor *t) { return t->num_dims >= 2 ? t->shape[0] : 1; }

int64_t cdl_tensor_row_size(const struct cdl_tensor *t) {
    const int64_t rows = cdl_tensor_rows(t);
    return rows ? cdl_tensor_count(t) / rows : 0;
}

bool cdl_tensor_is_contiguous(const struct cdl_tensor *t, int first) {
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
static void read_run(int dtype, const uint8_t *data, int64_t stride, int64_t n, float *out) {
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
    case CDL_DTYPE_F64:
        for (int64_t i = 0; i < n; i++) {
            double v;
            memcpy(&v, data + i * step, sizeof(v));
            out[i] = (float)v;
        }
        return;
    }
}

void cdl_tensor_read_row(const struct cdl_tensor *t, int64_t i, float *out) {
    const int64_t size = (int64_t)cdl_dtype_size(t->dtype);
    const int first = t->num_dims >= 2 ? 1 : 0;
    const uint8_t *row = first ? t->data + i * t->stride[0] * size : t->data;
    if (cdl_tensor_is_contiguous(t, first)) {
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

// ---- tensor list

cdl_result cdl_tensor_list_add(struct cdl_tensor_list *list, const struct cdl_tensor *t, const cdl_log *log) {
    struct cdl_tensor *items = cdl_grow(list->items, (size_t)list->count, &list->capacity, sizeof(*items));
    if (!items)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for %d tensors", list->count + 1);
    list->items = items;
    char *name = cdl_copy_text(t->name);
    if (!name)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for a tensor's name");
    list->items[list->count] = *t;
    list->items[list->count].order = list->count;
    list->items[list->count++].name = name;
    return CDL_OK;
}

cdl_result cdl_tensor_list_set_metadata(struct cdl_tensor_list *list, const char *key, const char *value,
                                        const cdl_log *log) {
    char *copy = cdl_copy_text(value);
    if (!copy)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for metadata");
    for (int i = 0; i < list->num_metadata; i++) {
        if (strcmp(list->metadata[i].key, key) == 0) {
            free(list->metadata[i].value);
            list->metadata[i].value = copy;
            return CDL_OK;
        }
    }
    char *key_copy = cdl_copy_text(key);
    struct cdl_metadata_entry *entries = realloc(list->metadata, ((size_t)list->num_metadata + 1) * sizeof(*entries));
    if (entries)
        list->metadata = entries;
    if (!key_copy || !entries) {
        free(key_copy);
        free(copy);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for metadata");
    }
    entries[list->num_metadata].key = key_copy;
    entries[list->num_metadata++].value = copy;
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
