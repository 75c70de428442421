// test_tune.c - kernels chosen by measurement, and kernels that fail their check.
#include <math.h>
#include <unistd.h>

#include "support/harness.h"
#include "train/dw_check.h"
#include "train/dx_check.h"
#include "train/prepare.h"
#include "train/trainer.h"
#include "tune/kernel_check.h"
#include "tune/tuner.h"

enum { WIDTH = 5, HEIGHT = 7, CLASSES = 10, BATCH = 3 };

static struct {
    cdl_model *model;
    float tensors[BATCH][3 * WIDTH * HEIGHT];
    struct cdl_pixels pixels[BATCH];
} t;

static int open_all(void **state) {
    char path[512];
    struct random r = random_of(1);
    if (harness_open(state))
        return -1;
    snprintf(path, sizeof path, "%s/layers/bottleneck_g8.safetensors", CDL_GOLDEN_DIR);
    harness_expect_ok(cdl_model_load_file(&t.model, path, cdl_model_params(.log = harness_log())), path);
    for (int i = 0; i < BATCH; i++) {
        for (size_t k = 0; k < 3 * WIDTH * HEIGHT; k++)
            t.tensors[i][k] = 2 * random_float(&r);
        t.pixels[i] = (struct cdl_pixels){
            .data = t.tensors[i], .width = WIDTH, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32};
    }
    return 0;
}

static int close_all(void **state) {
    cdl_model_destroy(&t.model);
    return harness_close(state);
}

static cdl_device *open_device(const char *cache_dir) {
    cdl_device *dev;
    harness_expect_ok(cdl_device_create(&dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid,
                                                                .cache_dir = cache_dir,
                                                                .validate = harness.dev->instance.messenger != NULL)),
                      "device");
    return dev;
}

// Removes what the device wrote into its cache folder; it writes nothing more.
static void empty_folder(cdl_device *dev, const char *folder) {
    const char *const kinds[] = {"pipelines", "tuning"};
    char path[CDL_CACHE_PATH];
    for (size_t i = 0; i < CDL_COUNT(kinds); i++)
        if (cdl_cache_path(path, sizeof path, folder, kinds[i], &dev->cache_key))
            unlink(path);
    dev->cache_dir[0] = 0;
}

static cdl_session *open_session(cdl_device *dev, cdl_precision precision, cdl_tune tune) {
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, dev, t.model,
                                         cdl_session_params(.max_batch = BATCH, .precision = precision, .tune = tune)),
                      "session");
    return s;
}

static void run(cdl_session *s, float logits[BATCH][CLASSES]) {
    harness_expect_ok(cdl_session_run(s, t.pixels, BATCH), "run");
    for (int i = 0; i < BATCH; i++)
        memcpy(logits[i], cdl_session_logits(s, 0, i), CLASSES * sizeof(float));
}

static void expect_close(float a[BATCH][CLASSES], float b[BATCH][CLASSES], double limit, const char *what) {
    double largest = 0, worst = 0;
    for (int i = 0; i < BATCH * CLASSES; i++) {
        largest = fmax(largest, fabs((double)a[i / CLASSES][i % CLASSES]));
        worst = fmax(worst, fabs((double)a[i / CLASSES][i % CLASSES] - (double)b[i / CLASSES][i % CLASSES]));
    }
    if (!(worst <= limit * largest))
        fail_msg("%s: off by %g, largest %g", what, worst, largest);
}

static int take_warnings(void) {
    const int n = harness.warnings;
    harness.warnings = 0;
    return n;
}

static int count_findings(cdl_device *dev, enum cdl_finding_kind kind) {
    const struct cdl_findings *all = cdl_findings_of(dev);
    int n = 0;
    for (int i = 0; i < all->count; i++)
        n += all->items[i].kind == kind;
    return n;
}

// ---- tuning

