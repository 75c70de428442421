// test_cache.c - cache files: round trips, and damage of every kind, which must never be noticed but by slowness.
#include <unistd.h>

#include "support/harness.h"
#include "tune/tuner.h"

static char folder[256];

static int make_folder(void **state) {
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/cardinal-cache-XXXXXX", base && base[0] ? base : "/tmp");
    return mkdtemp(folder) ? harness_open(state) : -1;
}

static void path_of(char out[CDL_CACHE_PATH], const char *kind, const struct cdl_cache_key *key) {
    assert_true(cdl_cache_path(out, CDL_CACHE_PATH, folder, kind, key));
}

static size_t read_file(const char *path, uint8_t *out, size_t cap) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s is missing", path);
    const size_t size = fread(out, 1, cap, file);
    fclose(file);
    assert_true(size < cap);
    return size;
}

static void write_file(const char *path, const uint8_t *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("%s cannot be written", path);
    assert_true(fwrite(data, 1, size, file) == size);
    fclose(file);
}

static int close_all(void **state) {
    char path[CDL_CACHE_PATH];
    const char *const kinds[] = {"pipelines", "tuning", "things"};
    for (size_t i = 0; i < 3; i++)
        if (cdl_cache_path(path, sizeof path, folder, kinds[i], &harness.dev->cache_key))
            unlink(path);
    rmdir(folder);
    return harness_close(state);
}

// ---- files

static const struct cdl_cache_key key = {
    .device = {1, 2, 3},
    .driver = {4, 5, 6},
    .vendor_id = 7,
    .device_id = 8,
    .driver_version = 9,
    .shaders = 0x123456789abcdef0u,
};
static const char payload[] = "conv\tfast\nother\tslow\n";

static bool usable(const struct cdl_cache_key *k) {
    size_t size;
    char *data = cdl_cache_read(&size, folder, "things", k, NULL);
    const bool ok = data && size == sizeof payload && !memcmp(data, payload, size) && data[size] == 0;
    free(data);
    return ok;
}

static void test_round_trip(void **state) {
    (void)state;
    char path[CDL_CACHE_PATH];
    path_of(path, "things", &key);
    assert_false(usable(&key));
    assert_true(cdl_cache_write(payload, sizeof payload, folder, "things", &key, NULL));
    assert_true(usable(&key));
    assert_true(cdl_cache_write(payload, 0, folder, "things", &key, NULL)); // replaced, by nothing
    assert_false(usable(&key));
    size_t size = 1;
    char *nothing = cdl_cache_read(&size, folder, "things", &key, NULL);
    assert_non_null(nothing);
    assert_int_equal(size, 0);
    free(nothing);
    unlink(path);
    // A folder that is not there is no error.
    assert_false(cdl_cache_write(payload, sizeof payload, "/nonexistent/folder", "things", &key, NULL));
}

static void test_every_byte(void **state) {
    (void)state;
    char path[CDL_CACHE_PATH];
    uint8_t good[512], bad[513];
    path_of(path, "things", &key);
    assert_true(cdl_cache_write(payload, sizeof payload, folder, "things", &key, NULL));
    const size_t size = read_file(path, good, sizeof good);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            memcpy(bad, good, size);
            bad[i] ^= (uint8_t)(1 << bit);
            write_file(path, bad, size);
            if (usable(&key))
                fail_msg("byte %zu, bit %d may be wrong unnoticed", i, bit);
        }
    for (size_t length = 0; length < size; length++) {
        write_file(path, good, length);
        if (usable(&key))
            fail_msg("%zu of %zu bytes are enough", length, size);
    }
    memcpy(bad, good, size);
    bad[size] = 0;
    write_file(path, bad, size + 1);
    assert_false(usable(&key));
    write_file(path, good, size);
    assert_true(usable(&key));
    unlink(path);
}

// The file of one key under the name of another.
static void test_foreign(void **state) {
    (void)state;
    struct cdl_cache_key others[7];
    char path[CDL_CACHE_PATH], other_path[CDL_CACHE_PATH];
    uint8_t good[512];
    path_of(path, "things", &key);
    assert_true(cdl_cache_write(payload, sizeof payload, folder, "things", &key, NULL));
    const size_t size = read_file(path, good, sizeof good);
    for (int i = 0; i < 7; i++)
        others[i] = key;
    others[0].device[15] ^= 1;
    others[1].driver[15] ^= 1;
    others[2].vendor_id++;
    others[3].device_id++;
    others[4].driver_version++;
    others[5].shaders++;
    others[6].shaders ^= UINT64_C(1) << 63;
    for (int i = 0; i < 7; i++) {
        path_of(other_path, "things", &others[i]);
        write_file(other_path, good, size);
        assert_false(usable(&others[i]));
        unlink(other_path);
    }
    unlink(path);
}

// ---- the findings' text

