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
    uint64_t bytes_viewed; // by all tensors so far
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
    if (*offset >= storage_count)
        return "it starts outside its storage";
    uint64_t count = 1, last = *offset;
    for (uint32_t d = 0; d < size->count; d++) {
        const struct cdl_pickle_node *extent = cdl_pickle_item(&r->pickle, size, d),
                                     *step = cdl_pickle_item(&r->pickle, stride, d);
        if (extent->kind != CDL_PICKLE_INT || step->kind != CDL_PICKLE_INT || extent->u.integer < 1 ||
            step->u.integer < 0)
            return "its size is not positive, or its stride negative";
        const uint64_t n = (uint64_t)extent->u.integer, s = (uint64_t)step->u.integer;
        // No more elements than the storage has: a tensor that repeats memory (stride 0) could
        // otherwise be far larger than its file.
        if (n > storage_count / count || (n > 1 && s > (storage_count - 1 - last) / (n - 1)))
            return "it reaches outside its storage";
        count *= n;
        last += (n - 1) * s;
        t->shape[d] = (int64_t)n;
        t->stride[d] = n > 1 ? (int64_t)s : 1;
    }
    return NULL;
}

static cdl_result add_tensor(struct reader *r, const char *name, const struct cdl_pickle_node *tensor) {
    const struct cdl_pickle_node *node = cdl_pickle_item(&r->pickle, tensor, 0);
    struct storage storage;
    if (!read_storage_node(r, node, &storage))
        return bad_tensor(r, name, "its storage's description is malformed");
    if (storage.type->use == CDL_PICKLE_TYPE_KNOWN || cdl_tensor_name_ignored(name))
        return CDL_OK;
    if (storage.type->use == CDL_PICKLE_TYPE_REFUSED) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: tensor %.200s has a %s; convert the model in PyTorch with model.float() and save "
                        "it again",
                        r->what, name, storage.type->name);
    }
    cdl_result result = CDL_OK;
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
    struct cdl_tensor t = {.name = name, .dtype = storage.type->dtype};
    uint64_t offset;
    const char *problem = read_layout(r, tensor, storage.count, &t, &offset);
    if (problem)
        return bad_tensor(r, name, problem);
    // Tensors may share a storage. But a small file in which a great many tensors view the same large storage would
    // take hours to check, so the sum is limited.
    r->bytes_viewed += (uint64_t)cdl_tensor_count(&t) * (uint64_t)storage.type->size;
    if (r->bytes_viewed > 2 * (uint64_t)r->size)
        return bad_tensor(r, name, "the tensors up to it are twice as large as the file");
    t.data = storage.data + (size_t)offset * (size_t)storage.type->size;
    return cdl_tensor_list_add(r->list, &t, r->log);
}

// ---- the state dict

// A checkpoint's wrapper around the state dict, by the names training scripts use.
static const struct cdl_pickle_node *find_state_dict(const struct reader *r) {
    static const char *const wrappers[] = {"state_dict", "model", "model_state_dict", "net"};
    const struct cdl_pickle_node *dict = cdl_pickle_root(&r->pickle);
    for (int depth = 0; depth < 4; depth++) {
        const struct cdl_pickle_node *inner = NULL;
        for (size_t i = 0; dict->kind == CDL_PICKLE_DICT && !inner && i < CDL_COUNT(wrappers); i++) {
            inner = cdl_pickle_get(&r->pickle, dict, wrappers[i]);
            if (inner && inner->kind != CDL_PICKLE_DICT)
                inner = NULL;
        }
        if (!inner)
            break;
        dict = inner;
    }
    return dict;
}

// The key as a C string, or NULL when it is no usable name.
static const char *copy_name(const struct cdl_pickle_node *key, char *out, size_t size) {
    if (key->kind != CDL_PICKLE_TEXT || key->count == 0 || key->count >= size || memchr(key->u.text, 0, key->count))
        return NULL;
    memcpy(out, key->u.text, key->count);
    out[key->count] = 0;
    return out;
}

// Fails for a dictionary without weights; the message names the keys that it has.
static cdl_result no_tensors(const struct reader *r, const struct cdl_pickle_node *dict) {
    char keys[256] = "", name[64];
    size_t used = 0;
    for (uint32_t i = 0; i < dict->count && i < 16; i += 2) {
        if (copy_name(cdl_pickle_item(&r->pickle, dict, i), name, sizeof(name)) &&
            used + strlen(name) + 3 < sizeof(keys)) {
            cdl_format_text(keys + used, sizeof(keys) - used, "%s%s", used ? ", " : "", name);
            used = strlen(keys);
        }
    }
    return cdl_fail(r->log, CDL_ERR_FORMAT,
                    "%s: holds no floating-point tensor, neither itself nor under state_dict or model (keys: "
                    "%s); save it with torch.save(model.state_dict(), FILE)",
                    r->what, keys);
}

static cdl_result read_state_dict(struct reader *r) {
    const struct cdl_pickle_node *dict = find_state_dict(r);
    if (dict->kind != CDL_PICKLE_DICT) {
        return cdl_fail(r->log, CDL_ERR_FORMAT,
                        "%s: holds %s, but a dictionary of tensors is needed; save it with "
                        "torch.save(model.state_dict(), FILE)",
                        r->what, cdl_pickle_kind_name(dict));
    }
    for (uint32_t cell = dict->u.cells.first; cell;) {
        const struct cdl_pickle_cell *key = &r->pickle.cells[cell - 1], *value = &r->pickle.cells[key->next - 1];
        const struct cdl_pickle_node *tensor = &r->pickle.nodes[value->node];
        cell = value->next;
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
                         const cdl_log *log) {
    struct reader r = {.list = list, .data = data, .size = size, .what = what, .log = log};
    const cdl_result result = data[0] == 'P' ? parse_zip(&r) : parse_legacy(&r);
    cdl_pickle_free(&r.pickle);
    cdl_zip_free(&r.zip);
    free(r.storages);
    return result;
}
