// torch.save files: since PyTorch 1.6 a zip archive of data.pkl and one entry for each storage, before
// that several pickles followed by the storages. Neither format is documented; the reference is
// torch/serialization.py (_save and _legacy_save).
#include <stdlib.h>
#include <string.h>

#include "model/model.h"
#include "model/pickle.h"
#include "model/zip.h"

// A storage of the legacy format.
struct storage {
    const struct cdl_pickle_node *key; // text
    const struct cdl_pickle_storage_type *type;
    uint64_t count;      // elements
    const uint8_t *data; // NULL: not found yet
};

struct reader {
    struct cdl_tensor_list *list;
    const uint8_t *data;
    size_t size;
    const char *what;
    const cdl_log *log;
    struct cdl_pickle pickle;
    struct cdl_zip zip; // zip format
    const char *folder; // of all entries, "archive/", in the zip's bytes
    size_t folder_length;
    struct storage *storages; // legacy format: malloc'd, sorted by key
    size_t num_storages;
    const char *copy; // of several copies of the weights, the one that was asked for; NULL: the plain ones
    char name[64];    // a key
};

bool cdl_is_pth(const uint8_t *data, size_t size) {
    if (size >= 4 && memcmp(data, "PK\x03\x04", 4) == 0)
        return true;
    return size >= 2 && data[0] == 0x80 && data[1] >= 2 && data[1] <= 8; // a pickle's PROTO, with room for newer ones
}

// ---- storages

static cdl_result bad_tensor(const struct reader *r, const char *name, const char *problem) {
    return cdl_fail(r->log, CDL_ERR_FORMAT, "%s: tensor %.200s: %s; the file is damaged, download or save it again",
                    r->what, name, problem);
}

static int compare_keys(const struct cdl_pickle_node *a, const struct cdl_pickle_node *b) {
    const int order = memcmp(a->u.text, b->u.text, a->count < b->count ? a->count : b->count);
    return order ? order : (a->count > b->count) - (a->count < b->count);
}

static int compare_storages(const void *a, const void *b) {
    return compare_keys(((const struct storage *)a)->key, ((const struct storage *)b)->key);
}

static struct storage *find_storage(const struct reader *r, const struct cdl_pickle_node *key) {
    const struct storage wanted = {.key = key};
    return r->num_storages ? bsearch(&wanted, r->storages, r->num_storages, sizeof(wanted), compare_storages) : NULL;
}

// Reads key, type and count from a storage node; false when it is malformed.
static bool read_storage_node(const struct reader *r, const struct cdl_pickle_node *node, struct storage *out) {
    const struct cdl_pickle_node *key = cdl_pickle_item(&r->pickle, node, 1),
                                 *count = cdl_pickle_item(&r->pickle, node, 3);
    *out = (struct storage){.key = key, .type = cdl_pickle_get_type(cdl_pickle_item(&r->pickle, node, 0))};
    if (!out->type || !key || key->kind != CDL_PICKLE_TEXT || !count || count->kind != CDL_PICKLE_INT ||
        count->u.integer < 0)
        return false;
    out->count = (uint64_t)count->u.integer;
    return out->count <= SIZE_MAX / 16; // so that its size in bytes fits size_t
}

// Sets storage->data to the bytes of a storage of the zip format.
static cdl_result find_in_zip(const struct reader *r, const char *name, struct storage *storage) {
    char path[256];
    const size_t length = r->folder_length + 5 + storage->key->count;
    if (r->folder_length > sizeof(path) || storage->key->count > sizeof(path) || length > sizeof(path))
        return bad_tensor(r, name, "its storage's name is too long");
    memcpy(path, r->folder, r->folder_length);
    memcpy(path + r->folder_length, "data/", 5);
    memcpy(path + r->folder_length + 5, storage->key->u.text, storage->key->count);
    const struct cdl_zip_entry *entry = cdl_zip_find(&r->zip, path, length);
    if (!entry)
        return bad_tensor(r, name, "its storage is missing from the archive");
    size_t size;
    const cdl_result result = cdl_zip_read(&r->zip, entry, &storage->data, &size);
    if (result != CDL_OK)
        return result;
    if (storage->count * (uint64_t)storage->type->size > size)
        return bad_tensor(r, name, "its storage is shorter than stated");
    return CDL_OK;
}

