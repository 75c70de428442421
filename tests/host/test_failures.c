// test_failures.c - what happens when memory runs out, or the device goes, at every single place where it can.
//
// Host memory: each allocation of Cardinal's own code fails in turn (heap.h), alone and together with
// all that follow, while models of every format are loaded, made and saved, devices are opened and sessions are
// created. Expected each time: CDL_ERR_NOMEM and a line in the log, no object, nothing left allocated or mapped; and no
// file or the whole file where one is written.
//
// Vulkan: each call that can fail fails in turn (hook.h), with each code that it may return, on its way through a
// device's
// life: import, sessions, runs of every kind, and the end. Expected with out of memory: CDL_ERR_NOMEM, and the same
// call works when repeated, with the same logits to the bit; or that Cardinal does without. With a lost device:
// CDL_ERR_DEVICE_LOST from then on whatever is called, and a new device works. Always: no object is left, nothing stays
// allocated, the validation layer has nothing to say.
#include "support/rig.h"

#include <unistd.h>

#include "cdl/cdl_train.h"
#include "support/heap.h"
#include "tune/tuner.h"

static int survived[2]; // failures of host memory injected so far: one alone, or all from there on

// ---- host memory

// One thing that may fail: returns what the library returned, and leaves nothing behind, whatever that was.
struct attempt {
    const char *what;
    cdl_result (*run)(const struct attempt *a);
    const void *input;
    bool forgiving; // the library may do without (a cache, work ahead)
};

static bool failed_early; // an attempt healed the heap itself, after a failure

static void exhaust(const struct attempt *a) {
    int failures[2] = {0};
    assert_int_equal(harness_take_errors(), 0);
    for (int on = 0; on < 2; on++)
        for (long n = 1;; n++) {
            const long before = heap_live();
            failed_early = false;
            heap_fail(n, on);
            const cdl_result r = a->run(a);
            const bool failed = heap_heal() || failed_early;
            const int lines = harness_take_errors();
            if (heap_live() != before)
                fail_msg("%s, allocation %ld: %ld blocks more than before", a->what, n, heap_live() - before);
            const bool right = r == CDL_ERR_NOMEM || (a->forgiving && r == CDL_OK);
            if (failed && (!right || (r != CDL_OK && lines < 1)))
                fail_msg("%s, allocation %ld failed: %s, %d error lines: %s", a->what, n, cdl_result_str(r), lines,
                         harness.last);
            if (!failed) {
                if (r != CDL_OK)
                    fail_msg("%s, nothing failed: %s: %s", a->what, cdl_result_str(r), harness.last);
                break;
            }
            failures[on]++;
        }
    assert_true(failures[0] > 0 && failures[1] > 0);
    printf("  %-40s %5d %5d\n", a->what, failures[0], failures[1]);
    survived[0] += failures[0];
    survived[1] += failures[1];
}

static cdl_result load_file(const struct attempt *a) {
    cdl_model *model;
    const cdl_result r = cdl_model_load_file(&model, a->input, cdl_model_params(.log = harness_log()));
    assert_true((r == CDL_OK) == (model != NULL));
    cdl_model_destroy(&model);
    return r;
}

static void test_model_files(void **state) {
    (void)state;
    static const char *const names[] = {
        "models/plain.safetensors", "models/zip.pth",
        "models/legacy.pth",        "models/protocol4.pth",
        "models/half_legacy.pth",   "models/bfloat16.pth",
        "models/checkpoint.pth",    "models/model_key_legacy.pth",
        "models/strided.pth",       "models/strided_legacy.pth",
        "models/zip64.pth",         "layers/bottleneck_g8.safetensors",
    };
    char path[512];
    for (size_t i = 0; i < CDL_COUNT(names); i++) {
        snprintf(path, sizeof path, "%s/%s", CDL_GOLDEN_DIR, names[i]);
        exhaust(&(struct attempt){.what = names[i], .run = load_file, .input = path});
    }
}

// A file that is no model stays one when memory runs out: no crash, no leak, an error.
static void test_bad_files(void **state) {
    (void)state;
    static const char *const names[] = {"evil.pth", "cyclic.pth", "compressed.pth", "tensor.pth", "big_endian.pth"};
    char path[512];
    for (size_t i = 0; i < CDL_COUNT(names); i++)
        for (int n = 1; n < 200; n++) {
            const long before = heap_live();
            cdl_model *model;
            snprintf(path, sizeof path, "%s/models/%s", CDL_GOLDEN_DIR, names[i]);
            heap_fail(n, false);
            const cdl_result r = cdl_model_load_file(&model, path, cdl_model_params(.log = harness_log()));
            const bool failed = heap_heal();
            assert_true(r == CDL_ERR_NOMEM || r == CDL_ERR_FORMAT);
            assert_null(model);
            assert_int_equal(heap_live(), before);
            assert_true(harness_take_errors() >= 1);
            if (!failed)
                break;
            survived[0]++;
        }
}

