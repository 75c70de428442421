// test_plan.c - plans without a device: kernels, steps, the arena, slices, segments, and barriers against a brute-force
// search for hazards.
#include "graph/resnet.h"
#include "kernels/family.h"
#include "support/caps.h"
#include "support/harness.h"

static const struct cdl_caps gpu = {
    .subgroup_size = 32, .subgroup_shuffle = true, .max_workgroup_size = 1024, .max_shared_bytes = 49152};

// ---- plans

struct lifetime {
    int first, last;
};

// As a value is written and read, step by step; kept values, features and logits live to the end.
static struct lifetime lifetime_of(const struct cdl_plan *p, int value, bool keep) {
    struct lifetime l = {value == 0 ? -1 : p->num_steps + 1, -1}; // what no step writes is born never
    for (int i = 0; i < p->num_steps; i++) {
        if (p->steps[i].dst == value || p->steps[i].kept == value)
            l.first = l.last = i;
        if (p->steps[i].src == value || p->steps[i].residual == value)
            l.last = i;
    }
    if (keep || value == p->graph.output || value == p->graph.features)
        l.last = p->num_steps;
    return l;
}

static bool touch(const struct cdl_plan *p, int a, int b) {
    return a >= 0 && b >= 0 && p->value_at[a] < p->value_at[b] + p->value_bytes[b] &&
           p->value_at[b] < p->value_at[a] + p->value_bytes[a];
}

static void check_arena(const struct cdl_plan *p, bool keep, const char *what) {
    for (int a = 0; a < p->graph.num_values; a++) {
        const struct lifetime la = lifetime_of(p, a, keep);
        const struct cdl_value *v = &p->graph.values[a];
        const size_t needed = (size_t)p->max_batch * (size_t)v->height * (size_t)v->width *
                              (size_t)cdl_padded_channels(v->channels) * (p->fp16 && !v->fp32 ? 2 : 4);
        if (la.first > p->num_steps) { // stays in a kernel
            assert_true(p->value_bytes[a] == 0);
            continue;
        }
        assert_true(p->value_bytes[a] >= needed && p->value_at[a] % 256 == 0);
        assert_true(p->value_at[a] + p->value_bytes[a] <= p->arena_bytes);
        for (int b = 0; b < a; b++) {
            const struct lifetime lb = lifetime_of(p, b, keep);
            if (la.first <= lb.last && lb.first <= la.last && touch(p, a, b))
                fail_msg("%s: values %d and %d are alive at once and overlap", what, a, b);
        }
    }
    assert_true(p->live_bytes <= p->arena_bytes);
}

// What a dispatch reads or writes: a range of the arena, value -1: nothing.
struct range {
    int value;
    size_t at, end;
};

static struct range range_of(const struct cdl_plan *p, int value, const struct cdl_dispatch_entry *d, bool whole) {
    if (value < 0)
        return (struct range){-1, 0, 0};
    const size_t at = cdl_plan_value_at(p, value, d->first_image);
    return whole ? (struct range){value, p->value_at[value], p->value_at[value] + p->value_bytes[value]}
                 : (struct range){value, at, at + (size_t)d->images * cdl_plan_image_bytes(p, value)};
}

static bool meet(struct range a, struct range b) {
    return a.value >= 0 && b.value >= 0 && a.at < b.end && b.at < a.end;
}

// whole: as if they touched all that there is of their values.
static bool hazard(const struct cdl_plan *p, const struct cdl_dispatch_entry *earlier,
                   const struct cdl_dispatch_entry *later, bool whole) {
    const struct cdl_step *e = &p->steps[earlier->step], *l = &p->steps[later->step];
    const int written[] = {e->dst, e->kept}, writes[] = {l->dst, l->kept};
    const int read[] = {e->src, e->residual}, reads[] = {l->src, l->residual};
    bool found = false;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const struct range before = range_of(p, written[i], earlier, whole);
            const struct range now = range_of(p, writes[i], later, whole);
            found = found || meet(before, range_of(p, reads[j], later, whole)) || // read after it was written
                    meet(now, range_of(p, read[j], earlier, whole)) ||            // written after it was read
                    meet(before, range_of(p, writes[j], later, whole));
        }
    return found;
}