// The view of a larger storage that files before PyTorch 0.4 may hold: (key, offset, count).
static bool apply_view(const struct reader *r, const struct cdl_pickle_node *node, struct storage *storage) {
    const struct cdl_pickle_node *view = cdl_pickle_item(&r->pickle, node, 4);
    if (!view || view->kind == CDL_PICKLE_NONE)
        return true;
    if (view->kind != CDL_PICKLE_TUPLE || view->count != 3)
        return false;
    const struct cdl_pickle_node *offset = cdl_pickle_item(&r->pickle, view, 1),
                                 *count = cdl_pickle_item(&r->pickle, view, 2);
    if (offset->kind != CDL_PICKLE_INT || count->kind != CDL_PICKLE_INT || offset->u.integer < 0 ||
        count->u.integer < 0 || (uint64_t)offset->u.integer > storage->count ||
        (uint64_t)count->u.integer > storage->count - (uint64_t)offset->u.integer)
        return false;
    storage->data += (size_t)offset->u.integer * (size_t)storage->type->size;
    storage->count = (uint64_t)count->u.integer;
    return true;
}

// ---- tensors

// Fills shape and stride, and checks that all they reach lies within the storage.
static const char *read_layout(const struct reader *r, const struct cdl_pickle_node *tensor, uint64_t storage_count,
                               struct cdl_tensor *t, uint64_t *offset) {
    const struct cdl_pickle_node *start = cdl_pickle_item(&r->pickle, tensor, 1),
                                 *size = cdl_pickle_item(&r->pickle, tensor, 2),
                                 *stride = cdl_pickle_item(&r->pickle, tensor, 3);
    if (start->kind != CDL_PICKLE_INT || start->u.integer < 0 || size->kind != CDL_PICKLE_TUPLE ||
        stride->kind != CDL_PICKLE_TUPLE)
        return "its offset, size or stride is malformed";
    if (size->count != stride->count || size->count > CDL_MAX_DIMS)
        return "its size and stride differ in length, or exceed 8 dimensions";
    t->num_dims = (int)size->count;
    *offset = (uint64_t)start->u.integer;
    uint64_t count = 1, last = *offset;
    bool repeats = false, fits = *offset < storage_count;
    for (uint32_t d = 0; d < size->count; d++) {
        const struct cdl_pickle_node *extent = cdl_pickle_item(&r->pickle, size, d),
                                     *step = cdl_pickle_item(&r->pickle, stride, d);
        if (extent->kind != CDL_PICKLE_INT || step->kind != CDL_PICKLE_INT || extent->u.integer < 0 ||
            step->u.integer < 0)
            return "its size or stride is negative";
        const uint64_t n = (uint64_t)extent->u.integer, s = (uint64_t)step->u.integer;
        t->shape[d] = (int64_t)n;
        t->stride[d] = n > 1 ? (int64_t)s : 1;
        if (n > 1 && fits && s > (storage_count - 1 - last) / (n - 1))
            fits = false;
        if (fits && n > 1)
            last += (n - 1) * s;
        // expand() repeats memory with a stride of 0, a limited number of times: the sum is checked once it is known
        // which tensors are needed.
        repeats |= n > 1 && s == 0;
        if (n > 0 && count > (uint64_t)INT64_MAX / n)
            return "its size is too large";
        count *= n;
    }
    if (count == 0) // it reaches nothing
        return NULL;
    if (*offset >= storage_count)
        return "it starts outside its storage";
    return fits && (repeats || count <= storage_count) ? NULL : "it reaches outside its storage";
}

