// model.h - the weights of a network as named, checked tensors, with the recipe for its pictures.
//
// Where they come from: read.c takes a file or memory and picks the parser (pth.c, safetensors.c), which only
// finds the tensors; random.c makes them. model.c then does what is common to all, names.c and order.c give them
// torchvision's names, recipe.c applies metadata and labels. A model is complete only once graph/load.c has recognised
// its network: what that needs is kept and checked for NaN, and what it has no use for is an error.
#ifndef CDL_MODEL_H_
#define CDL_MODEL_H_

#include <stdatomic.h>

#include "model/tensor.h"

// What a block that changes the number of channels or the size adds, where the file has no weights for it: the
// picture's every second row and column, its channels amid zeros ("option A" of He et al. 2015) or before them.
enum cdl_shortcut { CDL_SHORTCUT_NONE, CDL_SHORTCUT_A, CDL_SHORTCUT_A_END };

struct cdl_recipe {
    char architecture[64]; // empty until graph/load.c names it
    int input_width, input_height;
    int resize_size; // short side, pixels
    cdl_interpolation interpolation;
    float mean[3], std[3];
    int stem_stride;      // 0: by stem kernel size (7x7: 2, 3x3: 1)
    int stem_pool;        // -1: by stem kernel size (7x7: yes, 3x3: no), 0 no, 1 yes
    int stage_strides[4]; // 0: 1 for the first stage, 2 for the others
    enum cdl_shortcut shortcut;
};

struct cdl_model {
    struct cdl_tensor_list list; // sorted by name
    struct cdl_recipe recipe;
    char **labels; // [num_labels]
    int num_labels;
    char labels_from[256];   // where they came from, for messages
    char what[256];          // the file's path or "resnet18 (random)", for messages
    int num_classes;         // 0 until graph/load.c has recognised the network
    uint64_t num_parameters; // elements of all tensors but running statistics
    // The bytes that all tensors lead into. free_fn gets them when the last reference goes; NULL: they are not ours.
    const void *data;
    size_t size;
    void (*free_fn)(void *ctx, const void *data);
    void *free_ctx;
    atomic_int references;
};

// ---- sources: models without their network's name and class count, to be completed by graph/load.c.
// `params` comes from cdl_model_read_params. On failure *out is untouched, and the reason was logged.

// The model keeps the file mapped.
cdl_result cdl_model_read_file(cdl_model **out, const char *path, const struct cdl_model_params *params);
// The model borrows `data`: free_fn is left NULL. `what` names it in messages.
cdl_result cdl_model_read_memory(cdl_model **out, const void *data, size_t size, const char *what,
                                 const struct cdl_model_params *params);
// Random weights, see cdl_model_random. CDL_ERR_INVALID: `arch` is not known.
cdl_result cdl_model_make_random(cdl_model **out, const char *arch, uint64_t seed,
                                 const struct cdl_model_params *params);

// Copies what the caller's version of the struct has; NULL is the defaults. CDL_ERR_INVALID when
// struct_size was not set or `metadata` is inconsistent.
cdl_result cdl_model_read_params(struct cdl_model_params *out, const struct cdl_model_params *in);

// The value that params' metadata give to a key, or NULL.
const char *cdl_params_metadata(const struct cdl_model_params *params, const char *key);

// ---- questions

const struct cdl_tensor *cdl_model_find(const struct cdl_model *model, const char *name); // NULL: none
const char *cdl_model_metadata(const struct cdl_model *model, const char *key);           // NULL: none
void cdl_model_retain(struct cdl_model *model); // one more reference, to be given back by cdl_model_destroy

// Once the network is known: used[i] tells whether it needs tensor i. Fails, naming them, when it has no use for some
// that are not known to be harmless; drops those, and checks the values of the others.
cdl_result cdl_model_complete(struct cdl_model *model, const bool *used, const cdl_log *log);

// ---- within this room

// names.c: gives the tensors of the list torchvision's names, by known schemes, by the caller's, else by order and
// shape; drops what lies outside the network and is known to be harmless. What has no place keeps its name.
cdl_result cdl_model_rename(struct cdl_model *model, const struct cdl_model_params *params);
// order.c: roles[i] becomes torchvision's name for tensor i (malloc'd) or NULL, when order and shapes tell a residual
// network. `weightless`: shortcuts may lack weights. On failure *problem says why, and no roles are set.
bool cdl_roles_by_order(const struct cdl_tensor_list *list, bool weightless, char **roles, const char **problem);
// harmless.c: whether inference never needs a tensor of this name, wherever it stands: counters of training.
bool cdl_tensor_is_bookkeeping(const struct cdl_tensor *t);
// Whether a tensor of this name outside the network is something of training: a criterion's, an optimizer's, a copy's.
bool cdl_tensor_is_beside(const char *name);
// What a list of tensors resembles that is no residual network, or "".
const char *cdl_likeness(const struct cdl_tensor_list *list);

// An empty model with one reference, or NULL; `what` is copied. cdl_model_destroy frees it.
struct cdl_model *cdl_model_new(const char *what);
// Does what is common to all sources once the model's list holds the tensors: names them as torchvision does, sorts,
// applies metadata. On failure the caller destroys the model.
cdl_result cdl_model_finish(struct cdl_model *model, const struct cdl_model_params *params);

// Parsers, each with a test of whether the bytes are of its format. `what` names the input in messages.
// On failure the list is to be freed by the caller.
bool cdl_is_safetensors(const uint8_t *data, size_t size);
cdl_result cdl_parse_safetensors(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                                 const cdl_log *log);
bool cdl_is_pth(const uint8_t *data, size_t size); // either torch.save format
// `copy`: of several copies of the weights, the one to take ("ema", or a key); NULL: the plain ones.
cdl_result cdl_parse_pth(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                         const char *copy, const cdl_log *log);

// recipe.c: merges params' metadata over the file's, then fills recipe and labels.
// A bad value of the file is CDL_ERR_FORMAT, one of params is CDL_ERR_INVALID.
cdl_result cdl_model_apply_metadata(struct cdl_model *model, const struct cdl_model_params *params);
// The metadata that cdl_model_save writes: every known key that has a value, then the unknown ones.
// Appends to *out, to be freed by cdl_tensor_list_free.
cdl_result cdl_model_collect_metadata(const struct cdl_model *model, struct cdl_tensor_list *out, const cdl_log *log);

#endif // CDL_MODEL_H_
