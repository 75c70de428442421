// model.h - a weights file as named, checked tensors plus the recipe that goes with them.
//
// A parser (pth.c, safetensors.c) only finds the tensors: it fills a cdl_tensor_list whose
// data pointers lead into the mapped file. model.c does everything common: prefix removal, order, NaN
// check; recipe.c metadata and labels. Nothing here knows what a convolution is; graph.c does.
#ifndef CDL_MODEL_H_
#define CDL_MODEL_H_

#include <stdatomic.h>

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

// Bytes of one element: 4 or 2.
size_t cdl_dtype_size(cdl_dtype dtype);

// What a parser produces. Owned by the model after success.
struct cdl_tensor_list {
    struct cdl_tensor *items; // malloc'd
    int count, capacity;
    struct cdl_text_pair {
        char *key, *value;
    } * metadata; // malloc'd, both strings too
    int num_metadata;
};
// Appends a copy of *t; t->name is copied too (malloc'd).
cdl_result cdl_tensor_list_add(struct cdl_tensor_list *list, const struct cdl_tensor *t, const cdl_log *log);
cdl_result cdl_tensor_list_set_metadata(struct cdl_tensor_list *list, const char *key, const char *value,
                                        const cdl_log *log);
void cdl_tensor_list_free(struct cdl_tensor_list *list);

// Whether a state dict's entry is training bookkeeping that inference never reads, whatever its type.
bool cdl_tensor_name_ignored(const char *name);

// Parsers. `what` names the input in messages (a path). On failure the list is to be freed by the caller.
bool cdl_is_safetensors(const uint8_t *data, size_t size);
cdl_result cdl_parse_safetensors(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                                 const cdl_log *log);
bool cdl_is_pth(const uint8_t *data, size_t size); // either torch.save format
cdl_result cdl_parse_pth(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                         const cdl_log *log);

struct cdl_recipe {
    char architecture[64]; // empty: to be inferred by graph.c
    int input_width, input_height;
    int resize_size; // short side, pixels
    float mean[3], std[3];
    int stem_stride;      // 0: by stem kernel size (7x7: 2, 3x3: 1)
    int stem_pool;        // -1: by stem kernel size (7x7: yes, 3x3: no), 0 no, 1 yes
    int stage_strides[4]; // 0: 1 for the first stage, 2 for the others
};

struct cdl_model {
    struct cdl_tensor_list list;
    struct cdl_recipe recipe;
    char **labels; // [num_labels]
    int num_labels;
    char what[256];          // the file's path or "resnet18 (random)", for messages
    int num_classes;         // as cdl_infer_architecture tells
    uint64_t num_parameters; // elements of all tensors but running statistics
    // The bytes all tensors lead into, given back by release(model) when the last reference goes.
    const void *data;
    size_t size;
    void (*release)(struct cdl_model *model);     // NULL: nothing to give back
    void (*free_fn)(void *ctx, const void *data); // of cdl_model_load_memory
    void *free_ctx;
    atomic_int references;
};

// Sorted by name, so that cdl_model_find is a binary search.
const struct cdl_tensor *cdl_model_find(const struct cdl_model *model, const char *name); // NULL: none
void cdl_model_retain(struct cdl_model *model);
const char *cdl_model_metadata(const struct cdl_model *model, const char *key); // NULL: none

// recipe.c: merges params' metadata over the file's, then fills recipe and labels.
// A bad value of the file is CDL_ERR_FORMAT, one of params is CDL_ERR_INVALID.
cdl_result cdl_model_apply_metadata(struct cdl_model *model, const struct cdl_model_params *params);
// The metadata cdl_model_save writes: every known key that has a value, then the unknown ones.
// Appends to *out, to be freed by cdl_tensor_list_free.
cdl_result cdl_model_collect_metadata(const struct cdl_model *model, struct cdl_tensor_list *out, const cdl_log *log);

// Takes a list whose tensors lead into model->data, and does all that is common to every source of
// weights: order, checks, recipe, inference of the architecture. On failure the caller frees the model.
cdl_result cdl_model_finish(struct cdl_model *model, const struct cdl_model_params *params);
// An empty model with one reference, or NULL; `what` is copied. cdl_model_destroy frees it.
struct cdl_model *cdl_model_new(const char *what);
// Copies what the caller's version of the struct has; NULL is the defaults. CDL_ERR_INVALID when
// struct_size was not set or `metadata` is inconsistent.
cdl_result cdl_model_read_params(struct cdl_model_params *out, const struct cdl_model_params *in);

#endif // CDL_MODEL_H_