// Between any two dispatches without a barrier in between there must be no hazard; and no barrier where all that they
// may touch for any number of images lies apart.
static void check_barriers(const struct cdl_plan *p, int images, const char *what) {
    const int n = cdl_plan_num_dispatches(p, images);
    struct cdl_dispatch_entry *list = must_alloc((size_t)n, sizeof *list);
    for (int i = 0; i < n; i++)
        list[i] = cdl_plan_dispatch(p, images, i);
    for (int i = 0, since = 0, before = 0; i < n; i++) {
        bool reason = false;
        if (list[i].barrier_before) {
            before = since;
            since = i;
            // A sub-batch's first step waits for the sake of those up to the next barrier; any other, for its own.
            for (int k = i; k < n && (k == i || (list[i].step == 0 && !list[k].barrier_before)); k++)
                for (int j = before; j < i; j++)
                    reason = reason || hazard(p, &list[j], &list[k], true);
            if (!reason)
                fail_msg("%s: %s, images from %d, has a barrier for nothing", what, cdl_step_name(p, list[i].step),
                         list[i].first_image);
        }
        for (int j = since; j < i; j++)
            if (hazard(p, &list[j], &list[i], false))
                fail_msg("%s: %s, images from %d, runs beside %s, images from %d, without a barrier", what,
                         cdl_step_name(p, list[i].step), list[i].first_image, cdl_step_name(p, list[j].step),
                         list[j].first_image);
    }
    free(list);
}

// One image's value in the arena.
struct held {
    int value, image;
    size_t at, end;
};
struct arena {
    struct held *items;
    int count;
};

static void write_value(struct arena *a, const struct cdl_plan *p, int value, int image, size_t at) {
    const size_t end = at + cdl_plan_image_bytes(p, value);
    assert_true(end <= p->arena_bytes);
    for (int i = 0; i < a->count;) // what lay there is gone
        if (a->items[i].at < end && at < a->items[i].end)
            a->items[i] = a->items[--a->count];
        else
            i++;
    a->items[a->count++] = (struct held){value, image, at, end};
}

static bool holds(const struct arena *a, int value, int image, size_t at) {
    for (int i = 0; i < a->count; i++)
        if (a->items[i].value == value && a->items[i].image == image && a->items[i].at == at)
            return true;
    return false;
}

// Follows each image's values through a run: whatever a dispatch reads must be there, and each must run for every image
// once.
static void check_values(const struct cdl_plan *p, int images, const char *what) {
    const struct cdl_graph *g = &p->graph;
    struct arena arena = {must_alloc((size_t)(g->num_values * (images + 1)), sizeof *arena.items), 0};
    int *runs = must_alloc((size_t)p->num_steps, sizeof *runs);
    memset(runs, 0, (size_t)p->num_steps * sizeof *runs);
    for (int i = 0; i < images; i++)
        write_value(&arena, p, 0, i, cdl_plan_value_at(p, 0, i));
    for (int k = 0; k < cdl_plan_num_dispatches(p, images); k++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(p, images, k);
        const struct cdl_addresses at = cdl_plan_addresses(p, &d, 0, 0);
        const struct cdl_step *step = &p->steps[d.step];
        assert_true(d.first_image == runs[d.step] && d.images > 0 && d.first_image + d.images <= images);
        for (int i = 0; i < d.images; i++) {
            const int image = d.first_image + i;
            const size_t src = at.src + (size_t)i * cdl_plan_image_bytes(p, step->src);
            if (!holds(&arena, step->src, image, src) ||
                (step->residual >= 0 && !holds(&arena, step->residual, image,
                                               at.residual + (size_t)i * cdl_plan_image_bytes(p, step->residual))))
                fail_msg("%s: %s does not find what it reads of image %d", what, cdl_step_name(p, d.step), image);
            write_value(&arena, p, step->dst, image, at.dst + (size_t)i * cdl_plan_image_bytes(p, step->dst));
            if (step->kept >= 0)
                write_value(&arena, p, step->kept, image, at.middle + (size_t)i * cdl_plan_image_bytes(p, step->kept));
        }
        runs[d.step] += d.images;
    }
    for (int i = 0; i < p->num_steps; i++)
        assert_int_equal(runs[i], images);
    for (int v = 0; v < g->num_values; v++)
        for (int i = 0; i < images && (v == g->output || v == g->features || p->keep_values); i++)
            if (!holds(&arena, v, i, cdl_plan_value_at(p, v, i)))
                fail_msg("%s: value %d of image %d is not there after the run", what, v, i);
    free(runs);
    free(arena.items);
}

