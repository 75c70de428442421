// test_vulkan_runs.c - runs in a host's command buffers and by its semaphores, under validation with synchronization
// checks.
//
// Slices: a run cut into any number of parts gives to the bit what the whole gives, whatever the host does in between
// (dispatch, copy, draw), in one command buffer or many. In flight: two recordings in two slots; what is recorded is
// changed by nothing that is called later. Submission: timeline semaphores are waited for and signalled in order.
// Giving up: a slot is idle afterwards, whatever was or was not executed. The host's graphics state is left alone.
#include <math.h>

#include "support/rig.h"
#include "scene.h"
#include "tune/tuner.h"

#include "host_work_words.h"

enum { SIDE = 32, PICTURES = 4 };

struct picture {
    uint8_t *memory;
    struct cdl_pixels pixels;
    struct rig_image image;
    struct cdl_vk_input input;
};

static struct {
    cdl_model *model; // 10 classes, input 5x7
    struct picture pictures[PICTURES];
    struct scene scene;
    // The host's own compute pipeline.
    VkDescriptorSetLayout set_layout;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    VkPipelineLayout layout;
    VkPipeline pipeline;
    struct rig_buffer work;
} t;

// ---- setup

static void make_picture(struct picture *p, int width, int height, struct random *r) {
    p->memory = must_alloc((size_t)width * (size_t)height, 4);
    for (size_t i = 0; i < (size_t)width * (size_t)height * 4; i++)
        p->memory[i] = (uint8_t)random_next(r);
    p->image = rig_image(&(struct rig_image_params){
        .format = VK_FORMAT_R8G8B8A8_UNORM, .width = width, .height = height, .data = p->memory, .pixel_bytes = 4});
    p->pixels = (struct cdl_pixels){.data = p->memory, .width = width, .height = height, .format = CDL_FORMAT_RGBA8};
    p->input = (struct cdl_vk_input){
        .width = width, .height = height, .view = p->image.view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
}

static void make_host_pipeline(void) {
    VkDevice device = rig.host.device;
    const VkDescriptorSetLayoutBinding binding = {0, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT,
                                                  NULL};
    const VkDescriptorSetLayoutCreateInfo set_layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO, .bindingCount = 1, .pBindings = &binding};
    HOST_VK(vkCreateDescriptorSetLayout(device, &set_layout, NULL, &t.set_layout));
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4};
    const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &t.set_layout,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &range};
    HOST_VK(vkCreatePipelineLayout(device, &layout, NULL, &t.layout));
    const VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = sizeof host_work, .pCode = host_work};
    VkShaderModule module;
    HOST_VK(vkCreateShaderModule(device, &code, NULL, &module));
    const VkComputePipelineCreateInfo pipeline = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .layout = t.layout,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main"},
    };
    HOST_VK(vkCreateComputePipelines(device, VK_NULL_HANDLE, 1, &pipeline, NULL, &t.pipeline));
    vkDestroyShaderModule(device, module, NULL);
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO, .maxSets = 1, .poolSizeCount = 1, .pPoolSizes = &size};
    HOST_VK(vkCreateDescriptorPool(device, &pool, NULL, &t.pool));
    const VkDescriptorSetAllocateInfo set = {.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
                                             .descriptorPool = t.pool,
                                             .descriptorSetCount = 1,
                                             .pSetLayouts = &t.set_layout};
    HOST_VK(vkAllocateDescriptorSets(device, &set, &t.set));
    t.work = rig_buffer(
        VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT, 1024);
    const VkDescriptorBufferInfo buffer = {t.work.handle, 0, 512};
    const VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                        .dstSet = t.set,
                                        .descriptorCount = 1,
                                        .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                        .pBufferInfo = &buffer};
    vkUpdateDescriptorSets(device, 1, &write, 0, NULL);
}

