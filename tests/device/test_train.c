// test_train.c - training on a device: one step's gradients against PyTorch's (tests/golden/make_gradients.py), runs
// that are alike to the bit, a saved state that goes on as if nothing had happened, and what is refused.
#include <math.h>
#ifndef _WIN32
#include <unistd.h>
#endif

#include "base/file_map.h"
#include "support/trainers.h"
#include "train/network.h"

static const char *const networks[] = {"basic_7x7",     "basic_3x3",       "bottleneck_g1",  "bottleneck_g2",
                                       "bottleneck_g4", "bottleneck_g8",   "bottleneck_g16", "bottleneck_g32",
                                       "basic_bias",    "bottleneck_bias", "option_a",       "option_a_end",
                                       "option_a_wide"};

// Of a tensor's largest gradient; in mixed precision.
static const double tolerance = 1e-4, mixed_tolerance = 2e-2;

// ---- one step against PyTorch

struct golden {
    struct cdl_tensor_list list;
    const void *data;
    size_t size;
};

static struct golden load_golden(const char *network, bool mixed) {
    struct golden g = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/gradients/%s%s.safetensors", CDL_GOLDEN_DIR, mixed ? "mixed/" : "", network);
    harness_expect_ok(cdl_file_map(&g.data, &g.size, path, &harness_shared_log), path);
    harness_expect_ok(cdl_parse_safetensors(&g.list, g.data, g.size, path, &harness_shared_log), path);
    return g;
}

static const struct cdl_tensor *find(const struct golden *g, const char *name) {
    for (int i = 0; i < g->list.count; i++)
        if (!strcmp(g->list.items[i].name, name))
            return &g->list.items[i];
    fail_msg("no golden %s", name);
    return NULL;
}

// The largest difference from the golden tensor, as a part of its largest value or, where that is less, of `floor`.
static double difference(const struct golden *g, const char *name, const float *found, double floor) {
    const struct cdl_tensor *t = find(g, name);
    const int64_t rows = cdl_tensor_rows(t), width = cdl_tensor_row_size(t);
    float *wanted = must_alloc((size_t)width, sizeof *wanted);
    double worst = 0, largest = floor;
    for (int64_t r = 0; r < rows; r++) {
        cdl_tensor_read_row(t, r, wanted);
        for (int64_t i = 0; i < width; i++) {
            const double d = fabs((double)found[r * width + i] - (double)wanted[i]);
            worst = d <= worst ? worst : d; // NaN stays
            largest = fmax(largest, fabs((double)wanted[i]));
        }
    }
    free(wanted);
    return worst / largest;
}

// A bias before a batch norm has no effect, or little: what its gradient is off by is measured by its weight's.
static double floor_of(const struct golden *g, const char *name) {
    char weight[128];
    const size_t length = strlen(name) - strlen(".bias");
    double largest = 0;
    if (!cdl_ends_with(name, ".bias"))
        return 0;
    snprintf(weight, sizeof weight, "%.*s.weight", (int)length, name);
    const struct cdl_tensor *t = find(g, weight);
    const int64_t rows = cdl_tensor_rows(t), width = cdl_tensor_row_size(t);
    float *row = must_alloc((size_t)width, sizeof *row);
    for (int64_t r = 0; r < rows; r++) {
        cdl_tensor_read_row(t, r, row);
        for (int64_t i = 0; i < width; i++)
            largest = fmax(largest, fabs((double)row[i]));
    }
    free(row);
    return largest;
}

// A convolution's bias in front of a batch norm has no effect: its gradient is noise around zero, in PyTorch too.
static bool has_no_effect(const char *name) {
    return cdl_ends_with(name, ".bias") && (strstr(name, "conv") || strstr(name, "downsample.0"));
}

static struct cdl_train_scaling scaling_of(cdl_trainer *t) {
    struct cdl_train_scaling s;
    harness_expect_ok(cdl_train_download(t, &t->scaling, &s, sizeof s), "the loss scale");
    return s;
}

