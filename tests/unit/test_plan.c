// test_plan.c - graphs and plans without a device: shapes, refusals, the arena, and barriers against a brute-force
// search for hazards.
#include "graph/resnet.h"
#include "support/harness.h"

static const struct cdl_caps gpu = {
    .subgroup_size = 32, .subgroup_shuffle = true, .max_workgroup_size = 1024, .max_shared_bytes = 49152};
static const struct cdl_caps cpu = {.subgroup_size = 8,
                                    .subgroup_shuffle = true,
                                    .software = true,
                                    .max_workgroup_size = 1024,
                                    .max_shared_bytes = 32768};
static const struct cdl_caps least = {
    .subgroup_size = 1, .max_workgroup_size = 128, .max_shared_bytes = 16384}; // Vulkan's guaranteed limits

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    harness.errors += level == CDL_LOG_ERR;
    if (level == CDL_LOG_ERR)
        cdl_format_text(harness.last, sizeof harness.last, "%s", msg);
}
static const cdl_log plain_log = {on_log, NULL, CDL_LOG_WARN};

static cdl_model *random_model(const char *arch) {
    cdl_model *model;
    harness_expect_ok(cdl_model_random(&model, arch, 1, cdl_model_params(.log = plain_log)), arch);
    return model;
}

static cdl_model *load_layers(const char *name) {
    char path[512];
    cdl_model *model;
    snprintf(path, sizeof path, "%s/layers/%s.safetensors", CDL_GOLDEN_DIR, name);
    harness_expect_ok(cdl_model_load_file(&model, path, cdl_model_params(.log = plain_log)), path);
    return model;
}

// ---- shapes

static const struct cdl_value *value_after(const struct cdl_graph *g, const char *op) {
    for (int i = 0; i < g->num_ops; i++)
        if (!strcmp(g->ops[i].name, op))
            return &g->values[g->ops[i].dst];
    fail_msg("no operation %s", op);
    return NULL;
}

static void check_shape(const struct cdl_graph *g, const char *op, int height, int width, int channels) {
    const struct cdl_value *v = value_after(g, op);
    if (v->height != height || v->width != width || v->channels != channels)
        fail_msg("%s gives %dx%dx%d, expected %dx%dx%d", op, v->height, v->width, v->channels, height, width, channels);
}

static void test_resnext50_shapes(void **state) {
    (void)state;
    cdl_model *model = random_model("resnext50_32x4d");
    struct cdl_graph g;
    harness_expect_ok(cdl_graph_create(&g, model, 224, 160, true, &plain_log), "graph");
    check_shape(&g, "conv1", 112, 80, 64);
    check_shape(&g, "maxpool", 56, 40, 64);
    check_shape(&g, "layer1.0.conv2", 56, 40, 128);
    check_shape(&g, "layer1.2.conv3", 56, 40, 256);
    check_shape(&g, "layer2.0.downsample.0", 28, 20, 512);
    check_shape(&g, "layer3.5.conv3", 14, 10, 1024);
    check_shape(&g, "layer4.0.conv1", 14, 10, 1024);
    check_shape(&g, "layer4.2.conv3", 7, 5, 2048);
    check_shape(&g, "avgpool", 1, 1, 2048);
    check_shape(&g, "fc", 1, 1, 1000);
    assert_int_equal(g.num_ops, 1 + 1 + 16 * 3 + 4 + 1 + 1);
    assert_int_equal(g.num_classes, 1000);
    uint64_t flops = 0;
    for (int i = 0; i < g.num_ops; i++)
        flops += cdl_op_flops(&g, &g.ops[i], 1);
    assert_true(flops > 5.9e9 && flops < 6.3e9); // 4.23 GMACs at 224x224
    cdl_graph_destroy(&g);
    harness_expect_ok(cdl_graph_create(&g, model, 224, 224, false, &plain_log), "graph without folding");
    assert_int_equal(g.num_ops, 1 + 1 + 16 * 3 + 4 + 1 + 1 + 53);
    cdl_graph_destroy(&g);
    harness_expect_ok(cdl_graph_create(&g, model, 1, 1, true, &plain_log), "a picture of one pixel");
    check_shape(&g, "layer4.2.conv3", 1, 1, 2048);
    cdl_graph_destroy(&g);
    cdl_model_destroy(&model);
}