static int open_all(void **state) {
    static const int sizes[PICTURES][2] = {{30, 40}, {9, 5}, {64, 64}, {41, 17}};
    static uint8_t texture[16 * 16 * 4];
    struct random r = random_of(12);
    if (rig_open(state))
        return -1;
    t.model = harness_load("bottleneck_g8");
    for (int i = 0; i < PICTURES; i++)
        make_picture(&t.pictures[i], sizes[i][0], sizes[i][1], &r);
    random_fill(&r, texture, sizeof texture);
    scene_create(&t.scene, &rig.host, texture, 16, 16);
    make_host_pipeline();
    return 0;
}

static int close_all(void **state) {
    VkDevice device = rig.host.device;
    for (int i = 0; i < PICTURES; i++) {
        rig_image_free(&t.pictures[i].image);
        free(t.pictures[i].memory);
    }
    rig_buffer_free(&t.work);
    vkDestroyDescriptorPool(device, t.pool, NULL);
    vkDestroyPipeline(device, t.pipeline, NULL);
    vkDestroyPipelineLayout(device, t.layout, NULL);
    vkDestroyDescriptorSetLayout(device, t.set_layout, NULL);
    scene_destroy(&t.scene);
    cdl_model_destroy(&t.model);
    return rig_close(state);
}

static cdl_session *open_session(cdl_model *model, const struct cdl_session_params *params) {
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, params), "session");
    return s;
}

// ---- results

struct expected {
    float *logits;
    struct cdl_class *top;
};

// What the slot's image gave, kept.
static struct expected keep(const cdl_session *s, int slot, int image) {
    const size_t classes = (size_t)s->info.num_classes;
    struct expected e = {must_alloc(classes, sizeof(float)), must_alloc(classes, sizeof(struct cdl_class))};
    assert_non_null(cdl_session_logits(s, slot, image));
    memcpy(e.logits, cdl_session_logits(s, slot, image), classes * sizeof(float));
    harness_expect_ok(cdl_session_topk(s, slot, image, e.top, (int)classes), "topk");
    return e;
}

static struct expected expect(cdl_session *s, int slot, const struct cdl_pixels *pixels) {
    harness_expect_ok(cdl_session_submit(s, slot, pixels, 1), "reference");
    harness_expect_ok(cdl_session_wait(s, slot, UINT64_MAX), "reference");
    return keep(s, slot, 0);
}

static void discard(struct expected *e) {
    free(e->logits);
    free(e->top);
}

static void check_slot(const cdl_session *s, int slot, int image, const struct expected *e, const char *what) {
    struct expected got = keep(s, slot, image);
    if (memcmp(got.logits, e->logits, (size_t)s->info.num_classes * sizeof(float)) ||
        memcmp(got.top, e->top, (size_t)s->info.num_classes * sizeof(struct cdl_class)))
        fail_msg("%s: slot %d gives other logits: %.9g, not %.9g", what, slot, (double)got.logits[0],
                 (double)e->logits[0]);
    discard(&got);
}

// ---- slices

// Something of everything that a host does, with its own synchronization.
static void record_host_work(VkCommandBuffer cmd, uint32_t value) {
    const VkMemoryBarrier before = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                    .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT | VK_ACCESS_SHADER_WRITE_BIT,
                                    .dstAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};
    const VkMemoryBarrier between = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT};
    const VkBufferCopy region = {0, 512, 512};
    scene_draw(&t.scene, cmd, (float)value);
    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                         VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &before, 0, NULL,
                         0, NULL);
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, t.pipeline);
    vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_COMPUTE, t.layout, 0, 1, &t.set, 0, NULL);
    vkCmdPushConstants(cmd, t.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, 4, &value);
    vkCmdDispatch(cmd, 2, 1, 1);
    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &between, 0,
                         NULL, 0, NULL);
    vkCmdCopyBuffer(cmd, t.work.handle, t.work.handle, 1, &region);
}

static void check_host_work(uint32_t value) {
    for (uint32_t i = 0; i < 128; i++) {
        uint32_t word;
        memcpy(&word, t.work.mapped + 512 + 4 * i, 4);
        assert_int_equal(word, value + i);
    }
}