static void check_tuned(cdl_precision precision, double limit) {
    float untuned[BATCH][CLASSES], tuned[BATCH][CLASSES];
    cdl_device *dev = open_device(NULL);
    cdl_session *s = open_session(dev, precision, CDL_TUNE_OFF);
    run(s, untuned);
    cdl_session_destroy(&s);
    assert_int_equal(count_findings(dev, CDL_FOUND_KERNEL), 0);
    const cdl_tune modes[] = {CDL_TUNE_QUICK, CDL_TUNE_FULL, CDL_TUNE_QUICK, CDL_TUNE_OFF};
    int shapes = 0;
    for (size_t i = 0; i < 4; i++) {
        s = open_session(dev, precision, modes[i]);
        run(s, tuned);
        expect_close(untuned, tuned, limit, "tuned");
        cdl_session_destroy(&s);
        if (harness.info.timestamps && i == 0)
            assert_true((shapes = count_findings(dev, CDL_FOUND_KERNEL)) > 0);
        assert_int_equal(count_findings(dev, CDL_FOUND_KERNEL), shapes);
    }
    const struct cdl_findings *all = cdl_findings_of(dev);
    for (int i = 0; i < all->count; i++) { // the full ones replaced the quick ones; and every kernel passed
        if (all->items[i].kind == CDL_FOUND_KERNEL)
            assert_int_equal(all->items[i].mode, CDL_TUNE_FULL);
        if (all->items[i].kind == CDL_FOUND_CHECK)
            assert_true(all->items[i].passed);
    }
    cdl_device_destroy(&dev);
}

static void test_tuned_fp32(void **state) {
    (void)state;
    check_tuned(CDL_PRECISION_FP32, 1e-4);
}

static void test_tuned_fp16(void **state) {
    (void)state;
    check_tuned(CDL_PRECISION_FP16, 2e-2);
}

