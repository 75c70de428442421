// test_contracts.c - what the public headers promise of every function.
//
// No allocation after a session's creation: counted, on the heap (heap.h) and in Vulkan (hook.h), over all that a
// session does. Threads: sessions on one device, a device shared with a host that draws and submits to the same queue,
// every use of the queue between lock and unlock. Misuse: each documented rule of each function of cdl.h, broken, gives
// its error, one line in the log, and nothing else; those of cdl_vulkan.h are test_vulkan.c's and
// test_vulkan_import.c's. `// misuse: FUNCTION` marks such tests, and check_misuse.py fails when a public function has
// none. Run under ThreadSanitizer too (.ci/run).
#include <math.h>

#include "support/rig.h"

#include "support/heap.h"
#include "system/thread.h"

enum { WIDTH = 5, HEIGHT = 7, CLASSES = 10, FEATURES = 256, ROUNDS = 12 };

static struct {
    cdl_model *model; // 10 classes, input 5x7 (width x height)
    uint8_t bytes[120 * 90 * 4];
    float tensor[3 * WIDTH * HEIGHT];
    struct cdl_pixels pixels;
    struct rig_image image;
    struct cdl_vk_input view, buffer_input;
    struct rig_buffer buffer, probs;
    float logits[CLASSES]; // of `pixels`
} t;

static int open_all(void **state) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (rig_open(state))
        return -1;
    struct random r = random_of(14);
    random_fill(&r, t.bytes, sizeof t.bytes);
    for (size_t i = 0; i < CDL_COUNT(t.tensor); i++)
        t.tensor[i] = random_float(&r);
    t.model = harness_load("bottleneck_g8");
    t.pixels = (struct cdl_pixels){.data = t.bytes, .width = 30, .height = 40, .format = CDL_FORMAT_RGBA8};
    t.image = rig_image(&(struct rig_image_params){
        .format = VK_FORMAT_R8G8B8A8_UNORM, .width = 30, .height = 40, .data = t.bytes, .pixel_bytes = 4});
    t.view = (struct cdl_vk_input){
        .width = 30, .height = 40, .view = t.image.view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    t.buffer = rig_buffer(VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, 30 * 40 * 4);
    memcpy(t.buffer.mapped, t.bytes, t.buffer.size);
    t.buffer_input =
        (struct cdl_vk_input){.width = 30, .height = 40, .buffer = t.buffer.handle, .format = CDL_FORMAT_RGBA8};
    t.probs = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 4 * CLASSES * 2);
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, t.model, NULL), "session");
    harness_expect_ok(cdl_session_run(s, &t.pixels, 1), "run");
    memcpy(t.logits, cdl_session_logits(s, 0, 0), sizeof t.logits);
    cdl_session_destroy(&s);
    return 0;
}

static int close_all(void **state) {
    rig_image_free(&t.image);
    rig_buffer_free(&t.buffer);
    rig_buffer_free(&t.probs);
    cdl_model_destroy(&t.model);
    return rig_close(state);
}

// ---- nothing is allocated

static void use_results(const cdl_session *s, int slot, int image) {
    struct cdl_class top[CLASSES];
    struct cdl_timing timings[64];
    struct cdl_region seen;
    struct cdl_session_info info;
    float map[16];
    int num;
    harness_expect_ok(cdl_session_topk(s, slot, image, top, CLASSES), "topk");
    assert_non_null(cdl_session_logits(s, slot, image));
    assert_non_null(cdl_session_features(s, slot, image));
    harness_expect_ok(cdl_session_cam(s, slot, image, top[0].id, map), "cam");
    harness_expect_ok(cdl_session_seen(s, 640, 480, &seen), "seen");
    harness_expect_ok(cdl_session_timings(s, slot, timings, 64, &num), "timings");
    assert_true(cdl_session_preprocess_ns(s, slot) <= cdl_session_gpu_ns(s, slot));
    cdl_session_get_info(s, &info);
    assert_true(info.cam_width * info.cam_height <= 16);
}