static void check_runs(const struct cdl_plan *p, const char *what) {
    for (int images = 1; images <= p->max_batch; images += 1 + images / 8) {
        check_barriers(p, images, what);
        check_values(p, images, what);
    }
    check_barriers(p, p->max_batch, what);
    check_values(p, p->max_batch, what);
    assert_true(p->live_bytes <= p->arena_bytes);
}

// Each operation's weights lie somewhere once, in order.
static void check_weights(const struct cdl_plan *p, const char *what) {
    size_t end = 0;
    int ops = 0;
    for (int i = 0; i < p->num_steps; i++)
        for (int k = 0; k < p->steps[i].num_ops; k++) {
            if (p->steps[i].weights_at[k] % 16 != 0 || p->steps[i].weights_at[k] < end)
                fail_msg("%s: the weights of %s overlap those before", what, p->graph.ops[ops].name);
            assert_int_equal(p->steps[i].first_op + k, ops++);
            end = p->steps[i].weights_at[k] + p->steps[i].kernel.weights[k].bytes;
        }
    assert_int_equal(ops, p->graph.num_ops);
    assert_true(end <= p->weights_bytes);
}

static void check_plan(const cdl_model *model, const struct cdl_plan_params *params, const char *what) {
    struct cdl_plan p;
    harness_expect_ok(cdl_plan_create(&p, model, params, &harness_shared_log), what);
    check_arena(&p, params->keep_values, what);
    check_runs(&p, what);
    check_weights(&p, what);
    for (int steps = 1; steps <= p.num_steps; steps += 1 + p.num_steps / 6) {
        harness_expect_ok(cdl_plan_set_segment(&p, (struct cdl_segment){steps, 1 + steps % 3}, &harness_shared_log),
                          what);
        check_runs(&p, what);
    }
    harness_expect_ok(cdl_plan_set_segment(&p, (struct cdl_segment){0, 0}, &harness_shared_log), what);
    check_arena(&p, params->keep_values, what);
    cdl_plan_destroy(&p);
    assert_null(p.steps);
}

static void test_plans_of_small_networks(void **state) {
    (void)state;
    static const char *const names[] = {"basic_7x7",     "basic_3x3",     "bottleneck_g1",  "bottleneck_g2",
                                        "bottleneck_g4", "bottleneck_g8", "bottleneck_g16", "bottleneck_g32"};
    static const struct cdl_caps *const caps[] = {&gpu, &cpu, &least};
    for (size_t n = 0; n < CDL_COUNT(names); n++) {
        cdl_model *model = harness_load(names[n]);
        for (int i = 0; i < 3 * 2 * 2 * 2; i++)
            for (int batch = 1; batch <= 5; batch += 2)
                check_plan(model,
                           &(struct cdl_plan_params){.max_batch = batch,
                                                     .height = 33,
                                                     .width = 20 + batch,
                                                     .fp16 = i & 1,
                                                     .fold = i & 2,
                                                     .keep_values = i & 4,
                                                     .caps = caps[i / 8]},
                           names[n]);
        cdl_model_destroy(&model);
    }
}