// A run in `slices` parts, `per_cmd` of them in a command buffer, each followed by work of the host's.
static void run_slices(cdl_session *s, int slot, const struct cdl_vk_input *inputs, int count, int slices,
                       int per_cmd) {
    VkCommandBuffer cmd = VK_NULL_HANDLE;
    const VkMemoryBarrier to_host = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                     .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                     .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
    for (int i = 0; i < slices; i++) {
        if (!cmd)
            cmd = rig_begin();
        // From the second slice on inputs are not looked at.
        harness_expect_ok(cdl_vk_record(s, cmd,
                                        cdl_vk_run(.slot = slot, .inputs = i ? NULL : inputs, .count = count,
                                                   .slice = i, .num_slices = slices)),
                          "slice");
        record_host_work(cmd, (uint32_t)(i + slices));
        if (i == slices - 1 || i % per_cmd == per_cmd - 1) {
            vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0,
                                 NULL, 0, NULL);
            rig_run(cmd);
            cmd = VK_NULL_HANDLE;
        }
    }
    harness_expect_ok(cdl_vk_retire(s, slot, true), "retire");
    check_host_work((uint32_t)(slices - 1 + slices));
}

static cdl_session *open_slices(cdl_model *model, cdl_precision precision) {
    return open_session(model, cdl_session_params(.precision = precision, .num_slots = 2, .max_batch = 2, .width = SIDE,
                                                  .height = SIDE));
}

// The first steps of sessions like those run for one image at a time: an entry of the tuner's table says so.
static void run_in_segments(cdl_model *model, cdl_precision precision, int steps) {
    cdl_session *s = open_slices(model, precision);
    remember_segment(s, (struct cdl_segment){steps, steps ? 1 : 0});
    cdl_session_destroy(&s);
    s = open_slices(model, precision);
    assert_int_equal(s->plan.segment.steps, steps);
    cdl_session_destroy(&s);
}

static void check_slices(cdl_model *model, cdl_precision precision, const int *counts, int num_counts) {
    cdl_session *s = open_slices(model, precision);
    const struct cdl_vk_input inputs[] = {t.pictures[0].input, t.pictures[2].input};
    const struct cdl_pixels pixels[] = {t.pictures[0].pixels, t.pictures[2].pixels};
    struct expected e[2];
    harness_expect_ok(cdl_session_submit(s, 1, pixels, 2), "reference");
    harness_expect_ok(cdl_session_wait(s, 1, UINT64_MAX), "reference");
    for (int i = 0; i < 2; i++)
        e[i] = keep(s, 1, i);
    printf("%d operations\n", s->info.max_slices);
    for (int n = 0; n <= num_counts; n++) {
        const int slices = n < num_counts ? counts[n] : s->info.max_slices;
        char what[64];
        snprintf(what, sizeof what, "%d slices", slices);
        for (int per_cmd = 1; per_cmd <= slices; per_cmd = per_cmd == 1 ? (slices + 1) / 2 + 1 : slices + 1) {
            run_slices(s, per_cmd > 1, inputs, 2, slices, per_cmd);
            for (int i = 0; i < 2; i++)
                check_slot(s, per_cmd > 1, i, &e[i], what);
        }
    }
    for (int i = 0; i < 2; i++)
        discard(&e[i]);
    cdl_session_destroy(&s);
}

static void test_slices(void **state) {
    (void)state;
    static const int counts[] = {1, 2, 5, 53};
    cdl_model *model;
    harness_expect_ok(cdl_model_random(&model, "resnext50_32x4d", 7, cdl_model_params(.log = harness_log())),
                      "resnext50");
    check_slices(model, CDL_PRECISION_FP32, counts, 4);
    check_slices(model, CDL_PRECISION_FP16, counts, 4);
    cdl_model_destroy(&model);
    check_slices(t.model, CDL_PRECISION_FP32, counts, 3);
    run_in_segments(t.model, CDL_PRECISION_FP32, 7);
    check_slices(t.model, CDL_PRECISION_FP32, counts, 3);
    run_in_segments(t.model, CDL_PRECISION_FP32, 0);
}

