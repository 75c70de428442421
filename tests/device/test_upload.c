// test_upload.c - the way of bytes to the device, by both policies: written in place, and copied. Whichever a device
// has, the other is forced, as far as the memory allows.
#include "support/harness.h"
#include "vulkan/one_shot.h"

enum { BYTES = 100000 };

// What lies in a buffer of the device, copied out and read.
static void read_back(uint64_t size, VkBuffer from, uint8_t *out) {
    struct cdl_buffer host;
    struct cdl_once once;
    struct cdl_device *dev = harness.dev;
    const VkBufferCopy region = {.size = size};
    harness_expect_ok(cdl_buffer_create(&host, dev, size, CDL_MEMORY_READBACK, "what was uploaded"), "readback");
    harness_expect_ok(cdl_once_create(&once, dev), "once");
    harness_expect_ok(cdl_once_begin(&once), "once");
    cdl_once_barrier(&once);
    dev->vkd.CmdCopyBuffer(once.commands, from, host.handle, 1, &region);
    harness_expect_ok(cdl_once_run(&once, 0), "once");
    harness_expect_ok(cdl_buffer_invalidate(&host, dev), "readback");
    memcpy(out, host.mapped, size);
    cdl_once_destroy(&once);
    cdl_buffer_destroy(&host, dev);
}

static void test_only_results_can_be_read(void **state) {
    (void)state;
    static const enum cdl_memory_use written[] = {CDL_MEMORY_DEVICE, CDL_MEMORY_SHARED, CDL_MEMORY_UPLOAD};
    struct cdl_buffer b;
    for (size_t i = 0; i < CDL_COUNT(written); i++) {
        harness_expect_ok(cdl_buffer_create(&b, harness.dev, BYTES, written[i], "a buffer"), "buffer");
        assert_null(b.mapped);
        cdl_buffer_destroy(&b, harness.dev);
    }
    harness_expect_ok(cdl_buffer_create(&b, harness.dev, BYTES, CDL_MEMORY_READBACK, "a buffer"), "buffer");
    assert_non_null(b.mapped);
    cdl_buffer_destroy(&b, harness.dev);
}

// Pieces of odd places and sizes, once; what lies between them stays.
static void test_once(void **state) {
    (void)state;
    struct random r = random_of(1);
    struct cdl_buffer b;
    uint8_t expected[BYTES], found[BYTES];
    harness_expect_ok(cdl_buffer_create(&b, harness.dev, BYTES, CDL_MEMORY_DEVICE, "a buffer"), "buffer");
    for (int copied = 0; copied < 2; copied++) {
        const bool before = harness.dev->copies_uploads;
        harness.dev->copies_uploads = copied;
        for (size_t i = 0; i < BYTES; i++)
            expected[i] = (uint8_t)random_below(&r, 256);
        harness_expect_ok(cdl_upload_now(harness.dev, &b, 0, expected, BYTES), "all");
        for (int i = 0; i < 20; i++) {
            const size_t at = (size_t)random_below(&r, BYTES), most = BYTES - at < 5000 ? BYTES - at : 5000;
            const size_t bytes = (size_t)random_below(&r, (uint32_t)most + 1);
            for (size_t k = 0; k < bytes; k++)
                expected[at + k] ^= 0x5a;
            harness_expect_ok(cdl_upload_now(harness.dev, &b, at, expected + at, bytes), "a piece");
        }
        read_back(BYTES, b.handle, found);
        assert_memory_equal(found, expected, BYTES);
        harness.dev->copies_uploads = before;
    }
    cdl_buffer_destroy(&b, harness.dev);
}