static void test_plans_of_resnext50(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    static const int batches[] = {1, 32};
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_plan_params params = {
                .max_batch = batches[i], .height = 224, .width = 224, .fp16 = fp16, .fold = true, .caps = &gpu};
            struct cdl_plan p;
            int barriers = 0;
            check_plan(model, &params, "resnext50");
            harness_expect_ok(cdl_plan_create(&p, model, &params, &harness_shared_log), "plan");
            for (int k = 0; k < p.num_steps; k++)
                barriers += p.steps[k].barrier_before;
            print_message(
                "resnext50_32x4d batch %d %s: arena %.1f MB, largest live set %.1f MB, ratio %.3f; %d barriers for "
                "%d steps\n",
                batches[i], fp16 ? "fp16" : "fp32", (double)p.arena_bytes / 1e6, (double)p.live_bytes / 1e6,
                (double)p.arena_bytes / (double)p.live_bytes, barriers, p.num_steps);
            assert_true((double)p.arena_bytes <= 1.1 * (double)p.live_bytes);
            cdl_plan_destroy(&p);
        }
    cdl_model_destroy(&model);
}

// The segments by rule: as the arithmetic of segment.c has it, and the arena close to what is alive at one time.
static void test_segments_by_rule(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    struct cdl_caps device = gpu;
    device.cache_bytes = 32u << 20;
    device.fill_outputs = 128 * 64 * 128;
    static const int batches[] = {1, 8, 16, 31, 32, 33, 64, 128};
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_plan_params params = {
                .max_batch = batches[i], .height = 224, .width = 224, .fp16 = fp16, .fold = true, .caps = &device};
            struct cdl_segment segments[CDL_MAX_SEGMENTS];
            struct cdl_plan p;
            harness_expect_ok(cdl_plan_create(&p, model, &params, &harness_shared_log), "plan");
            const size_t arena = p.arena_bytes;
            const int count = cdl_plan_segments(&p, &device, segments);
            assert_in_range(count, 1, CDL_MAX_SEGMENTS);
            for (int k = 0; k < count; k++) {
                harness_expect_ok(cdl_plan_set_segment(&p, segments[k], &harness_shared_log), "segment");
                check_runs(&p, "resnext50 in segments");
                print_message(
                    "resnext50_32x4d batch %d %s: %d steps for %d images at a time: arena %.1f MB, largest live set "
                    "%.1f MB, ratio %.3f\n",
                    batches[i], fp16 ? "fp16" : "fp32", segments[k].steps, segments[k].images,
                    (double)p.arena_bytes / 1e6, (double)p.live_bytes / 1e6,
                    (double)p.arena_bytes / (double)p.live_bytes);
                assert_true((double)p.arena_bytes <= 1.1 * (double)p.live_bytes && p.arena_bytes <= arena);
            }
            if (fp16 &&
                batches[i] >= 31) { // stem and first stage with two tiles for each processor, the second with one
                assert_true(segments[0].steps == 12 && segments[1].steps == 25 && segments[0].images <= 8 &&
                            segments[2].steps == 0);
            } else if (batches[i] < 4) {
                assert_int_equal(segments[0].steps, 0);
            }
            cdl_plan_destroy(&p);
        }
    cdl_model_destroy(&model);
}

static const struct cdl_caps matrix_gpu = {
    .subgroup_size = 32,
    .subgroup_shuffle = true,
    .max_workgroup_size = 1024,
    .max_shared_bytes = 49152,
    .matrix_m = 16,
    .matrix_n = 16,
    .matrix_k = 16,
    .matrix_subgroup = 32,
};

static int always_fuse(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    assert_in_range(count, 1, CDL_MAX_KERNELS);
    if (work->num_ops == 1)
        return 0;
    assert_true(work->ops[1].kernel_h == 1 && work->ops[1].src == work->ops[0].dst);
    assert_true(work->ops[0].kind == CDL_OP_CONV || kernels[0].keeps_middle); // an average is the features, too
    ++*(int *)ctx;
    return count - 1;
}

static int never_fuse(void *ctx, const struct cdl_work *work, const struct cdl_kernel *kernels, int count) {
    (void)ctx;
    (void)kernels;
    (void)count;
    return work->num_ops == 1 ? 0 : -1;
}

