// pickle.h - a pickle stream read as data, for PyTorch's state dicts.
//
// Nothing is imported, called or executed. The virtual machine knows the opcodes that torch.save
// emits, and the few globals of TABLE in pickle.c; whatever else a stream asks for is refused
// by name. Time and memory are linear in the stream's length, and the number of objects is limited. Nothing recurses,
// so neither deep nesting nor objects that contain themselves do harm.
#ifndef CDL_MODEL_PICKLE_H_
#define CDL_MODEL_PICKLE_H_

#include "base/base.h"

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
    CDL_PICKLE_OPAQUE,  // something harmless that a checkpoint may hold beside tensors
};

// What a storage's element type means for a model.
enum cdl_pickle_type {
    CDL_PICKLE_TYPE_FLOAT,   // weights
    CDL_PICKLE_TYPE_KNOWN,   // integers and booleans: such tensors are skipped
    CDL_PICKLE_TYPE_REFUSED, // double, complex, quantised: such weights cannot be read
};
struct cdl_pickle_storage_type {
    enum cdl_pickle_type use;
    cdl_dtype dtype;  // of CDL_PICKLE_TYPE_FLOAT
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

#endif // CDL_MODEL_PICKLE_H_