static cdl_result load_with_metadata(const struct attempt *a) {
    const struct cdl_pair pairs[] = {
        {"labels", "[\"a\", \"b\", \"c\"]"}, {"mean", "0.5,0.5,0.5"}, {"note", "one's own"}};
    cdl_model *model;
    (void)a;
    char path[512];
    snprintf(path, sizeof path, "%s/models/plain.safetensors", CDL_GOLDEN_DIR);
    const cdl_result r =
        cdl_model_load_file(&model, path, cdl_model_params(.log = harness_log(), .metadata = pairs, .num_metadata = 3));
    cdl_model_destroy(&model);
    return r;
}

static void count_free(void *ctx, const void *data) {
    (void)data;
    ++*(int *)ctx;
}

static cdl_result load_memory(const struct attempt *a) {
    static uint8_t data[1 << 16];
    char path[512];
    int freed = 0;
    cdl_model *model;
    (void)a;
    snprintf(path, sizeof path, "%s/models/plain.safetensors", CDL_GOLDEN_DIR);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    const cdl_result r =
        cdl_model_load_memory(&model, data, size, count_free, &freed, cdl_model_params(.log = harness_log()));
    assert_int_equal(freed, 0);
    cdl_model_destroy(&model);
    assert_int_equal(freed, r == CDL_OK); // on failure the caller still owns the bytes
    return r;
}

static cdl_result make_random(const struct attempt *a) {
    cdl_model *model;
    const cdl_result r = cdl_model_random(&model, a->input, 1, cdl_model_params(.log = harness_log()));
    cdl_model_destroy(&model);
    return r;
}

// Saving: the file is whole or not there.
static cdl_result save(const struct attempt *a) {
    static const char path[] = "test_failures.tmp.safetensors";
    const cdl_log log = harness_log();
    remove(path);
    const cdl_result r = cdl_model_save(a->input, path, CDL_DTYPE_F16, &log);
    const bool failed = heap_heal(); // from here on memory is back
    cdl_model *again = NULL;
    FILE *file = fopen(path, "rb");
    assert_true((file != NULL) == (r == CDL_OK));
    if (file) {
        fclose(file);
        harness_expect_ok(cdl_model_load_file(&again, path, cdl_model_params(.log = log)), "what was saved");
        assert_int_equal(again->list.count, ((const cdl_model *)a->input)->list.count);
        cdl_model_destroy(&again);
        remove(path);
    }
    failed_early = failed;
    return r;
}

static void test_other_models(void **state) {
    (void)state;
    exhaust(&(struct attempt){.what = "metadata and labels", .run = load_with_metadata});
    exhaust(&(struct attempt){.what = "from memory", .run = load_memory});
    exhaust(&(struct attempt){.what = "random resnet18", .run = make_random, .input = "resnet18"});
    char path[512];
    cdl_model *model;
    snprintf(path, sizeof path, "%s/models/zip.pth", CDL_GOLDEN_DIR);
    harness_expect_ok(cdl_model_load_file(&model, path, cdl_model_params(.log = harness_log())), path);
    exhaust(&(struct attempt){.what = "save", .run = save, .input = model});
    cdl_model_destroy(&model);
}

// ---- a device's life

enum { STEPS = 8, CLASSES = 10 };

static struct {
    cdl_model *model; // 10 classes, input 5x7
    char folder[256]; // for cache_dir
    uint8_t rgb[2][40 * 30 * 3];
    struct cdl_pixels pixels[2];
    struct rig_image image;
    float logits[STEPS][CLASSES]; // of each step that has some, as it is without failures
} t;

struct life {
    cdl_device *dev;
    cdl_session *s, *half;
};

static cdl_result step_import(struct life *l, float *logits) {
    struct cdl_vk_import_params params = rig_import_params();
    (void)logits;
    params.cache_dir = t.folder;
    return cdl_vk_import(&l->dev, &params);
}