// resnext50_32x4d with one kernel for each 3x3 and the 1x1 behind it, and for the two at the end; and each by itself.
static void make_fused(struct cdl_plan *fused, struct cdl_plan *apart, const cdl_model *model, int batch, bool keep,
                       int *asked) {
    struct cdl_plan_params params = {.max_batch = batch,
                                     .height = 224,
                                     .width = 224,
                                     .fp16 = true,
                                     .fold = true,
                                     .caps = &matrix_gpu,
                                     .keep_values = keep,
                                     .choose = always_fuse,
                                     .choose_ctx = asked};
    check_plan(model, &params, "fused");
    *asked = 0;
    harness_expect_ok(cdl_plan_create(fused, model, &params, &harness_shared_log), "plan");
    params.choose = never_fuse;
    harness_expect_ok(cdl_plan_create(apart, model, &params, &harness_shared_log), "plan");
}

// The value between the two is nowhere, what they read lives until then.
static void test_fused(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    for (int i = 0; i < 4; i++) {
        struct cdl_plan p, apart;
        const bool keep = i & 1;
        int asked = 0;
        make_fused(&p, &apart, model, i & 2 ? 10 : 1, keep, &asked);
        const int pairs = apart.num_steps - p.num_steps;
        assert_int_equal(apart.num_steps, apart.graph.num_ops);
        assert_int_equal(cdl_plan_num_dispatches(&p, 1), p.num_steps);
        if (keep) {
            assert_true(asked == 0 && pairs == 0);
        } else {
            assert_true(asked == pairs && pairs >= 3 + 4 + 1); // the first two stages, at least, and the end
            assert_true(cdl_plan_weights_hash(&p) != cdl_plan_weights_hash(&apart));
        }
        assert_true(p.live_bytes <= apart.live_bytes);
        cdl_plan_destroy(&apart);
        cdl_plan_destroy(&p);
    }
    cdl_model_destroy(&model);
}

// What a step that does two operations costs: all their work, and none of the traffic of the value between them.
static void test_fused_costs(void **state) {
    (void)state;
    enum { BATCH = 10 };
    cdl_model *model = harness_random_model("resnext50_32x4d");
    struct cdl_plan p, apart;
    int asked = 0, pairs = 0;
    make_fused(&p, &apart, model, BATCH, false, &asked);
    for (int i = 0; i < p.num_steps; i++) {
        const struct cdl_step *step = &p.steps[i];
        const int first = step->first_op, last = first + step->num_ops - 1; // apart, a step an operation
        uint64_t flops = 0, bytes = 0, between = 0;
        for (int k = first; k <= last; k++) {
            flops += cdl_step_flops(&apart, k, BATCH);
            bytes += cdl_step_value_bytes(&apart, k);
        }
        if (step->num_ops == 2)
            between = (step->kept >= 0 ? 1 : 2) *
                      cdl_plan_image_bytes(&apart, apart.steps[first].dst); // written, and read again
        pairs += step->num_ops == 2;
        assert_true(cdl_step_flops(&p, i, BATCH) == flops);
        assert_true(cdl_step_value_bytes(&p, i) == bytes - between);
        assert_true(cdl_step_bytes(&p, i, BATCH) == BATCH * (bytes - between) + cdl_step_weight_bytes(&p, i));
        assert_string_equal(cdl_step_name(&p, i), cdl_step_name(&apart, last));
    }
    assert_int_equal(pairs, asked);
    cdl_plan_destroy(&apart);
    cdl_plan_destroy(&p);
    cdl_model_destroy(&model);
}