static struct cdl_finding any_finding(struct random *r) {
    struct cdl_finding f = {.kind = (enum cdl_finding_kind)random_below(r, 3)};
    snprintf(f.key, sizeof f.key, "key %d", random_below(r, 200));
    if (f.kind == CDL_FOUND_CHECK) {
        f.passed = random_below(r, 2);
        return f;
    }
    f.mode = random_below(r, 2) ? CDL_TUNE_QUICK : CDL_TUNE_FULL;
    if (f.kind == CDL_FOUND_SEGMENT) {
        f.segment = (struct cdl_segment){random_below(r, 100), random_below(r, 100)};
    } else {
        f.ns = (uint64_t)random_next(r) << random_below(r, 30);
        f.kernel = (uint64_t)random_next(r) << 32 | random_next(r);
    }
    return f;
}

static void expect_same_finding(const struct cdl_finding *a, const struct cdl_finding *b) {
    assert_non_null(a);
    assert_string_equal(a->key, b->key);
    assert_true(a->kind == b->kind && a->mode == b->mode && a->ns == b->ns && a->kernel == b->kernel);
    assert_true(a->segment.steps == b->segment.steps && a->segment.images == b->segment.images &&
                a->passed == b->passed);
}

static void test_findings(void **state) {
    (void)state;
    struct cdl_findings findings = {0}, copy = {0};
    struct random r = random_of(3);
    char noise[4096];
    size_t size;
    for (int i = 0; i < 300; i++) { // in random order, many twice
        const struct cdl_finding f = any_finding(&r);
        assert_true(cdl_findings_set(&findings, &f));
        expect_same_finding(cdl_findings_find(&findings, f.key), &f);
    }
    assert_false(cdl_findings_set(&findings, &(struct cdl_finding){.key = "a\tb"}));
    assert_false(cdl_findings_set(&findings, &(struct cdl_finding){.key = "a\nb"}));
    assert_false(cdl_findings_set(&findings, &(struct cdl_finding){.key = ""}));
    char *text = cdl_findings_format(&findings, &size);
    assert_non_null(text);
    cdl_findings_parse(&copy, text, size);
    assert_int_equal(copy.count, findings.count);
    for (int i = 0; i < findings.count; i++)
        expect_same_finding(cdl_findings_find(&copy, findings.items[i].key), &findings.items[i]);
    assert_null(cdl_findings_find(&copy, "key 200"));
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = random_below(&r, 8) ? (char)random_next(&r) : random_below(&r, 2) ? '\n' : '\t';
        cdl_findings_parse(&copy, noise, sizeof noise);
        cdl_findings_parse(&copy, text, (size_t)random_below(&r, (int)size)); // cut short
    }
    free(text);
    cdl_findings_free(&findings);
    cdl_findings_free(&copy);
}

// Lines that are no findings, in any field, are passed over.
static void test_senseless_findings(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        "kernel",
        "kernel\tquick",
        "kernel\tquick\t1\t00000000000000ff",
        "kernel\toff\t1\tff\tkey",
        "kernel\tquick\t-1\tff\tkey",
        "kernel\tquick\t1\tfg\tkey",
        "kernel\tquick\t1\tff\t",
        "kernel\tquick\t1\tff\tkey\tmore",
        "segment\tfull\t3\tkey",
        "segment\tfull\t-1\t2\tkey",
        "segment\tfull\t99999999999999999999\t1\tkey",
        "segment\tfull\tx\ty\tkey",
        "check\tperhaps\tkey",
        "check\tpassed",
        "shape conv1x1, batch 1\tquick 12.5 us by conv_direct 64,1,1 fp32", // as version 0.1 wrote
    };
    for (size_t i = 0; i < CDL_COUNT(lines); i++) {
        struct cdl_findings findings = {0};
        char text[256];
        snprintf(text, sizeof text, "%s\ncheck\tpassed\tthe line behind\n", lines[i]);
        cdl_findings_parse(&findings, text, strlen(text));
        if (findings.count != 1)
            fail_msg("'%s' was taken", lines[i]);
        assert_non_null(cdl_findings_find(&findings, "the line behind"));
        cdl_findings_free(&findings);
    }
}

// ---- a device with a cache folder

static cdl_device *open_device(void) {
    cdl_device *dev;
    harness_expect_ok(
        cdl_device_create(&dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid, .cache_dir = folder,
                                                  .validate = harness.dev->instance.messenger != NULL)),
        "device");
    return dev;
}

static void run_once(cdl_device *dev, float *logits, struct cdl_session_info *info) {
    static float tensor[3 * 5 * 7];
    const struct cdl_pixels pixels = {.data = tensor, .width = 5, .height = 7, .format = CDL_FORMAT_TENSOR_F32};
    cdl_model *model = harness_load("bottleneck_g8");
    cdl_session *s;
    for (size_t i = 0; i < 3 * 5 * 7; i++)
        tensor[i] = (float)(i % 13) / 8 - 0.5f;
    harness_expect_ok(cdl_session_create(&s, dev, model, cdl_session_params(.precision = CDL_PRECISION_FP32)),
                      "session");
    harness_expect_ok(cdl_session_run(s, &pixels, 1), "run");
    memcpy(logits, cdl_session_logits(s, 0, 0), 10 * sizeof *logits);
    cdl_session_get_info(s, info);
    cdl_session_destroy(&s);
    cdl_model_destroy(&model);
}

