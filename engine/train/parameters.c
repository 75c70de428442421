// parameters.c - see parameters.h.
#include "train/parameters.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 8 }; // floats: kernels read blocks of four channels, up to a multiple of eight

size_t cdl_parameter_slot(const struct cdl_parameter *parameter) { return cdl_align_up(parameter->count, ALIGN); }

// Whether the module path `prefix`[length] contains the tensor `name`.
static bool within(const char *name, const char *prefix, size_t length) {
    if (length == 4 && !memcmp(prefix, "stem", 4))
        return within(name, "conv1", 5) || within(name, "bn1", 3);
    return !strncmp(name, prefix, length) && name[length] == '.';
}

// Whether one of the list's prefixes contains the tensor.
static bool listed(const char *list, const char *name) {
    for (const char *p = list; p && *p;) {
        const size_t length = strcspn(p, ",");
        if (length && within(name, p, length))
            return true;
        p += length + (p[length] == ',');
    }
    return false;
}

static cdl_result check_prefixes(const struct cdl_parameters *all, const char *list, const cdl_log *log) {
    for (const char *p = list; p && *p;) {
        const size_t length = strcspn(p, ",");
        bool found = length == 0;
        for (int i = 0; i < all->count && !found; i++)
            found = within(all->items[i].tensor->name, p, length);
        if (!found)
            return cdl_fail(
                log, CDL_ERR_INVALID,
                "freeze: no layer is called %.*s; module paths as stem, layer1, layer4.0.conv1 or fc are meant",
                (int)(length < 80 ? length : 80), p);
        p += length + (p[length] == ',');
    }
    return CDL_OK;
}

static void add(struct cdl_parameters *all, const struct cdl_tensor *t, enum cdl_parameter_kind kind,
                const char *freeze) {
    if (!t)
        return;
    const bool learns = kind == CDL_PARAMETER_WEIGHT || kind == CDL_PARAMETER_NORM;
    all->items[all->count++] = (struct cdl_parameter){.tensor = t,
                                                      .kind = kind,
                                                      .trainable = learns && !listed(freeze, t->name),
                                                      .count = (size_t)cdl_tensor_count(t)};
}

static bool is_made(const struct cdl_graph *g, const struct cdl_tensor *t) {
    for (const struct cdl_made_weight *m = g->made; m; m = m->next)
        if (&m->tensor == t)
            return true;
    return false;
}

// Its place in the array: see parameters.h.
static int order_of(const struct cdl_parameter *p) {
    return p->trainable ? p->kind == CDL_PARAMETER_NORM : p->kind == CDL_PARAMETER_RUNNING ? 3 : 2;
}

static void place(struct cdl_parameters *all, struct cdl_parameter *sorted) {
    int n = 0;
    for (int order = 0; order < 4; order++) {
        for (int i = 0; i < all->count; i++) {
            if (order_of(&all->items[i]) != order)
                continue;
            sorted[n] = all->items[i];
            sorted[n++].at = all->size;
            all->size += cdl_parameter_slot(&all->items[i]);
        }
        if (order == 0)
            all->decayed = all->size;
        if (order == 1)
            all->trainable = all->size;
    }
    memcpy(all->items, sorted, (size_t)n * sizeof *sorted);
}

cdl_result cdl_parameters_create(struct cdl_parameters *out, const struct cdl_graph *graph, const char *freeze,
                                 const cdl_log *log) {
    enum { MOST = 4 }; // tensors of an operation
    *out = (struct cdl_parameters){0};
    struct cdl_parameter *sorted = calloc((size_t)graph->num_ops * MOST, sizeof *sorted);
    out->items = calloc((size_t)graph->num_ops * MOST, sizeof *out->items);
    if (!sorted || !out->items) {
        free(sorted);
        cdl_parameters_destroy(out);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while preparing to train");
    }
    for (int i = 0; i < graph->num_ops; i++) {
        const struct cdl_op *op = &graph->ops[i];
        const bool made = is_made(graph, op->weight);
        add(out, op->weight, made ? CDL_PARAMETER_CONSTANT : CDL_PARAMETER_WEIGHT, freeze);
        add(out, op->bias, CDL_PARAMETER_WEIGHT, freeze);
        add(out, op->norm.weight, CDL_PARAMETER_NORM, freeze);
        add(out, op->norm.bias, CDL_PARAMETER_NORM, freeze);
        add(out, op->norm.mean, CDL_PARAMETER_RUNNING, freeze);
        add(out, op->norm.variance, CDL_PARAMETER_RUNNING, freeze);
    }
    place(out, sorted);
    free(sorted);
    cdl_result r = check_prefixes(out, freeze, log);
    if (r == CDL_OK && out->trainable == 0)
        r = cdl_fail(log, CDL_ERR_INVALID, "freeze: nothing is left to train; name fewer layers");
    if (r != CDL_OK)
        cdl_parameters_destroy(out);
    return r;
}

void cdl_parameters_destroy(struct cdl_parameters *parameters) {
    free(parameters->items);
    *parameters = (struct cdl_parameters){0};
}

int cdl_parameters_find(const struct cdl_parameters *parameters, const struct cdl_tensor *tensor) {
    for (int i = 0; tensor && i < parameters->count; i++)
        if (parameters->items[i].tensor == tensor)
            return i;
    return -1;
}

void cdl_parameters_read(const struct cdl_parameters *parameters, float *out) {
    memset(out, 0, parameters->size * sizeof *out);
    for (int i = 0; i < parameters->count; i++) {
        const struct cdl_parameter *p = &parameters->items[i];
        const int64_t rows = cdl_tensor_rows(p->tensor), width = cdl_tensor_row_size(p->tensor);
        for (int64_t row = 0; row < rows; row++)
            cdl_tensor_read_row(p->tensor, row, out + p->at + row * width);
    }
}

void cdl_parameters_write(const struct cdl_parameters *parameters, const float *in) {
    for (int i = 0; i < parameters->count; i++) {
        const struct cdl_parameter *p = &parameters->items[i];
        if (p->kind != CDL_PARAMETER_CONSTANT)
            memcpy((void *)p->tensor->data, in + p->at, p->count * sizeof *in);
    }
}