// Few values near a ReLU's 0, as in the goldens of mixed precision.
static void move_biases(cdl_trainer *t) {
    float *values = download(t, &t->parameters);
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const bool bias = p->kind == CDL_PARAMETER_NORM && cdl_ends_with(p->tensor->name, ".bias");
        for (size_t c = 0; bias && c < p->count; c++)
            values[p->at + c] += c % 4 == 3 ? -4 : 4;
    }
    harness_expect_ok(cdl_train_upload(t, &t->parameters, values, (size_t)t->parameters.size), "biases");
    free(values);
}

static double check_step(const char *network, cdl_precision precision) {
    const bool mixed = precision == CDL_PRECISION_FP16;
    const double most = mixed ? mixed_tolerance : tolerance;
    cdl_trainer *t =
        make_trainer(network, cdl_trainer_params(.batch = IMAGES, .label_smoothing = 0.1f, .precision = precision));
    struct golden golden = load_golden(network, mixed);
    struct batch batch = make_batch(t);
    struct cdl_train_scaling scaling = scaling_of(t);
    if (mixed) {
        move_biases(t);
        scaling.scale = 1024;
        harness_expect_ok(cdl_train_upload(t, &t->scaling, &scaling, sizeof scaling), "the loss scale");
    }
    harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.0f), network);
    const struct cdl_train_result result = take(t);
    float *gradients = download(t, &t->gradients), *parameters = download(t, &t->parameters);
    for (size_t i = 0; i < t->program.parameters.trainable; i++)
        gradients[i] /= scaling.scale;
    double worst = 0;
    const double loss = difference(&golden, "loss", &result.loss, 0);
    if (!(loss <= (mixed ? 1e-2 : 1e-5)))
        fail_msg("%s: loss %g is off by %g", network, (double)result.loss, loss);
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const char *name = p->tensor->name;
        if (p->kind == CDL_PARAMETER_CONSTANT)
            continue;
        const bool running = p->kind == CDL_PARAMETER_RUNNING;
        assert_true(running || p->trainable);
        const double floor = mixed ? floor_of(&golden, name) : has_no_effect(name) ? 0.1 : 0;
        const double off = difference(&golden, name, running ? parameters + p->at : gradients + p->at, floor);
        if (!(off <= most))
            fail_msg("%s: %s of %s is off by %g of its largest", network, running ? "the value" : "the gradient", name,
                     off);
        worst = fmax(worst, off);
    }
    free(gradients);
    free(parameters);
    free(batch.pixels);
    cdl_tensor_list_free(&golden.list);
    cdl_file_unmap(golden.data, golden.size);
    cdl_trainer_destroy(&t);
    return worst;
}

static void one_step_is_pytorchs(void **state) {
    (void)state;
    for (size_t i = 0; i < CDL_COUNT(networks); i++)
        print_message("%s: off by %.1e at most\n", networks[i], check_step(networks[i], CDL_PRECISION_FP32));
}

static void one_step_in_mixed_precision_is_pytorchs(void **state) {
    (void)state;
    for (size_t i = 0; i < CDL_COUNT(networks); i++)
        print_message("%s: off by %.1e at most\n", networks[i], check_step(networks[i], CDL_PRECISION_FP16));
}

// ---- runs

// `steps` steps on the batch, with as many pictures in turn as `counts` says; returns the last loss.
static float run_steps(cdl_trainer *t, const struct batch *b, int steps) {
    static const int counts[] = {IMAGES, 5, IMAGES};
    struct cdl_train_result result = {.loss = 0};
    for (int i = 0; i < steps; i++) {
        const int count = counts[t->step % CDL_COUNT(counts)];
        harness_expect_ok(cdl_trainer_step(t, b->pictures, count, (int)(t->step / 4), 0.05f), "step");
        result = take(t);
        assert_int_equal(result.images, count);
        assert_true(result.correct >= 0 && result.correct <= count);
    }
    assert_int_equal(result.step, t->step);
    return result.loss;
}