// The shape alone, of a tensor whose elements are never read.
static cdl_result add_unread(struct reader *r, const char *name, const struct cdl_pickle_node *tensor) {
    struct cdl_tensor t = {.name = name, .dtype = CDL_DTYPE_OTHER};
    const struct cdl_pickle_node *size = cdl_pickle_item(&r->pickle, tensor, 2);
    for (uint32_t d = 0; size->kind == CDL_PICKLE_TUPLE && d < size->count && d < CDL_MAX_DIMS; d++) {
        const struct cdl_pickle_node *extent = cdl_pickle_item(&r->pickle, size, d);
        const bool sound = extent->kind == CDL_PICKLE_INT && extent->u.integer >= 0 && extent->u.integer <= INT32_MAX;
        t.shape[d] = sound && cdl_tensor_count(&t) <= INT32_MAX ? extent->u.integer : 1;
        t.num_dims = (int)d + 1;
    }
    return cdl_tensor_list_add(r->list, &t, r->log);
}

static cdl_result add_tensor(struct reader *r, const char *name, const struct cdl_pickle_node *tensor) {
    const struct cdl_pickle_node *node = cdl_pickle_item(&r->pickle, tensor, 0);
    struct storage storage;
    if (!read_storage_node(r, node, &storage))
        return bad_tensor(r, name, "its storage's description is malformed");
    if (storage.type->dtype == CDL_DTYPE_OTHER)
        return add_unread(r, name, tensor);
    struct cdl_tensor t = {.name = name, .dtype = storage.type->dtype};
    cdl_result result = CDL_OK;
    uint64_t offset;
    const char *problem = read_layout(r, tensor, storage.count, &t, &offset);
    if (!problem && cdl_tensor_count(&t) == 0)
        return cdl_tensor_list_add(r->list, &t, r->log);
    if (r->storages) {
        const struct storage *found =
            find_storage(r, storage.key); // never NULL: collect_storages took every storage node
        storage.data = found->data;
        if (!storage.data)
            return bad_tensor(r, name, "its storage is missing");
    } else {
        result = find_in_zip(r, name, &storage);
    }
    if (result != CDL_OK)
        return result;
    if (!apply_view(r, node, &storage))
        return bad_tensor(r, name, "its view of a storage is malformed");
    problem = read_layout(r, tensor, storage.count, &t, &offset); // a view is shorter
    if (problem)
        return bad_tensor(r, name, problem);
    t.data = storage.data + (size_t)offset * (size_t)storage.type->size;
    return cdl_tensor_list_add(r->list, &t, r->log);
}

// ---- the state dict

// Names under which training scripts keep the weights, and an average of them over the training.
static const char *const WRAPPERS[] = {"state_dict",     "model_state_dict", "model",   "net",   "network",
                                       "net_state_dict", "module",           "weights", "params"};
static const char *const AVERAGES[] = {"state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict",
                                       "ema_model",      "ema",       "params_ema",     "swa_model"};

// The key as a C string, or NULL when it is no usable name.
static const char *copy_name(const struct cdl_pickle_node *key, char *out, size_t size) {
    if (key->kind != CDL_PICKLE_TEXT || key->count == 0 || key->count >= size || memchr(key->u.text, 0, key->count))
        return NULL;
    memcpy(out, key->u.text, key->count);
    out[key->count] = 0;
    return out;
}

static bool holds_tensors(const struct reader *r, const struct cdl_pickle_node *dict) {
    if (dict->kind != CDL_PICKLE_DICT)
        return false;
    for (uint32_t cell = dict->u.cells.first; cell;) {
        const struct cdl_pickle_cell *value = &r->pickle.cells[r->pickle.cells[cell - 1].next - 1];
        if (r->pickle.nodes[value->node].kind == CDL_PICKLE_TENSOR)
            return true;
        cell = value->next;
    }
    return false;
}

// The value of one of the names: best a dictionary of tensors, then any dictionary, then an object.
static const struct cdl_pickle_node *find_dict(const struct reader *r, const struct cdl_pickle_node *dict,
                                               const char *const *names, size_t count, const char **found) {
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < count; i++) {
            const struct cdl_pickle_node *inner = cdl_pickle_get(&r->pickle, dict, names[i]);
            if (inner && (pass == 0   ? holds_tensors(r, inner)
                          : pass == 1 ? inner->kind == CDL_PICKLE_DICT
                                      : inner->kind == CDL_PICKLE_OPAQUE)) {
                *found = names[i];
                return inner;
            }
        }
    return NULL;
}

