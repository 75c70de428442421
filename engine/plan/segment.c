// segment.c - where a network's first steps are better run for a few images after a few others (struct cdl_segment).
//
// Early layers move much and compute little: at 224x224 in fp16 the stem and the first two stages of resnext50_32x4d
// take 46.6 of the 67.7 MB that an image moves, with at most 4.0 MB alive at one time, and with 2.4 MB of weights. So
// few images as fit into the cache never leave it; what that costs is these weights once more for each few, a dispatch
// and a barrier more for each step, and processors without work where so few images make too few tiles.
#include "plan/plan.h"

// Fewer sub-batches would save little memory: what the segment shares with the rest is there for all images at all
// times.
enum { LEAST_SUB_BATCHES = 5 };

// Whether the step, or one behind it, reads the value.
static bool read_from(const struct cdl_plan *plan, int value, int step) {
    for (int i = step; i < plan->num_steps; i++)
        if (plan->steps[i].src == value || plan->steps[i].residual == value)
            return true;
    return false;
}

// Values but the input that cross from steps [0, step) to the rest.
static int num_crossing(const struct cdl_plan *plan, int step) {
    int count = 0;
    for (int i = 0; i < step; i++)
        count += read_from(plan, plan->steps[i].dst, step);
    return count;
}

// Bytes of one image alive while `step` runs, without the input.
static size_t alive_bytes(const struct cdl_plan *plan, int step) {
    size_t bytes = 0;
    for (int i = 0; i <= step; i++)
        if (i == step || read_from(plan, plan->steps[i].dst, step))
            bytes += cdl_plan_image_bytes(plan, plan->steps[i].dst);
    return bytes;
}

// Whether the step has enough to do for so few images, and reads no more than a quarter as many bytes of weights as of
// values.
static bool worth_it(const struct cdl_plan *plan, int step, int images, uint64_t least_outputs) {
    const struct cdl_value *dst = &plan->graph.values[plan->steps[step].dst];
    const uint64_t outputs = (uint64_t)images * (uint64_t)dst->height * (uint64_t)dst->width * (uint64_t)dst->channels;
    const bool convolves = plan->graph.ops[plan->steps[step].first_op].kind == CDL_OP_CONV;
    return (!convolves || outputs >= least_outputs) &&
           cdl_step_weight_bytes(plan, step) <= (uint64_t)images * cdl_step_value_bytes(plan, step) / 4;
}

// As many images as the cache holds, and a fifth of the batch at most, up to the last step that has enough to do and
// hands on a single value.
static struct cdl_segment find_segment(const struct cdl_plan *plan, size_t cache_bytes, uint64_t least_outputs) {
    struct cdl_segment found = {0, 0};
    size_t most = 1;
    for (int step = 0; step < plan->num_steps; step++) {
        const size_t alive = alive_bytes(plan, step);
        most = alive > most ? alive : most;
        const int fit = cache_bytes / most < (size_t)plan->max_batch ? (int)(cache_bytes / most) : plan->max_batch;
        const int images = fit < plan->max_batch / LEAST_SUB_BATCHES ? fit : plan->max_batch / LEAST_SUB_BATCHES;
        bool all = images > 0 && fit < plan->max_batch; // else the whole batch stays there
        for (int i = 0; i <= step && all; i++)
            all = worth_it(plan, i, images, least_outputs);
        if (all && num_crossing(plan, step + 1) == 1)
            found = (struct cdl_segment){step + 1, images};
    }
    return found;
}

int cdl_plan_segments(const struct cdl_plan *plan, const struct cdl_caps *caps,
                      struct cdl_segment out[CDL_MAX_SEGMENTS]) {
    // Two tiles for every processor leave few idle at a dispatch's end; with one it depends on the device.
    const struct cdl_segment all[CDL_MAX_SEGMENTS] = {
        find_segment(plan, caps->cache_bytes, 2 * (uint64_t)caps->fill_outputs),
        find_segment(plan, caps->cache_bytes, caps->fill_outputs),
        {0, 0},
    };
    int n = 0;
    for (int i = 0; i < CDL_MAX_SEGMENTS; i++) {
        bool known = false;
        for (int j = 0; j < n; j++)
            known = known || (out[j].steps == all[i].steps && out[j].images == all[i].images);
        if (!known)
            out[n++] = all[i];
    }
    return n;
}