static void two_runs_are_alike(void **state) {
    (void)state;
    for (int precision = CDL_PRECISION_FP32; precision <= CDL_PRECISION_FP16; precision++) {
        const struct cdl_trainer_params *params =
            cdl_trainer_params(.batch = IMAGES, .precision = (cdl_precision)precision);
        cdl_trainer *a = make_trainer("bottleneck_g4", params), *b = make_trainer("bottleneck_g4", params);
        struct batch batch = make_batch(a);
        const float first = run_steps(a, &batch, 1);
        assert_true(run_steps(a, &batch, 11) < first); // it learns a batch that it sees again and again
        run_steps(b, &batch, 12);
        expect_same(a, b);
        free(batch.pixels);
        cdl_trainer_destroy(&a);
        cdl_trainer_destroy(&b);
    }
}

// The update as torch.nn.utils.clip_grad_norm_ and torch.optim.SGD have it, from the gradients that the device found.
static void gradients_are_clipped(void **state) {
    (void)state;
    for (int precision = CDL_PRECISION_FP32; precision <= CDL_PRECISION_FP16; precision++) {
        const float most = 0.25f, rate = 0.5f;
        cdl_trainer *t =
            make_trainer("bottleneck_g2", cdl_trainer_params(.batch = IMAGES, .precision = (cdl_precision)precision,
                                                             .clip_grad_norm = most, .weight_decay = 0.125f));
        struct batch batch = make_batch(t);
        const float scale = scaling_of(t).scale;
        float *before = download(t, &t->parameters);
        harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, rate), "step");
        const struct cdl_train_result result = take(t);
        float *gradients = download(t, &t->gradients), *after = download(t, &t->parameters);
        const size_t count = t->program.parameters.trainable;
        double squares = 0;
        for (size_t i = 0; i < count; i++)
            squares += pow((double)gradients[i] / (double)scale, 2);
        const double norm = sqrt(squares), factor = fmin(1, (double)most / (norm + 1e-6));
        assert_true(fabs((double)result.gradient_norm - norm) <= 1e-5 * norm);
        assert_true(norm > (double)most && !result.skipped && result.skipped_steps == 0);
        for (size_t i = 0; i < count; i++) {
            const double w = (double)before[i];
            const double wanted = w - (double)rate * (factor * (double)gradients[i] / (double)scale + 0.125 * w);
            if (!(fabs((double)after[i] - wanted) <= 1e-6 * (fabs(w) + 1)))
                fail_msg("parameter %zu became %g, not %g", i, (double)after[i], wanted);
        }
        free(before);
        free(after);
        free(gradients);
        free(batch.pixels);
        cdl_trainer_destroy(&t);
    }
}

// A scale at which gradients leave half precision's range: steps change nothing until it has come down. After 2000 good
// steps it is doubled.
static void the_loss_scale_follows(void **state) {
    (void)state;
    cdl_trainer *t =
        make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES, .precision = CDL_PRECISION_FP16));
    struct batch batch = make_batch(t);
    struct cdl_train_scaling scaling = scaling_of(t);
    assert_true(scaling.scale == 65536.0f);
    scaling.scale = 1073741824.0f;
    harness_expect_ok(cdl_train_upload(t, &t->scaling, &scaling, sizeof scaling), "upload");
    float *before = download(t, &t->parameters), *momentum = download(t, &t->momentum);
    struct cdl_train_result result = {.skipped = true};
    uint64_t skipped = 0;
    const size_t learned = t->program.parameters.trainable * sizeof(float);
    while (true) {
        harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.05f), "step");
        result = take(t);
        if (!result.skipped)
            break;
        assert_int_equal(result.skipped_steps, ++skipped);
        assert_true(skipped < 30 && isfinite(result.loss));
        assert_true(result.loss_scale == 1073741824.0f / (float)(UINT64_C(1) << skipped));
        float *after = download(t, &t->parameters), *then = download(t, &t->momentum);
        assert_memory_equal(before, after, learned);
        assert_memory_equal(momentum, then, learned);
        free(after);
        free(then);
    }
    assert_true(skipped >= 3);
    assert_true(isfinite(result.gradient_norm) && result.skipped_steps == skipped);
    float *after = download(t, &t->parameters);
    assert_int_not_equal(memcmp(before, after, learned), 0);
    scaling = scaling_of(t);
    assert_int_equal(scaling.good, 1);
    scaling.good = 1998;
    scaling.scale = 1024;
    harness_expect_ok(cdl_train_upload(t, &t->scaling, &scaling, sizeof scaling), "upload");
    run_steps(t, &batch, 1);
    assert_true(scaling_of(t).scale == 1024.0f);
    run_steps(t, &batch, 1);
    assert_true(scaling_of(t).scale == 2048.0f && scaling_of(t).good == 0);
    free(before);
    free(momentum);
    free(after);
    free(batch.pixels);
    cdl_trainer_destroy(&t);
}