static cdl_result step_session(struct life *l, float *logits) {
    (void)logits;
    return cdl_session_create(&l->s, l->dev, t.model,
                              cdl_session_params(.precision = CDL_PRECISION_FP32, .max_batch = 2, .num_slots = 2,
                                                 .cam = true, .timings = true, .staging_bytes = 1 << 16));
}

static cdl_result step_half_session(struct life *l, float *logits) {
    (void)logits;
    return cdl_session_create(&l->half, l->dev, t.model,
                              cdl_session_params(.precision = CDL_PRECISION_FP16, .staging_bytes = 1 << 16));
}

static void copy_logits(const cdl_session *s, int slot, float *out) {
    const float *logits = cdl_session_logits(s, slot, 0);
    assert_non_null(logits);
    memcpy(out, logits, CLASSES * sizeof *out);
}

static cdl_result step_run(struct life *l, float *logits) {
    const cdl_result r = cdl_session_run(l->s, t.pixels, 2);
    if (r == CDL_OK)
        copy_logits(l->s, 0, logits);
    return r;
}

static cdl_result step_half_run(struct life *l, float *logits) {
    const cdl_result r = cdl_session_run(l->half, t.pixels, 1);
    if (r == CDL_OK)
        copy_logits(l->half, 0, logits);
    return r;
}

static cdl_result step_submit(struct life *l, float *logits) {
    cdl_result r = cdl_session_submit(l->s, 1, t.pixels, 1); // fewer pictures: the network is recorded anew
    for (int tries = 0; r == CDL_OK && tries < 2; tries++) {
        r = cdl_session_wait(l->s, 1, UINT64_MAX);
        if (r == CDL_OK) {
            copy_logits(l->s, 1, logits);
            return r;
        }
        if (r == CDL_ERR_NOMEM && l->s->slots[1].state == CDL_SLOT_SUBMITTED && harness_take_errors() == 1)
            r = CDL_OK; // still in flight: waiting again is what one does
    }
    return r;
}