static void use_pixels(cdl_session *s) {
    const struct cdl_pixels all[] = {
        t.pixels,
        {.data = t.bytes, .width = 33, .height = 21, .format = CDL_FORMAT_RGB8, .orientation = 6},
        {.data = t.bytes, .width = 120, .height = 90, .format = CDL_FORMAT_BGRA8},
        {.data = t.bytes, .width = 64, .height = 50, .format = CDL_FORMAT_GRAY8},
        {.data = t.bytes, .width = 40, .height = 30, .format = CDL_FORMAT_NV12},
        {.data = t.tensor, .width = WIDTH, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32},
    };
    for (size_t i = 0; i < CDL_COUNT(all); i++) {
        harness_expect_ok(cdl_session_run(s, &all[i], 1), "run");
        use_results(s, 0, 0);
    }
    harness_expect_ok(cdl_session_submit(s, 1, all, 3), "submit");
    while (cdl_session_wait(s, 1, 1000) == CDL_NOT_READY)
        ;
    use_results(s, 1, 2);
    harness_expect_failure(cdl_session_run(s, NULL, 1), CDL_ERR_INVALID, "misuse");
}

static void use_vulkan(cdl_session *s, VkCommandBuffer cmds[2]) {
    const struct cdl_vk_input inputs[] = {t.view, t.buffer_input, t.view};
    for (int slice = 0; slice < 4; slice++)
        harness_expect_ok(cdl_vk_record(s, cmds[0],
                                        cdl_vk_run(.inputs = inputs, .count = 2, .slice = slice, .num_slices = 4,
                                                   .probs = t.probs.handle)),
                          "record");
    harness_expect_ok(cdl_vk_record(s, cmds[1], cdl_vk_run(.slot = 1, .inputs = inputs, .count = 3)), "record");
    for (int i = 0; i < 2; i++) {
        rig_end(cmds[i]);
        rig_wait(rig_submit(cmds[i]));
        harness_expect_ok(cdl_vk_retire(s, i, true), "retire");
        use_results(s, i, 1);
    }
    harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = inputs, .count = 1), NULL, 0, NULL, 0), "submit");
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    use_results(s, 0, 0);
}

static void test_nothing_allocates(void **state) {
    (void)state;
    cdl_session *s;
    for (int precision = CDL_PRECISION_FP32; precision <= CDL_PRECISION_FP16; precision++) {
        const long blocks_before = heap_calls(), objects_before = hook_creations();
        harness_expect_ok(
            cdl_session_create(&s, harness.dev, t.model,
                               cdl_session_params(.max_batch = 3, .num_slots = 2, .timings = true, .cam = true,
                                                  .staging_bytes = 32768, .precision = (cdl_precision)precision)),
            "session");
        const long blocks = heap_calls(), objects = hook_creations();
        assert_true(blocks > blocks_before && objects > objects_before); // the counters count
        for (int round = 0; round < 2; round++) {
            VkCommandBuffer cmds[2] = {rig_begin(), rig_begin()};
            use_pixels(s);
            use_vulkan(s, cmds);
            vkFreeCommandBuffers(rig.host.device, rig.pool, 2, cmds);
        }
        assert_int_equal(heap_calls() - blocks, 0);
        assert_int_equal(hook_creations() - objects, 0);
        cdl_session_destroy(&s);
    }
}

// ---- threads

struct worker {
    void (*round)(struct worker *w);
    cdl_session *s;
    VkCommandPool pool;
    struct rig_buffer buffer;
    int failures;
};

static atomic_int unlocked_submits;
static void check_lock(void) { atomic_fetch_add(&unlocked_submits, !rig_holds_queue()); }

static void check_result(struct worker *w, cdl_result r) { // no cmocka here: its failures belong to the main thread
    const float *logits = r == CDL_OK ? cdl_session_logits(w->s, 0, 0) : NULL;
    w->failures += !logits || memcmp(logits, t.logits, sizeof t.logits);
}

static void round_pixels(struct worker *w) { check_result(w, cdl_session_run(w->s, &t.pixels, 1)); }

static void round_vk_submit(struct worker *w) {
    cdl_result r = cdl_vk_submit(w->s, cdl_vk_run(.inputs = &t.view, .count = 1), NULL, 0, NULL, 0);
    if (r == CDL_OK)
        r = cdl_session_wait(w->s, 0, UINT64_MAX);
    check_result(w, r);
}

static VkCommandBuffer begin_in(VkCommandPool pool) {
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkCommandBuffer cmd;
    HOST_VK(vkAllocateCommandBuffers(rig.host.device, &info, &cmd));
    HOST_VK(vkBeginCommandBuffer(cmd, &begin));
    return cmd;
}