// What was found in one precision is neither looked up nor replaced in another: what the classifier reads is floats in
// both, its weights are not.
static void test_keys_of_precisions_differ(void **state) {
    (void)state;
    cdl_device *dev = open_device(NULL);
    cdl_session *s = open_session(dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
    for (int i = 0; i < s->plan.graph.num_ops; i++) {
        const struct cdl_work work = {&s->plan.graph, &s->plan.graph.ops[i], 1};
        char single[CDL_FINDING_KEY], half[CDL_FINDING_KEY];
        cdl_work_key(single, &work, BATCH, false);
        cdl_work_key(half, &work, BATCH, true);
        assert_string_not_equal(single, half);
    }
    cdl_session_destroy(&s);
    cdl_device_destroy(&dev);
}

// A kernel that was found is used, one that the operation's list does not have is passed over.
static void test_findings_are_used(void **state) {
    (void)state;
    struct cdl_finding found = {.kind = CDL_FOUND_KERNEL, .mode = CDL_TUNE_QUICK, .ns = 1000};
    cdl_device *dev = open_device(NULL);
    cdl_session *s = open_session(dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
    const struct cdl_work work = {&s->plan.graph, s->plan.graph.ops, 1};
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    const int count = cdl_kernels_for(&work, 1, &dev->caps, false, kernels);
    assert_true(count > 1);
    cdl_work_key(found.key, &work, BATCH, false);
    cdl_session_destroy(&s);
    const uint64_t first = cdl_program_id(&kernels[0].program), last = cdl_program_id(&kernels[count - 1].program);
    const uint64_t ids[] = {last, first, 0, 1, UINT64_MAX};
    for (size_t i = 0; i < CDL_COUNT(ids); i++) {
        found.kernel = ids[i];
        cdl_findings_remember(dev, &found);
        s = open_session(dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
        assert_true(cdl_program_id(&s->plan.steps[0].kernel.program) == (i == 0 ? last : first));
        cdl_session_destroy(&s);
    }
    found.kind = CDL_FOUND_CHECK; // of another kind
    cdl_findings_remember(dev, &found);
    s = open_session(dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
    cdl_session_destroy(&s);
    cdl_device_destroy(&dev);
}

// A device that a few images fill, and whose cache holds few: the segment that is measured is remembered and used
// again, for a plan of as many steps: a full tuning may fuse operations that a quick one left apart.
static void test_tuned_segment(void **state) {
    (void)state;
    enum { SIDE = 64, IMAGES = 12 };
    static float tensor[3 * SIDE * SIDE];
    float first[IMAGES][CLASSES];
    struct cdl_pixels pixels[IMAGES];
    char key[CDL_FINDING_KEY] = "", earlier[CDL_FINDING_KEY] = "";
    int keys = 0;
    struct random r = random_of(3);
    for (size_t i = 0; i < CDL_COUNT(tensor); i++)
        tensor[i] = random_float(&r);
    for (int i = 0; i < IMAGES; i++)
        pixels[i] = (struct cdl_pixels){.data = tensor, .width = SIDE, .height = SIDE, .format = CDL_FORMAT_TENSOR_F32};
    cdl_device *dev = open_device(NULL);
    dev->caps.fill_outputs = 1;
    dev->caps.cache_bytes = 2 << 20;
    const cdl_tune modes[] = {CDL_TUNE_OFF, CDL_TUNE_QUICK, CDL_TUNE_QUICK, CDL_TUNE_FULL, CDL_TUNE_OFF};
    struct cdl_segment found = {0, 0};
    for (size_t i = 0; i < CDL_COUNT(modes); i++) {
        cdl_session *s;
        struct cdl_segment list[CDL_MAX_SEGMENTS];
        harness_expect_ok(cdl_session_create(&s, dev, t.model,
                                             cdl_session_params(.max_batch = IMAGES, .width = SIDE, .height = SIDE,
                                                                .tune = modes[i], .precision = CDL_PRECISION_FP32)),
                          "session");
        const struct cdl_segment used = s->plan.segment;
        cdl_segment_key(key, &s->plan);
        if (modes[i] == CDL_TUNE_OFF && i == 0) { // by rule, and there is a rule's segment
            assert_int_equal(count_findings(dev, CDL_FOUND_SEGMENT), 0);
            assert_true(used.steps > 0 && used.images > 0 && used.images < IMAGES);
        } else if (harness.info.timestamps) {
            keys += strcmp(key, earlier) != 0;
            snprintf(earlier, sizeof earlier, "%s", key);
            assert_int_equal(count_findings(dev, CDL_FOUND_SEGMENT), keys);
            const struct cdl_finding *remembered = cdl_findings_find(cdl_findings_of(dev), key);
            assert_non_null(remembered);
            assert_int_equal(remembered->mode, i < 3 ? CDL_TUNE_QUICK : CDL_TUNE_FULL);
            assert_true(remembered->segment.steps == used.steps && remembered->segment.images == used.images);
            if (i == 2 || i == 4) // recalled
                assert_true(used.steps == found.steps && used.images == found.images);
        }
        assert_true(cdl_plan_segments(&s->plan, &dev->caps, list) > 1);
        found = used;
        harness_expect_ok(cdl_session_run(s, pixels, IMAGES), "run");
        for (int k = 0; k < IMAGES; k++)
            memcpy(first[k], cdl_session_logits(s, 0, k), sizeof first[k]);
        for (int k = 1; k < IMAGES; k++) // the same picture, in every sub-batch
            assert_memory_equal(first[0], first[k], sizeof first[0]);
        cdl_session_destroy(&s);
    }
    static const struct cdl_segment senseless[] = {{1000, 2}, {3, 0}, {0, 3}, {3, 1000}, {INT32_MAX, INT32_MAX}};
    for (size_t i = 0; i < CDL_COUNT(senseless); i++) {
        struct cdl_finding found = {.kind = CDL_FOUND_SEGMENT, .mode = CDL_TUNE_QUICK, .segment = senseless[i]};
        cdl_session *s;
        snprintf(found.key, sizeof found.key, "%s", key);
        cdl_findings_remember(dev, &found);
        harness_expect_ok(cdl_session_create(&s, dev, t.model,
                                             cdl_session_params(.max_batch = IMAGES, .width = SIDE, .height = SIDE,
                                                                .precision = CDL_PRECISION_FP32)),
                          "a senseless segment");
        assert_true(s->plan.segment.steps <= s->plan.num_steps && s->plan.segment.images <= IMAGES);
        cdl_session_destroy(&s);
    }
    cdl_device_destroy(&dev);
}

// ---- checks

static void test_failing_kernel(void **state) {
    (void)state;
    char folder[] = "/tmp/cardinal-tune-XXXXXX";
    char failing[CDL_PROGRAM_TEXT], name[CDL_PROGRAM_NAME];
    float expected[BATCH][CLASSES], logits[BATCH][CLASSES];
    assert_non_null(mkdtemp(folder));
    cdl_session *s = open_session(harness.dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
    run(s, expected);
    struct cdl_work work = {&s->plan.graph, s->plan.graph.ops, 1}; // the first convolution that has another kernel
    struct cdl_kernel kernels[CDL_MAX_KERNELS];
    while (work.ops->kind != CDL_OP_CONV || cdl_kernels_for(&work, 1, &harness.dev->caps, false, kernels) < 2)
        work.ops++;
    const struct cdl_program program = s->plan.steps[work.ops - s->plan.graph.ops].kernel.program;
    cdl_program_text(&program, failing);
    cdl_program_name(&program, name);
    cdl_session_destroy(&s);

    // In the second round nothing is made to fail: the verdict comes from the cache.
    for (int round = 0; round < 2; round++) {
        cdl_device *dev = open_device(folder);
        dev->failing_kernel = round == 0 ? failing : NULL;
        s = open_session(dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
        assert_int_equal(take_warnings(), round == 0 ? 1 : 0); // once, however many layers want it
        if (round == 0)
            assert_non_null(strstr(harness.last, name));
        for (int i = 0; i < s->plan.num_steps; i++)
            assert_false(cdl_program_equal(&s->plan.steps[i].kernel.program, &program));
        run(s, logits);
        expect_close(expected, logits, 1e-4, "without its favourite kernel");
        cdl_session_destroy(&s);
        if (round == 1)
            empty_folder(dev, folder);
        cdl_device_destroy(&dev);
    }
    rmdir(folder);
}

static void test_nothing_works(void **state) {
    (void)state;
    cdl_session *s;
    cdl_device *dev = open_device(NULL);
    dev->failing_kernel = "conv"; // all of them
    harness_expect_failure(cdl_session_create(&s, dev, t.model, cdl_session_params(.precision = CDL_PRECISION_FP32)),
                           CDL_ERR_UNSUPPORTED, "no kernel left");
    assert_null(s);
    assert_true(take_warnings() > 0);
    cdl_device_destroy(&dev);

    dev = open_device(NULL);
    dev->failing_kernel = " fp16"; // AUTO falls back to fp32, where it would have taken fp16
    const cdl_result r = cdl_session_create(&s, dev, t.model, NULL);
    assert_int_equal(r, CDL_OK);
    assert_int_equal(s->info.precision, CDL_PRECISION_FP32);
    harness_take_errors();
    take_warnings();
    cdl_session_destroy(&s);
    cdl_device_destroy(&dev);
}

// Every kernel of every shape of a network passes where the test suite passes, and twice the same.
static void test_checks(void **state) {
    (void)state;
    struct cdl_once once;
    cdl_session *s = open_session(harness.dev, CDL_PRECISION_FP32, CDL_TUNE_OFF);
    const struct cdl_graph *g = &s->plan.graph;
    harness_expect_ok(cdl_once_create(&once, harness.dev), "commands");
    for (int i = 0; i < g->num_ops; i++)
        for (int fp16 = 0; g->ops[i].kind == CDL_OP_CONV && fp16 < 2; fp16++) {
            const struct cdl_work work = {g, &g->ops[i], 1};
            struct cdl_kernel kernels[CDL_MAX_KERNELS];
            const int count = cdl_kernels_for(&work, 1, &harness.dev->caps, fp16, kernels);
            for (int k = 0; k < count; k++) {
                char name[CDL_PROGRAM_NAME];
                bool passed;
                cdl_program_name(&kernels[k].program, name);
                harness_expect_ok(cdl_kernel_check(&passed, &once, &work, &kernels[k]), name);
                if (!passed)
                    fail_msg("%s: %s fails its check", g->ops[i].name, name);
            }
        }
    cdl_once_destroy(&once);
    cdl_session_destroy(&s);
}

// ---- training

static cdl_trainer *open_trainer(cdl_device *dev, cdl_tune tune) {
    cdl_trainer *trainer;
    harness_expect_ok(
        cdl_trainer_create(&trainer, dev, t.model,
                           cdl_trainer_params(.batch = BATCH, .precision = CDL_PRECISION_FP16, .tune = tune)),
        "trainer");
    return trainer;
}

// The step that makes the gradient of the first weight for which there is a choice.
static int step_with_choice(const cdl_trainer *trainer, struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS], int *count) {
    const struct cdl_train_program *p = &trainer->program;
    for (int i = 0; i < p->num_steps; i++) {
        if (p->steps[i].kind != CDL_TRAIN_DW)
            continue;
        const struct cdl_shape shape =
            cdl_shape_of(&p->graph, &p->graph.ops[p->steps[i].op], &harness.dev->caps, p->batch, p->fp16);
        *count = cdl_dw_kernels(&shape, kernels);
        if (*count > 1)
            return i;
    }
    fail_msg("no weight has a choice of kernels");
    return -1;
}

// What the device knows decides; a kernel that fails its check is told of once, and the next does its work.
static void test_training_is_tuned(void **state) {
    (void)state;
    struct cdl_dw_kernel kernels[CDL_MAX_DW_KERNELS];
    char failing[CDL_PROGRAM_TEXT];
    int count = 0, found = 0;
    cdl_device *dev = open_device(NULL);
    cdl_trainer *trainer = open_trainer(dev, CDL_TUNE_QUICK);
    const int step = step_with_choice(trainer, kernels, &count);
    cdl_trainer_destroy(&trainer);
    struct cdl_findings *all = cdl_findings_of(dev);
    for (int i = 0; i < all->count; i++)
        if (!strncmp(all->items[i].key, "dW of ", 6)) {
            assert_true(all->items[i].kind == CDL_FOUND_KERNEL && (all->items[i].ns > 0 || harness.info.software));
            all->items[i].kernel = cdl_program_id(&kernels[count - 1].program); // as if the last had been the fastest
            found++;
        }
    assert_true(found > 0 || !dev->timestamp_bits);
    trainer = open_trainer(dev, CDL_TUNE_OFF);
    if (found > 0)
        assert_true(cdl_program_equal(&trainer->program.steps[step].kernel.program, &kernels[count - 1].program));
    cdl_trainer_destroy(&trainer);
    cdl_device_destroy(&dev);

    dev = open_device(NULL);
    cdl_program_text(&kernels[0].program, failing);
    dev->failing_kernel = failing;
    trainer = open_trainer(dev, CDL_TUNE_OFF);
    assert_int_equal(take_warnings(), 1);
    assert_true(cdl_program_equal(&trainer->program.steps[step].kernel.program, &kernels[1].program));
    cdl_trainer_destroy(&trainer);
    dev->failing_kernel = "conv_dw"; // all of them
    harness_expect_failure(cdl_trainer_create(&trainer, dev, t.model, cdl_trainer_params(.batch = BATCH)),
                           CDL_ERR_UNSUPPORTED, "no kernel left");
    take_warnings();
    cdl_device_destroy(&dev);
}

// Pipelines that a device makes while the kernels of a training program are chosen: ahead of that, and one by one.
static void count_pipelines(cdl_device *dev, cdl_tune tune, int *ahead, int *behind) {
    struct cdl_tuner tuner = {.dev = dev, .mode = tune, .batch = BATCH, .fp16 = true};
    struct cdl_train_program_params p = {
        .batch = BATCH, .height = HEIGHT, .width = WIDTH, .fp16 = true, .caps = &dev->caps};
    struct cdl_train_program program;
    const int before = dev->pipelines.created;
    harness_expect_ok(cdl_train_prepare(&tuner, t.model, &p), "preparation");
    *ahead = dev->pipelines.created - before;
    p.choose = cdl_tuner_choose;
    p.choose_dw = cdl_dw_choose;
    p.trust_dx = cdl_dx_trust;
    p.choose_ctx = &tuner;
    harness_expect_ok(cdl_train_program_create(&program, t.model, &p, &dev->log), "program");
    *behind = dev->pipelines.created - before - *ahead;
    cdl_train_program_destroy(&program);
    cdl_tuner_finish(&tuner);
}

// What choosing runs is compiled before, all together; and nothing is, once it knows enough.
static void test_training_is_prepared(void **state) {
    (void)state;
    char folder[] = "/tmp/cardinal-tune-XXXXXX";
    int ahead, behind;
    assert_non_null(mkdtemp(folder));
    for (cdl_tune tune = CDL_TUNE_OFF; tune <= CDL_TUNE_QUICK; tune++)
        for (int round = 0; round < 2; round++) {
            cdl_device *dev = open_device(folder);
            count_pipelines(dev, tune, &ahead, &behind);
            assert_int_equal(behind, 0);
            assert_true(round == 0 && (tune == CDL_TUNE_OFF || dev->timestamp_bits) ? ahead > 0 : ahead == 0);
            if (tune == CDL_TUNE_QUICK && round == 1)
                empty_folder(dev, folder);
            cdl_device_destroy(&dev);
        }
    rmdir(folder);
}

// The one kernel of training that nothing can replace.
static void test_failing_gradient(void **state) {
    (void)state;
    cdl_trainer *trainer;
    cdl_device *dev = open_device(NULL);
    dev->failing_kernel = "conv_dx";
    harness_expect_failure(
        cdl_trainer_create(&trainer, dev, t.model, cdl_trainer_params(.batch = BATCH, .precision = CDL_PRECISION_FP16)),
        CDL_ERR_UNSUPPORTED, "no kernel for a gradient at a stride");
    assert_null(trainer);
    assert_int_equal(take_warnings(), 1);
    const char *const told[] = {"conv2: the kernel conv_dx", harness.info.name, "fp16; take fp32"};
    for (size_t i = 0; i < CDL_COUNT(told); i++)
        if (!strstr(harness.last, told[i]))
            fail_msg("\"%s\" does not tell \"%s\"", harness.last, told[i]);
    cdl_device_destroy(&dev);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_is_tuned),
        cmocka_unit_test(test_training_is_prepared),
        cmocka_unit_test(test_failing_gradient),
        cmocka_unit_test(test_tuned_fp32),
        cmocka_unit_test(test_tuned_fp16),
        cmocka_unit_test(test_keys_of_precisions_differ),
        cmocka_unit_test(test_findings_are_used),
        cmocka_unit_test(test_tuned_segment),
        cmocka_unit_test(test_failing_kernel),
        cmocka_unit_test(test_nothing_works),
        cmocka_unit_test(test_checks),
    };
    return cmocka_run_group_tests_name("tune", tests, open_all, close_all);
}
