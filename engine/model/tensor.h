// tensor.h - named tensors inside a mapped weights file, and lists of them with the file's metadata.
#ifndef CDL_MODEL_TENSOR_H_
#define CDL_MODEL_TENSOR_H_

#include "base/base.h"

enum { CDL_MAX_DIMS = 8 };

// One tensor inside the mapped bytes. Every index reachable through shape and stride was
// checked to lie inside the file.
struct cdl_tensor {
    const char *name; // torchvision's: "layer1.0.conv2.weight"
    cdl_dtype dtype;
    int num_dims;
    int64_t shape[CDL_MAX_DIMS];
    int64_t stride[CDL_MAX_DIMS]; // in elements; torch files may hold channels_last or transposed views
    const uint8_t *data;          // element [0,0,...]; not necessarily aligned
};

int64_t cdl_tensor_count(const struct cdl_tensor *t); // product of shape, >= 1

// Row i of the tensor seen as [shape[0]][rest], as contiguous float[rest] in row-major order of
// the remaining dimensions. A 1-d tensor is one row: [1][shape[0]].
void cdl_tensor_read_row(const struct cdl_tensor *t, int64_t i, float *out);
int64_t cdl_tensor_rows(const struct cdl_tensor *t);
int64_t cdl_tensor_row_size(const struct cdl_tensor *t);

// Whether dimensions first .. num_dims - 1 lie in row-major order without gaps.
bool cdl_tensor_is_contiguous(const struct cdl_tensor *t, int first);

// Bytes of one element: 4 or 2.
size_t cdl_dtype_size(cdl_dtype dtype);

// What a file says beside its weights.
struct cdl_metadata_entry {
    char *key, *value; // malloc'd
};

// What a parser produces. Owned by the model after success.
struct cdl_tensor_list {
    struct cdl_tensor *items; // malloc'd
    int count;
    size_t capacity;                     // of items
    struct cdl_metadata_entry *metadata; // malloc'd
    int num_metadata;
};
// Appends a copy of *t; t->name is copied too (malloc'd).
cdl_result cdl_tensor_list_add(struct cdl_tensor_list *list, const struct cdl_tensor *t, const cdl_log *log);
cdl_result cdl_tensor_list_set_metadata(struct cdl_tensor_list *list, const char *key, const char *value,
                                        const cdl_log *log);
void cdl_tensor_list_free(struct cdl_tensor_list *list);

// Whether a state dict's entry is training bookkeeping that inference never reads, whatever its type.
bool cdl_tensor_name_ignored(const char *name);

#endif // CDL_MODEL_TENSOR_H_