// Slices take about equal time: as long as none would have to be cut within a dispatch, no slice is longer than its
// share and the longest dispatch. And where the two of a fused step are what one dispatch does, a slice cannot end
// between them.
static void test_slices(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    struct cdl_plan plans[2];
    int asked = 0;
    make_fused(&plans[0], &plans[1], model, 3, false, &asked);
    for (int which = 0; which < 2; which++)
        for (int images = 1; images <= 3; images++) {
            const struct cdl_plan *p = &plans[which];
            const int num = cdl_plan_num_dispatches(p, images);
            double total = 0, longest = 0;
            double *cost = must_alloc((size_t)num, sizeof *cost);
            for (int i = 0; i < num; i++) { // operations, and 16 for each byte
                const struct cdl_dispatch_entry d = cdl_plan_dispatch(p, images, i);
                cost[i] = (double)cdl_step_flops(p, d.step, images) + 16 * (double)cdl_step_bytes(p, d.step, images);
                total += cost[i];
                longest = cost[i] > longest ? cost[i] : longest;
            }
            for (int count = 1; count <= num; count++) {
                int first = 0;
                for (int slice = 0; slice < count; slice++) {
                    const int end = cdl_plan_slice_end(p, images, slice, count);
                    double sum = 0;
                    assert_true(end > first); // none is empty
                    for (int i = first; i < end; i++)
                        sum += cost[i];
                    if (sum > total / count + longest)
                        fail_msg("slice %d of %d takes %g of %g", slice, count, sum, total);
                    first = end;
                }
                assert_int_equal(first, num); // the last ends with the run
            }
            free(cost);
        }
    cdl_plan_destroy(&plans[0]);
    cdl_plan_destroy(&plans[1]);
    cdl_model_destroy(&model);
}

// ---- made-up graphs

enum { MADE_UP_OPS = 16 };

struct made_up {
    struct cdl_plan plan;
    struct cdl_op ops[MADE_UP_OPS];
    struct cdl_value values[MADE_UP_OPS + 1];
    struct cdl_step steps[MADE_UP_OPS];
    size_t value_at[MADE_UP_OPS + 1], value_bytes[MADE_UP_OPS + 1];
    int value_images[MADE_UP_OPS + 1];
};

static void made_up_begin(struct made_up *m, int batch, int input_width) {
    *m = (struct made_up){.values[0] = {1, input_width, 64, true}};
    m->plan = (struct cdl_plan){.graph = {.ops = m->ops, .values = m->values, .num_values = 1},
                                .steps = m->steps,
                                .value_at = m->value_at,
                                .value_images = m->value_images,
                                .value_bytes = m->value_bytes,
                                .max_batch = batch};
}

static void made_up_add(struct made_up *m, int src, int residual, int width) {
    struct cdl_graph *g = &m->plan.graph;
    const int dst = g->num_values, op = g->num_ops;
    m->ops[op] = (struct cdl_op){.kind = CDL_OP_CONV, .src = src, .residual = residual, .dst = dst};
    snprintf(m->ops[op].name, sizeof m->ops[op].name, "operation %d", op);
    m->values[dst] = (struct cdl_value){1, width, 64, true};
    m->steps[op] =
        (struct cdl_step){.first_op = op, .num_ops = 1, .src = src, .residual = residual, .dst = dst, .kept = -1};
    g->output = g->features = g->map = dst;
    g->num_values++;
    g->num_ops++;
    m->plan.num_steps++;
}

static void made_up_lay_out(struct made_up *m, struct cdl_segment segment) {
    harness_expect_ok(cdl_plan_set_segment(&m->plan, segment, &harness_shared_log), "a made-up graph");
}

// What an operation adds was written, and nothing else is shared with an earlier one.
static void test_waits_for_residual_written(void **state) {
    (void)state;
    struct made_up m;
    made_up_begin(&m, 1, 1);
    made_up_add(&m, 0, -1, 1);
    made_up_add(&m, 0, 1, 1);
    made_up_lay_out(&m, (struct cdl_segment){0, 0});
    assert_false(m.steps[0].barrier_before);
    assert_true(m.steps[1].barrier_before);
    check_runs(&m.plan, "residual written");
}

