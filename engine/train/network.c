// network.c - see network.h. New weights are torchvision's (resnet.py: ResNet.__init__), but for the generator.
#include "train/network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/random.h"
#include "graph/load.h"

// Normal in good approximation: the sum of 8 uniform 16-bit integers, centred and scaled; the same on every machine, as
// random.c's are.
static float normal_of(uint64_t seed, uint64_t k) {
    const double deviation = 53509.92; // sqrt(8 * (65536^2 - 1) / 12)
    int64_t sum = 0;
    for (uint64_t half = 0; half < 2; half++)
        for (uint64_t bits = cdl_random_bits(seed, 2 * k + half), i = 0; i < 4; i++, bits >>= 16)
            sum += (int64_t)(bits & 0xffff);
    return (float)((double)(2 * sum - 8 * 65535) / (2 * deviation));
}

static float uniform_of(uint64_t seed, uint64_t k) { // -1 ... 1
    return (float)((double)(int64_t)(cdl_random_bits(seed, k) >> 40) / (1 << 23) - 1.0);
}

// Convolutions Kaiming normal by fan-out for ReLU; the linear layer and its bias uniform by `fan_in`; batch norm 1
// and 0.
static void initialise(const struct cdl_tensor *t, float *out, uint64_t seed, int64_t fan_in) {
    const size_t count = (size_t)cdl_tensor_count(t);
    const bool linear = !strncmp(t->name, "fc.", 3);
    const double fan_out = t->num_dims == 4 ? (double)t->shape[0] * (double)(t->shape[2] * t->shape[3]) : 1;
    const float one = cdl_ends_with(t->name, ".weight") || cdl_ends_with(t->name, ".running_var") ? 1.0f : 0.0f;
    const float normal = (float)sqrt(2.0 / fan_out), uniform = (float)(1.0 / sqrt((double)fan_in));
    for (size_t i = 0; i < count; i++)
        out[i] = linear ? uniform * uniform_of(seed, i) : t->num_dims == 4 ? normal * normal_of(seed, i) : one;
}

static void read_values(const struct cdl_tensor *t, float *out) {
    const int64_t rows = cdl_tensor_rows(t), width = cdl_tensor_row_size(t);
    for (int64_t row = 0; row < rows; row++)
        cdl_tensor_read_row(t, row, out + row * width);
}

static cdl_result set_labels(struct cdl_tensor_list *list, const char *const *labels, int count, const cdl_log *log) {
    char *text = NULL;
    size_t length = 0;
    for (int pass = 0; pass < 2; pass++) {
        struct cdl_json_writer w = {.out = text};
        cdl_json_put(&w, "[");
        for (int i = 0; i < count; i++) {
            cdl_json_put(&w, i ? "," : "");
            cdl_json_put_string(&w, labels[i]);
        }
        cdl_json_put(&w, "]");
        length = w.length;
        if (pass == 0 && !(text = malloc(length + 1)))
            return cdl_fail(log, CDL_ERR_NOMEM, "out of memory for %d labels", count);
    }
    text[length] = 0;
    const cdl_result r = cdl_tensor_list_set_metadata(list, "labels", text, log);
    free(text);
    return r;
}

static cdl_result copy_metadata(struct cdl_model *model, const cdl_model *base, const struct cdl_network_change *change,
                                const cdl_log *log) {
    struct cdl_tensor_list all = {0};
    const bool keep = !change->labels && (!change->num_classes || change->num_classes == base->num_classes);
    cdl_result r = cdl_model_collect_metadata(base, &all, log);
    for (int i = 0; i < all.num_metadata && r == CDL_OK; i++)
        if (keep || strcmp(all.metadata[i].key, "labels"))
            r = cdl_tensor_list_set_metadata(&model->list, all.metadata[i].key, all.metadata[i].value, log);
    if (r == CDL_OK && change->labels)
        r = set_labels(&model->list, change->labels, change->num_classes ? change->num_classes : base->num_classes,
                       log);
    cdl_tensor_list_free(&all);
    return r;
}

// The tensor as it will be: contiguous floats; the last layer's with as many rows as there are classes.
static struct cdl_tensor shape_of(const struct cdl_tensor *from, int num_classes) {
    struct cdl_tensor t = *from;
    t.dtype = CDL_DTYPE_F32;
    if (!strncmp(t.name, "fc.", 3))
        t.shape[0] = num_classes;
    int64_t stride = 1;
    for (int d = t.num_dims - 1; d >= 0; d--) {
        t.stride[d] = stride;
        stride *= t.shape[d];
    }
    return t;
}

static cdl_result copy_tensors(struct cdl_model *model, const cdl_model *base, const struct cdl_network_change *change,
                               const cdl_log *log) {
    const int num_classes = change->num_classes ? change->num_classes : base->num_classes;
    const struct cdl_tensor *fc = cdl_model_find(base, "fc.weight");
    size_t used = 0;
    for (int i = 0; i < base->list.count; i++) {
        const struct cdl_tensor t = shape_of(&base->list.items[i], num_classes);
        size_t bytes;
        if (!cdl_mul_size((size_t)cdl_tensor_count(&t), sizeof(float), &bytes) || !cdl_add_size(used, bytes, &used))
            return cdl_fail(log, CDL_ERR_INVALID, "%d classes are too many", num_classes);
    }
    float *block = malloc(used);
    if (!block)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory for a copy of its weights, %zu MB", base->what,
                        used >> 20);
    model->data = block;
    model->size = used;
    for (int i = 0; i < base->list.count; i++) {
        const struct cdl_tensor *from = &base->list.items[i];
        struct cdl_tensor t = shape_of(from, num_classes);
        const bool fresh = change->initialise || t.shape[0] != from->shape[0];
        t.data = (const uint8_t *)block;
        if (fresh)
            initialise(&t, block, cdl_random_bits(change->seed, (uint64_t)i), fc->shape[1]);
        else
            read_values(from, block);
        const cdl_result r = cdl_tensor_list_add(&model->list, &t, log);
        if (r != CDL_OK)
            return r;
        block += cdl_tensor_count(&t);
    }
    return CDL_OK;
}

static void free_values(void *ctx, const void *data) {
    (void)ctx;
    free((void *)data); // malloc'd in copy_tensors
}

cdl_result cdl_network_copy(cdl_model **out, const cdl_model *base, const struct cdl_network_change *change,
                            const cdl_log *log) {
    static const struct cdl_network_change none = {0};
    struct cdl_model *model = cdl_model_new(base->what);
    if (!model)
        return cdl_fail(log, CDL_ERR_NOMEM, "%s: out of memory", base->what);
    model->free_fn = free_values;
    change = change ? change : &none;
    cdl_result r = copy_tensors(model, base, change, log);
    if (r == CDL_OK)
        r = copy_metadata(model, base, change, log);
    if (r == CDL_OK)
        r = cdl_model_finish(model, cdl_model_params(.log = *log));
    if (r != CDL_OK) {
        cdl_model_destroy(&model);
        return r;
    }
    return cdl_model_recognise(out, model, log);
}