// Of a dictionary without tensors, the only value that is a dictionary of tensors, under whatever name.
static const struct cdl_pickle_node *find_only(struct reader *r, const struct cdl_pickle_node *dict,
                                               const char **name) {
    const struct cdl_pickle_node *only = NULL;
    if (holds_tensors(r, dict))
        return NULL;
    for (uint32_t cell = dict->u.cells.first; cell;) {
        const struct cdl_pickle_cell *key = &r->pickle.cells[cell - 1], *value = &r->pickle.cells[key->next - 1];
        cell = value->next;
        if (!holds_tensors(r, &r->pickle.nodes[value->node]))
            continue;
        if (only || !copy_name(&r->pickle.nodes[key->node], r->name, sizeof(r->name)))
            return NULL;
        only = &r->pickle.nodes[value->node];
        *name = r->name;
    }
    return only;
}

// The dictionary or object inside `dict` that holds the weights, and the name that it is kept under; NULL: none.
static const struct cdl_pickle_node *find_inner(struct reader *r, const struct cdl_pickle_node *dict,
                                                const char **name) {
    const struct cdl_pickle_node *inner = NULL;
    if (r->copy && !r->list->copy_chosen) {
        if (strcmp(r->copy, "ema") == 0)
            inner = find_dict(r, dict, AVERAGES, CDL_COUNT(AVERAGES), name);
        if (!inner)
            inner = find_dict(r, dict, &r->copy, 1, name);
        r->list->copy_chosen = inner != NULL;
    }
    if (!inner)
        inner = find_dict(r, dict, WRAPPERS, CDL_COUNT(WRAPPERS), name);
    return inner ? inner : find_only(r, dict, name);
}

// The keys of a dictionary but `skip` whose values are dictionaries, objects or tensors (all: any), in one line.
static void list_keys(const struct reader *r, const struct cdl_pickle_node *dict, const char *skip, bool all, char *out,
                      size_t size) {
    char name[64];
    size_t used = 0;
    out[0] = 0;
    for (uint32_t cell = dict->u.cells.first, n = 0; cell && n < 64; n++) {
        const struct cdl_pickle_cell *key = &r->pickle.cells[cell - 1], *value = &r->pickle.cells[key->next - 1];
        const uint32_t kind = r->pickle.nodes[value->node].kind;
        cell = value->next;
        if ((!all && kind != CDL_PICKLE_DICT && kind != CDL_PICKLE_OPAQUE && kind != CDL_PICKLE_TENSOR) ||
            !copy_name(&r->pickle.nodes[key->node], name, sizeof(name)) || (skip && strcmp(skip, name) == 0) ||
            used + strlen(name) + 3 >= size)
            continue;
        cdl_format_text(out + used, size - used, "%s%s", used ? ", " : "", name);
        used = strlen(out);
    }
}

// Fails for a dictionary without weights; the message names the keys that it has.
static cdl_result no_tensors(const struct reader *r, const struct cdl_pickle_node *dict) {
    char keys[256];
    list_keys(r, dict, NULL, true, keys, sizeof(keys));
    return cdl_fail(r->log, CDL_ERR_FORMAT,
                    "%s: holds no floating-point tensor, neither itself nor under state_dict or model (keys: "
                    "%s); save it with torch.save(model.state_dict(), FILE)",
                    r->what, keys);
}

// One line about what lies beside the weights, which are kept under `name`.
static void tell_rest(const struct reader *r, const struct cdl_pickle_node *dict, const char *name) {
    char keys[256];
    const char *average = NULL;
    list_keys(r, dict, name, false, keys, sizeof(keys));
    if (!r->copy && find_dict(r, dict, AVERAGES, CDL_COUNT(AVERAGES), &average))
        cdl_logf(
            r->log, CDL_LOG_INFO,
            "%s: the weights are those under %s; metadata weights=ema takes their average, %s; also passed over: %s",
            r->what, name, average, keys);
    else if (keys[0])
        cdl_logf(r->log, CDL_LOG_INFO, "%s: the weights are those under %s; passed over: %s", r->what, name, keys);
}