static void test_every_architecture(void **state) {
    (void)state;
    for (int i = 0; cdl_model_arch_name(i); i++) {
        const char *arch = cdl_model_arch_name(i);
        if (strstr(arch, "101_") || strstr(arch, "152")) // large; their blocks are the others'
            continue;
        cdl_model *model = random_model(arch);
        struct cdl_model_info info;
        cdl_model_get_info(model, &info);
        assert_string_equal(info.architecture, arch);
        assert_int_equal(info.num_classes, 1000);
        cdl_model_destroy(&model);
    }
    assert_null(cdl_model_arch_name(-1));
    assert_null(cdl_model_arch_name(1000));
}

// ---- state dicts that are no network

// A copy of a model's tensors, without `skip`, with `reshape`'s first dimension one less.
static void damaged(cdl_model *model, const char *skip, const char *reshape, const char *expected) {
    struct cdl_model copy = *model;
    struct cdl_graph g;
    copy.list.items = must_alloc((size_t)model->list.count, sizeof *copy.list.items);
    copy.list.count = 0;
    for (int i = 0; i < model->list.count; i++) {
        struct cdl_tensor t = model->list.items[i];
        if (skip && !strcmp(t.name, skip))
            continue;
        if (reshape && !strcmp(t.name, reshape))
            t.shape[0]--;
        copy.list.items[copy.list.count++] = t;
    }
    harness_expect_failure(cdl_graph_create(&g, &copy, 32, 32, true, &plain_log), CDL_ERR_FORMAT,
                           skip ? skip : reshape);
    if (!strstr(harness.last, expected))
        fail_msg("the message does not name %s: %s", expected, harness.last);
    free(copy.list.items);
}

static void test_damaged_state_dicts(void **state) {
    (void)state;
    cdl_model *model = load_layers("bottleneck_g4");
    static const char *const needed[] = {
        "conv1.weight",
        "bn1.weight",
        "bn1.bias",
        "bn1.running_mean",
        "bn1.running_var",
        "layer1.0.conv1.weight",
        "layer1.0.conv2.weight",
        "layer1.0.bn3.running_var",
        "layer2.1.bn2.weight",
        "layer2.0.downsample.1.weight",
        "fc.weight",
        "fc.bias",
    };
    for (size_t i = 0; i < CDL_COUNT(needed); i++)
        damaged(model, needed[i], NULL, needed[i]);
    damaged(model, "layer2.0.downsample.0.weight", NULL, "layer2.0.downsample.0.weight");
    damaged(model, "layer2.0.conv3.weight", NULL, "layer2.0");
    static const char *const reshaped[] = {"bn1.weight", "layer1.0.bn2.running_var", "layer3.0.downsample.1.bias",
                                           "fc.bias"};
    for (size_t i = 0; i < CDL_COUNT(reshaped); i++)
        damaged(model, NULL, reshaped[i], reshaped[i]);
    damaged(model, NULL, "layer1.0.conv3.weight", "layer1.0.bn3");
    damaged(model, NULL, "layer2.0.conv2.weight", "layer2.0.conv2.weight"); // 7 channels out of 4 groups
    cdl_model_destroy(&model);
}

// ---- plans

struct lifetime {
    int first, last;
};

// The value that a step's kernel reads: a pair's, that of the operation before.
static int source_of(const struct cdl_plan *p, int step) {
    return p->graph.ops[p->steps[step].kernel.pair ? step - 1 : step].src;
}