static void round_record(struct worker *w) {
    VkCommandBuffer cmd = begin_in(w->pool);
    cdl_result r = cdl_vk_record(w->s, cmd, cdl_vk_run(.inputs = &t.buffer_input, .count = 1));
    rig_end(cmd);
    rig_wait(rig_submit(cmd));
    if (r == CDL_OK)
        r = cdl_vk_retire(w->s, 0, true);
    check_result(w, r);
    vkFreeCommandBuffers(rig.host.device, w->pool, 1, &cmd);
}

static void round_host(struct worker *w) { // stands for the thread that renders
    const VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    VkCommandBuffer cmd = begin_in(w->pool);
    vkCmdFillBuffer(cmd, w->buffer.handle, 0, w->buffer.size, 0x2a2a2a2a);
    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &barrier, 0, NULL, 0,
                         NULL);
    rig_end(cmd);
    rig_wait(rig_submit(cmd));
    w->failures += w->buffer.mapped[w->buffer.size - 1] != 0x2a;
    w->buffer.mapped[w->buffer.size - 1] = 0;
    vkFreeCommandBuffers(rig.host.device, w->pool, 1, &cmd);
}

static void round_create(struct worker *w) { // a session's creation submits and shares weights and pipelines
    cdl_session_destroy(&w->s);
    cdl_result r = cdl_session_create(&w->s, harness.dev, t.model, NULL);
    if (r == CDL_OK)
        r = cdl_session_run(w->s, &t.pixels, 1);
    check_result(w, r);
}

static void work(void *ctx) {
    struct worker *w = ctx;
    for (int i = 0; i < ROUNDS; i++)
        w->round(w);
}

static void test_threads(void **state) {
    (void)state;
    struct worker workers[] = {{.round = round_pixels}, {.round = round_vk_submit}, {.round = round_record},
                               {.round = round_host},   {.round = round_create},    {.round = round_host}};
    thread_handle threads[CDL_COUNT(workers)];
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = rig.host.queue_family,
    };
    const int locked_before = rig.locked;
    const long submits_before = hook_submits();
    hook_set_options(&(struct hook_options){.on_submit = check_lock});
    for (size_t i = 0; i < CDL_COUNT(workers); i++) {
        struct worker *w = &workers[i];
        if (w->round != round_host)
            harness_expect_ok(cdl_session_create(&w->s, harness.dev, t.model, NULL), "session");
        w->buffer = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 4096);
        HOST_VK(vkCreateCommandPool(rig.host.device, &pool, NULL, &w->pool));
    }
    for (size_t i = 0; i < CDL_COUNT(workers); i++)
        assert_true(thread_create(&threads[i], work, &workers[i]));
    for (size_t i = 0; i < CDL_COUNT(workers); i++)
        thread_join(&threads[i]);
    for (size_t i = 0; i < CDL_COUNT(workers); i++) {
        if (workers[i].failures)
            fail_msg("thread %zu: %d of %d rounds failed: %s", i, workers[i].failures, ROUNDS, harness.last);
        cdl_session_destroy(&workers[i].s);
        rig_buffer_free(&workers[i].buffer);
        vkDestroyCommandPool(rig.host.device, workers[i].pool, NULL);
    }
    hook_set_options(&(struct hook_options){0});
    assert_int_equal(atomic_load(&unlocked_submits), 0);
    assert_true(rig.locked - locked_before >= 3 * ROUNDS);
    assert_int_equal(rig.locked, rig.unlocked);
    assert_int_equal(rig.locked - locked_before, hook_submits() - submits_before); // the queue is used for nothing else
    assert_int_equal(harness_take_errors(), 0);
}

// ---- misuse

static void refuse(cdl_result r, const char *word, const char *what) {
    rig_expect_refusal(r, CDL_ERR_INVALID, word, what);
}