static const struct cdl_vk_input *vulkan_input(void) {
    static struct cdl_vk_input input;
    input = (struct cdl_vk_input){
        .width = 16, .height = 16, .view = t.image.view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    return &input;
}

static cdl_result step_record(struct life *l, float *logits) {
    VkCommandBuffer cmd = rig_begin();
    const cdl_result r = cdl_vk_record(l->s, cmd, cdl_vk_run(.inputs = vulkan_input(), .count = 1));
    rig_run(cmd); // empty if that failed
    const cdl_result retired = r == CDL_OK ? cdl_vk_retire(l->s, 0, true) : r;
    if (retired == CDL_OK)
        copy_logits(l->s, 0, logits);
    return retired;
}

static cdl_result step_vk_submit(struct life *l, float *logits) {
    cdl_result r = cdl_vk_submit(l->s, cdl_vk_run(.slot = 1, .inputs = vulkan_input(), .count = 1), NULL, 0, NULL, 0);
    if (r == CDL_OK && (r = cdl_session_wait(l->s, 1, UINT64_MAX)) == CDL_ERR_NOMEM &&
        l->s->slots[1].state == CDL_SLOT_SUBMITTED && harness_take_errors() == 1)
        r = cdl_session_wait(l->s, 1, UINT64_MAX);
    if (r == CDL_OK)
        copy_logits(l->s, 1, logits);
    return r;
}

static const struct {
    const char *name;
    cdl_result (*run)(struct life *l, float *logits);
} steps[STEPS] = {
    {"import", step_import},
    {"session", step_session},
    {"run", step_run},
    {"submit", step_submit},
    {"record", step_record},
    {"vk_submit", step_vk_submit},
    {"fp16 session", step_half_session},
    {"fp16 run", step_half_run},
};

static void empty_folder(void) {
    char path[CDL_CACHE_PATH];
    static struct cdl_cache_key key;
    if (harness.dev)
        key = harness.dev->cache_key;
    for (int i = 0; i < 2; i++)
        if (cdl_cache_path(path, sizeof path, t.folder, i ? "tuning" : "pipelines", &key))
            unlink(path);
}

static void end(struct life *l) {
    cdl_session_destroy(&l->half);
    cdl_session_destroy(&l->s);
    cdl_device_destroy(&l->dev);
}

// ---- Vulkan

static struct { int injected, told, without; } tally[HOOK_COUNT][4]; // by code of "HDPL"
static const char code_letters[] = "HDPL";
static const VkResult codes[] = {VK_ERROR_OUT_OF_HOST_MEMORY, VK_ERROR_OUT_OF_DEVICE_MEMORY,
                                 VK_ERROR_OUT_OF_POOL_MEMORY, VK_ERROR_DEVICE_LOST};

static void check_logits(const char *what, int step, const float *logits) {
    if (memcmp(logits, t.logits[step], sizeof t.logits[step]))
        fail_msg("%s: %s gives logits %.9g ..., not %.9g ...", what, steps[step].name, (double)logits[0],
                 (double)t.logits[step][0]);
}

// What comes after a lost device: the same answer to everything, and one line for each.
static void expect_lost(struct life *l, const char *what) {
    float logits[CLASSES];
    struct life more = {.dev = l->dev};
    struct cdl_peaks peaks;
    if (!l->dev)
        return;
    for (int i = 1; i < STEPS; i++) {
        const bool creates = i == 1 || i == 6;
        if ((i > 1 && i < 6 && !l->s) || (i == 7 && !l->half))
            continue; // on nothing
        const cdl_result r = steps[i].run(creates ? &more : l, logits);
        const int lines = harness_take_errors();
        if (r != CDL_ERR_DEVICE_LOST || lines != 1)
            fail_msg("%s: then %s: %s, %d error lines", what, steps[i].name, cdl_result_str(r), lines);
    }
    if (harness.info.timestamps)
        harness_expect_failure(cdl_device_measure_peaks(l->dev, &peaks), CDL_ERR_DEVICE_LOST, "peaks of a lost device");
    assert_true(!more.s && !more.half);
}

// A life in which the n-th call of a function fails; on: and all that follow, until Cardinal has told. false: there
// were fewer calls.
static bool live_through(int function, int code, long n, bool on) {
    const long objects = hook_live(), blocks = heap_live();
    const bool lost = code_letters[code] == 'L';
    struct life l = {0};
    float logits[CLASSES];
    bool told = false, failed = false;
    char what[96];
    snprintf(what, sizeof what, "%s %ld%s, %c", hook_names[function], n, on ? " and on" : "", code_letters[code]);
    empty_folder();
    hook_fail(function, n, codes[code], on);
    for (int i = 0; i < STEPS; i++) {
        memset(logits, 0, sizeof logits);
        const cdl_result r = steps[i].run(&l, logits);
        if (r == CDL_OK) {
            check_logits(what, i, logits);
            if (told && code_letters[code] != 'H')
                break; // the rest is as with the other kind of memory
            continue;
        }
        const int lines = harness_take_errors();
        const cdl_result expected = lost ? CDL_ERR_DEVICE_LOST : code_letters[code] == 'P' ? r : CDL_ERR_NOMEM;
        if (told || r != expected || lines < 1)
            fail_msg("%s: %s: %s, %d error lines: %s", what, steps[i].name, cdl_result_str(r), lines, harness.last);
        told = true;
        if (lost) {
            expect_lost(&l, what);
            break;
        }
        failed = hook_heal(); // it has passed: the same step works now
        i--;
    }
    end(&l);
    failed = hook_heal() || failed;
    harness_take_errors();
    harness.warnings = 0; // kernels that would not compile
    if (hook_live() != objects || heap_live() != blocks)
        fail_msg("%s: %ld objects and %ld blocks more than before", what, hook_live() - objects, heap_live() - blocks);
    if (rig.host.messages || hook_complaint()[0])
        fail_msg("%s: %d validation messages; %s", what, rig.host.messages, hook_complaint());
    if (failed) {
        tally[function][code].injected++;
        *(told ? &tally[function][code].told : &tally[function][code].without) += 1;
    }
    return failed;
}

static void live_once(float logits[STEPS][CLASSES]) {
    struct life l = {0};
    empty_folder();
    for (int i = 0; i < STEPS; i++)
        harness_expect_ok(steps[i].run(&l, logits[i]), steps[i].name);
    end(&l);
}

static void test_vulkan_failures(void **state) {
    (void)state;
    float again[STEPS][CLASSES] = {{0}};
    live_once(t.logits);
    for (int function = 0; function < HOOK_COUNT; function++)
        for (int code = 0; code < 4; code++) {
            if (!strchr(hook_codes[function], code_letters[code]))
                continue;
            // Out of device memory on a card that has memory of its own.
            hook_set_options(&(struct hook_options){.discrete = code_letters[code] == 'D' && harness.info.software});
            // Where a second kind of memory or a second try helps, all fail too.
            const bool twice = function == HOOK_AllocateMemory || function == HOOK_CreateShaderModule ||
                               function == HOOK_CreateComputePipelines;
            for (int on = 0; on <= (twice && code_letters[code] != 'H'); on++)
                for (long n = 1; live_through(function, code, n, on); n++)
                    ;
            if (code_letters[code] == 'L') { // a new device
                live_once(again);
                assert_memory_equal(again, t.logits, sizeof again);
            }
        }
    hook_set_options(&(struct hook_options){0});
    printf("  %-40s %5s %5s %7s   out of host memory, device memory, pool memory, device lost\n",
           "failed calls, all survived", "all", "told", "without");
    for (int function = 0; function < HOOK_COUNT; function++)
        for (int code = 0; code < 4; code++)
            if (tally[function][code].injected)
                printf("  %-38s %c %5d %5d %7d\n", hook_names[function], code_letters[code],
                       tally[function][code].injected, tally[function][code].told, tally[function][code].without);
}

// ---- host memory, with a device

static cdl_result open_own(const struct attempt *a) {
    cdl_device *dev;
    (void)a;
    const cdl_result r = cdl_device_create(
        &dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid, .cache_dir = t.folder));
    assert_true((r == CDL_OK) == (dev != NULL));
    cdl_device_destroy(&dev);
    return r;
}

