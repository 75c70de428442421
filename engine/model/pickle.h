// pickle.h - a pickle stream read as data, for PyTorch's state dicts.
//
// Nothing is imported, called or executed. The virtual machine knows the opcodes that torch.save
// emits, and the few globals of TABLE in pickle.c; whatever else a stream asks for becomes an opaque object that knows
// its class's name alone, and whose content is dropped. Time and memory are linear in the stream's length, and the
// number of objects is limited. Nothing recurses, so neither deep nesting nor objects that contain themselves do harm.
#ifndef CDL_MODEL_PICKLE_H_
#define CDL_MODEL_PICKLE_H_

#include "model/tensor.h"

enum cdl_pickle_kind {
    CDL_PICKLE_NONE,
    CDL_PICKLE_BOOL,    // integer: 0 or 1
    CDL_PICKLE_INT,     // integer
    CDL_PICKLE_BIG_INT, // text: its two's complement bytes, little-endian
    CDL_PICKLE_FLOAT,   // value not kept
    CDL_PICKLE_TEXT,    // text: UTF-8, not checked, not terminated
    CDL_PICKLE_BYTES,   // text
    CDL_PICKLE_TUPLE,   // cells
    CDL_PICKLE_LIST,    // cells
    CDL_PICKLE_SET,     // contents not kept
    CDL_PICKLE_DICT,    // cells: key, value, key, value...; count: cells
    CDL_PICKLE_GLOBAL,  // integer: index into the table of known globals
    CDL_PICKLE_STORAGE, // cells: what the persistent id tuple held, from its type on: (type, key, place, count[, view])
    CDL_PICKLE_TENSOR,  // cells: (storage, offset, size, stride, ...)
    CDL_PICKLE_OPAQUE,  // something else, such as what checkpoints hold beside tensors; text: its class or function,
                        // as "module\nname" or "name"
};

struct cdl_pickle_storage_type {
    int dtype;        // as of struct cdl_tensor
    int size;         // bytes of an element
    const char *name; // "DoubleStorage"
};

struct cdl_pickle_node {
    uint32_t kind;
    uint32_t count; // of cells, or bytes of text
    union {
        int64_t integer;
        const uint8_t *text; // in the stream's bytes
        struct {
            uint32_t first, last;
        } cells; // 1 + index of a cell; 0: none
    } u;
};

struct cdl_pickle_cell {
    uint32_t node;
    uint32_t next; // 1 + index of the container's next cell; 0: none
};

struct cdl_pickle {
    struct cdl_pickle_node *nodes;
    struct cdl_pickle_cell *cells;
    uint32_t *stack, *marks, *memo; // memo: 1 + node; 0: not set
    size_t num_nodes, num_cells, num_stack, num_marks, num_memo;
    size_t cap_nodes, cap_cells, cap_stack, cap_marks, cap_memo;
    const uint8_t *data;
    size_t size, position;
    uint32_t root;    // the result
    uint32_t foreign; // 1 + the first node of a global that is not in the table; 0: none
    char harmful[64]; // "posix.system": the first global that runs code where Python loads the file; "": none
    const char *what; // for messages
    const cdl_log *log;
};

// Reads one pickle from its PROTO to its STOP; p->position is then the number of bytes it took.
// CDL_ERR_FORMAT or CDL_ERR_NOMEM: logged. cdl_pickle_free in any case. `data` must outlive *p.
cdl_result cdl_pickle_read(struct cdl_pickle *p, const uint8_t *data, size_t size, const char *what,
                           const cdl_log *log);
void cdl_pickle_free(struct cdl_pickle *p);

static inline const struct cdl_pickle_node *cdl_pickle_root(const struct cdl_pickle *p) { return &p->nodes[p->root]; }
// Cell i of a tuple, list, dict, storage or tensor, or NULL. Takes i steps.
const struct cdl_pickle_node *cdl_pickle_item(const struct cdl_pickle *p, const struct cdl_pickle_node *node,
                                              uint32_t i);
bool cdl_pickle_is_text(const struct cdl_pickle_node *node, const char *text); // NULL: false
// The value of a dict's first entry of that text key, or NULL.
const struct cdl_pickle_node *cdl_pickle_get(const struct cdl_pickle *p, const struct cdl_pickle_node *dict,
                                             const char *key);
// The storage type a node names, or NULL when it names none.
const struct cdl_pickle_storage_type *cdl_pickle_get_type(const struct cdl_pickle_node *node);
const char *cdl_pickle_kind_name(const struct cdl_pickle_node *node); // "a list"
// "argparse.Namespace" of an opaque object, for messages; "object" where it is not known.
void cdl_pickle_class_name(const struct cdl_pickle_node *node, char *out, size_t size);

// harmful.c: fills p->harmful where Python runs programs or code, or reaches files or the network, by that global.
void cdl_pickle_note_harmful(struct cdl_pickle *p, const char *module, size_t module_length, const char *name,
                             size_t name_length);

#endif // CDL_MODEL_PICKLE_H_
