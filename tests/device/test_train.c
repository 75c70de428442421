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

// Of a tensor's largest gradient.
static const double tolerance = 1e-4;

// ---- one step against PyTorch

struct golden {
    struct cdl_tensor_list list;
    const void *data;
    size_t size;
};

static struct golden load_golden(const char *network) {
    struct golden g = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/gradients/%s.safetensors", CDL_GOLDEN_DIR, network);
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

// A convolution's bias in front of a batch norm has no effect: its gradient is noise around zero, in PyTorch too.
static bool has_no_effect(const char *name) {
    return cdl_ends_with(name, ".bias") && (strstr(name, "conv") || strstr(name, "downsample.0"));
}

static double check_step(const char *network) {
    cdl_trainer *t = make_trainer(network, cdl_trainer_params(.batch = IMAGES, .label_smoothing = 0.1f));
    struct golden golden = load_golden(network);
    struct batch batch = make_batch(t);
    harness_expect_ok(cdl_trainer_step(t, batch.pictures, IMAGES, 0, 0.0f), network);
    const struct cdl_train_result result = take(t);
    float *gradients = download(t, &t->gradients), *parameters = download(t, &t->parameters);
    double worst = 0;
    const double loss = difference(&golden, "loss", &result.loss, 0);
    if (!(loss <= 1e-5))
        fail_msg("%s: loss %g is off by %g", network, (double)result.loss, loss);
    for (int i = 0; i < t->program.parameters.count; i++) {
        const struct cdl_parameter *p = &t->program.parameters.items[i];
        const char *name = p->tensor->name;
        if (p->kind == CDL_PARAMETER_CONSTANT)
            continue;
        const bool running = p->kind == CDL_PARAMETER_RUNNING;
        assert_true(running || p->trainable);
        const double off =
            difference(&golden, name, running ? parameters + p->at : gradients + p->at, has_no_effect(name) ? 0.1 : 0);
        if (!(off <= tolerance))
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
        print_message("%s: off by %.1e at most\n", networks[i], check_step(networks[i]));
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
    cdl_trainer *a = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES));
    cdl_trainer *b = make_trainer("bottleneck_g4", cdl_trainer_params(.batch = IMAGES));
    struct batch batch = make_batch(a);
    const float first = run_steps(a, &batch, 1);
    assert_true(run_steps(a, &batch, 11) < first); // it learns a batch that it sees again and again
    run_steps(b, &batch, 12);
    expect_same(a, b);
    free(batch.pixels);
    cdl_trainer_destroy(&a);
    cdl_trainer_destroy(&b);
}

static void a_saved_state_goes_on(void **state) {
    (void)state;
    char folder[] = "test_train_XXXXXX", path[64], note[16];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/state", folder);
    cdl_trainer *a = make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES));
    cdl_trainer *b = make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES));
    cdl_trainer *other = make_trainer("basic_7x7", cdl_trainer_params(.batch = IMAGES, .freeze = "layer1"));
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

// misuse: cdl_trainer_create
// misuse: cdl_trainer_destroy
// misuse: cdl_trainer_step
// misuse: cdl_trainer_result
// misuse: cdl_trainer_model
// misuse: cdl_trainer_save_state
// misuse: cdl_trainer_load_state
static void mistakes_are_refused(void **state) {
    (void)state;
    cdl_trainer *t = make_trainer("basic_3x3", cdl_trainer_params(.batch = IMAGES)), *none;
    struct batch batch = make_batch(t);
    cdl_model *model = harness_load("basic_3x3");
    struct cdl_train_result result;
    assert_int_equal(cdl_trainer_result(t, true, &result), CDL_NOT_READY);
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
        cmocka_unit_test(one_step_is_pytorchs),         cmocka_unit_test(two_runs_are_alike),
        cmocka_unit_test(a_saved_state_goes_on),        cmocka_unit_test(frozen_layers_stay),
        cmocka_unit_test(gradients_pass_frozen_layers), cmocka_unit_test(the_last_layer_begins_anew),
        cmocka_unit_test(mistakes_are_refused),         cmocka_unit_test(pictures_are_prepared),
    };
    return cmocka_run_group_tests(tests, harness_open, harness_close);
}
