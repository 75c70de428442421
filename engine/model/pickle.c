// Opcodes are those of CPython's Lib/pickletools.py, protocols 2 to 5.
#include "model/pickle.h"

#include <stdlib.h>
#include <string.h>

// A ResNet-152 with its optimizer's state makes some 10^5 nodes.
enum { MAX_NODES = 1 << 22, MAX_CELLS = 1 << 23 };

// ---- the globals a stream may name

enum role {
    ROLE_DICT,      // called with nothing or a list of [key, value]: a dictionary
    ROLE_TENSOR,    // called with (storage, offset, size, stride, ...): a tensor
    ROLE_PARAMETER, // called with (tensor, ...): that tensor
    ROLE_TYPED,     // called with (function, class, arguments, ...): what the function gives, as a subclass of it
    ROLE_OPAQUE,    // data of a checkpoint that no tensor depends on; its content is dropped
};

static const struct global {
    const char *module, *name;
    enum role role;
} TABLE[] = {
    {"collections", "OrderedDict", ROLE_DICT},
    {"builtins", "dict", ROLE_DICT},
    {"__builtin__", "dict", ROLE_DICT},
    {"torch._utils", "_rebuild_tensor", ROLE_TENSOR},
    {"torch._utils", "_rebuild_tensor_v2", ROLE_TENSOR},
    {"torch._utils", "_rebuild_parameter", ROLE_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", ROLE_PARAMETER},
    {"torch._utils", "_rebuild_tensor_v3", ROLE_TENSOR}, // of 8-bit floats and the like, in a storage without type
    {"torch._tensor", "_rebuild_from_type", ROLE_TYPED},
    {"torch._tensor", "_rebuild_from_type_v2", ROLE_TYPED},
    {"collections", "defaultdict", ROLE_OPAQUE},
    {"collections", "Counter", ROLE_OPAQUE},
    {"builtins", "set", ROLE_OPAQUE},
    {"builtins", "frozenset", ROLE_OPAQUE},
    {"builtins", "list", ROLE_OPAQUE},
    {"builtins", "complex", ROLE_OPAQUE},
    {"builtins", "slice", ROLE_OPAQUE},
    {"builtins", "range", ROLE_OPAQUE},
    {"builtins", "bytearray", ROLE_OPAQUE},
    {"__builtin__", "set", ROLE_OPAQUE},
    {"__builtin__", "frozenset", ROLE_OPAQUE},
    {"__builtin__", "list", ROLE_OPAQUE},
    {"__builtin__", "complex", ROLE_OPAQUE},
    {"__builtin__", "slice", ROLE_OPAQUE},
    {"__builtin__", "xrange", ROLE_OPAQUE},
    {"__builtin__", "bytearray", ROLE_OPAQUE},
    {"_codecs", "encode", ROLE_OPAQUE}, // how protocol 2 writes bytes
    {"torch", "Size", ROLE_OPAQUE},
    {"torch", "device", ROLE_OPAQUE},
    {"torch", "float32", ROLE_OPAQUE},
    {"torch", "float64", ROLE_OPAQUE},
    {"torch", "float16", ROLE_OPAQUE},
    {"torch", "bfloat16", ROLE_OPAQUE},
    {"torch", "int64", ROLE_OPAQUE},
    {"torch", "int32", ROLE_OPAQUE},
    {"torch", "int16", ROLE_OPAQUE},
    {"torch", "int8", ROLE_OPAQUE},
    {"torch", "uint8", ROLE_OPAQUE},
    {"torch", "bool", ROLE_OPAQUE},
    {"numpy", "dtype", ROLE_OPAQUE}, // a metric, such as the best accuracy so far
    {"numpy", "ndarray", ROLE_OPAQUE},
    {"numpy.core.multiarray", "scalar", ROLE_OPAQUE},
    {"numpy.core.multiarray", "_reconstruct", ROLE_OPAQUE},
    {"numpy._core.multiarray", "scalar", ROLE_OPAQUE},
    {"numpy._core.multiarray", "_reconstruct", ROLE_OPAQUE},
};

// Classes of module torch, or of torch.cuda for tensors saved from a GPU. A node of kind CDL_PICKLE_GLOBAL holds one
// number for both tables: an index into TABLE, or CDL_COUNT(TABLE) plus an index into STORAGES.
static const struct cdl_pickle_storage_type STORAGES[] = {
    {CDL_DTYPE_F32, 4, "FloatStorage"},          {CDL_DTYPE_F16, 2, "HalfStorage"},
    {CDL_DTYPE_BF16, 2, "BFloat16Storage"},      {CDL_DTYPE_OTHER, 8, "LongStorage"},
    {CDL_DTYPE_OTHER, 4, "IntStorage"},          {CDL_DTYPE_OTHER, 2, "ShortStorage"},
    {CDL_DTYPE_OTHER, 1, "CharStorage"},         {CDL_DTYPE_OTHER, 1, "ByteStorage"},
    {CDL_DTYPE_OTHER, 1, "BoolStorage"},         {CDL_DTYPE_F64, 8, "DoubleStorage"},
    {CDL_DTYPE_OTHER, 8, "ComplexFloatStorage"}, {CDL_DTYPE_OTHER, 16, "ComplexDoubleStorage"},
    {CDL_DTYPE_OTHER, 1, "QInt8Storage"},        {CDL_DTYPE_OTHER, 1, "QUInt8Storage"},
    {CDL_DTYPE_OTHER, 4, "QInt32Storage"},       {CDL_DTYPE_OTHER, 1, "QUInt4x2Storage"},
    {CDL_DTYPE_OTHER, 1, "QUInt2x4Storage"},     {CDL_DTYPE_OTHER, 1, "UntypedStorage"},
};

struct text {
    const uint8_t *data;
    size_t length;
};

static bool text_is(struct text text, const char *other) {
    return strlen(other) == text.length && memcmp(text.data, other, text.length) == 0;
}

static int64_t find_global(struct text module, struct text name) { // -1: not known
    for (size_t i = 0; i < CDL_COUNT(TABLE); i++) {
        if (text_is(module, TABLE[i].module) && text_is(name, TABLE[i].name))
            return (int64_t)i;
    }
    if (!text_is(module, "torch") && !text_is(module, "torch.cuda") && !text_is(module, "torch.storage"))
        return -1;
    for (size_t i = 0; i < CDL_COUNT(STORAGES); i++) {
        if (text_is(name, STORAGES[i].name))
            return (int64_t)(CDL_COUNT(TABLE) + i);
    }
    return -1;
}

// ---- memory

static cdl_result malformed(const struct cdl_pickle *p, const char *problem) {
    return cdl_fail(p->log, CDL_ERR_FORMAT,
                    "%s: %s at byte %zu of its pickle; the file is damaged or was cut short, download or "
                    "save it again",
                    p->what, problem, p->position);
}

// As cdl_grow, but returns `items` in any case; *r tells whether there is room for one more. At most `max` elements.
static void *reserve(const struct cdl_pickle *p, void *items, size_t count, size_t *capacity, size_t size, size_t max,
                     cdl_result *r) {
    *r = CDL_OK;
    if (count >= max && count == *capacity) {
        *r = cdl_fail(p->log, CDL_ERR_FORMAT,
                      "%s: its pickle holds more than %zu objects, too many for a model; save only the "
                      "weights: torch.save(model.state_dict(), FILE)",
                      p->what, max);
        return items;
    }
    void *grown = cdl_grow(items, count, capacity, size);
    if (!grown)
        *r = cdl_fail(p->log, CDL_ERR_NOMEM, "%s: out of memory while reading its pickle", p->what);
    return grown ? grown : items;
}

static cdl_result push(struct cdl_pickle *p, uint32_t node) {
    cdl_result r;
    p->stack = reserve(p, p->stack, p->num_stack, &p->cap_stack, sizeof(*p->stack), MAX_NODES, &r);
    if (r == CDL_OK)
        p->stack[p->num_stack++] = node;
    return r;
}

static cdl_result push_node(struct cdl_pickle *p, struct cdl_pickle_node node) {
    cdl_result r;
    p->nodes = reserve(p, p->nodes, p->num_nodes, &p->cap_nodes, sizeof(*p->nodes), MAX_NODES, &r);
    if (r != CDL_OK)
        return r;
    p->nodes[p->num_nodes] = node;
    return push(p, (uint32_t)p->num_nodes++);
}

static cdl_result push_kind(struct cdl_pickle *p, enum cdl_pickle_kind kind) {
    return push_node(p, (struct cdl_pickle_node){.kind = kind});
}

static cdl_result push_integer(struct cdl_pickle *p, enum cdl_pickle_kind kind, int64_t value) {
    return push_node(p, (struct cdl_pickle_node){.kind = kind, .u.integer = value});
}

static cdl_result append_cell(struct cdl_pickle *p, uint32_t container, uint32_t item) {
    cdl_result r;
    p->cells = reserve(p, p->cells, p->num_cells, &p->cap_cells, sizeof(*p->cells), MAX_CELLS, &r);
    if (r != CDL_OK)
        return r;
    p->cells[p->num_cells++] = (struct cdl_pickle_cell){.node = item};
    struct cdl_pickle_node *node = &p->nodes[container];
    const uint32_t cell = (uint32_t)p->num_cells; // 1 + its index
    if (node->count++ == 0)
        node->u.cells.first = cell;
    else
        p->cells[node->u.cells.last - 1].next = cell;
    node->u.cells.last = cell;
    return CDL_OK;
}

// ---- stack

// Values above the topmost mark.
static size_t num_available(const struct cdl_pickle *p) {
    return p->num_stack - (p->num_marks ? p->marks[p->num_marks - 1] : 0);
}

static uint32_t pop(struct cdl_pickle *p) { return p->stack[--p->num_stack]; }

// Removes the topmost mark; *first is where its values start on the stack, p->num_stack their end.
static bool pop_mark(struct cdl_pickle *p, size_t *first) {
    if (p->num_marks == 0)
        return false;
    *first = p->marks[--p->num_marks];
    return true;
}

static bool take(struct cdl_pickle *p, size_t n, const uint8_t **out) {
    if (n > p->size - p->position)
        return false;
    *out = p->data + p->position;
    p->position += n;
    return true;
}

// A little-endian number of n <= 8 bytes.
static bool take_number(struct cdl_pickle *p, size_t n, uint64_t *out) {
    const uint8_t *bytes;
    if (!take(p, n, &bytes))
        return false;
    *out = cdl_load_little_endian(bytes, n);
    return true;
}

// ---- opcodes: simple values

static cdl_result op_proto(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    uint64_t version;
    if (!take_number(p, 1, &version))
        return malformed(p, "the end comes too early");
    if (version > 5)
        return cdl_fail(p->log, CDL_ERR_FORMAT,
                        "%s: uses pickle protocol %d, newer than 5; save it again with "
                        "pickle_protocol=2",
                        p->what, (int)version);
    return CDL_OK;
}

static cdl_result op_frame(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    uint64_t length;
    return take_number(p, 8, &length) && length <= p->size - p->position ? CDL_OK
                                                                         : malformed(p, "a frame ends outside");
}

static cdl_result op_constant(struct cdl_pickle *p, uint8_t op) {
    return op == 'N' ? push_kind(p, CDL_PICKLE_NONE) : push_integer(p, CDL_PICKLE_BOOL, op == 0x88);
}

static cdl_result op_int(struct cdl_pickle *p, uint8_t op) { // BININT, BININT1, BININT2
    uint64_t value;
    if (!take_number(p, op == 'J' ? 4 : op == 'K' ? 1 : 2, &value))
        return malformed(p, "a number ends too early");
    const int64_t sign = op == 'J' && value >> 31 ? (int64_t)1 << 32 : 0;
    return push_integer(p, CDL_PICKLE_INT, (int64_t)value - sign);
}

static cdl_result op_long(struct cdl_pickle *p, uint8_t op) { // LONG1, LONG4
    uint64_t length;
    const uint8_t *bytes;
    if (!take_number(p, op == 0x8a ? 1 : 4, &length) || length > INT32_MAX || !take(p, (size_t)length, &bytes))
        return malformed(p, "a number ends too early");
    if (length > 8)
        return push_node(
            p, (struct cdl_pickle_node){.kind = CDL_PICKLE_BIG_INT, .count = (uint32_t)length, .u.text = bytes});
    uint64_t value = length > 0 && bytes[length - 1] >> 7 ? UINT64_MAX : 0; // sign extension
    for (size_t i = (size_t)length; i-- > 0;)
        value = value << 8 | bytes[i];
    int64_t number;
    memcpy(&number, &value, sizeof(number));
    return push_integer(p, CDL_PICKLE_INT, number);
}

static cdl_result op_float(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    const uint8_t *bytes;
    return take(p, 8, &bytes) ? push_kind(p, CDL_PICKLE_FLOAT) : malformed(p, "a number ends too early");
}

static cdl_result op_text(struct cdl_pickle *p, uint8_t op) {
    const size_t width = strchr("\x8cUC", op) ? 1 : strchr("XTB", op) ? 4 : 8;
    const enum cdl_pickle_kind kind = strchr("X\x8c\x8dUT", op) ? CDL_PICKLE_TEXT : CDL_PICKLE_BYTES;
    uint64_t length;
    const uint8_t *bytes;
    if (!take_number(p, width, &length) || length > INT32_MAX || !take(p, (size_t)length, &bytes))
        return malformed(p, "a text ends too early");
    return push_node(p, (struct cdl_pickle_node){.kind = kind, .count = (uint32_t)length, .u.text = bytes});
}

// ---- opcodes: stack and memo

static cdl_result op_mark(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    cdl_result r;
    p->marks = reserve(p, p->marks, p->num_marks, &p->cap_marks, sizeof(*p->marks), MAX_NODES, &r);
    if (r == CDL_OK)
        p->marks[p->num_marks++] = (uint32_t)p->num_stack;
    return r;
}

static cdl_result op_pop(struct cdl_pickle *p, uint8_t op) {
    size_t first;
    if (op == '0' && num_available(p) > 0) {
        pop(p);
        return CDL_OK;
    }
    if (!pop_mark(p, &first))
        return malformed(p, "the stack is empty");
    p->num_stack = first;
    return CDL_OK;
}

static cdl_result op_dup(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    return num_available(p) > 0 ? push(p, p->stack[p->num_stack - 1]) : malformed(p, "the stack is empty");
}

static cdl_result op_put(struct cdl_pickle *p, uint8_t op) { // BINPUT, LONG_BINPUT, MEMOIZE
    uint64_t slot = p->num_memo;
    if (op != 0x94 && !take_number(p, op == 'q' ? 1 : 4, &slot))
        return malformed(p, "a memo number ends too early");
    if (num_available(p) == 0)
        return malformed(p, "the stack is empty");
    // Picklers number memo entries upwards from 0 and spend at least one byte on each, so a sound number is below the
    // position. This bounds the memory that a hostile number can ask for.
    if (slot >= p->position || slot >= MAX_NODES)
        return malformed(p, "a memo number is too large");
    while (p->num_memo <= slot) {
        cdl_result r;
        p->memo = reserve(p, p->memo, p->num_memo, &p->cap_memo, sizeof(*p->memo), MAX_NODES, &r);
        if (r != CDL_OK)
            return r;
        p->memo[p->num_memo++] = 0;
    }
    p->memo[slot] = p->stack[p->num_stack - 1] + 1;
    return CDL_OK;
}

static cdl_result op_get(struct cdl_pickle *p, uint8_t op) { // BINGET, LONG_BINGET
    uint64_t slot;
    if (!take_number(p, op == 'h' ? 1 : 4, &slot))
        return malformed(p, "a memo number ends too early");
    if (slot >= p->num_memo || p->memo[slot] == 0)
        return malformed(p, "a memo entry is missing");
    return push(p, p->memo[slot] - 1);
}

// ---- opcodes: containers

static cdl_result op_empty(struct cdl_pickle *p, uint8_t op) {
    return push_kind(p, op == '}'   ? CDL_PICKLE_DICT
                        : op == ']' ? CDL_PICKLE_LIST
                        : op == ')' ? CDL_PICKLE_TUPLE
                                    : CDL_PICKLE_SET);
}

// Moves stack[first...] to the end of a container.
static cdl_result append_from(struct cdl_pickle *p, uint32_t container, size_t first) {
    cdl_result r = CDL_OK;
    for (size_t i = first; i < p->num_stack && r == CDL_OK; i++)
        r = append_cell(p, container, p->stack[i]);
    p->num_stack = first;
    return r;
}

// Replaces stack[first...] by a new container that holds them.
static cdl_result build_container(struct cdl_pickle *p, enum cdl_pickle_kind kind, size_t first) {
    cdl_result r = push_kind(p, kind);
    if (r != CDL_OK)
        return r;
    const uint32_t container = pop(p);
    if (kind == CDL_PICKLE_SET) // contents not kept
        p->num_stack = first;
    else
        r = append_from(p, container, first);
    return r == CDL_OK ? push(p, container) : r;
}

static cdl_result op_tuple_of(struct cdl_pickle *p, uint8_t op) { // TUPLE1, TUPLE2, TUPLE3
    const size_t n = (size_t)(op - 0x84);
    if (num_available(p) < n)
        return malformed(p, "a tuple lacks elements");
    return build_container(p, CDL_PICKLE_TUPLE, p->num_stack - n);
}

static cdl_result op_container(struct cdl_pickle *p, uint8_t op) { // TUPLE, LIST, DICT, FROZENSET
    size_t first;
    if (!pop_mark(p, &first) || (op == 'd' && (p->num_stack - first) % 2 != 0))
        return malformed(p, "a container has no start");
    return build_container(p,
                           op == 't'   ? CDL_PICKLE_TUPLE
                           : op == 'l' ? CDL_PICKLE_LIST
                           : op == 'd' ? CDL_PICKLE_DICT
                                       : CDL_PICKLE_SET,
                           first);
}

static cdl_result op_add(struct cdl_pickle *p, uint8_t op) { // APPEND(S), ADDITEMS, SETITEM(S)
    const bool is_dict = op == 's' || op == 'u';             // elements come as key and value
    size_t first = p->num_stack;
    if (op == 'a' || op == 's') {
        const size_t n = is_dict ? 2 : 1;
        if (num_available(p) < n)
            return malformed(p, "an element is missing");
        first -= n;
    } else if (!pop_mark(p, &first)) {
        return malformed(p, "a list of elements has no start");
    }
    if (is_dict && (p->num_stack - first) % 2 != 0)
        return malformed(p, "a key has no value");
    if (first <= (p->num_marks ? p->marks[p->num_marks - 1] : 0))
        return malformed(p, "elements have no container");
    const uint32_t container = p->stack[first - 1], kind = p->nodes[container].kind;
    if (kind == (is_dict ? CDL_PICKLE_DICT : CDL_PICKLE_LIST))
        return append_from(p, container, first);
    if (kind != CDL_PICKLE_OPAQUE && kind != CDL_PICKLE_SET)
        return malformed(p, "elements are added to something that is no container");
    p->num_stack = first;
    return CDL_OK;
}

// ---- opcodes: globals and calls

// What is not in the table is known by its name alone; calls of it, its attributes and elements are passed over.
static cdl_result push_global(struct cdl_pickle *p, struct text module, struct text name) {
    const int64_t index = find_global(module, name);
    if (index >= 0)
        return push_integer(p, CDL_PICKLE_GLOBAL, index);
    cdl_pickle_note_harmful(p, (const char *)module.data, module.length, (const char *)name.data, name.length);
    struct text full = name;
    if (module.data + module.length + 1 == name.data) // GLOBAL's two lines
        full = (struct text){module.data, module.length + 1 + name.length};
    if (full.length > INT32_MAX)
        return malformed(p, "a global's name is too long");
    const cdl_result r = push_node(
        p, (struct cdl_pickle_node){.kind = CDL_PICKLE_OPAQUE, .count = (uint32_t)full.length, .u.text = full.data});
    if (r == CDL_OK && !p->foreign)
        p->foreign = p->stack[p->num_stack - 1] + 1;
    return r;
}

static bool take_line(struct cdl_pickle *p, struct text *out) {
    const uint8_t *start = p->data + p->position;
    const uint8_t *end = memchr(start, '\n', p->size - p->position);
    if (!end)
        return false;
    *out = (struct text){start, (size_t)(end - start)};
    p->position += out->length + 1;
    return true;
}

static cdl_result op_global(struct cdl_pickle *p, uint8_t op) {
    struct text module, name;
    if (op == 'c') {
        if (!take_line(p, &module) || !take_line(p, &name))
            return malformed(p, "a global's name ends too early");
        return push_global(p, module, name);
    }
    if (num_available(p) < 2)
        return malformed(p, "a global lacks its name");
    const struct cdl_pickle_node *second = &p->nodes[pop(p)], *first = &p->nodes[pop(p)];
    if (first->kind != CDL_PICKLE_TEXT || second->kind != CDL_PICKLE_TEXT)
        return malformed(p, "a global's name is no text");
    return push_global(p, (struct text){first->u.text, first->count}, (struct text){second->u.text, second->count});
}

// Fills a dictionary from a list of [key, value]: Python 2 pickled OrderedDict([[key, value], ...]) as a call with it.
static cdl_result add_entries(struct cdl_pickle *p, uint32_t dict, const struct cdl_pickle_node *list) {
    if (list->kind != CDL_PICKLE_LIST)
        return malformed(p, "a dictionary is made from something that is no list");
    for (uint32_t cell = list->u.cells.first; cell; cell = p->cells[cell - 1].next) {
        const struct cdl_pickle_node *entry = &p->nodes[p->cells[cell - 1].node];
        if ((entry->kind != CDL_PICKLE_LIST && entry->kind != CDL_PICKLE_TUPLE) || entry->count != 2)
            return malformed(p, "a dictionary's entry is no pair");
        const uint32_t key = p->cells[entry->u.cells.first - 1].node, value = p->cells[entry->u.cells.last - 1].node;
        cdl_result r = append_cell(p, dict, key);
        if (r == CDL_OK)
            r = append_cell(p, dict, value);
        if (r != CDL_OK)
            return r;
    }
    return CDL_OK;
}

static bool is_typed(const struct cdl_pickle_node *function) {
    return function->kind == CDL_PICKLE_GLOBAL && function->u.integer < (int64_t)CDL_COUNT(TABLE) &&
           TABLE[function->u.integer].role == ROLE_TYPED;
}

// A call pushes the object that the named function would return, made from the arguments by the function's role in
// TABLE. No code of the stream's choice runs.
static cdl_result op_call(struct cdl_pickle *p, uint8_t op) { // REDUCE, NEWOBJ
    (void)op;
    if (num_available(p) < 2)
        return malformed(p, "a call lacks its function or arguments");
    struct cdl_pickle_node arguments = p->nodes[pop(p)], function = p->nodes[pop(p)];
    if (function.kind == CDL_PICKLE_OPAQUE)
        return push_node(p, function);
    if (is_typed(&function) && arguments.kind == CDL_PICKLE_TUPLE && arguments.count >= 3) {
        function = *cdl_pickle_item(p, &arguments, 0);
        arguments = *cdl_pickle_item(p, &arguments, 2);
    }
    if (function.kind != CDL_PICKLE_GLOBAL || arguments.kind != CDL_PICKLE_TUPLE ||
        function.u.integer >= (int64_t)CDL_COUNT(TABLE))
        return malformed(p, "a call is none of a known function");
    const struct cdl_pickle_node *first = cdl_pickle_item(p, &arguments, 0);
    switch (TABLE[function.u.integer].role) {
    case ROLE_DICT: {
        const uint32_t first_node = first ? (uint32_t)(first - p->nodes) : 0;
        cdl_result r = push_kind(p, CDL_PICKLE_DICT);
        if (r == CDL_OK && first)
            r = add_entries(p, p->stack[p->num_stack - 1], &p->nodes[first_node]);
        return r;
    }
    case ROLE_TENSOR:
        if (arguments.count < 4 || first->kind != CDL_PICKLE_STORAGE)
            return malformed(p, "a tensor lacks its storage");
        return push_node(p, (struct cdl_pickle_node){
                                .kind = CDL_PICKLE_TENSOR, .count = arguments.count, .u.cells = arguments.u.cells});
    case ROLE_PARAMETER:
        if (!first || first->kind != CDL_PICKLE_TENSOR)
            return malformed(p, "a parameter lacks its tensor");
        return push(p, (uint32_t)(first - p->nodes));
    case ROLE_TYPED:
    case ROLE_OPAQUE: break;
    }
    return push_kind(p, CDL_PICKLE_OPAQUE);
}

static cdl_result op_call_with_keywords(struct cdl_pickle *p, uint8_t op) { // NEWOBJ_EX: class, arguments, keywords
    if (num_available(p) < 3)
        return malformed(p, "a call lacks its function or arguments");
    pop(p);
    return op_call(p, op);
}

// BUILD gives attributes to an object, such as _metadata to a state dict. No tensor depends on them: they are dropped.
static cdl_result op_build(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    if (num_available(p) < 2)
        return malformed(p, "an object lacks its attributes");
    pop(p);
    const uint32_t kind = p->nodes[p->stack[p->num_stack - 1]].kind;
    return kind == CDL_PICKLE_DICT || kind == CDL_PICKLE_OPAQUE || kind == CDL_PICKLE_TENSOR
               ? CDL_OK
               : malformed(p, "attributes have no object");
}

// A persistent id refers to what lies outside the pickle. torch.save writes such ids only for storages, as the tuple
// ("storage", type, key, place, count[, view]), which becomes a node of kind CDL_PICKLE_STORAGE without its first cell.
static cdl_result op_persistent_id(struct cdl_pickle *p, uint8_t op) {
    (void)op;
    if (num_available(p) < 1)
        return malformed(p, "a storage lacks its description");
    const struct cdl_pickle_node id = p->nodes[pop(p)];
    const struct cdl_pickle_node *tag = id.kind == CDL_PICKLE_TUPLE ? cdl_pickle_item(p, &id, 0) : NULL;
    // In files of whole modules, before PyTorch 1.6: ("module", class, its source file, its source code).
    if (cdl_pickle_is_text(tag, "module") && id.count >= 2 && cdl_pickle_item(p, &id, 1)->kind == CDL_PICKLE_OPAQUE)
        return push_node(p, *cdl_pickle_item(p, &id, 1));
    if (!cdl_pickle_is_text(tag, "storage") || id.count < 5) {
        return cdl_fail(p->log, CDL_ERR_FORMAT,
                        "%s: its pickle refers to something other than a tensor's storage; save only the weights: "
                        "torch.save(model.state_dict(), FILE)",
                        p->what);
    }
    struct cdl_pickle_node storage = id;
    storage.kind = CDL_PICKLE_STORAGE;
    storage.count--;
    storage.u.cells.first = p->cells[id.u.cells.first - 1].next;
    return push_node(p, storage);
}

static cdl_result op_refused(struct cdl_pickle *p, uint8_t op) { // PERSID, INST, OBJ, EXT1, EXT2, EXT4
    return cdl_fail(p->log, CDL_ERR_FORMAT,
                    "%s: its pickle uses opcode 0x%02x, which makes arbitrary objects and is refused (nothing "
                    "was executed); save only the weights: torch.save(model.state_dict(), FILE)",
                    p->what, op);
}

// What to do at each opcode, named by its byte; NULL: refused as unknown.
static cdl_result (*const OPS[256])(struct cdl_pickle *p, uint8_t op) = {
    [0x80] = op_proto,        [0x95] = op_frame,
    ['N'] = op_constant,      [0x88] = op_constant,
    [0x89] = op_constant,     ['J'] = op_int,
    ['K'] = op_int,           ['M'] = op_int,
    [0x8a] = op_long,         [0x8b] = op_long,
    ['G'] = op_float,         ['X'] = op_text,
    [0x8c] = op_text,         [0x8d] = op_text,
    ['U'] = op_text,          ['T'] = op_text,
    ['C'] = op_text,          ['B'] = op_text,
    [0x8e] = op_text,         [0x96] = op_text,
    ['('] = op_mark,          ['0'] = op_pop,
    ['1'] = op_pop,           ['2'] = op_dup,
    ['q'] = op_put,           ['r'] = op_put,
    [0x94] = op_put,          ['h'] = op_get,
    ['j'] = op_get,           ['}'] = op_empty,
    [']'] = op_empty,         [')'] = op_empty,
    [0x8f] = op_empty,        [0x85] = op_tuple_of,
    [0x86] = op_tuple_of,     [0x87] = op_tuple_of,
    ['t'] = op_container,     ['l'] = op_container,
    ['d'] = op_container,     [0x91] = op_container,
    ['a'] = op_add,           ['e'] = op_add,
    [0x90] = op_add,          ['s'] = op_add,
    ['u'] = op_add,           ['c'] = op_global,
    [0x93] = op_global,       ['R'] = op_call,
    [0x81] = op_call,         ['b'] = op_build,
    ['Q'] = op_persistent_id, ['P'] = op_refused,
    ['i'] = op_refused,       ['o'] = op_refused,
    [0x82] = op_refused,      [0x83] = op_refused,
    [0x84] = op_refused,      [0x92] = op_call_with_keywords,
};

cdl_result cdl_pickle_read(struct cdl_pickle *p, const uint8_t *data, size_t size, const char *what,
                           const cdl_log *log) {
    *p = (struct cdl_pickle){.data = data, .size = size, .what = what, .log = log};
    if (size < 2 || data[0] != 0x80)
        return malformed(p, "no pickle begins");
    while (p->position < size) {
        const uint8_t op = data[p->position++];
        if (op == '.') {
            if (p->num_stack != 1 || p->num_marks != 0)
                return malformed(p, "objects are left over");
            p->root = p->stack[0];
            return CDL_OK;
        }
        if (!OPS[op])
            return malformed(p, "an unknown opcode stands");
        const cdl_result r = OPS[op](p, op);
        if (r != CDL_OK)
            return r;
    }
    return malformed(p, "the end comes too early");
}

void cdl_pickle_free(struct cdl_pickle *p) {
    free(p->nodes);
    free(p->cells);
    free(p->stack);
    free(p->marks);
    free(p->memo);
    *p = (struct cdl_pickle){0};
}

// ---- the result

const struct cdl_pickle_node *cdl_pickle_item(const struct cdl_pickle *p, const struct cdl_pickle_node *node,
                                              uint32_t i) {
    if (i >= node->count)
        return NULL;
    uint32_t cell = node->u.cells.first;
    while (i-- > 0)
        cell = p->cells[cell - 1].next;
    return &p->nodes[p->cells[cell - 1].node];
}

bool cdl_pickle_is_text(const struct cdl_pickle_node *node, const char *text) {
    return node && node->kind == CDL_PICKLE_TEXT && text_is((struct text){node->u.text, node->count}, text);
}

const struct cdl_pickle_node *cdl_pickle_get(const struct cdl_pickle *p, const struct cdl_pickle_node *dict,
                                             const char *key) {
    for (uint32_t cell = dict->u.cells.first; cell;) {
        const struct cdl_pickle_cell *name = &p->cells[cell - 1], *value = &p->cells[name->next - 1];
        if (cdl_pickle_is_text(&p->nodes[name->node], key))
            return &p->nodes[value->node];
        cell = value->next;
    }
    return NULL;
}

const struct cdl_pickle_storage_type *cdl_pickle_get_type(const struct cdl_pickle_node *node) {
    if (!node || node->kind != CDL_PICKLE_GLOBAL || node->u.integer < (int64_t)CDL_COUNT(TABLE))
        return NULL;
    return &STORAGES[node->u.integer - (int64_t)CDL_COUNT(TABLE)];
}

const char *cdl_pickle_kind_name(const struct cdl_pickle_node *node) {
    static const char *const names[] = {
        "None",   "a boolean", "a number",     "a number", "a number",  "a text",   "bytes",     "a tuple",
        "a list", "a set",     "a dictionary", "a class",  "a storage", "a tensor", "an object",
    };
    return names[node->kind];
}

void cdl_pickle_class_name(const struct cdl_pickle_node *node, char *out, size_t size) {
    size_t n = 0;
    if (node->kind == CDL_PICKLE_OPAQUE)
        for (; n < node->count && n + 1 < size; n++) {
            const uint8_t c = node->u.text[n];
            out[n] = (char)(c == '\n' ? '.' : c < 0x20 || c >= 0x7f ? '?' : c);
        }
    out[n] = 0;
    if (n == 0)
        cdl_format_text(out, size, "object");
}
