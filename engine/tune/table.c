#include "tune/table.h"

#include <stdlib.h>
#include <string.h>

// The place of `key`, or where it belongs.
static int position(const struct cdl_tuning *t, const char *key) {
    int low = 0, high = t->count;
    while (low < high) {
        const int middle = low + (high - low) / 2;
        if (strcmp(t->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const char *cdl_tuning_find(const struct cdl_tuning *t, const char *key) {
    const int i = position(t, key);
    return i < t->count && !strcmp(t->items[i].key, key) ? t->items[i].value : NULL;
}

static char *copy(const char *text) {
    const size_t size = strlen(text) + 1;
    char *out = malloc(size);
    if (out)
        memcpy(out, text, size);
    return out;
}

static bool grow(struct cdl_tuning *t) {
    const int capacity = t->capacity ? 2 * t->capacity : 64;
    struct cdl_tuning_entry *bigger =
        t->count < t->capacity ? t->items : realloc(t->items, (size_t)capacity * sizeof *bigger);
    if (!bigger)
        return false;
    t->capacity = t->count < t->capacity ? t->capacity : capacity;
    t->items = bigger;
    return true;
}

bool cdl_tuning_set(struct cdl_tuning *t, const char *key, const char *value) {
    if (strlen(key) >= CDL_TUNING_KEY || strlen(value) >= CDL_TUNING_VALUE || strpbrk(key, "\t\n") ||
        strpbrk(value, "\t\n"))
        return false;
    const int i = position(t, key);
    const bool known = i < t->count && !strcmp(t->items[i].key, key);
    if (known && !strcmp(t->items[i].value, value))
        return true;
    struct cdl_tuning_entry entry = {known ? t->items[i].key : copy(key), copy(value)};
    if (!entry.key || !entry.value || (!known && !grow(t))) {
        if (!known)
            free(entry.key);
        free(entry.value);
        return false;
    }
    if (known) {
        free(t->items[i].value);
    } else {
        memmove(&t->items[i + 1], &t->items[i], (size_t)(t->count - i) * sizeof *t->items);
        t->count++;
    }
    t->items[i] = entry;
    t->changed = true;
    return true;
}

void cdl_tuning_free(struct cdl_tuning *t) {
    for (int i = 0; i < t->count; i++) {
        free(t->items[i].key);
        free(t->items[i].value);
    }
    free(t->items);
    *t = (struct cdl_tuning){0};
}

char *cdl_tuning_format(const struct cdl_tuning *t, size_t *size) {
    size_t needed = 1;
    for (int i = 0; i < t->count; i++)
        needed += strlen(t->items[i].key) + strlen(t->items[i].value) + 2;
    char *text = malloc(needed);
    *size = text ? needed - 1 : 0;
    size_t at = 0;
    for (int i = 0; text && i < t->count; i++) {
        cdl_format_text(text + at, needed - at, "%s\t%s\n", t->items[i].key, t->items[i].value);
        at += strlen(text + at);
    }
    if (text)
        text[at] = 0;
    return text;
}

void cdl_tuning_parse(struct cdl_tuning *t, const char *text, size_t size) {
    char line[CDL_TUNING_KEY + CDL_TUNING_VALUE + 2];
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        const size_t length = end ? (size_t)(end - (text + at)) : size - at;
        if (length < sizeof line) {
            memcpy(line, text + at, length);
            line[length] = 0;
            char *tab = strchr(line, '\t');
            if (tab && tab != line) {
                *tab = 0;
                cdl_tuning_set(t, line, tab + 1);
            }
        }
        at += length + 1;
    }
    t->changed = false;
}

void cdl_tuning_shape_key(char out[CDL_TUNING_KEY], const struct cdl_graph *graph, const struct cdl_op *op, int batch,
                          bool fp16) {
    const struct cdl_value *src = &graph->values[op->src], *dst = &graph->values[op->dst];
    char text[48];
    cdl_op_text(op, text, sizeof text);
    cdl_format_text(out, CDL_TUNING_KEY, "shape %s stride %d padding %d, %dx%dx%d to %dx%dx%d%s%s, batch %d, %s", text,
                    op->stride, op->padding, src->height, src->width, src->channels, dst->height, dst->width,
                    dst->channels, op->relu ? " relu" : "", op->residual >= 0 ? " residual" : "", batch,
                    fp16 && !src->fp32 ? "fp16" : "fp32");
}

void cdl_tuning_test_key(char out[CDL_TUNING_KEY], const struct cdl_kernel *kernel) {
    char name[CDL_TUNING_KEY - 8];
    cdl_kernel_name(kernel, name, sizeof name);
    cdl_format_text(out, CDL_TUNING_KEY, "test %s", name);
}