// What lies in a stage is computed again for the way back: less memory, the same bits.
static void recomputation_changes_nothing(void **state) {
    (void)state;
    for (int precision = CDL_PRECISION_FP32; precision <= CDL_PRECISION_FP16; precision++) {
        struct cdl_trainer_params *params =
            cdl_trainer_params(.batch = IMAGES, .precision = (cdl_precision)precision, .freeze = "layer1.0");
        cdl_trainer *a = make_trainer("bottleneck_g2", params);
        params->recompute = true;
        cdl_trainer *b = make_trainer("bottleneck_g2", params);
        struct batch batch = make_batch(a);
        run_steps(a, &batch, 5);
        run_steps(b, &batch, 5);
        expect_same(a, b);
        assert_true(b->program.arena_bytes < a->program.arena_bytes && b->program.num_steps > a->program.num_steps);
        free(batch.pixels);
        cdl_trainer_destroy(&a);
        cdl_trainer_destroy(&b);
    }
}

// Of weights and running statistics, as torchvision's ExponentialMovingAverage with its warm-up has them.
static void averages_are_kept(void **state) {
    (void)state;
    cdl_trainer *t = make_trainer(
        "basic_3x3", cdl_trainer_params(.batch = IMAGES, .ema_decay = 0.75f, .ema_steps = 2, .ema_warmup = 2));
    struct batch batch = make_batch(t);
    const size_t count = t->program.parameters.size;
    double *wanted = must_alloc(count, sizeof *wanted);
    int averaged = 0;
    for (int step = 0; step < 9; step++) {
        const int epoch = step / 2;
        harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, epoch, 0.05f), "step");
        (void)take(t);
        float *now = download(t, &t->parameters), *averages = download(t, &t->averages);
        for (size_t i = 0; i < count && step % 2 == 0; i++)
            wanted[i] = averaged ? 0.75 * wanted[i] + 0.25 * (double)now[i] : (double)now[i];
        if (step % 2 == 0)
            averaged = epoch < 2 ? 0 : averaged + 1;
        for (size_t i = 0; i < count; i++)
            assert_true(fabs((double)averages[i] - wanted[i]) <= 1e-5 * (1 + fabs(wanted[i])));
        free(now);
        free(averages);
    }
    cdl_model *model;
    harness_expect_ok(cdl_trainer_model(t, &model), "model"); // of the averages
    const struct cdl_parameter *p = &t->program.parameters.items[0];
    float *averages = download(t, &t->averages);
    assert_memory_equal(cdl_model_find(model, p->tensor->name)->data, averages + p->at, p->count * sizeof(float));
    cdl_model_destroy(&model);
    free(averages);
    free(wanted);
    free(batch.pixels);
    cdl_trainer_destroy(&t);
}

static size_t arena_of(int batch) {
    cdl_trainer *t = make_trainer("basic_3x3", cdl_trainer_params(.batch = batch));
    const size_t bytes = t->program.arena_bytes;
    cdl_trainer_destroy(&t);
    return bytes;
}

static void too_little_memory_names_the_largest_batch(void **state) {
    (void)state;
    cdl_model *model = harness_load("basic_3x3");
    cdl_trainer *none;
    const VkDeviceSize most = harness.dev->max_allocation;
    harness.dev->max_allocation = arena_of(6) - 1;
    const cdl_result r = cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.batch = 64));
    harness.dev->max_allocation = most;
    assert_non_null(strstr(harness.last, "a batch of 5 fits"));
    harness_expect_failure(r, CDL_ERR_NOMEM, "too little memory");
    cdl_model_destroy(&model);
}

