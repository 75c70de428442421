// table.h - what was learnt of a device: the fastest kernel for a shape, and which kernels passed their self-test.
//
// Plain data, no Vulkan: a table of text to text that goes to a cache file and comes back.
#ifndef CDL_TUNING_H_
#define CDL_TUNING_H_

#include "kernels/kernels.h"

enum { CDL_TUNING_KEY = 160, CDL_TUNING_VALUE = 200 };

struct cdl_tuning {
    struct cdl_tuning_entry {
        char *key, *value;
    } * items; // sorted by key
    int count, capacity;
    bool changed; // since it was read or written
};

// NULL: nothing is known. The text lives until the entry is set again.
const char *cdl_tuning_find(const struct cdl_tuning *t, const char *key);
bool cdl_tuning_set(struct cdl_tuning *t, const char *key, const char *value); // false: no memory, or not storable
void cdl_tuning_free(struct cdl_tuning *t);

// The table as text, malloc'd, one "key<TAB>value" a line; NULL: no memory.
char *cdl_tuning_format(const struct cdl_tuning *t, size_t *size);
// Adds the entries of such a text; lines that are none are passed over.
void cdl_tuning_parse(struct cdl_tuning *t, const char *text, size_t size);

// An operation's shape at a batch: equal keys mean equal work.
void cdl_tuning_shape_key(char out[CDL_TUNING_KEY], const struct cdl_graph *graph, const struct cdl_op *op, int batch,
                          bool fp16);
void cdl_tuning_test_key(char out[CDL_TUNING_KEY], const struct cdl_kernel *kernel);

#endif // CDL_TUNING_H_
