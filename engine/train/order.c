// order.c - what follows from the roles of a training program's values: lifetimes, places in the arena, barriers.
#include <stdlib.h>

#include "plan/plan.h"
#include "train/derive.h"

enum { ARENA_ALIGN = 256 };

static bool same_memory(const struct cdl_train_program *p, int a, int b) {
    const struct cdl_train_value *x = &p->values[a], *y = &p->values[b];
    if (x->room == CDL_ROOM_ARENA) // where no two that are there at once lie on each other
        return a == b;
    return x->room == y->room && x->at < y->at + y->bytes && y->at < x->at + x->bytes;
}

// Whether `later` reads what `earlier` wrote, or writes what it touched.
static bool must_wait(const struct cdl_train_program *p, const struct cdl_train_step *earlier,
                      const struct cdl_train_step *later) {
    for (int a = 0; a < CDL_NUM_TRAIN_ROLES; a++) {
        const bool a_writes = earlier->writes >> a & 1;
        for (int b = 0; earlier->values[a] >= 0 && b < CDL_NUM_TRAIN_ROLES; b++)
            if (later->values[b] >= 0 && (a_writes || later->writes >> b & 1) &&
                same_memory(p, earlier->values[a], later->values[b]))
                return true;
    }
    return false;
}

static void place_barriers(struct cdl_train_program *p) {
    for (int i = 0, since = 0; i < p->num_steps; i++) {
        bool wait = false;
        for (int j = since; j < i && !wait; j++)
            wait = must_wait(p, &p->steps[j], &p->steps[i]);
        p->steps[i].barrier_before = wait;
        since = wait ? i : since;
    }
}

// Steps between two barriers run at once. So a value takes its place from the first of those that run with the step
// which makes it, as that one may still read its own when the value is written.
static void find_lifetimes(struct cdl_train_program *p) {
    p->values[p->input].first = p->values[p->input].last = -1;
    for (int i = 0, first = 0; i < p->num_steps; i++) {
        if (p->steps[i].barrier_before)
            first = i;
        for (int role = 0; role < CDL_NUM_TRAIN_ROLES; role++) {
            const int v = p->steps[i].values[role];
            if (v < 0)
                continue;
            if (p->values[v].first == -2)
                p->values[v].first = first;
            p->values[v].last = i;
        }
    }
    p->values[p->result].last = p->num_steps; // copied behind the last step
}

static size_t largest_live_set(const struct cdl_train_program *p, const struct cdl_arena_value *values, int count) {
    size_t largest = 0;
    for (int i = 0; i < p->num_steps; i++) {
        size_t live = 0;
        for (int v = 0; v < count; v++)
            live += values[v].first <= i && i <= values[v].last ? values[v].bytes : 0;
        largest = live > largest ? live : largest;
    }
    return largest;
}

cdl_result cdl_train_program_place(struct cdl_train_program *p, const cdl_log *log) {
    struct cdl_arena_value *values = malloc((size_t)p->num_values * sizeof *values);
    int *numbers = malloc((size_t)p->num_values * sizeof *numbers), count = 0;
    cdl_result r =
        values && numbers ? CDL_OK : cdl_fail(log, CDL_ERR_NOMEM, "out of memory while planning the training");
    if (r == CDL_OK) {
        place_barriers(p);
        find_lifetimes(p);
        for (int v = 0; v < p->num_values; v++) {
            const struct cdl_train_value *value = &p->values[v];
            if (value->room != CDL_ROOM_ARENA)
                continue;
            values[count] =
                (struct cdl_arena_value){cdl_align_up(value->bytes, ARENA_ALIGN), value->first, value->last, 0};
            numbers[count++] = v;
        }
        p->live_bytes = largest_live_set(p, values, count);
        r = cdl_arena_place(values, count, p->live_bytes, &p->arena_bytes, log);
    }
    for (int i = 0; r == CDL_OK && i < count; i++)
        p->values[numbers[i]].at = values[i].at;
    free(values);
    free(numbers);
    return r;
}
