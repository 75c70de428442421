// buckets.c - see buckets.h.
#include "train/buckets.h"

#include <stdlib.h>

enum { ALIGN = 64 }; // floats: no mapped memory needs ranges of more than 256 bytes

// A tensor that learns, and the step that finishes its gradient.
struct gradient {
    int after;
    struct cdl_train_range range;
};

// What no step writes stays zero, and is ready from the start.
static int last_writer(const struct cdl_train_program *p, const struct cdl_train_range *range) {
    const size_t begin = range->at * sizeof(float), end = begin + range->count * sizeof(float);
    for (int i = p->first_update - 1; i >= p->first_backward; i--)
        for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++) {
            const int v = p->steps[i].values[role];
            if (v >= 0 && p->steps[i].writes >> role & 1 && p->values[v].room == CDL_ROOM_GRADIENTS &&
                p->values[v].at < end && begin < p->values[v].at + p->values[v].bytes)
                return i;
        }
    return p->first_backward;
}

static int by_step(const void *a, const void *b) {
    const struct gradient *x = a, *y = b;
    if (x->after != y->after)
        return x->after < y->after ? -1 : 1;
    return x->range.at < y->range.at ? -1 : x->range.at > y->range.at;
}

static int by_place(const void *a, const void *b) {
    const struct cdl_train_range *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

// Sorts a bucket's ranges by place and joins those that touch.
static void join_ranges(struct cdl_train_range *ranges, int *count) {
    int kept = 0;
    qsort(ranges, (size_t)*count, sizeof *ranges, by_place);
    for (int i = 1; i < *count; i++)
        if (ranges[kept].at + ranges[kept].count == ranges[i].at)
            ranges[kept].count += ranges[i].count;
        else
            ranges[++kept] = ranges[i];
    *count = kept + 1;
}

static void fill(struct cdl_train_buckets *out, const struct gradient *gradients, int count, size_t most) {
    int used = 0; // of out->ranges
    for (int i = 0; i < count;) {
        struct cdl_train_bucket *b = &out->items[out->count++];
        *b = (struct cdl_train_bucket){.first = used, .at = out->size};
        for (; i < count && (b->count == 0 || b->count + gradients[i].range.count <= most); i++) {
            out->ranges[b->first + b->num_ranges++] = gradients[i].range;
            b->count += gradients[i].range.count;
            b->after = gradients[i].after;
        }
        join_ranges(&out->ranges[b->first], &b->num_ranges);
        used = b->first + b->num_ranges;
        out->size += cdl_align_up(b->count, ALIGN);
    }
}

cdl_result cdl_train_buckets_create(struct cdl_train_buckets *out, const struct cdl_train_program *p, size_t bytes,
                                    const cdl_log *log) {
    const struct cdl_parameters *all = &p->parameters;
    struct gradient *gradients = malloc((size_t)all->count * sizeof *gradients);
    int count = 0;
    *out = (struct cdl_train_buckets){.items = malloc((size_t)all->count * sizeof *out->items),
                                      .ranges = malloc((size_t)all->count * sizeof *out->ranges)};
    if (!gradients || !out->items || !out->ranges) {
        free(gradients);
        cdl_train_buckets_destroy(out);
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning the exchange of gradients");
    }
    for (int i = 0; i < all->count; i++) {
        const struct cdl_parameter *parameter = &all->items[i];
        struct gradient g = {.range = {parameter->at, cdl_parameter_slot(parameter)}};
        if (!parameter->trainable)
            continue;
        g.after = last_writer(p, &g.range);
        gradients[count++] = g;
    }
    qsort(gradients, (size_t)count, sizeof *gradients, by_step);
    fill(out, gradients, count, bytes / sizeof(float));
    free(gradients);
    return CDL_OK;
}

void cdl_train_buckets_destroy(struct cdl_train_buckets *buckets) {
    free(buckets->items);
    free(buckets->ranges);
    *buckets = (struct cdl_train_buckets){0};
}