// misuse: cdl_device_create
// misuse: cdl_device_destroy
// misuse: cdl_device_list
// misuse: cdl_device_measure_peaks
// misuse: cdl_result_str
static void test_device_misuse(void **state) {
    (void)state;
    const cdl_log log = harness_log();
    struct cdl_device_info list[2];
    cdl_device *dev = (cdl_device *)1;
    int num = -1;
    refuse(cdl_device_create(NULL, cdl_device_params(.log = log)), "out", "no place for the device");
    assert_int_equal(cdl_device_create(&dev, &(struct cdl_device_params){.log = log}),
                     CDL_ERR_INVALID); // silent: no struct_size
    assert_null(dev);
    cdl_device_destroy(&dev);
    cdl_device_destroy(NULL);
    refuse(cdl_device_list(list, 2, NULL, &log), "num", "a list without a count");
    refuse(cdl_device_list(NULL, 2, &num, &log), "out", "a list to nowhere");
    refuse(cdl_device_measure_peaks(harness.dev, NULL), "out", "peaks to nowhere");
    assert_int_equal(cdl_device_list(list, 2, NULL, NULL), CDL_ERR_INVALID); // no log: silent
    assert_int_equal(harness_take_errors(), 0);
    assert_string_equal(cdl_result_str((cdl_result)-99), cdl_result_str((cdl_result)99));
    assert_non_null(cdl_result_str((cdl_result)99));
}

// misuse: cdl_model_load_file
// misuse: cdl_model_load_memory
// misuse: cdl_model_random
// misuse: cdl_model_destroy
// misuse: cdl_model_arch_name
// misuse: cdl_model_metadata_key
// misuse: cdl_model_nearest_key
// misuse: cdl_model_save
// misuse: cdl_model_class_name
static void test_model_misuse(void **state) {
    (void)state;
    const cdl_log log = harness_log();
    const struct cdl_model_params *plain = cdl_model_params(.log = log);
    const struct cdl_pair half = {"mean", NULL}, nameless = {NULL, "1"}, bad = {"mean", "grey"};
    struct cdl_model_params wrong[] = {{.log = log, .num_metadata = -1},
                                       {.log = log, .num_metadata = 1},
                                       {.log = log, .metadata = &half, .num_metadata = 1},
                                       {.log = log, .metadata = &nameless, .num_metadata = 1},
                                       {.log = log, .metadata = &bad, .num_metadata = 1},
                                       {.log = log, .num_defaults = -1},
                                       {.log = log, .num_defaults = 1},
                                       {.log = log, .defaults = &half, .num_defaults = 1},
                                       {.log = log, .defaults = &nameless, .num_defaults = 1}};
    char path[512];
    cdl_model *model = (cdl_model *)1;
    int freed = 0;
    snprintf(path, sizeof path, "%s/layers/bottleneck_g8.safetensors", CDL_GOLDEN_DIR);
    refuse(cdl_model_load_file(NULL, path, plain), "out", "no place for the model");
    refuse(cdl_model_load_file(&model, NULL, plain), "path", "no path");
    assert_null(model);
    refuse(cdl_model_load_memory(NULL, &freed, sizeof freed, NULL, NULL, plain), "out", "no place for the model");
    refuse(cdl_model_load_memory(&model, NULL, 1, NULL, NULL, plain), "data", "no data");
    refuse(cdl_model_random(NULL, "resnet18", 1, plain), "out", "no place for the model");
    refuse(cdl_model_random(&model, NULL, 1, plain), "arch", "no architecture");
    refuse(cdl_model_random(&model, "resnet19", 1, plain), "resnet19", "an unknown architecture");
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        assert_int_equal(cdl_model_load_file(&model, path, &wrong[i]), CDL_ERR_INVALID); // silent: no struct_size
        assert_int_equal(harness_take_errors(), 0);
        wrong[i].struct_size = sizeof wrong[i];
        refuse(cdl_model_load_file(&model, path, &wrong[i]), "m", "metadata, a file");
        refuse(cdl_model_random(&model, "resnet18", 1, &wrong[i]), "m", "metadata, random");
        assert_null(model);
    }
    refuse(cdl_model_save(NULL, "x.safetensors", CDL_DTYPE_F32, &log), "model", "saving nothing");
    refuse(cdl_model_save(t.model, NULL, CDL_DTYPE_F32, &log), "path", "saving nowhere");
    refuse(cdl_model_save(t.model, "x.safetensors", (cdl_dtype)3, &log), "dtype", "saving as what?");
    cdl_model_destroy(&model);
    cdl_model_destroy(NULL);
    assert_null(cdl_model_arch_name(-1));
    assert_null(cdl_model_arch_name(INT32_MAX));
    assert_null(cdl_model_metadata_key(-1));
    assert_null(cdl_model_metadata_key(INT32_MAX));
    assert_null(cdl_model_nearest_key(NULL));
    assert_null(cdl_model_class_name(t.model, -1));
    assert_null(cdl_model_class_name(t.model, INT32_MAX));
}