static cdl_result list_devices(const struct attempt *a) {
    const cdl_log log = harness_log();
    struct cdl_device_info list[4];
    int num;
    (void)a;
    const cdl_result r = cdl_device_list(list, 4, &num, &log);
    harness.warnings = 0; // that there is none
    return r;
}

static cdl_result import(const struct attempt *a) {
    struct life l = {0};
    (void)a;
    const cdl_result r = step_import(&l, NULL);
    assert_true((r == CDL_OK) == (l.dev != NULL));
    if (r == CDL_OK)
        cdl_findings_of(l.dev); // reads the folder's table; NULL without memory
    end(&l);
    return r;
}

// A session on a device that knows all kernels already, or on a new one.
static cdl_result create_session(const struct attempt *a) {
    struct life l = {.dev = a->input ? harness.dev : NULL};
    float logits[CLASSES];
    cdl_result r = CDL_OK;
    if (!l.dev) {
        empty_folder();
        r = step_import(&l, NULL);
    }
    if (r == CDL_OK)
        r = step_session(&l, NULL);
    if (r == CDL_OK && (r = step_run(&l, logits)) == CDL_OK)
        check_logits(a->what, 2, logits);
    if (a->input)
        l.dev = NULL;
    cdl_session_destroy(&l.s);
    cdl_device_destroy(&l.dev);
    return r;
}

static float whole_share(void *ctx, int images) {
    (void)ctx;
    return images > 0;
}

static bool reduce_alone(void *ctx, float *data, size_t count) {
    (void)ctx;
    return data && count;
}

static bool finish_alone(void *ctx) { return !ctx; }

static bool broadcast_alone(void *ctx, void *data, size_t bytes) { return reduce_alone(ctx, data, bytes); }

// A trainer among as many processes as one that makes a step of two parts, gives its weights, and saves and loads its
// state.
static cdl_result train(const struct attempt *a) {
    static const float pixels[3 * 7 * 11];
    const struct cdl_train_picture picture = {
        .pixels = {.data = pixels, .width = 7, .height = 11, .format = CDL_FORMAT_TENSOR_F32}};
    static const struct cdl_train_exchange exchange = {.share = whole_share,
                                                       .reduce = reduce_alone,
                                                       .finish = finish_alone,
                                                       .broadcast = broadcast_alone,
                                                       .bucket_bytes = 4096};
    struct cdl_train_result result;
    cdl_trainer *trainer;
    cdl_model *model = NULL;
    char path[sizeof t.folder + 8], note[8];
    snprintf(path, sizeof path, "%s/state", t.folder);
    cdl_result r = cdl_trainer_create(&trainer, harness.dev, (cdl_model *)(uintptr_t)a->input,
                                      cdl_trainer_params(.batch = 1, .num_classes = 3, .staging_bytes = 1,
                                                         .accumulate = true, .exchange = &exchange, .ema_decay = 0.5f));
    assert_true((r == CDL_OK) == (trainer != NULL));
    if (r == CDL_OK)
        r = cdl_trainer_align(trainer);
    if (r == CDL_OK)
        r = cdl_trainer_accumulate(trainer, &picture, 1, 0);
    if (r == CDL_OK)
        r = cdl_trainer_step(trainer, &picture, 1, 0, 0.1f);
    if (r == CDL_OK)
        r = cdl_trainer_result(trainer, true, &result);
    if (r == CDL_OK) {
        r = cdl_trainer_model(trainer, &model);
        assert_true((r == CDL_OK) == (model != NULL));
    }
    if (r == CDL_OK)
        r = cdl_trainer_save_state(trainer, path, "here");
    if (r == CDL_OK)
        r = cdl_trainer_load_state(trainer, path, note, sizeof note);
    cdl_model_destroy(&model);
    cdl_trainer_destroy(&trainer);
    remove(path);
    return r;
}