// A graphics debugger sees each slice by its name.
static void test_slices_have_labels(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 2));
    int depth;
    run_slices(s, 1, &t.pictures[1].input, 1, 3, 1);
    const bool named = rig.host.messenger; // or else the host has no VK_EXT_debug_utils
    assert_string_equal(hook_label(&depth), named ? "Cardinal: slot 1, slice 3 of 3" : "");
    assert_int_equal(depth, 0);
    cdl_session_destroy(&s);
}

// Times and class activation maps of a run in slices.
static void test_slices_tell_all(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 2, .timings = true, .cam = true));
    struct cdl_timing timings[64];
    float map[2][64];
    int num = -1;
    run_slices(s, 0, &t.pictures[1].input, 1, 3, 1);
    struct expected e = expect(s, 1, &t.pictures[1].pixels);
    check_slot(s, 0, 0, &e, "with timings");
    harness_expect_ok(cdl_session_timings(s, 0, timings, 64, &num), "timings");
    assert_int_equal(num, harness.info.timestamps ? s->info.max_slices : 0);
    assert_true(!harness.info.timestamps || cdl_session_gpu_ns(s, 0) > 0);
    assert_true(s->info.cam_width * s->info.cam_height <= 64);
    for (int slot = 0; slot < 2; slot++)
        harness_expect_ok(cdl_session_cam(s, slot, 0, 3, map[slot]), "cam");
    assert_memory_equal(map[0], map[1], sizeof(float) * (size_t)(s->info.cam_width * s->info.cam_height));
    discard(&e);
    cdl_session_destroy(&s);
}

// ---- in flight

static void test_two_in_flight(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 3));
    struct expected e[PICTURES];
    for (int i = 0; i < PICTURES; i++)
        e[i] = expect(s, 2, &t.pictures[i].pixels);
    for (int round = 0; round < 8; round++) {
        const int a = round % PICTURES, b = (round + 1) % PICTURES, c = (round + 2) % PICTURES;
        const bool one_cmd = round % 2, other_slot_first = round % 4 < 2;
        VkCommandBuffer first = rig_begin(), second = one_cmd ? first : rig_begin();
        harness_expect_ok(cdl_vk_record(s, first, cdl_vk_run(.slot = 0, .inputs = &t.pictures[a].input, .count = 1)),
                          "slot 0");
        harness_expect_ok(cdl_vk_record(s, second, cdl_vk_run(.slot = 1, .inputs = &t.pictures[b].input, .count = 1)),
                          "slot 1");
        // Neither is changed by a run that comes and goes meanwhile.
        harness_expect_ok(cdl_session_submit(s, 2, &t.pictures[c].pixels, 1), "slot 2");
        harness_expect_ok(cdl_session_wait(s, 2, UINT64_MAX), "slot 2");
        check_slot(s, 2, 0, &e[c], "run while others are recorded");
        rig_end(first);
        if (!one_cmd)
            rig_end(second);
        VkFence fences[2] = {rig_submit(first), one_cmd ? VK_NULL_HANDLE : rig_submit(second)};
        harness_expect_ok(cdl_session_submit(s, 2, &t.pictures[a].pixels, 1), "behind both");
        for (int i = 0; i < (one_cmd ? 1 : 2); i++)
            rig_wait(fences[i]);
        for (int i = 0; i < 2; i++) {
            const int slot = other_slot_first ? 1 - i : i;
            harness_expect_ok(cdl_vk_retire(s, slot, true), "retire");
            check_slot(s, slot, 0, slot ? &e[b] : &e[a], "in flight");
        }
        harness_expect_ok(cdl_session_wait(s, 2, UINT64_MAX), "behind both");
        check_slot(s, 2, 0, &e[a], "behind both");
        check_slot(s, 0, 0, &e[a], "still there");
        vkFreeCommandBuffers(rig.host.device, rig.pool, one_cmd ? 1 : 2, (VkCommandBuffer[]){first, second});
    }
    for (int i = 0; i < PICTURES; i++)
        discard(&e[i]);
    cdl_session_destroy(&s);
}