// misuse: cdl_session_create
// misuse: cdl_session_destroy
static void test_session_misuse(void **state) {
    (void)state;
    static const struct {
        const char *word;
        struct cdl_session_params params;
    } wrong[] = {
        {"-1", {.max_batch = -1}},
        {"4097", {.max_batch = 4097}},
        {"width", {.width = -1}},
        {"width", {.width = 70000}},
        {"height", {.height = -1}},
        {"height", {.height = 70000}},
        {"precision", {.precision = (cdl_precision)3}},
        {"precision", {.precision = (cdl_precision)-1}},
        {"num_slots", {.num_slots = -1}},
        {"num_slots", {.num_slots = 17}},
        {"tune", {.tune = (cdl_tune)3}},
        {"tune", {.tune = (cdl_tune)-1}},
    };
    cdl_session *s = (cdl_session *)1;
    for (size_t i = 0; i < CDL_COUNT(wrong); i++) {
        struct cdl_session_params params = wrong[i].params;
        refuse(cdl_session_create(&s, harness.dev, t.model, &params), "params", "no struct_size");
        params.struct_size = sizeof params;
        refuse(cdl_session_create(&s, harness.dev, t.model, &params), wrong[i].word, wrong[i].word);
        assert_null(s);
    }
    refuse(cdl_session_create(&s, harness.dev, NULL, NULL), "model", "no model");
    refuse(cdl_session_create(NULL, harness.dev, t.model, NULL), "out", "no place for the session");
    cdl_session_destroy(&s);
    cdl_session_destroy(NULL);
}

// misuse: cdl_session_run
// misuse: cdl_session_submit
// misuse: cdl_session_wait
static void test_run_misuse(void **state) {
    (void)state;
    const struct cdl_pixels good = t.pixels;
    struct cdl_pixels wrong[16];
    for (size_t i = 0; i < 16; i++)
        wrong[i] = good;
    wrong[0].data = NULL;
    wrong[1].width = 0;
    wrong[2].width = -5;
    wrong[3].height = 0;
    wrong[4].height = INT32_MIN;
    wrong[5].width = 65536;
    wrong[6].height = 65536;
    wrong[7].stride = 119; // 4 bytes a pixel
    wrong[8].format = (cdl_format)-1;
    wrong[9].format = (cdl_format)6;
    wrong[10].orientation = -1;
    wrong[11].orientation = 9;
    wrong[12] =
        (struct cdl_pixels){.data = t.tensor, .width = WIDTH + 1, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32};
    wrong[13] = (struct cdl_pixels){
        .data = t.tensor, .width = WIDTH, .height = HEIGHT, .stride = WIDTH * 4, .format = CDL_FORMAT_TENSOR_F32};
    wrong[14].format = CDL_FORMAT_NV12;
    wrong[14].stride = 29;
    wrong[15] = (struct cdl_pixels){
        .data = t.bytes, .width = 31, .height = 4, .stride = 31, .format = CDL_FORMAT_NV12}; // a row of chroma has 32
    const struct cdl_pixels mixed[] = {
        good, {.data = t.tensor, .width = WIDTH, .height = HEIGHT, .format = CDL_FORMAT_TENSOR_F32}};
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, t.model, cdl_session_params(.max_batch = 2, .num_slots = 2)),
                      "session");
    for (size_t i = 0; i < 16; i++) {
        const struct cdl_pixels second[] = {good, wrong[i]};
        char what[32];
        snprintf(what, sizeof what, "wrong pixels %zu", i);
        refuse(cdl_session_run(s, &wrong[i], 1), "", what);
        refuse(cdl_session_submit(s, 1, second, 2), "", what);
        assert_null(cdl_session_logits(s, 1, 0));
    }
    refuse(cdl_session_run(s, mixed, 2), "TENSOR", "a picture and a tensor");
    refuse(cdl_session_run(s, NULL, 1), "images", "no pixels");
    refuse(cdl_session_run(s, &good, 0), "count", "no picture");
    refuse(cdl_session_run(s, &good, -1), "count", "-1 pictures");
    refuse(cdl_session_run(s, &good, 3), "count", "more than max_batch");
    refuse(cdl_session_submit(s, -1, &good, 1), "slot", "slot -1");
    refuse(cdl_session_submit(s, 2, &good, 1), "slot", "slot 2 of two");
    refuse(cdl_session_wait(s, -1, 0), "slot", "slot -1");
    refuse(cdl_session_wait(s, 2, 0), "slot", "slot 2 of two");
    harness_expect_ok(cdl_session_wait(s, 1, 0), "waiting for nothing");
    harness_expect_ok(cdl_session_submit(s, 0, &good, 1), "submit");
    refuse(cdl_session_submit(s, 0, &good, 1), "slot 0", "a busy slot");
    refuse(cdl_session_run(s, &good, 1), "slot 0", "slot 0 is cdl_session_run's");
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    assert_non_null(cdl_session_logits(s, 0, 0));
    cdl_session_destroy(&s);
}