// `path`: the keys that lead to the object, as in "[\"model\"]".
static cdl_result refuse_object(const struct reader *r, const struct cdl_pickle_node *object, const char *path) {
    char name[128];
    cdl_pickle_class_name(object, name, sizeof(name));
    return cdl_fail(r->log, CDL_ERR_FORMAT,
                    "%s: holds a whole Python object, %s, of which nothing was executed; where its code is at hand and "
                    "trusted, save the weights alone: torch.save(torch.load(FILE, weights_only=False)%s.state_dict(), "
                    "OTHER)",
                    r->what, name, path);
}

// The dictionary of tensors, which may lie under a few others.
static cdl_result find_state_dict(struct reader *r, const struct cdl_pickle_node **out) {
    const struct cdl_pickle_node *dict = cdl_pickle_root(&r->pickle);
    char path[256] = "";
    for (int depth = 0; depth < 4 && dict->kind == CDL_PICKLE_DICT; depth++) {
        const char *name = NULL;
        const struct cdl_pickle_node *inner = find_inner(r, dict, &name);
        if (!inner)
            break;
        tell_rest(r, dict, name);
        const size_t used = strlen(path);
        cdl_format_text(path + used, sizeof(path) - used, "[\"%s\"]", name);
        dict = inner;
    }
    *out = dict;
    if (dict->kind == CDL_PICKLE_OPAQUE)
        return refuse_object(r, dict, path);
    if (dict->kind != CDL_PICKLE_DICT) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: holds %s, but a dictionary of tensors is needed; save it with "
                        "torch.save(model.state_dict(), FILE)",
                        r->what, cdl_pickle_kind_name(dict));
    }
    return CDL_OK;
}

static bool is_quantized(const struct cdl_pickle_node *node) {
    char name[128];
    if (node->kind != CDL_PICKLE_OPAQUE)
        return false;
    cdl_pickle_class_name(node, name, sizeof(name));
    return cdl_ends_with(name, "_rebuild_qtensor");
}

static cdl_result read_state_dict(struct reader *r) {
    const struct cdl_pickle_node *dict;
    cdl_result found = find_state_dict(r, &dict);
    if (found != CDL_OK)
        return found;
    if (r->pickle.harmful[0]) {
        cdl_logf(r->log, CDL_LOG_WARN,
                 "%s: its pickle names %s, by which Python would run code as it loads the file; nothing was executed "
                 "here, but do not trust it",
                 r->what, r->pickle.harmful);
    } else if (r->pickle.foreign) {
        char name[128];
        cdl_pickle_class_name(&r->pickle.nodes[r->pickle.foreign - 1], name, sizeof(name));
        cdl_logf(r->log, CDL_LOG_DEBUG, "%s: Python objects such as %s were passed over; nothing was executed", r->what,
                 name);
    }
    for (uint32_t cell = dict->u.cells.first; cell;) {
        const struct cdl_pickle_cell *key = &r->pickle.cells[cell - 1], *value = &r->pickle.cells[key->next - 1];
        const struct cdl_pickle_node *tensor = &r->pickle.nodes[value->node];
        cell = value->next;
        if (is_quantized(tensor)) {
            return cdl_fail(r->log, CDL_ERR_FORMAT,
                            "%s: holds quantized weights, which are not supported; take the file of the float network "
                            "that it was made from",
                            r->what);
        }
        if (tensor->kind != CDL_PICKLE_TENSOR)
            continue;
        char buffer[512];
        const char *name = copy_name(&r->pickle.nodes[key->node], buffer, sizeof(buffer));
        if (!name) {
            return cdl_fail(r->log, CDL_ERR_FORMAT,
                            "%s: a tensor's name is no text of 1 to %zu bytes; save the network's "
                            "state_dict()",
                            r->what, sizeof(buffer) - 1);
        }
        const cdl_result result = add_tensor(r, name, tensor);
        if (result != CDL_OK)
            return result;
    }
    return r->list->count > 0 ? CDL_OK : no_tensors(r, dict);
}

// ---- zip format

