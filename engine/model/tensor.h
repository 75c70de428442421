// tensor.h - named tensors inside a mapped weights file, and lists of them with the file's metadata.
#ifndef CDL_MODEL_TENSOR_H_
#define CDL_MODEL_TENSOR_H_

#include "base/base.h"

enum { CDL_MAX_DIMS = 8 };

// Element types of files beside cdl_dtype's, which are those that can be written.
enum {
    CDL_DTYPE_F64 = 16, // read, and narrowed to 32 bits
    CDL_DTYPE_OTHER,    // integers, 8-bit floats and others: known by name and shape, data NULL
};

// One tensor inside the mapped bytes. Every index reachable through shape and stride was
// checked to lie inside the file. A tensor without elements has no data.
struct cdl_tensor {
    const char *name; // the file's; torchvision's once names.c has seen it: "layer1.0.conv2.weight"
    int dtype;        // a cdl_dtype, or one of the above
    int order;        // place in the file
    int num_dims;
    int64_t shape[CDL_MAX_DIMS];
    int64_t stride[CDL_MAX_DIMS]; // in elements; torch files may hold channels_last or transposed views
    const uint8_t *data;          // element [0,0,...]; not necessarily aligned
};

int64_t cdl_tensor_count(const struct cdl_tensor *t); // product of shape

// Row i of the tensor seen as [shape[0]][rest], as contiguous float[rest] in row-major order of
// the remaining dimensions. A 1-d tensor is one row: [1][shape[0]].
void cdl_tensor_read_row(const struct cdl_tensor *t, int64_t i, float *out);
int64_t cdl_tensor_rows(const struct cdl_tensor *t);
int64_t cdl_tensor_row_size(const struct cdl_tensor *t);

// Whether dimensions first .. num_dims - 1 lie in row-major order without gaps.
bool cdl_tensor_is_contiguous(const struct cdl_tensor *t, int first);

// Bytes of one element: 8, 4 or 2; 0 of CDL_DTYPE_OTHER.
size_t cdl_dtype_size(int dtype);

// Whether it holds numbers that a network can run with.
bool cdl_tensor_is_readable(const struct cdl_tensor *t);

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
    bool copy_chosen; // of several copies of the weights, the parser took the one that was asked for
};
// Appends a copy of *t; t->name is copied too (malloc'd).
cdl_result cdl_tensor_list_add(struct cdl_tensor_list *list, const struct cdl_tensor *t, const cdl_log *log);
cdl_result cdl_tensor_list_set_metadata(struct cdl_tensor_list *list, const char *key, const char *value,
                                        const cdl_log *log);
void cdl_tensor_list_free(struct cdl_tensor_list *list);

#endif // CDL_MODEL_TENSOR_H_