static void a_saved_state_goes_on(void **state) {
    (void)state;
    char folder[] = "test_train_XXXXXX", path[64], note[16];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    const struct cdl_trainer_params *params =
        cdl_trainer_params(.batch = IMAGES, .precision = CDL_PRECISION_FP16, .clip_grad_norm = 1, .ema_decay = 0.5f,
                           .ema_steps = 2);
    cdl_trainer *a = make_trainer("basic_7x7", params), *b = make_trainer("basic_7x7", params);
    cdl_trainer *other = make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .freeze = "layer1"));
    cdl_trainer *fp32 = make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .ema_decay = 0.5f));
    cdl_trainer *plain =
        make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .precision = CDL_PRECISION_FP16));
    struct batch batch = make_batch(a);
    run_steps(a, &batch, 3);
    harness_expect_ok(cdl_trainer_save_state(a, path, "where I was"), "save");
    run_steps(a, &batch, 4);
    harness_expect_ok(cdl_trainer_load_state(b, path, note, sizeof note), "load");
    assert_string_equal(note, "where I was");
    run_steps(b, &batch, 4);
    expect_same(a, b);
    harness_expect_failure(cdl_trainer_load_state(b, path, note, 4), CDL_ERR_INVALID, "a note that does not fit");
    harness_expect_failure(cdl_trainer_load_state(other, path, NULL, 0), CDL_ERR_FORMAT, "another network's state");
    harness_expect_failure(cdl_trainer_load_state(fp32, path, NULL, 0), CDL_ERR_FORMAT, "another precision's state");
    harness_expect_failure(cdl_trainer_load_state(plain, path, NULL, 0), CDL_ERR_FORMAT, "a state with averages");
    harness_expect_failure(cdl_trainer_load_state(b, folder, NULL, 0), CDL_ERR_IO, "a folder");

    // Whatever is cut off or changed is noticed, and the trainer stays as it was.
    const void *data;
    size_t size;
    harness_expect_ok(cdl_file_map(&data, &size, path, &harness_shared_log), path);
    uint8_t *bytes = must_alloc(size, 1);
    for (int i = 0; i < 12; i++) {
        const size_t length = i < 6 ? size * (size_t)i / 6 : size;
        memcpy(bytes, data, size);
        if (i >= 6)
            bytes[size * (size_t)(i - 6) / 6] ^= 1;
        char damaged[64];
        snprintf(damaged, sizeof damaged, "%s/damaged", folder);
        FILE *f = fopen(damaged, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, length, f), length);
        fclose(f);
        harness_expect_failure(cdl_trainer_load_state(b, damaged, NULL, 0), CDL_ERR_FORMAT, "a damaged state");
        remove(damaged);
    }
    expect_same(a, b);
    free(bytes);
    cdl_file_unmap(data, size);
    remove(path);
    rmdir(folder);
    free(batch.pixels);
    cdl_trainer_destroy(&a);
    cdl_trainer_destroy(&b);
    cdl_trainer_destroy(&other);
    cdl_trainer_destroy(&fp32);
    cdl_trainer_destroy(&plain);
}

// What lies in a layer's prefix stays as it was, running statistics too; the rest learns.
static void frozen_layers_stay(void **state) {
    (void)state;
    cdl_trainer *t = make_trainer("bottleneck_g2", cdl_trainer_params(.batch = IMAGES, .freeze = "stem,layer1,layer2"));
    struct batch batch = make_batch(t);
    float *before = download(t, &t->parameters);
    run_steps(t, &batch, 2);
    float *after = download(t, &t->parameters);
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const bool late = !strncmp(p->tensor->name, "layer3", 6) || !strncmp(p->tensor->name, "fc", 2);
        assert_int_equal(p->trainable, late && p->kind != CDL_PARAMETER_RUNNING);
        if ((memcmp(before + p->at, after + p->at, p->count * sizeof(float)) != 0) != late)
            fail_msg("%s %s", p->tensor->name, late ? "did not learn" : "changed");
    }
    for (int i = 0; i < t->program.num_steps; i++) // and nothing is computed for it
        if (i >= t->program.first_backward && t->program.steps[i].op >= 0)
            assert_int_equal(strncmp(cdl_train_step_name(&t->program, i), "layer1", 6) == 0, 0);
    free(before);
    free(after);
    free(batch.pixels);
    cdl_trainer_destroy(&t);
}