// misuse: cdl_session_topk
// misuse: cdl_session_logits
// misuse: cdl_session_features
// misuse: cdl_session_cam
// misuse: cdl_session_seen
// misuse: cdl_session_timings
// misuse: cdl_session_gpu_ns
// misuse: cdl_session_preprocess_ns
static void test_result_misuse(void **state) {
    (void)state;
    static const int places[][2] = {
        {-1, 0}, {2, 0}, {0, -1}, {0, 1}, {1, 0}}; // slot, image: of slot 0's run with one picture; slot 1 has none
    struct cdl_class top[CLASSES + 1];
    struct cdl_timing timing;
    struct cdl_region seen = {1, 1, 1, 1};
    float map[16];
    int num = -1;
    cdl_session *s, *plain;
    harness_expect_ok(
        cdl_session_create(&s, harness.dev, t.model,
                           cdl_session_params(.max_batch = 2, .num_slots = 2, .cam = true, .timings = true)),
        "session");
    harness_expect_ok(cdl_session_create(&plain, harness.dev, t.model, NULL), "session");
    harness_expect_ok(cdl_session_run(s, &t.pixels, 1), "run");
    harness_expect_ok(cdl_session_run(plain, &t.pixels, 1), "run");
    for (size_t i = 0; i < CDL_COUNT(places); i++) {
        const int slot = places[i][0], image = places[i][1];
        refuse(cdl_session_topk(s, slot, image, top, 1), "slot", "topk");
        refuse(cdl_session_cam(s, slot, image, 0, map), "slot", "cam");
        assert_null(cdl_session_logits(s, slot, image));
        assert_null(cdl_session_features(s, slot, image));
        if (slot == 0)
            continue;
        refuse(cdl_session_timings(s, slot, &timing, 1, &num), "slot", "timings");
        assert_true(cdl_session_gpu_ns(s, slot) == 0 && cdl_session_preprocess_ns(s, slot) == 0);
    }
    refuse(cdl_session_topk(s, 0, 0, top, CLASSES + 1), "k", "k above the class count");
    refuse(cdl_session_topk(s, 0, 0, top, -1), "k", "k below 0");
    refuse(cdl_session_topk(s, 0, 0, NULL, 1), "out", "topk to nowhere");
    refuse(cdl_session_cam(s, 0, 0, -1, map), "class_id", "class -1");
    refuse(cdl_session_cam(s, 0, 0, CLASSES, map), "class_id", "class 10 of 10");
    refuse(cdl_session_cam(s, 0, 0, 0, NULL), "out", "a map to nowhere");
    refuse(cdl_session_cam(plain, 0, 0, 0, map), "`cam`", "a session without maps");
    refuse(cdl_session_timings(plain, 0, &timing, 1, &num), "timings", "a session without timings");
    refuse(cdl_session_timings(s, 0, &timing, 1, NULL), "num", "timings without a count");
    refuse(cdl_session_timings(s, 0, NULL, 1, &num), "out", "timings to nowhere");
    refuse(cdl_session_seen(s, 0, 5, &seen), "0x5", "a picture without width");
    refuse(cdl_session_seen(s, 5, 65536, &seen), "5x65536", "a picture too high");
    refuse(cdl_session_seen(s, -1, 5, &seen), "-1x5", "a negative width");
    refuse(cdl_session_seen(s, 5, 5, NULL), "out", "seen, to nowhere");
    cdl_session_destroy(&plain);
    cdl_session_destroy(&s);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_allocates), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_device_misuse),     cmocka_unit_test(test_model_misuse),
        cmocka_unit_test(test_session_misuse),    cmocka_unit_test(test_run_misuse),
        cmocka_unit_test(test_result_misuse),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("contracts", tests, open_all, close_all);
}