static void test_device(void **state) {
    (void)state;
    static uint8_t good[1 << 24], bad[1 << 24];
    const char *const kinds[] = {"tuning", "pipelines"};
    struct cdl_session_info first, second, info;
    float expected[10], logits[10];
    char path[CDL_CACHE_PATH];
    struct random r = random_of(5);

    cdl_device *dev = open_device();
    run_once(dev, expected, &first);
    assert_true(cdl_findings_of(dev)->count > 0); // verdicts of self-tests
    const int known = cdl_findings_of(dev)->count;
    cdl_device_destroy(&dev);

    dev = open_device();
    assert_int_equal(cdl_findings_of(dev)->count, known); // from the file
    const bool keeps = dev->pipelines.loaded > 1024;      // the driver's cache is more than a header
    run_once(dev, logits, &second);
    assert_memory_equal(logits, expected, sizeof expected);
    assert_int_equal(cdl_findings_of(dev)->count, known);
    cdl_device_destroy(&dev);
    printf("first start: %d pipelines, %d compiled; second: %d, %d; %s\n", first.pipelines, first.pipelines_compiled,
           second.pipelines, second.pipelines_compiled,
           keeps ? "the driver fills its cache" : "the driver leaves its cache empty");
    if (keeps && second.pipelines_compiled >= 0)
        assert_int_equal(second.pipelines_compiled, 0);

    for (size_t k = 0; k < 2; k++)
        for (int damage = 0; damage < 12; damage++) {
            path_of(path, kinds[k], &harness.dev->cache_key);
            const size_t size = read_file(path, good, sizeof good);
            memcpy(bad, good, size);
            for (size_t i = 0; damage == 0 && i < size; i++)
                bad[i] = (uint8_t)random_next(&r);
            if (damage >= 6)
                bad[(size_t)random_below(&r, (int)size)] ^= (uint8_t)(1 + random_below(&r, 255));
            write_file(path, bad, damage >= 1 && damage < 6 ? size * (size_t)(damage - 1) / 5 : size);
            dev = open_device();
            run_once(dev, logits, &info);
            assert_memory_equal(logits, expected, sizeof expected);
            cdl_device_destroy(&dev);
        }
    dev = open_device(); // rebuilt
    assert_int_equal(cdl_findings_of(dev)->count, known);
    cdl_device_destroy(&dev);
}

// Pipelines alone, for drivers that compile and do not run (Mesa's without hardware).
static void test_pipelines(void **state) {
    (void)state;
    static const enum cdl_fixed_program programs[] = {CDL_PREPROCESS, CDL_IMPORT, CDL_CLASSIFY};
    char path[CDL_CACHE_PATH];
    VkPipeline pipeline, again;
    path_of(path, "pipelines", &harness.dev->cache_key);
    unlink(path);
    for (int start = 0; start < 2; start++) {
        cdl_device *dev = open_device();
        for (size_t i = 0; i < CDL_COUNT(programs); i++) {
            const struct cdl_program program = cdl_fixed_program(programs[i], false);
            harness_expect_ok(cdl_pipeline_get(&pipeline, dev, &program), program.shader->name);
            harness_expect_ok(cdl_pipeline_get(&again, dev, &program), program.shader->name);
            assert_true(pipeline == again); // made once
        }
        assert_int_equal(dev->pipelines.created, CDL_COUNT(programs));
        printf("start %d: %zu bytes of cache, %d of %d pipelines told, %d from the cache\n", start + 1,
               dev->pipelines.loaded, dev->pipelines.told, dev->pipelines.created, dev->pipelines.hits);
        if (start == 1 && dev->pipelines.loaded > 1024 && dev->pipelines.told == (int)CDL_COUNT(programs))
            assert_int_equal(dev->pipelines.hits, CDL_COUNT(programs));
        cdl_device_destroy(&dev);
    }
}

// A folder that cannot be written to is no failure.
static void test_no_folder(void **state) {
    (void)state;
    struct cdl_session_info info;
    float logits[10];
    cdl_device *dev;
    harness_expect_ok(cdl_device_create(&dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid,
                                                                .cache_dir = "/nonexistent/folder")),
                      "device");
    assert_int_equal(harness.warnings, 1); // but it is told
    assert_non_null(strstr(harness.last, "/nonexistent/folder"));
    harness.warnings = 0;
    run_once(dev, logits, &info);
    cdl_device_destroy(&dev);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_byte),         cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_findings),   cmocka_unit_test(test_senseless_findings), cmocka_unit_test(test_pipelines),
        cmocka_unit_test(test_device),     cmocka_unit_test(test_no_folder),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("cache", tests, make_folder, close_all);
}