// Many command buffers recorded ahead, as slots there are, submitted at once and in order.
static void test_all_slots(void **state) {
    (void)state;
    enum { SLOTS = 16 };
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = SLOTS, .staging_bytes = 65536));
    struct expected e[PICTURES];
    VkCommandBuffer cmds[SLOTS];
    VkFence fences[SLOTS];
    for (int i = 0; i < PICTURES; i++)
        e[i] = expect(s, 0, &t.pictures[i].pixels);
    for (int i = 0; i < SLOTS; i++) {
        cmds[i] = rig_begin();
        harness_expect_ok(
            cdl_vk_record(s, cmds[i], cdl_vk_run(.slot = i, .inputs = &t.pictures[i % PICTURES].input, .count = 1)),
            "record");
        rig_end(cmds[i]);
    }
    for (int i = 0; i < SLOTS; i++)
        fences[i] = rig_submit(cmds[i]);
    for (int i = SLOTS - 1; i >= 0; i--) {
        rig_wait(fences[i]);
        harness_expect_ok(cdl_vk_retire(s, i, true), "retire");
        check_slot(s, i, 0, &e[i % PICTURES], "one of 16");
    }
    vkFreeCommandBuffers(rig.host.device, rig.pool, SLOTS, cmds);
    for (int i = 0; i < PICTURES; i++)
        discard(&e[i]);
    cdl_session_destroy(&s);
}

// ---- submission

// The picture is copied into the buffer by the host (1 -> 2), classified (2 -> 3), and the probabilities copied on (3
// -> 4), all of it submitted before the first is let go.
static void test_semaphores_order(void **state) {
    (void)state;
    const struct picture *p = &t.pictures[0];
    const size_t bytes = (size_t)p->pixels.width * (size_t)p->pixels.height * 4;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 2));
    struct expected e = expect(s, 1, &p->pixels);
    struct rig_buffer source = rig_buffer(VK_BUFFER_USAGE_TRANSFER_SRC_BIT, bytes);
    struct rig_buffer input = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, bytes);
    struct rig_buffer probs = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT, 40);
    struct rig_buffer after = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 40);
    const VkBufferCopy pixels = {0, 0, bytes}, ten = {0, 0, 40};
    VkSemaphore timeline = rig_timeline(0);
    VkCommandBuffer before = rig_begin(), behind = rig_begin();
    memcpy(source.mapped, p->memory, bytes);
    vkCmdCopyBuffer(before, source.handle, input.handle, 1, &pixels);
    vkCmdCopyBuffer(behind, probs.handle, after.handle, 1, &ten);
    rig_end(before);
    rig_end(behind);

    const struct cdl_vk_input in = {
        .width = p->pixels.width, .height = p->pixels.height, .buffer = input.handle, .format = CDL_FORMAT_RGBA8};
    const cdl_vk_sem wait = {timeline, 2}, signal = {timeline, 3};
    rig_submit_between(before, timeline, 1);
    harness_expect_ok(
        cdl_vk_submit(s, cdl_vk_run(.inputs = &in, .count = 1, .probs = probs.handle), &wait, 1, &signal, 1), "submit");
    rig_submit_between(behind, timeline, 3);
    assert_int_equal(cdl_session_wait(s, 0, 0), CDL_NOT_READY);
    assert_int_equal(cdl_session_wait(s, 0, 20000000), CDL_NOT_READY);
    assert_null(cdl_session_logits(s, 0, 0));
    assert_int_equal(rig_timeline_value(timeline), 0);
    rig_signal(timeline, 1);
    rig_wait_for_value(timeline, 4);
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    check_slot(s, 0, 0, &e, "between two submissions of the host's");
    for (int k = 0; k < 10; k++)
        assert_memory_equal(&e.top[k].prob, after.mapped + 4 * e.top[k].id, 4);
    harness_expect_ok(cdl_session_run(s, &p->pixels, 1), "the slot again");
    discard(&e);
    cdl_session_destroy(&s);
    vkDestroySemaphore(rig.host.device, timeline, NULL);
    vkFreeCommandBuffers(rig.host.device, rig.pool, 2, (VkCommandBuffer[]){before, behind});
    rig_buffer_free(&source);
    rig_buffer_free(&input);
    rig_buffer_free(&probs);
    rig_buffer_free(&after);
}

