// test_failures.c - what happens when memory runs out, or the device goes, at every single place where it can.
//
// Host memory: each allocation of Cardinal's own code and of jansson fails in turn (heap.h), alone and together with all
// that follow, while models of every format are loaded, made and saved, devices are opened and sessions are created.
// Expected each time: CDL_ERR_NOMEM and a line in the log, no object, nothing left allocated or mapped; and no file or
// the whole file where one is written.
#include "harness.h"
#include "heap.h"

static int survived[2]; // failures injected so far: one alone, or all from there on

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
            // jansson takes a string that it has no memory for as one that is malformed.
            const bool right = r == CDL_ERR_NOMEM || (a->forgiving && r == CDL_OK) || (heap_failed_in_json() && (r == CDL_ERR_FORMAT || r == CDL_ERR_INVALID));
            if (failed && (!right || (r != CDL_OK && lines < 1)))
                fail_msg("%s, allocation %ld failed: %s, %d error lines: %s", a->what, n, cdl_result_str(r), lines, harness.last);
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
        "models/plain.safetensors", "models/zip.pth", "models/legacy.pth", "models/protocol4.pth", "models/half_legacy.pth",
        "models/bfloat16.pth", "models/checkpoint.pth", "models/model_key_legacy.pth", "models/strided.pth", "models/strided_legacy.pth",
        "models/zip64.pth", "layers/bottleneck_g8.safetensors",
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
    const struct cdl_pair pairs[] = {{"labels", "[\"a\", \"b\", \"c\"]"}, {"mean", "0.5,0.5,0.5"}, {"note", "one's own"}};
    cdl_model *model;
    (void)a;
    char path[512];
    snprintf(path, sizeof path, "%s/models/plain.safetensors", CDL_GOLDEN_DIR);
    const cdl_result r = cdl_model_load_file(&model, path, cdl_model_params(.log = harness_log(), .metadata = pairs, .num_metadata = 3));
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
    const cdl_result r = cdl_model_load_memory(&model, data, size, count_free, &freed, cdl_model_params(.log = harness_log()));
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

static int open_all(void **state) {
    (void)state;
    heap_open();
    cdl_mutex_init(&harness.lock);
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("  %-40s %5s %5s\n", "failures injected, all survived", "one", "on");
    return 0;
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_files), cmocka_unit_test(test_bad_files), cmocka_unit_test(test_other_models),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const int status = cmocka_run_group_tests_name("failures", tests, open_all, NULL);
    printf("%d host allocations failed alone, %d with all that followed\n", survived[0], survived[1]);
    return status;
}