// Finds FOLDER/data.pkl, the archive's own folder having any name.
static const struct cdl_zip_entry *find_data_pkl(struct reader *r) {
    static const char suffix[] = "data.pkl";
    const size_t n = sizeof(suffix) - 1;
    for (size_t i = 0; i < r->zip.count; i++) {
        const struct cdl_zip_entry *entry = &r->zip.entries[i];
        if (entry->name_length < n || memcmp(entry->name + entry->name_length - n, suffix, n) != 0)
            continue;
        const size_t folder = entry->name_length - n;
        const char *slash = memchr(entry->name, '/', entry->name_length);
        if (folder == 0 ? slash == NULL : slash == entry->name + folder - 1) {
            r->folder = entry->name;
            r->folder_length = folder;
            return entry;
        }
    }
    return NULL;
}

// An entry of the archive's folder, or NULL.
static const struct cdl_zip_entry *find_entry(const struct reader *r, const char *name) {
    char path[256];
    const size_t length = strlen(name);
    if (r->folder_length > sizeof(path) - length)
        return NULL;
    memcpy(path, r->folder, r->folder_length);
    memcpy(path + r->folder_length, name, length);
    return cdl_zip_find(&r->zip, path, r->folder_length + length);
}

static cdl_result parse_zip(struct reader *r) {
    cdl_result result = cdl_zip_open(&r->zip, r->data, r->size, r->what, r->log);
    if (result != CDL_OK)
        return result;
    const struct cdl_zip_entry *entry = find_data_pkl(r), *order = entry ? find_entry(r, "byteorder") : NULL;
    if (!entry) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: is a zip archive without data.pkl, not made by torch.save; unpack it if it holds a "
                        "model",
                        r->what);
    }
    if (find_entry(r, "constants.pkl")) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: appears to be a TorchScript archive; save its weights in PyTorch: "
                        "torch.save(torch.jit.load(FILE).state_dict(), OTHER)",
                        r->what);
    }
    const uint8_t *bytes;
    size_t size;
    if (order) {
        result = cdl_zip_read(&r->zip, order, &bytes, &size);
        if (result != CDL_OK)
            return result;
        if (size != 6 || memcmp(bytes, "little", 6) != 0) {
            return cdl_fail(r->log, CDL_ERR_FORMAT,
                            "%s: was saved on a big-endian machine; save it again on a little-endian one", r->what);
        }
    }
    result = cdl_zip_read(&r->zip, entry, &bytes, &size);
    if (result == CDL_OK)
        result = cdl_pickle_read(&r->pickle, bytes, size, r->what, r->log);
    return result == CDL_OK ? read_state_dict(r) : result;
}

// ---- legacy format

static cdl_result bad_legacy(const struct reader *r, const char *problem) {
    return cdl_fail(r->log, CDL_ERR_FORMAT, "%s: %s; the file is damaged or was cut short, download or save it again",
                    r->what, problem);
}

// Reads the pickle at *offset into *pickle, and moves *offset past it.
static cdl_result next_pickle(const struct reader *r, size_t *offset, struct cdl_pickle *pickle) {
    const cdl_result result = cdl_pickle_read(pickle, r->data + *offset, r->size - *offset, r->what, r->log);
    *offset += pickle->position;
    return result;
}

// The magic number, the protocol version and the system's description.
static cdl_result read_preamble(const struct reader *r, size_t *offset) {
    static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    cdl_result result = CDL_OK;
    for (int i = 0; i < 3 && result == CDL_OK; i++) {
        struct cdl_pickle pickle;
        result = next_pickle(r, offset, &pickle);
        const struct cdl_pickle_node *root = result == CDL_OK ? cdl_pickle_root(&pickle) : NULL;
        if (root && i == 0 &&
            (root->kind != CDL_PICKLE_BIG_INT || root->count != sizeof(magic) ||
             memcmp(root->u.text, magic, sizeof(magic)) != 0)) {
            result = cdl_fail(r->log, CDL_ERR_FORMAT,
                              "%s: is a Python pickle, but not one of torch.save; save the weights with "
                              "torch.save(model.state_dict(), FILE)",
                              r->what);
        } else if (root && i == 1 && (root->kind != CDL_PICKLE_INT || root->u.integer != 1001)) {
            result = cdl_fail(r->log, CDL_ERR_FORMAT,
                              "%s: its format's version is not 1001; save it again with a newer PyTorch", r->what);
        } else if (root && i == 2) {
            const struct cdl_pickle_node *little =
                root->kind == CDL_PICKLE_DICT ? cdl_pickle_get(&pickle, root, "little_endian") : NULL;
            if (!little || little->kind != CDL_PICKLE_BOOL || !little->u.integer) {
                result = cdl_fail(r->log, CDL_ERR_FORMAT,
                                  "%s: was not saved on a little-endian machine; save it again on one", r->what);
            }
        }
        cdl_pickle_free(&pickle);
    }
    return result;
}