// As many semaphores as there may be: all are waited for, all are signalled.
static void test_many_semaphores(void **state) {
    (void)state;
    enum { MOST = CDL_VK_MAX_SEMAPHORES };
    cdl_session *s = open_session(t.model, NULL);
    cdl_vk_sem waits[MOST], signals[MOST];
    for (int i = 0; i < MOST; i++) {
        waits[i] = (cdl_vk_sem){rig_timeline(0), (uint64_t)i + 1};
        signals[i] = (cdl_vk_sem){rig_timeline(5), (uint64_t)i + 10};
    }
    harness_expect_ok(
        cdl_vk_submit(s, cdl_vk_run(.inputs = &t.pictures[1].input, .count = 1), waits, MOST, signals, MOST), "submit");
    for (int i = MOST - 1; i >= 0; i--) {
        assert_int_equal(cdl_session_wait(s, 0, 20000000), CDL_NOT_READY);
        assert_int_equal(rig_timeline_value(signals[i].sem), 5);
        rig_signal(waits[i].sem, waits[i].value);
    }
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    for (int i = 0; i < MOST; i++)
        assert_int_equal(rig_timeline_value(signals[i].sem), i + 10);
    struct expected got = keep(s, 0, 0), e = expect(s, 0, &t.pictures[1].pixels);
    assert_memory_equal(got.logits, e.logits, 10 * sizeof(float));
    discard(&got);
    discard(&e);
    for (int i = 0; i < MOST; i++) {
        vkDestroySemaphore(rig.host.device, waits[i].sem, NULL);
        vkDestroySemaphore(rig.host.device, signals[i].sem, NULL);
    }
    cdl_session_destroy(&s);
}

// On a device of Cardinal's own: the host makes a buffer there, and lets Cardinal submit.
static void test_own_device(void **state) {
    (void)state;
    const struct picture *p = &t.pictures[3];
    const size_t bytes = (size_t)p->pixels.width * (size_t)p->pixels.height * 4;
    struct cdl_vk_handles own;
    cdl_device *dev;
    cdl_session *s;
    harness_expect_ok(cdl_device_create(&dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid)),
                      "own device");
    harness_expect_ok(cdl_session_create(&s, dev, t.model, cdl_session_params(.num_slots = 2, .vulkan = true)),
                      "session");
    cdl_vk_get_handles(dev, &own);
    VkDevice before = rig.host.device; // rig_buffer on the other device, for once
    rig.host.device = own.device;
    struct rig_buffer input = rig_buffer(VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, bytes);
    memcpy(input.mapped, p->memory, bytes);
    const struct cdl_vk_input in = {
        .width = p->pixels.width, .height = p->pixels.height, .buffer = input.handle, .format = CDL_FORMAT_RGBA8};
    harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = &in, .count = 1), NULL, 0, NULL, 0), "submit");
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    struct expected e = expect(s, 1, &p->pixels);
    check_slot(s, 0, 0, &e, "own device");
    discard(&e);
    rig_buffer_free(&input);
    rig.host.device = before;
    cdl_session_destroy(&s);
    cdl_device_destroy(&dev);
}

// ---- giving up

