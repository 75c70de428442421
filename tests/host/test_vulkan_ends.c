// test_vulkan_ends.c - how runs, sessions and devices end while the GPU is at work, under validation.
//
// A gate, which is an event that the host sets later, holds commands back for as long as a test wants them in flight.
// Destroying a session waits for its commands, however they were recorded; a gate that never opens costs
// CDL_VK_PATIENCE and an error, and nothing is freed before the GPU is done. A run that is retired or recorded over too
// early is refused, or waited for.
#include "support/rig.h"

#include "system/thread.h"

enum { CLASSES = 10, SHORT_NS = 50000000 };

static struct {
    cdl_model *model; // 10 classes, input 5x7 (width x height)
    uint8_t bytes[2][30 * 40 * 4];
    struct rig_image images[2];
    struct cdl_vk_input inputs[2];
    float logits[2][CLASSES];
    cdl_device *dev; // imported anew for each test, with patience for SHORT_NS
    VkEvent gate;
    VkFence never; // signalled
    long live;     // objects before the test
} t;

static void run_pixels(cdl_session *s, int picture, float logits[CLASSES]) {
    const struct cdl_pixels pixels = {.data = t.bytes[picture], .width = 30, .height = 40, .format = CDL_FORMAT_RGBA8};
    harness_expect_ok(cdl_session_run(s, &pixels, 1), "reference");
    memcpy(logits, cdl_session_logits(s, 0, 0), CLASSES * sizeof *logits);
}

static int open_all(void **state) {
    if (rig_open(state))
        return -1;
    struct random r = random_of(15);
    cdl_session *s;
    t.model = harness_load("bottleneck_g8");
    harness_expect_ok(cdl_session_create(&s, harness.dev, t.model, NULL), "session");
    for (int i = 0; i < 2; i++) {
        random_fill(&r, t.bytes[i], sizeof t.bytes[i]);
        t.images[i] = rig_image(&(struct rig_image_params){
            .format = VK_FORMAT_R8G8B8A8_UNORM, .width = 30, .height = 40, .data = t.bytes[i], .pixel_bytes = 4});
        t.inputs[i] = (struct cdl_vk_input){
            .width = 30, .height = 40, .view = t.images[i].view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
        run_pixels(s, i, t.logits[i]);
    }
    cdl_session_destroy(&s);
    return 0;
}

static int close_all(void **state) {
    for (int i = 0; i < 2; i++)
        rig_image_free(&t.images[i]);
    cdl_model_destroy(&t.model);
    return rig_close(state);
}

static int open_one(void **state) {
    (void)state;
    t.live = hook_live();
    HOST_VK(vkCreateEvent(rig.host.device, &(VkEventCreateInfo){.sType = VK_STRUCTURE_TYPE_EVENT_CREATE_INFO}, NULL,
                          &t.gate));
    HOST_VK(vkCreateFence(rig.host.device, &(VkFenceCreateInfo){.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO}, NULL,
                          &t.never));
    harness_expect_ok(rig_import(&t.dev), "import");
    t.dev->patience_ns = SHORT_NS;
    return 0;
}

static int close_one(void **state) {
    (void)state;
    cdl_device_destroy(&t.dev);
    vkDestroyEvent(rig.host.device, t.gate, NULL);
    vkDestroyFence(rig.host.device, t.never, NULL);
    if (hook_live() == t.live && harness_take_errors() == 0 && rig.host.messages == 0)
        return 0;
    fprintf(stderr, "%ld objects left, %d validation messages\n", hook_live() - t.live, rig.host.messages);
    return -1;
}

static cdl_session *open_session(void) {
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, t.dev, t.model, cdl_session_params(.num_slots = 2)), "session");
    return s;
}

static void record(cdl_session *s, VkCommandBuffer cmd, int slot, int picture, int slice, int num_slices) {
    harness_expect_ok(cdl_vk_record(s, cmd,
                                    cdl_vk_run(.slot = slot, .inputs = &t.inputs[picture], .count = 1, .slice = slice,
                                               .num_slices = num_slices)),
                      "record");
}

// Commands that wait for the gate.
static VkCommandBuffer begin_gated(void) {
    VkCommandBuffer cmd = rig_begin();
    vkCmdWaitEvents(cmd, 1, &t.gate, VK_PIPELINE_STAGE_HOST_BIT, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, NULL, 0, NULL,
                    0, NULL);
    return cmd;
}