// One that times its dispatches, which it does not with an exchange.
static cdl_result train_timed(const struct attempt *a) {
    static const float pixels[3 * 7 * 11];
    const struct cdl_train_picture picture = {
        .pixels = {.data = pixels, .width = 7, .height = 11, .format = CDL_FORMAT_TENSOR_F32}};
    struct cdl_train_result result;
    cdl_trainer *trainer;
    int num;
    cdl_result r = cdl_trainer_create(&trainer, harness.dev, (cdl_model *)(uintptr_t)a->input,
                                      cdl_trainer_params(.batch = 1, .staging_bytes = 1, .timings = true));
    if (r == CDL_OK)
        r = cdl_trainer_step(trainer, &picture, 1, 0, 0.1f);
    if (r == CDL_OK)
        r = cdl_trainer_result(trainer, true, &result);
    if (r == CDL_OK)
        r = cdl_trainer_timings(trainer, NULL, 0, &num);
    cdl_trainer_destroy(&trainer);
    return r;
}

static void test_trainer(void **state) {
    (void)state;
    cdl_model *model = harness_load("basic_3x3");
    const struct attempt attempt = {.what = "trainer", .run = train, .input = model, .forgiving = true};
    assert_int_equal(train(&attempt), CDL_OK); // from now on all kernels are known
    exhaust(&attempt);
    const struct attempt timed = {.what = "timed trainer", .run = train_timed, .input = model, .forgiving = true};
    assert_int_equal(train_timed(&timed), CDL_OK);
    exhaust(&timed);
    cdl_model_destroy(&model);
}

static void test_devices_and_sessions(void **state) {
    (void)state;
    live_once(t.logits);
    exhaust(&(struct attempt){.what = "own device", .run = open_own, .forgiving = true});
    exhaust(&(struct attempt){.what = "list of devices", .run = list_devices, .forgiving = true});
    exhaust(&(struct attempt){.what = "import", .run = import, .forgiving = true});
    assert_int_equal(create_session(&(struct attempt){.what = "once", .input = harness.dev}),
                     CDL_OK); // from now on all is known
    exhaust(&(struct attempt){.what = "session", .run = create_session, .input = harness.dev, .forgiving = true});
    exhaust(&(struct attempt){.what = "import and session", .run = create_session, .forgiving = true});
}

// ---- all

static int open_all(void **state) {
    static uint8_t pixels[16 * 16 * 4];
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (rig_open(state))
        return -1;
    struct random r = random_of(13);
    t.model = harness_load("bottleneck_g8");
    for (int i = 0; i < 2; i++) {
        random_fill(&r, t.rgb[i], sizeof t.rgb[i]);
        t.pixels[i] =
            (struct cdl_pixels){.data = t.rgb[i], .width = 40 - 10 * i, .height = 30, .format = CDL_FORMAT_RGB8};
    }
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)random_next(&r);
    t.image = rig_image(&(struct rig_image_params){
        .format = VK_FORMAT_R8G8B8A8_UNORM, .width = 16, .height = 16, .data = pixels, .pixel_bytes = 4});
    const char *base = getenv("TMPDIR");
    snprintf(t.folder, sizeof t.folder, "%s/cardinal-failures-XXXXXX", base && base[0] ? base : "/tmp");
    if (!mkdtemp(t.folder))
        return -1;
    printf("  %-40s %5s %5s\n", "failed allocations, all survived", "one", "on");
    return 0;
}

static int close_all(void **state) {
    empty_folder();
    rmdir(t.folder);
    rig_image_free(&t.image);
    cdl_model_destroy(&t.model);
    return rig_close(state);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_files),     cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_other_models),    cmocka_unit_test(test_devices_and_sessions),
        cmocka_unit_test(test_vulkan_failures), cmocka_unit_test(test_trainer),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const int status = cmocka_run_group_tests_name("failures", tests, open_all, close_all);
    printf("%d host allocations failed alone, %d with all that followed\n", survived[0], survived[1]);
    return status;
}