// A frozen layer behind one that learns: its gradient goes through constants.
static void gradients_pass_frozen_layers(void **state) {
    (void)state;
    cdl_trainer *t = make_trainer("bottleneck_g2", cdl_trainer_params(.batch = IMAGES, .freeze = "layer2,layer3,fc"));
    struct batch batch = make_batch(t);
    float *parameters = download(t, &t->parameters);
    const size_t count = (size_t)t->gradients.size / sizeof(float);
    harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.0f), "step");
    (void)take(t);
    float *gradients = download(t, &t->gradients);
    size_t steepest = 0;
    for (size_t i = 0; i < count; i++)
        steepest = fabsf(gradients[i]) > fabsf(gradients[steepest]) ? i : steepest;
    // Central difference of the loss.
    const float h = 1e-2f / fabsf(gradients[steepest]);
    float losses[2];
    for (int side = 0; side < 2; side++) {
        const float was = parameters[steepest];
        parameters[steepest] += side ? h : -h;
        harness_expect_ok(cdl_train_upload(t, &t->parameters, parameters, (size_t)t->parameters.size), "upload");
        harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.0f), "step");
        losses[side] = take(t).loss;
        parameters[steepest] = was;
    }
    const double slope = ((double)losses[1] - (double)losses[0]) / (2 * (double)h);
    if (!(fabs(slope - (double)gradients[steepest]) <= 0.05 * fabs(slope)))
        fail_msg("the gradient is %g, the loss rises by %g", (double)gradients[steepest], slope);
    free(parameters);
    free(gradients);
    free(batch.pixels);
    cdl_trainer_destroy(&t);
}