static VkFence submit(VkCommandBuffer cmd) {
    rig_end(cmd);
    return rig_submit(cmd);
}

static void open_gate(void) { HOST_VK(vkSetEvent(rig.host.device, t.gate)); }

static void wait_for(VkFence fence, VkCommandBuffer cmd) {
    rig_wait(fence);
    vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
    HOST_VK(vkResetEvent(rig.host.device, t.gate));
}

// Opens the gate a while later.
static void open_later(void *ctx) {
    (void)ctx;
    vkWaitForFences(rig.host.device, 1, &t.never, VK_TRUE, 30000000);
    open_gate();
}

static void check(const cdl_session *s, int slot, int picture, const char *what) {
    const float *logits = cdl_session_logits(s, slot, 0);
    if (!logits || memcmp(logits, t.logits[picture], sizeof t.logits[picture]))
        fail_msg("%s: other logits than those of picture %d", what, picture);
}

// ---- sessions

// In flight: whole or in part, in the host's commands or by Cardinal's submission behind them.
static void test_destroy_waits(void **state) {
    (void)state;
    t.dev->patience_ns = CDL_VK_PATIENCE;
    for (int way = 0; way < 5; way++) {
        const struct cdl_pixels pixels = {.data = t.bytes[0], .width = 30, .height = 40, .format = CDL_FORMAT_RGBA8};
        cdl_session *s = open_session();
        VkCommandBuffer cmd = begin_gated();
        thread_handle thread = {0};
        if (way == 0)
            record(s, cmd, 0, 0, 0, 1);
        if (way == 1 || way == 2)
            record(s, cmd, 1, 0, 0, 3); // two slices are missing
        if (way == 2)
            harness_expect_ok(cdl_vk_retire(s, 1, false), "given up");
        VkFence fence = submit(cmd);
        if (way == 3)
            harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = &t.inputs[0], .count = 1), NULL, 0, NULL, 0),
                              "submit");
        if (way == 4)
            harness_expect_ok(cdl_session_submit(s, 0, &pixels, 1), "submit");
        assert_true(thread_create(&thread, open_later, NULL));
        cdl_session_destroy(&s);
        assert_null(s);
        assert_int_equal(vkGetFenceStatus(rig.host.device, fence), VK_SUCCESS); // nothing was freed before
        thread_join(&thread);
        wait_for(fence, cmd);
        assert_int_equal(harness_take_errors(), 0);
    }
}

// What was recorded and never submitted, on an idle queue, is no reason to wait for long, nor an error.
static void test_destroy_of_the_unsubmitted(void **state) {
    (void)state;
    cdl_session *s = open_session();
    VkCommandBuffer cmd = rig_begin();
    record(s, cmd, 1, 0, 0, 1);
    record(s, cmd, 0, 0, 0, 2);
    vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
    cdl_session_destroy(&s);
    assert_int_equal(harness_take_errors(), 0);
}

// misuse: cdl_session_destroy
// misuse: cdl_device_destroy
static void test_a_wait_that_never_ends(void **state) {
    (void)state;
    for (int way = 0; way < 2; way++) {
        cdl_session *s = open_session();
        VkSemaphore semaphore = rig_timeline(0);
        const cdl_vk_sem wait = {semaphore, 1}, signal = {semaphore, 2};
        VkCommandBuffer cmd = rig_begin();
        if (way)
            record(s, cmd, 0, 0, 0, 1);
        rig_end(cmd);
        if (way)
            rig_submit_between(cmd, semaphore, 1);
        else
            harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = &t.inputs[0], .count = 1), &wait, 1, &signal, 1),
                              "submit");
        cdl_session_destroy(&s);
        assert_null(s);
        assert_int_equal(harness_take_errors(), 2); // the slot's, and that the session is kept
        assert_non_null(strstr(harness.last, "cdl_session_destroy"));
        if (way) { // the device cannot go either, and is there for another try
            cdl_device_destroy(&t.dev);
            assert_non_null(t.dev);
            assert_non_null(strstr(harness.last, "semaphore"));
            assert_int_equal(harness_take_errors(), 1);
        }
        rig_signal(semaphore, 1);
        rig_wait_for_value(semaphore, 2);
        vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
        vkDestroySemaphore(rig.host.device, semaphore, NULL);
    }
    cdl_device_destroy(&t.dev); // with what was kept
    assert_null(t.dev);
    assert_int_equal(hook_live(), t.live);
}