// An operation writes where an earlier one finds what it adds, and nothing else is shared.
static void test_waits_for_residual_read(void **state) {
    (void)state;
    struct made_up m;
    made_up_begin(&m, 1, 1);
    made_up_add(&m, 0, -1, 1); // value 1
    made_up_add(&m, 0, -1, 1);
    made_up_add(&m, 0, 1, 1);  // the last to read value 1
    made_up_add(&m, 2, -1, 1); // value 4, in its place
    made_up_add(&m, 0, 3, 1);
    made_up_add(&m, 5, 4, 1);
    made_up_lay_out(&m, (struct cdl_segment){0, 0});
    assert_true(m.value_at[4] == m.value_at[1]);
    assert_true(m.steps[2].barrier_before);
    assert_true(m.steps[3].barrier_before);
    check_runs(&m.plan, "residual read");
}

// Makes one step of steps `first` and `first + 1`.
static void made_up_fuse(struct made_up *m, int first) {
    struct cdl_step *step = &m->steps[first];
    step->num_ops = 2;
    step->dst = step[1].dst;
    step->residual = step[1].residual;
    for (int i = first + 1; i + 1 < m->plan.num_steps; i++)
        m->steps[i] = m->steps[i + 1];
    m->plan.num_steps--;
}

// What stays inside a fused step takes no room: more images of a segment fit into the device's cache.
static void test_segments_of_fused(void **state) {
    (void)state;
    enum { BATCH = 100, WIDE = 30, UNIT = 64 * 4 }; // UNIT: bytes of a value of width 1
    const struct cdl_caps device = {.cache_bytes = 4 * WIDE * UNIT, .fill_outputs = 1};
    struct cdl_segment segments[2][CDL_MAX_SEGMENTS];
    for (int fused = 0; fused < 2; fused++) {
        struct made_up m;
        made_up_begin(&m, BATCH, 1);
        made_up_add(&m, 0, -1, 1);
        made_up_add(&m, 1, -1, WIDE);
        made_up_add(&m, 2, -1, 1);
        made_up_add(&m, 3, -1, 1);
        if (fused)
            made_up_fuse(&m, 1);
        made_up_lay_out(&m, (struct cdl_segment){0, 0});
        assert_int_equal(m.value_bytes[2] > 0, !fused);
        check_runs(&m.plan, "fused in segments");
        cdl_plan_segments(&m.plan, &device, segments[fused]);
    }
    assert_int_equal(segments[0][0].images, 3);         // of (1 + WIDE) units each
    assert_int_equal(segments[1][0].images, BATCH / 5); // of 2 units each: as many as sub-batches allow
}

// Graphs of any shape, with segments of any size.
static void test_random_graphs(void **state) {
    (void)state;
    struct random r = random_of(7);
    for (int n = 0; n < 3000; n++) {
        struct made_up m;
        char what[64];
        made_up_begin(&m, 1 + (int)(random_next(&r) % 9), 1 + (int)(random_next(&r) % 4));
        for (int i = 0, ops = 2 + (int)(random_next(&r) % (MADE_UP_OPS - 1)); i < ops; i++) {
            const int recent = i < 4 ? i + 1 : 4; // values to choose from
            const int src = i - (int)(random_next(&r) % (uint32_t)recent);
            const int residual = random_next(&r) % 3 ? -1 : i - (int)(random_next(&r) % (uint32_t)recent);
            made_up_add(&m, src, residual, 1 + (int)(random_next(&r) % 4));
        }
        const struct cdl_segment segment = {(int)(random_next(&r) % (uint32_t)(m.plan.graph.num_ops + 1)),
                                            1 + (int)(random_next(&r) % 4)};
        snprintf(what, sizeof what, "random graph %d", n);
        made_up_lay_out(&m, segment);
        check_runs(&m.plan, what);
    }
}