static void the_last_layer_begins_anew(void **state) {
    (void)state;
    static const char *const labels[] = {"cat", "dog \"x\"", "\xc3\xbc"};
    cdl_trainer *t = make_trainer("basic_3x3", cdl_trainer_params(.batch = 4, .num_classes = 3, .labels = labels));
    cdl_model *model, *base = harness_load("basic_3x3");
    harness_expect_ok(cdl_trainer_model(t, &model), "model");
    struct cdl_model_info info;
    cdl_model_get_info(model, &info);
    assert_int_equal(info.num_classes, 3);
    assert_int_equal(info.num_labels, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(cdl_model_class_name(model, i), labels[i]);
    const struct cdl_tensor *a = cdl_model_find(model, "layer1.0.conv1.weight"),
                            *b = cdl_model_find(base, "layer1.0.conv1.weight");
    assert_memory_equal(a->data, b->data, (size_t)cdl_tensor_count(a) * sizeof(float));
    cdl_model_destroy(&model);
    cdl_model_destroy(&base);
    cdl_trainer_destroy(&t);
}

// The time of a whole step; and of all dispatches, phase by phase, of steps that give what those of a trainer without
// timings give.
static void a_step_tells_where_its_time_went(void **state) {
    (void)state;
    cdl_trainer *plain = make_trainer("bottleneck_g2", cdl_trainer_params(.batch = IMAGES)),
                *timed = make_trainer("bottleneck_g2", cdl_trainer_params(.batch = IMAGES, .timings = true));
    struct batch batch = make_batch(timed);
    run_steps(plain, &batch, 3);
    run_steps(timed, &batch, 3);
    harness_expect_ok(cdl_trainer_step(timed, batch.pictures, IMAGES, 0, 0.1f), "step");
    const uint64_t whole = take(timed).gpu_ns;
    harness_expect_ok(cdl_trainer_step(plain, batch.pictures, IMAGES, 0, 0.1f), "step");
    assert_true((take(plain).gpu_ns > 0) == (plain->slots[0].queries != VK_NULL_HANDLE));
    expect_same(plain, timed);
    struct cdl_train_timing timings[512];
    int num, of_phase[3] = {0};
    harness_expect_ok(cdl_trainer_timings(timed, timings, 512, &num), "timings");
    assert_int_equal(num, timed->slots[0].queries ? timed->program.num_steps : 0);
    assert_in_range(num, 0, 512);
    uint64_t ns = 0, flops = 0;
    for (int i = 0; i < num; i++) {
        assert_int_equal(i > 0 && timings[i].phase < timings[i - 1].phase, 0);
        assert_true(timings[i].bytes > 0 && timings[i].layer[0] && timings[i].operation[0] && timings[i].kernel[0]);
        of_phase[timings[i].phase]++;
        ns += timings[i].gpu_ns;
        flops += timings[i].flops;
    }
    if (num) {
        assert_true(ns > 0 && flops > 0 && whole >= ns);
        for (int phase = 0; phase < 3; phase++)
            assert_true(of_phase[phase] > 0);
    }
    free(batch.pixels);
    cdl_trainer_destroy(&plain);
    cdl_trainer_destroy(&timed);
}

// misuse: cdl_trainer_create
// misuse: cdl_trainer_destroy
// misuse: cdl_trainer_step
// misuse: cdl_trainer_result
// misuse: cdl_trainer_model
// misuse: cdl_trainer_save_state
// misuse: cdl_trainer_load_state
// misuse: cdl_trainer_timings
static void mistakes_are_refused(void **state) {
    (void)state;
    cdl_trainer *t = make_trainer("basic_3x3", cdl_trainer_params(.batch = IMAGES)), *none;
    struct batch batch = make_batch(t);
    cdl_model *model = harness_load("basic_3x3");
    struct cdl_train_result result;
    struct cdl_train_timing timing;
    int num;
    assert_int_equal(cdl_trainer_result(t, true, &result), CDL_NOT_READY);
    harness_expect_failure(cdl_trainer_timings(t, &timing, 1, &num), CDL_ERR_INVALID, "a trainer without timings");
    cdl_trainer *timed = make_trainer("basic_3x3", cdl_trainer_params(.batch = 1, .timings = true));
    harness_expect_failure(cdl_trainer_timings(timed, &timing, 1, NULL), CDL_ERR_INVALID, "timings without a count");
    harness_expect_failure(cdl_trainer_timings(timed, NULL, 1, &num), CDL_ERR_INVALID, "timings to nowhere");
    if (timed->slots[0].queries)
        harness_expect_failure(cdl_trainer_timings(timed, &timing, 1, &num), CDL_ERR_INVALID, "timings of no step");
    cdl_trainer_destroy(&timed);
    harness_expect_failure(cdl_trainer_step(t, batch.pictures, IMAGES + 1, 0, 0.1f), CDL_ERR_INVALID, "too many");
    batch.pictures[1].label = 2;
    harness_expect_failure(cdl_trainer_step(t, batch.pictures, 2, 0, 0.1f), CDL_ERR_INVALID, "a label beyond the last");
    batch.pictures[1].label = 0;
    batch.pictures[1].pixels.width++;
    harness_expect_failure(cdl_trainer_step(t, batch.pictures, 2, 0, 0.1f), CDL_ERR_INVALID, "a tensor's size");
    harness_expect_failure(cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.freeze = "layer1,layr2")),
                           CDL_ERR_INVALID, "a layer's name");
    assert_null(none);
    harness_expect_failure(
        cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.freeze = "stem,layer1,layer2,fc")),
        CDL_ERR_INVALID, "all frozen");
    harness_expect_failure(cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.batch = -1)),
                           CDL_ERR_INVALID, "a batch");
    harness_expect_failure(cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.clip_grad_norm = -1)),
                           CDL_ERR_INVALID, "a norm");
    harness_expect_failure(
        cdl_trainer_create(&none, harness.dev, model, cdl_trainer_params(.precision = (cdl_precision)3)),
        CDL_ERR_INVALID, "a precision");
    harness_expect_failure(cdl_trainer_create(&none, harness.dev, NULL, NULL), CDL_ERR_INVALID, "no model");
    harness_expect_failure(cdl_trainer_create(NULL, harness.dev, model, NULL), CDL_ERR_INVALID, "nowhere to put it");
    harness_expect_failure(cdl_trainer_step(t, NULL, 1, 0, 0.1f), CDL_ERR_INVALID, "no pictures");
    harness_expect_failure(cdl_trainer_result(t, true, NULL), CDL_ERR_INVALID, "nowhere to put it");
    harness_expect_failure(cdl_trainer_model(t, NULL), CDL_ERR_INVALID, "nowhere to put it");
    harness_expect_failure(cdl_trainer_save_state(t, NULL, NULL), CDL_ERR_INVALID, "no path");
    harness_expect_failure(cdl_trainer_save_state(t, "missing/state", NULL), CDL_ERR_IO, "no folder");
    harness_expect_failure(cdl_trainer_load_state(t, NULL, NULL, 0), CDL_ERR_INVALID, "no path");
    harness_expect_failure(cdl_trainer_load_state(t, "missing/state", NULL, 0), CDL_ERR_IO, "no file");
    cdl_model_destroy(&model);
    free(batch.pixels);
    cdl_trainer_destroy(&t);
    cdl_trainer_destroy(&t); // of NULL
    cdl_trainer_destroy(NULL);
}