// misuse: cdl_device_destroy
static void test_device_before_sessions(void **state) {
    (void)state;
    cdl_session *first = open_session(), *second = open_session();
    float logits[CLASSES];
    cdl_device_destroy(&t.dev);
    assert_null(t.dev);
    assert_non_null(strstr(harness.last, "cdl_device_destroy: 2 of its sessions"));
    assert_int_equal(harness_take_errors(), 1);
    cdl_session_destroy(&first);
    run_pixels(second, 1, logits); // all is there still
    assert_memory_equal(logits, t.logits[1], sizeof logits);
    assert_true(hook_live() > t.live);
    cdl_session_destroy(&second);
    assert_int_equal(hook_live(), t.live);
}

// ---- runs

// misuse: cdl_vk_retire
static void test_retired_too_early(void **state) {
    (void)state;
    cdl_session *s = open_session();
    for (int slices = 1; slices <= 3; slices += 2) {
        VkCommandBuffer cmd = begin_gated();
        for (int i = 0; i < slices; i++)
            record(s, cmd, 0, 0, i, slices);
        rig_expect_refusal(cdl_vk_retire(s, 0, true), CDL_ERR_INVALID, "slot 0", "before it is submitted");
        assert_null(cdl_session_logits(s, 0, 0));
        VkFence fence = submit(cmd);
        rig_expect_refusal(cdl_vk_retire(s, 0, true), CDL_ERR_INVALID, "not done", "before it is done");
        rig_expect_refusal(cdl_session_wait(s, 0, 0), CDL_ERR_INVALID, "cdl_vk_retire", "a slot of the host's");
        open_gate();
        wait_for(fence, cmd);
        harness_expect_ok(cdl_vk_retire(s, 0, true), "when it is done");
        check(s, 0, 0, "after a retirement too early");
    }
    cdl_session_destroy(&s);
}

// misuse: cdl_vk_record
// misuse: cdl_vk_submit
// misuse: cdl_session_submit
static void test_given_up_in_flight(void **state) {
    (void)state;
    cdl_session *s = open_session();
    const struct cdl_pixels pixels = {.data = t.bytes[1], .width = 30, .height = 40, .format = CDL_FORMAT_RGBA8};
    const struct cdl_vk_run *run = cdl_vk_run(.inputs = &t.inputs[1], .count = 1);
    for (int slices = 1; slices <= 4; slices += 3) {
        // As long as the old one is in flight, nothing is written that it reads.
        VkCommandBuffer old = begin_gated(), cmd = rig_begin();
        record(s, old, 0, 0, 0, slices);
        VkFence fence = submit(old);
        harness_expect_ok(cdl_vk_retire(s, 0, false), "given up");
        rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "slot 0", "recorded again");
        rig_expect_refusal(cdl_vk_submit(s, run, NULL, 0, NULL, 0), CDL_ERR_INVALID, "slot 0", "submitted again");
        rig_expect_refusal(cdl_session_submit(s, 0, &pixels, 1), CDL_ERR_INVALID, "slot 0", "other pixels");
        // Soon done, it is waited for.
        thread_handle thread = {0};
        t.dev->patience_ns = CDL_VK_PATIENCE;
        assert_true(thread_create(&thread, open_later, NULL));
        record(s, cmd, 0, 1, 0, 1);
        assert_int_equal(vkGetFenceStatus(rig.host.device, fence), VK_SUCCESS);
        thread_join(&thread);
        wait_for(fence, old);
        rig_run(cmd);
        harness_expect_ok(cdl_vk_retire(s, 0, true), "the new one");
        check(s, 0, 1, "after one that was given up");
        t.dev->patience_ns = SHORT_NS;
    }
    cdl_session_destroy(&s);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_one, close_one)

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        TEST(test_destroy_waits),          TEST(test_destroy_of_the_unsubmitted), TEST(test_a_wait_that_never_ends),
        TEST(test_device_before_sessions), TEST(test_retired_too_early),          TEST(test_given_up_in_flight),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan ends", tests, open_all, close_all);
}