static void test_giving_up(void **state) {
    (void)state;
    cdl_session *s = open_session(t.model, cdl_session_params(.num_slots = 2));
    struct expected e = expect(s, 1, &t.pictures[2].pixels);
    struct cdl_class top;
    for (int way = 0; way < 4; way++) {
        const bool submitted = way & 1, sliced = way & 2;
        VkCommandBuffer cmd = rig_begin();
        run_slices(s, 0, &t.pictures[2].input, 1, 1, 1); // results that are gone afterwards
        check_slot(s, 0, 0, &e, "before");
        harness_expect_ok(
            cdl_vk_record(s, cmd, cdl_vk_run(.inputs = &t.pictures[0].input, .count = 1, .num_slices = sliced ? 3 : 0)),
            "record");
        rig_end(cmd);
        if (submitted)
            rig_wait(rig_submit(cmd));
        vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
        harness_expect_ok(cdl_vk_retire(s, 0, false), "giving up");
        assert_null(cdl_session_logits(s, 0, 0));
        assert_null(cdl_session_features(s, 0, 0));
        harness_expect_failure(cdl_session_topk(s, 0, 0, &top, 1), CDL_ERR_INVALID, "no results");
        check_slot(s, 1, 0, &e, "the other slot");
        run_slices(s, 0, &t.pictures[2].input, 1, 2, 1);
        check_slot(s, 0, 0, &e, "the slot again");
    }
    // A session goes with what was recorded and never submitted.
    VkCommandBuffer cmd = rig_begin();
    harness_expect_ok(cdl_vk_record(s, cmd, cdl_vk_run(.slot = 1, .inputs = &t.pictures[0].input, .count = 1)),
                      "record");
    harness_expect_ok(cdl_vk_record(s, cmd, cdl_vk_run(.inputs = &t.pictures[0].input, .count = 1, .num_slices = 2)),
                      "record");
    vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
    discard(&e);
    cdl_session_destroy(&s);
}

// ---- the host's state

// What was bound before for drawing is bound after.
static void test_graphics_state_survives(void **state) {
    (void)state;
    const size_t bytes = (size_t)SCENE_WIDTH * SCENE_HEIGHT * 4;
    const float turn[] = {0.7f, (float)SCENE_WIDTH / SCENE_HEIGHT};
    const VkClearValue clear = {.color = {.float32 = {0.18f, 0.32f, 0.55f, 1}}};
    const VkRenderPassBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
        .renderPass = t.scene.pass,
        .framebuffer = t.scene.framebuffer,
        .renderArea = {{0, 0}, {SCENE_WIDTH, SCENE_HEIGHT}},
        .clearValueCount = 1,
        .pClearValues = &clear,
    };
    struct rig_buffer frames[2] = {rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, bytes),
                                   rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, bytes)};
    cdl_session *s = open_session(t.model, NULL);
    VkCommandBuffer cmd = rig_begin();
    scene_draw(&t.scene, cmd, turn[0]);
    scene_read_back(&t.scene, cmd, frames[0].handle);
    rig_run(cmd);
    cmd = rig_begin();
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_GRAPHICS, t.scene.pipeline);
    vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_GRAPHICS, t.scene.layout, 0, 1, &t.scene.set, 0, NULL);
    for (int slice = 0; slice < 2; slice++)
        harness_expect_ok(
            cdl_vk_record(s, cmd,
                          cdl_vk_run(.inputs = &t.pictures[0].input, .count = 1, .slice = slice, .num_slices = 2)),
            "record");
    vkCmdBeginRenderPass(cmd, &begin, VK_SUBPASS_CONTENTS_INLINE);
    vkCmdPushConstants(cmd, t.scene.layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof turn,
                       turn); // these Cardinal replaces
    vkCmdDraw(cmd, 36, 1, 0, 0);
    vkCmdEndRenderPass(cmd);
    scene_read_back(&t.scene, cmd, frames[1].handle);
    rig_run(cmd);
    harness_expect_ok(cdl_vk_retire(s, 0, true), "retire");
    assert_memory_equal(frames[0].mapped, frames[1].mapped, bytes);
    assert_string_equal(hook_complaint(), "");
    cdl_session_destroy(&s);
    rig_buffer_free(&frames[0]);
    rig_buffer_free(&frames[1]);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),          cmocka_unit_test(test_slices_have_labels),
        cmocka_unit_test(test_slices_tell_all), cmocka_unit_test(test_two_in_flight),
        cmocka_unit_test(test_all_slots),       cmocka_unit_test(test_semaphores_order),
        cmocka_unit_test(test_many_semaphores), cmocka_unit_test(test_own_device),
        cmocka_unit_test(test_giving_up),       cmocka_unit_test(test_graphics_state_survives),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan runs", tests, open_all, close_all);
}