// ---- pictures

// Pictures of every size and orientation: without augmentation what a session sees, also when they go in parts.
static void pictures_are_prepared(void **state) {
    (void)state;
    struct random r = random_of(7);
    uint8_t *bytes = random_bytes(&r, 64 * 64 * 4);
    struct cdl_train_picture pictures[IMAGES];
    for (int i = 0; i < IMAGES; i++)
        pictures[i] = (struct cdl_train_picture){.pixels = {.data = bytes,
                                                            .width = 9 + 5 * i,
                                                            .height = 50 - 5 * i,
                                                            .orientation = i + 1,
                                                            .format = i % 2 ? CDL_FORMAT_RGBA8 : CDL_FORMAT_RGB8},
                                                 .index = (uint64_t)i};
    for (int augment = 0; augment < 3; augment++) {
        float *inputs[3];
        for (int k = 0; k < 3; k++) { // at once; in parts; another epoch
            cdl_trainer *t =
                make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .augment = (cdl_augment)augment,
                                                             .staging_bytes = k == 1 ? 40000 : 0));
            harness_expect_ok(cdl_trainer_step(t, pictures, IMAGES, k == 2, 0.0f), "step");
            (void)take(t);
            inputs[k] = input_of(t);
            if (k == 2) {
                const size_t size = t->program.values[t->program.input].bytes;
                assert_memory_equal(inputs[0], inputs[1], size);
                assert_int_equal(memcmp(inputs[0], inputs[2], size) == 0, augment == CDL_AUGMENT_NONE);
            }
            cdl_trainer_destroy(&t);
        }
        for (int k = 0; k < 3; k++)
            free(inputs[k]);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_step_is_pytorchs),
        cmocka_unit_test(one_step_in_mixed_precision_is_pytorchs),
        cmocka_unit_test(gradients_are_clipped),
        cmocka_unit_test(the_loss_scale_follows),
        cmocka_unit_test(recomputation_changes_nothing),
        cmocka_unit_test(averages_are_kept),
        cmocka_unit_test(too_little_memory_names_the_largest_batch),
        cmocka_unit_test(two_runs_are_alike),
        cmocka_unit_test(a_saved_state_goes_on),
        cmocka_unit_test(frozen_layers_stay),
        cmocka_unit_test(gradients_pass_frozen_layers),
        cmocka_unit_test(the_last_layer_begins_anew),
        cmocka_unit_test(mistakes_are_refused),
        cmocka_unit_test(pictures_are_prepared),
        cmocka_unit_test(a_step_tells_where_its_time_went),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