// As a value is written and read, step by step; kept values, features and logits live to the end.
static struct lifetime lifetime_of(const struct cdl_plan *p, int value, bool keep) {
    struct lifetime l = {-1, -1};
    for (int i = 0; i < p->graph.num_ops; i++) {
        const struct cdl_op *op = &p->graph.ops[i];
        if (op->dst == value)
            l.first = l.last = i;
        if (source_of(p, i) == value || op->residual == value)
            l.last = i;
    }
    if (keep || value == p->graph.num_values - 1 || value == p->graph.features)
        l.last = p->graph.num_ops;
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
        if (la.first >= 0 && p->steps[la.first].in_next) { // stays in the kernel
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
    const struct cdl_op *e = &p->graph.ops[earlier->step], *l = &p->graph.ops[later->step];
    const struct range written = range_of(p, e->dst, earlier, whole), writes = range_of(p, l->dst, later, whole);
    const bool read_after_write = meet(range_of(p, source_of(p, later->step), later, whole), written) ||
                                  meet(range_of(p, l->residual, later, whole), written);
    const bool write_after_read = meet(writes, range_of(p, source_of(p, earlier->step), earlier, whole)) ||
                                  meet(writes, range_of(p, e->residual, earlier, whole));
    return read_after_write || write_after_read || meet(writes, written);
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
                fail_msg("%s: %s, images from %d, has a barrier for nothing", what, p->graph.ops[list[i].step].name,
                         list[i].first_image);
        }
        for (int j = since; j < i; j++)
            if (hazard(p, &list[j], &list[i], false))
                fail_msg("%s: %s, images from %d, runs beside %s, images from %d, without a barrier", what,
                         p->graph.ops[list[i].step].name, list[i].first_image, p->graph.ops[list[j].step].name,
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
    int *runs = must_alloc((size_t)g->num_ops, sizeof *runs);
    memset(runs, 0, (size_t)g->num_ops * sizeof *runs);
    for (int i = 0; i < images; i++)
        write_value(&arena, p, 0, i, cdl_plan_value_at(p, 0, i));
    for (int k = 0; k < cdl_plan_num_dispatches(p, images); k++) {
        const struct cdl_dispatch_entry d = cdl_plan_dispatch(p, images, k);
        const struct cdl_addresses at = cdl_plan_addresses(p, &d, 0, 0);
        const struct cdl_op *op = &g->ops[d.step];
        assert_true(d.first_image == runs[d.step] && d.images > 0 && d.first_image + d.images <= images);
        for (int i = 0; i < d.images; i++) {
            const int image = d.first_image + i;
            const int src = source_of(p, d.step);
            if (!holds(&arena, src, image, at.src + (size_t)i * cdl_plan_image_bytes(p, src)) ||
                (op->residual >= 0 &&
                 !holds(&arena, op->residual, image, at.residual + (size_t)i * cdl_plan_image_bytes(p, op->residual))))
                fail_msg("%s: %s does not find what it reads of image %d", what, op->name, image);
            write_value(&arena, p, op->dst, image, at.dst + (size_t)i * cdl_plan_image_bytes(p, op->dst));
        }
        runs[d.step] += d.images;
    }
    for (int i = 0; i < g->num_ops; i++)
        assert_int_equal(runs[i], p->steps[i].in_next ? 0 : images);
    for (int v = 0; v < g->num_values; v++)
        for (int i = 0; i < images && (v == g->num_values - 1 || v == g->features || p->keep_values); i++)
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

static void check_weights(const struct cdl_plan *p, const char *what) {
    size_t end = 0;
    for (int i = 0; i < p->graph.num_ops; i++) {
        if (p->steps[i].weights_at % 16 != 0 || p->steps[i].weights_at < end)
            fail_msg("%s: the weights of %s overlap those before", what, p->graph.ops[i].name);
        end = p->steps[i].weights_at + p->steps[i].kernel.weight_bytes;
    }
    assert_true(end <= p->weights_bytes);
}

static void check_plan(const cdl_model *model, const struct cdl_plan_params *params, const char *what) {
    struct cdl_plan p;
    harness_expect_ok(cdl_plan_create(&p, model, params, &plain_log), what);
    check_arena(&p, params->keep_values, what);
    check_runs(&p, what);
    check_weights(&p, what);
    for (int steps = 1; steps <= p.graph.num_ops; steps += 1 + p.graph.num_ops / 6) {
        harness_expect_ok(cdl_plan_set_segment(&p, (struct cdl_segment){steps, 1 + steps % 3}, &plain_log), what);
        check_runs(&p, what);
    }
    harness_expect_ok(cdl_plan_set_segment(&p, (struct cdl_segment){0, 0}, &plain_log), what);
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
        cdl_model *model = load_layers(names[n]);
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
    cdl_model *model = random_model("resnext50_32x4d");
    static const int batches[] = {1, 32};
    for (size_t i = 0; i < CDL_COUNT(batches); i++)
        for (int fp16 = 0; fp16 < 2; fp16++) {
            const struct cdl_plan_params params = {
                .max_batch = batches[i], .height = 224, .width = 224, .fp16 = fp16, .fold = true, .caps = &gpu};
            struct cdl_plan p;
            int barriers = 0;
            check_plan(model, &params, "resnext50");
            harness_expect_ok(cdl_plan_create(&p, model, &params, &plain_log), "plan");
            for (int k = 0; k < p.graph.num_ops; k++)
                barriers += p.steps[k].barrier_before;
            print_message(
                "resnext50_32x4d batch %d %s: arena %.1f MB, largest live set %.1f MB, ratio %.3f; %d barriers for "
                "%d steps\n",
                batches[i], fp16 ? "fp16" : "fp32", (double)p.arena_bytes / 1e6, (double)p.live_bytes / 1e6,
                (double)p.arena_bytes / (double)p.live_bytes, barriers, p.graph.num_ops);
            assert_true((double)p.arena_bytes <= 1.1 * (double)p.live_bytes);
            cdl_plan_destroy(&p);
        }
    cdl_model_destroy(&model);
}

// The segments by rule: as the arithmetic of segment.c has it, and the arena close to what is alive at one time.
static void test_segments_by_rule(void **state) {
    (void)state;
    cdl_model *model = random_model("resnext50_32x4d");
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
            harness_expect_ok(cdl_plan_create(&p, model, &params, &plain_log), "plan");
            const size_t arena = p.arena_bytes;
            const int count = cdl_plan_segments(&p, &device, segments);
            assert_in_range(count, 1, CDL_MAX_SEGMENTS);
            for (int k = 0; k < count; k++) {
                harness_expect_ok(cdl_plan_set_segment(&p, segments[k], &plain_log), "segment");
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

static int always_pair(void *ctx, const struct cdl_graph *graph, const struct cdl_op *op,
                       const struct cdl_kernel *kernels, int count) {
    (void)graph;
    assert_true(op->kernel_h == 1 && kernels[0].pair && count <= CDL_MAX_KERNELS);
    ++*(int *)ctx;
    return count - 1;
}

// One kernel for each 3x3 and the 1x1 behind it: its value is nowhere, what it read lives until then.
static void test_pairs(void **state) {
    (void)state;
    cdl_model *model = random_model("resnext50_32x4d");
    struct cdl_caps device = gpu;
    device.matrix_m = device.matrix_n = device.matrix_k = 16;
    device.matrix_subgroup = 32;
    for (int i = 0; i < 4; i++) {
        int asked = 0, pairs = 0;
        struct cdl_plan_params params = {.max_batch = i & 2 ? 10 : 1,
                                         .height = 224,
                                         .width = 224,
                                         .fp16 = true,
                                         .fold = true,
                                         .caps = &device,
                                         .keep_values = i & 1,
                                         .choose_pair = always_pair,
                                         .choose_ctx = &asked};
        struct cdl_plan p, apart;
        check_plan(model, &params, "pairs");
        asked = 0;
        harness_expect_ok(cdl_plan_create(&p, model, &params, &plain_log), "plan");
        params.choose_pair = NULL;
        harness_expect_ok(cdl_plan_create(&apart, model, &params, &plain_log), "plan");
        for (int k = 0; k < p.graph.num_ops; k++)
            pairs += p.steps[k].in_next;
        assert_int_equal(p.num_order, p.graph.num_ops - pairs);
        assert_true(cdl_plan_num_dispatches(&p, 1) == p.num_order);
        if (params.keep_values) {
            assert_true(asked == 0 && pairs == 0);
        } else {
            assert_true(asked == pairs && pairs >= 3 + 4); // the first two stages, at least
            assert_true(cdl_plan_weights_hash(&p) != cdl_plan_weights_hash(&apart));
        }
        assert_true(p.live_bytes <= apart.live_bytes);
        cdl_plan_destroy(&apart);
        cdl_plan_destroy(&p);
    }
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
    int value_images[MADE_UP_OPS + 1], order[MADE_UP_OPS];
};

static void made_up_begin(struct made_up *m, int batch, int input_width) {
    *m = (struct made_up){.values[0] = {1, input_width, 64, true}};
    m->plan = (struct cdl_plan){.graph = {.ops = m->ops, .values = m->values, .num_values = 1},
                                .steps = m->steps,
                                .value_at = m->value_at,
                                .value_images = m->value_images,
                                .order = m->order,
                                .value_bytes = m->value_bytes,
                                .max_batch = batch};
}

static void made_up_add(struct made_up *m, int src, int residual, int width) {
    struct cdl_graph *g = &m->plan.graph;
    struct cdl_op *op = &m->ops[g->num_ops++];
    *op = (struct cdl_op){.kind = CDL_OP_CONV, .src = src, .residual = residual, .dst = g->num_values};
    snprintf(op->name, sizeof op->name, "operation %d", g->num_ops - 1);
    m->values[g->num_values] = (struct cdl_value){1, width, 64, true};
    g->features = g->map = g->num_values++;
}

static void made_up_lay_out(struct made_up *m, struct cdl_segment segment) {
    harness_expect_ok(cdl_plan_set_segment(&m->plan, segment, &plain_log), "a made-up graph");
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

static void test_plan_hash(void **state) {
    (void)state;
    cdl_model *model = load_layers("bottleneck_g4");
    struct cdl_plan_params params = {.max_batch = 1, .height = 20, .width = 20, .fold = true, .caps = &gpu};
    struct cdl_plan a, b, half;
    harness_expect_ok(cdl_plan_create(&a, model, &params, &plain_log), "plan");
    params.max_batch = 7;
    harness_expect_ok(cdl_plan_create(&b, model, &params, &plain_log), "plan");
    params.fp16 = true;
    harness_expect_ok(cdl_plan_create(&half, model, &params, &plain_log), "plan");
    assert_true(cdl_plan_weights_hash(&a) == cdl_plan_weights_hash(&b));
    assert_true(cdl_plan_weights_hash(&a) != cdl_plan_weights_hash(&half));
    cdl_plan_destroy(&a);
    cdl_plan_destroy(&b);
    cdl_plan_destroy(&half);
    cdl_model_destroy(&model);
}

static void test_too_large(void **state) {
    (void)state;
    cdl_model *model = load_layers("basic_3x3");
    struct cdl_plan p;
    const struct cdl_plan_params params = {
        .max_batch = 4096, .height = 4096, .width = 4096, .fold = true, .caps = &gpu};
    harness_expect_failure(cdl_plan_create(&p, model, &params, &plain_log), CDL_ERR_UNSUPPORTED,
                           "4096 pictures of 4096x4096");
    cdl_model_destroy(&model);
}

// Every operation has at least one kernel on a device with no more than Vulkan guarantees, in both storage types; and
// what a kernel says of itself fits the device.
static void test_kernels_fit_devices(void **state) {
    (void)state;
    static const struct cdl_caps *const caps[] = {&gpu, &cpu, &least};
    cdl_model *model = random_model("resnext50_32x4d");
    struct cdl_graph g;
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    harness_expect_ok(cdl_graph_create(&g, model, 64, 64, false, &plain_log), "graph");
    for (size_t c = 0; c < CDL_COUNT(caps); c++)
        for (int i = 0; i < g.num_ops; i++)
            for (int fp16 = 0; fp16 < 2; fp16++) {
                const int count = cdl_kernels_for(&g, &g.ops[i], caps[c], fp16, kernels);
                assert_in_range(count, 1, CDL_MAX_KERNELS);
                for (int k = 0; k < count; k++) {
                    assert_true(kernels[k].num_constants <= CDL_MAX_CONSTANTS &&
                                kernels[k].constants[0] <= caps[c]->max_workgroup_size);
                    assert_true(kernels[k].shader && (!kernels[k].fp16 || fp16));
                }
            }
    cdl_graph_destroy(&g);
    cdl_model_destroy(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resnext50_shapes),
        cmocka_unit_test(test_every_architecture),
        cmocka_unit_test(test_damaged_state_dicts),
        cmocka_unit_test(test_plans_of_small_networks),
        cmocka_unit_test(test_plans_of_resnext50),
        cmocka_unit_test(test_plan_hash),
        cmocka_unit_test(test_segments_by_rule),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_waits_for_residual_written),
        cmocka_unit_test(test_waits_for_residual_read),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_kernels_fit_devices),
    };
    cdl_mutex_init(&harness.lock);
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