// Average and classifier are one dispatch, without anything measured: of few images on a GPU. The last one of a run is
// softmax and order.
static void test_ends_in_two_dispatches(void **state) {
    (void)state;
    cdl_model *model = harness_random_model("resnext50_32x4d");
    static const int batches[] = {1, 4, 5, 128}; // 32 workgroups an image, 132 processors
    struct cdl_caps large = gpu, little = gpu;
    large.processors = 132;
    little.processors = 8;
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int fp16 = 0; fp16 < 2; fp16++)
            for (int which = 0; which < 4; which++) {
                const struct cdl_caps *const caps[] = {&large, &little, &cpu, &large};
                const int side = which == 3 ? 448 : 224; // four times the map
                const struct cdl_plan_params params = {.max_batch = batches[i],
                                                       .height = side,
                                                       .width = side,
                                                       .fp16 = fp16,
                                                       .fold = true,
                                                       .caps = caps[which]};
                struct cdl_plan p;
                harness_expect_ok(cdl_plan_create(&p, model, &params, &harness_shared_log), "plan");
                const struct cdl_step *last = &p.steps[p.num_steps - 1];
                const bool together = which == 0 && batches[i] <= 4;
                assert_int_equal(last->num_ops, together ? 2 : 1);
                assert_int_equal(last->src, together ? p.graph.map : p.graph.features);
                assert_int_equal(last->kept, together ? p.graph.features : -1); // for those who ask for them
                assert_int_equal(p.num_steps, p.graph.num_ops - together);
                check_arena(&p, false, "the end together");
                check_runs(&p, "the end together");
                cdl_plan_destroy(&p);
            }
    cdl_model_destroy(&model);
}

// What a step keeps beside its result is waited for like that.
static void test_waits_for_kept(void **state) {
    (void)state;
    struct made_up m;
    made_up_begin(&m, 1, 1);
    made_up_add(&m, 0, -1, 1);
    made_up_add(&m, 1, -1, 1);
    made_up_add(&m, 1, -1, 1); // reads what is kept, and shares nothing else with the step before
    made_up_add(&m, 2, 3, 1);
    made_up_fuse(&m, 0);
    m.steps[0].kept = 1;
    made_up_lay_out(&m, (struct cdl_segment){0, 0});
    assert_true(m.steps[1].barrier_before && m.value_bytes[1] > 0);
    assert_true(m.value_at[3] != m.value_at[2]);
    check_runs(&m.plan, "kept");
}

static void test_plan_hash(void **state) {
    (void)state;
    cdl_model *model = harness_load("bottleneck_g4");
    struct cdl_plan_params params = {.max_batch = 1, .height = 20, .width = 20, .fold = true, .caps = &gpu};
    struct cdl_plan a, b, half;
    harness_expect_ok(cdl_plan_create(&a, model, &params, &harness_shared_log), "plan");
    params.max_batch = 7;
    harness_expect_ok(cdl_plan_create(&b, model, &params, &harness_shared_log), "plan");
    params.fp16 = true;
    harness_expect_ok(cdl_plan_create(&half, model, &params, &harness_shared_log), "plan");
    assert_true(cdl_plan_weights_hash(&a) == cdl_plan_weights_hash(&b));
    assert_true(cdl_plan_weights_hash(&a) != cdl_plan_weights_hash(&half));
    cdl_plan_destroy(&a);
    cdl_plan_destroy(&b);
    cdl_plan_destroy(&half);
    cdl_model_destroy(&model);
}

static void test_too_large(void **state) {
    (void)state;
    cdl_model *model = harness_load("basic_3x3");
    struct cdl_plan p;
    const struct cdl_plan_params params = {
        .max_batch = 4096, .height = 4096, .width = 4096, .fold = true, .caps = &gpu};
    harness_expect_failure(cdl_plan_create(&p, model, &params, &harness_shared_log), CDL_ERR_UNSUPPORTED,
                           "4096 pictures of 4096x4096");
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_of_small_networks),
        cmocka_unit_test(test_plans_of_resnext50),
        cmocka_unit_test(test_plan_hash),
        cmocka_unit_test(test_ends_in_two_dispatches),
        cmocka_unit_test(test_waits_for_kept),
        cmocka_unit_test(test_segments_by_rule),
        cmocka_unit_test(test_fused),
        cmocka_unit_test(test_fused_costs),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_segments_of_fused),
        cmocka_unit_test(test_waits_for_residual_written),
        cmocka_unit_test(test_waits_for_residual_read),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_too_large),
    };
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
