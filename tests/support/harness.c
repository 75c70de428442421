// harness.c - see harness.h.
#include "support/harness.h"

#include <time.h>

struct harness harness;

static const char validation_prefix[] = "validation:";

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    struct harness *h = ctx;
    cdl_mutex_lock(&h->lock);
    if (!strncmp(msg, validation_prefix, sizeof validation_prefix - 1)) {
        if (h->validation++ < 4)
            fprintf(stderr, "%.400s\n", msg);
    } else if (level == CDL_LOG_ERR || level == CDL_LOG_WARN) {
        *(level == CDL_LOG_ERR ? &h->errors : &h->warnings) += 1;
        cdl_format_text(h->last, sizeof h->last, "%s", msg);
    }
    cdl_mutex_unlock(&h->lock);
}

const cdl_log harness_shared_log = {on_log, &harness, CDL_LOG_WARN};
cdl_log harness_log(void) { return harness_shared_log; }

int harness_open(void **state) {
    (void)state;
    const char *wanted = getenv("CARDINAL_TEST_VALIDATION");
    const bool validate = !wanted || strcmp(wanted, "off") != 0;
    cdl_mutex_init(&harness.lock);
    harness_seed();
    const cdl_result r = cdl_device_create(
        &harness.dev, cdl_device_params(.log = harness_log(), .validate = validate, .name = getenv("CARDINAL_DEVICE")));
    if (r != CDL_OK) {
        fprintf(stderr, "no device: %s\n", harness.last);
        return -1;
    }
    cdl_device_get_info(harness.dev, &harness.info);
    if (harness.warnings) { // the validation layer is missing
        fprintf(stderr, "%s\n", harness.last);
        if (wanted && !strcmp(wanted, "required"))
            return -1;
        harness.warnings = 0;
    }
    printf("device: %s, %s\n", harness.info.name, harness.info.driver);
    return 0;
}

int harness_close(void **state) {
    (void)state;
    cdl_device_destroy(&harness.dev); // tells what was not destroyed before it
    if (harness.validation)
        fprintf(stderr, "%d validation messages\n", harness.validation);
    if (harness.errors + harness.warnings)
        fprintf(stderr, "%d errors and %d warnings that no test expected, the last: %s\n", harness.errors,
                harness.warnings, harness.last);
    return harness.validation + harness.errors + harness.warnings ? -1 : 0;
}

int harness_take_errors(void) {
    cdl_mutex_lock(&harness.lock);
    const int n = harness.errors;
    harness.errors = 0;
    cdl_mutex_unlock(&harness.lock);
    return n;
}

void harness_expect_failure(cdl_result r, cdl_result expected, const char *what) {
    const int lines = harness_take_errors();
    if (r != expected || lines != 1)
        fail_msg("%s: %s, expected %s; %d error lines, expected one%s%s", what, cdl_result_str(r),
                 cdl_result_str(expected), lines, lines ? ": " : "", lines ? harness.last : "");
}

void harness_expect_ok(cdl_result r, const char *what) {
    const int lines = harness_take_errors();
    if (r != CDL_OK || lines != 0)
        fail_msg("%s: %s; %d error lines%s%s", what, cdl_result_str(r), lines, lines ? ": " : "",
                 lines ? harness.last : "");
}

// ---- random numbers, models, memory

uint64_t harness_seed(void) {
    static uint64_t seed;
    static bool chosen;
    if (!chosen) {
        const char *text = getenv("CARDINAL_TEST_SEED");
        seed = text && text[0] ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);
        chosen = true;
        printf("CARDINAL_TEST_SEED=%llu\n", (unsigned long long)seed);
    }
    return seed;
}

struct random random_of(uint64_t stream) {
    return (struct random){harness_seed() * UINT64_C(0x9e3779b97f4a7c15) + stream * 0x632be59bd9b4e019u};
}

uint64_t random_next(struct random *r) {
    uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

int random_below(struct random *r, int n) { return (int)(random_next(r) % (uint64_t)n); }
float random_float(struct random *r) {
    return (float)((double)(random_next(r) >> 11) / (double)(UINT64_C(1) << 52) - 1);
}

void random_fill(struct random *r, uint8_t *out, size_t count) {
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)random_next(r);
}

uint8_t *random_bytes(struct random *r, size_t count) {
    uint8_t *bytes = must_alloc(count, 1);
    random_fill(r, bytes, count);
    return bytes;
}

cdl_model *harness_load(const char *name) {
    char path[512];
    cdl_model *model;
    snprintf(path, sizeof path, "%s/layers/%s.safetensors", CDL_GOLDEN_DIR, name);
    harness_expect_ok(cdl_model_load_file(&model, path, cdl_model_params(.log = harness_log())), path);
    return model;
}

cdl_model *harness_random_model(const char *arch) {
    cdl_model *model;
    harness_expect_ok(cdl_model_random(&model, arch, 1, cdl_model_params(.log = harness_log())), arch);
    return model;
}

void *must_alloc(size_t count, size_t size) {
    void *memory = calloc(count ? count : 1, size);
    if (!memory)
        fail_msg("out of memory: %zu x %zu bytes", count, size);
    return memory;
}

void remember_segment(const cdl_session *s, struct cdl_segment segment) {
    struct cdl_finding found = {.kind = CDL_FOUND_SEGMENT, .mode = CDL_TUNE_QUICK, .segment = segment};
    cdl_segment_key(found.key, &s->plan);
    cdl_findings_remember(s->dev, &found);
}