// Every storage the data pickle refers to, sorted by key, each once.
static cdl_result collect_storages(struct reader *r) {
    size_t count = 0;
    for (size_t i = 0; i < r->pickle.num_nodes; i++)
        count += r->pickle.nodes[i].kind == CDL_PICKLE_STORAGE;
    r->storages = calloc(count + 1, sizeof(*r->storages));
    if (!r->storages)
        return cdl_fail(r->log, CDL_ERR_NOMEM, "%s: out of memory", r->what);
    for (size_t i = 0; i < r->pickle.num_nodes; i++) {
        const struct cdl_pickle_node *node = &r->pickle.nodes[i];
        if (node->kind == CDL_PICKLE_STORAGE && !read_storage_node(r, node, &r->storages[r->num_storages++]))
            return bad_legacy(r, "a storage's description is malformed");
    }
    if (count > 1)
        qsort(r->storages, count, sizeof(*r->storages), compare_storages);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct storage *last = kept ? &r->storages[kept - 1] : NULL, *next = &r->storages[i];
        if (!last || compare_storages(last, next) != 0)
            r->storages[kept++] = *next;
        else if (last->type != next->type || last->count != next->count)
            return bad_legacy(r, "a storage is described in two ways");
    }
    r->num_storages = kept;
    return CDL_OK;
}

// After the list of keys, in its order: each storage's element count (int64), then its bytes.
static cdl_result locate_storages(struct reader *r, size_t *offset) {
    struct cdl_pickle keys;
    cdl_result result = next_pickle(r, offset, &keys);
    if (result == CDL_OK && cdl_pickle_root(&keys)->kind != CDL_PICKLE_LIST)
        result = bad_legacy(r, "the list of storages is missing");
    for (uint32_t cell = result == CDL_OK ? cdl_pickle_root(&keys)->u.cells.first : 0; cell;
         cell = keys.cells[cell - 1].next) {
        const struct cdl_pickle_node *key = &keys.nodes[keys.cells[cell - 1].node];
        struct storage *storage = key->kind == CDL_PICKLE_TEXT ? find_storage(r, key) : NULL;
        if (!storage || storage->data) {
            result = bad_legacy(r, "the list of storages names an unknown one, or one twice");
            break;
        }
        if (r->size - *offset < 8) {
            result = bad_legacy(r, "a storage is missing at the end");
            break;
        }
        const uint64_t count = cdl_load_little_endian(r->data + *offset, 8);
        *offset += 8;
        const size_t bytes = (size_t)storage->count * (size_t)storage->type->size;
        if (count != storage->count || bytes > r->size - *offset) {
            result = bad_legacy(r, "a storage has not the stated length");
            break;
        }
        storage->data = r->data + *offset;
        *offset += bytes;
    }
    cdl_pickle_free(&keys);
    return result;
}

static cdl_result parse_legacy(struct reader *r) {
    size_t offset = 0;
    cdl_result result = read_preamble(r, &offset);
    if (result == CDL_OK)
        result = next_pickle(r, &offset, &r->pickle);
    if (result == CDL_OK)
        result = collect_storages(r);
    if (result == CDL_OK)
        result = locate_storages(r, &offset);
    return result == CDL_OK ? read_state_dict(r) : result;
}

cdl_result cdl_parse_pth(struct cdl_tensor_list *list, const uint8_t *data, size_t size, const char *what,
                         const char *copy, const cdl_log *log) {
    struct reader r = {.list = list, .data = data, .size = size, .what = what, .log = log, .copy = copy};
    const cdl_result result = data[0] == 'P' ? parse_zip(&r) : parse_legacy(&r);
    cdl_pickle_free(&r.pickle);
    cdl_zip_free(&r.zip);
    free(r.storages);
    return result;
}