// More than goes through the host's memory at a time.
static void test_large(void **state) {
    (void)state;
    const size_t size = ((size_t)33 << 20) + 3;
    uint8_t *data = must_alloc(size, 1), *found = must_alloc(size, 1);
    struct cdl_buffer b;
    const bool before = harness.dev->copies_uploads;
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 13);
    harness_expect_ok(cdl_buffer_create(&b, harness.dev, size, CDL_MEMORY_DEVICE, "a buffer"), "buffer");
    harness.dev->copies_uploads = true;
    harness_expect_ok(cdl_upload_now(harness.dev, &b, 0, data, size), "all");
    harness.dev->copies_uploads = before;
    read_back(size, b.handle, found);
    assert_memory_equal(found, data, size);
    cdl_buffer_destroy(&b, harness.dev);
    free(data);
    free(found);
}

static cdl_model *load(const char *name) {
    char path[512];
    cdl_model *model;
    cdl_log log = harness_log();
    snprintf(path, sizeof path, "%s/layers/%s.safetensors", CDL_GOLDEN_DIR, name);
    harness_expect_ok(cdl_model_load_file(&model, path, cdl_model_params(.log = log)), path);
    return model;
}

// All that a session uploads by one of the policies: weights, pictures of many sizes in several parts, tensors.
static void run_session(cdl_model *model, bool copied, float logits[6][8]) {
    enum { SIDE = 160 };
    static uint8_t rgb[SIDE * SIDE * 4];
    struct random r = random_of(7);
    const bool before = harness.dev->copies_uploads;
    struct cdl_pixels pictures[3];
    cdl_session *s;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)random_below(&r, 256);
    harness.dev->copies_uploads = copied;
    harness_expect_ok(cdl_session_create(
                          &s, harness.dev, model,
                          cdl_session_params(.max_batch = 3, .staging_bytes = 150000, .precision = CDL_PRECISION_FP32)),
                      "session");
    float *tensor = must_alloc(3 * (size_t)s->info.width * (size_t)s->info.height, sizeof *tensor);
    for (size_t i = 0; i < 3 * (size_t)s->info.width * (size_t)s->info.height; i++)
        tensor[i] = random_float(&r);
    const int classes = s->info.num_classes < 8 ? s->info.num_classes : 8;
    for (int run = 0; run < 2; run++) {
        for (int i = 0; i < 3; i++)
            pictures[i] = run == 0 ? (struct cdl_pixels){.data = rgb,
                                                         .width = SIDE - 30 * i,
                                                         .height = SIDE - 20 * i,
                                                         .format = i == 0   ? CDL_FORMAT_RGB8
                                                                   : i == 1 ? CDL_FORMAT_RGBA8
                                                                            : CDL_FORMAT_NV12,
                                                         .orientation = 1 + 5 * i % 8}
                                   : (struct cdl_pixels){.data = tensor,
                                                         .width = s->info.width,
                                                         .height = s->info.height,
                                                         .format = CDL_FORMAT_TENSOR_F32};
        harness_expect_ok(cdl_session_run(s, pictures, 3), "run");
        for (int i = 0; i < 3; i++)
            memcpy(logits[3 * run + i], cdl_session_logits(s, 0, i), (size_t)classes * sizeof(float));
    }
    free(tensor);
    cdl_session_destroy(&s);
    harness.dev->copies_uploads = before;
}

static void test_session_by_both(void **state) {
    (void)state;
    static const char *const networks[] = {"basic_3x3", "bottleneck_g8"};
    for (size_t i = 0; i < CDL_COUNT(networks); i++) {
        float in_place[6][8] = {{0}}, copied[6][8] = {{0}};
        cdl_model *model = load(networks[i]), *same = load(networks[i]); // two, as sessions of one share its weights
        run_session(model, false, in_place);
        run_session(same, true, copied);
        assert_memory_equal(in_place, copied, sizeof copied);
        assert_true(in_place[0][0] != in_place[1][0] && in_place[3][0] != in_place[0][0]);
        cdl_model_destroy(&model);
        cdl_model_destroy(&same);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_results_can_be_read),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_session_by_both),
    };
    return cmocka_run_group_tests_name("upload", tests, harness_open, harness_close);
}
