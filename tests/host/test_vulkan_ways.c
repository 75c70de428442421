// test_vulkan_ways.c - the other ways to a run that a host has, under validation: a secondary command buffer, a queue
// family of its own with transfers of ownership, and what it tells of its views.
//
// A queue family that cannot draw is taken where the driver has one. CPU drivers have one family that does all; there
// the hooks show a second one, and put the first in its place where the driver would see it.
#include "support/rig.h"

enum { CLASSES = 10, WIDTH = 20, HEIGHT = 16 };

static cdl_model *model; // 10 classes, input 5x7 (width x height)
static uint8_t pixels[WIDTH * HEIGHT * 4];
static float expected[CLASSES];

static void run_pixels(cdl_session *s, float logits[CLASSES]) {
    const struct cdl_pixels picture = {.data = pixels, .width = WIDTH, .height = HEIGHT, .format = CDL_FORMAT_RGBA8};
    harness_expect_ok(cdl_session_run(s, &picture, 1), "reference");
    memcpy(logits, cdl_session_logits(s, 0, 0), CLASSES * sizeof *logits);
}

static int open_all(void **state) {
    if (rig_open(state))
        return -1;
    struct random r = random_of(16);
    cdl_session *s;
    random_fill(&r, pixels, sizeof pixels);
    model = harness_load("bottleneck_g8");
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, NULL), "session");
    run_pixels(s, expected);
    cdl_session_destroy(&s);
    return 0;
}

static int close_all(void **state) {
    cdl_model_destroy(&model);
    return rig_close(state);
}

static struct rig_image make_image(int level) {
    return rig_image(&(struct rig_image_params){.format = VK_FORMAT_R8G8B8A8_UNORM,
                                                .width = WIDTH,
                                                .height = HEIGHT,
                                                .level = level,
                                                .data = pixels,
                                                .pixel_bytes = 4});
}

static struct cdl_vk_input input_of(const struct rig_image *image) {
    return (struct cdl_vk_input){
        .width = WIDTH, .height = HEIGHT, .view = image->view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
}

// ---- secondary command buffers

// Slices in secondary command buffers, each executed by a primary one.
static void test_secondary(void **state) {
    (void)state;
    struct rig_image image = make_image(0);
    const struct cdl_vk_input input = input_of(&image);
    const VkCommandBufferAllocateInfo allocate = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                  .commandPool = rig.pool,
                                                  .level = VK_COMMAND_BUFFER_LEVEL_SECONDARY,
                                                  .commandBufferCount = 1};
    const VkCommandBufferInheritanceInfo inherits = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
                                            .pInheritanceInfo = &inherits};
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, cdl_session_params(.timings = true)), "session");
    for (int slices = 1; slices <= 3; slices += 2) {
        VkCommandBuffer primary = rig_begin(), all[3];
        for (int i = 0; i < slices; i++) {
            HOST_VK(vkAllocateCommandBuffers(rig.host.device, &allocate, &all[i]));
            HOST_VK(vkBeginCommandBuffer(all[i], &begin));
            harness_expect_ok(
                cdl_vk_record(s, all[i], cdl_vk_run(.inputs = &input, .count = 1, .slice = i, .num_slices = slices)),
                "record");
            rig_end(all[i]);
            vkCmdExecuteCommands(primary, 1, &all[i]);
        }
        rig_run(primary);
        harness_expect_ok(cdl_vk_retire(s, 0, true), "retire");
        assert_memory_equal(cdl_session_logits(s, 0, 0), expected, sizeof expected);
        vkFreeCommandBuffers(rig.host.device, rig.pool, (uint32_t)slices, all);
    }
    cdl_session_destroy(&s);
    rig_image_free(&image);
}

// ---- queue families

// A device of the host's with a queue of each of two families; where there is one, the rig's device and queue.
struct two_queues {
    VkDevice device;
    VkQueue draws, computes;
    uint32_t draw_family, compute_family;
    VkCommandPool draw_pool, compute_pool;
};

static uint32_t find_compute_family(void) {
    VkQueueFamilyProperties families[16];
    uint32_t count = 16;
    vkGetPhysicalDeviceQueueFamilyProperties(rig.host.physical, &count, families);
    for (uint32_t i = 0; i < count; i++)
        if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) && !(families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT))
            return i;
    return rig.host.queue_family;
}

static VkCommandPool pool_of(VkDevice device, uint32_t family) {
    const VkCommandPoolCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = family};
    VkCommandPool pool;
    HOST_VK(vkCreateCommandPool(device, &info, NULL, &pool));
    return pool;
}

static struct two_queues open_two(void) {
    const float priority = 1;
    struct two_queues q = {.draw_family = rig.host.queue_family, .compute_family = find_compute_family()};
    const VkDeviceQueueCreateInfo queues[] = {{.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                               .queueFamilyIndex = q.draw_family,
                                               .queueCount = 1,
                                               .pQueuePriorities = &priority},
                                              {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                               .queueFamilyIndex = q.compute_family,
                                               .queueCount = 1,
                                               .pQueuePriorities = &priority}};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &rig.host.features,
                                     .queueCreateInfoCount = 2,
                                     .pQueueCreateInfos = queues,
                                     .enabledExtensionCount = (uint32_t)rig.host.enabled.num_extensions,
                                     .ppEnabledExtensionNames = rig.host.enabled.extensions};
    q.device = rig.host.device;
    q.draws = q.computes = rig.host.queue;
    if (q.draw_family != q.compute_family) {
        HOST_VK(vkCreateDevice(rig.host.physical, &info, NULL, &q.device));
        vkGetDeviceQueue(q.device, q.draw_family, 0, &q.draws);
        vkGetDeviceQueue(q.device, q.compute_family, 0, &q.computes);
    }
    q.draw_pool = pool_of(q.device, q.draw_family);
    q.compute_pool = pool_of(q.device, q.compute_family);
    return q;
}

static VkCommandBuffer begin_in(const struct two_queues *q, VkCommandPool pool) {
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkCommandBuffer cmd;
    HOST_VK(vkAllocateCommandBuffers(q->device, &info, &cmd));
    HOST_VK(vkBeginCommandBuffer(cmd, &begin));
    return cmd;
}

// The half of a transfer of ownership from the drawing family to the other that stands in `cmd`; with one family an
// ordinary barrier.
static void transfer(const struct two_queues *q, VkCommandBuffer cmd, VkImage image, bool release) {
    const bool two = q->draw_family != q->compute_family;
    const VkImageMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .srcAccessMask = release ? VK_ACCESS_TRANSFER_WRITE_BIT : 0,
        .dstAccessMask = release ? 0 : VK_ACCESS_SHADER_READ_BIT,
        .oldLayout = two || release ? VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
        .newLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
        .srcQueueFamilyIndex = two ? q->draw_family : VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = two ? q->compute_family : VK_QUEUE_FAMILY_IGNORED,
        .image = image,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
    };
    vkCmdPipelineBarrier(cmd, release ? VK_PIPELINE_STAGE_TRANSFER_BIT : VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT,
                         release ? VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 0,
                         NULL, 0, NULL, 1, &barrier);
}

static void submit(VkQueue queue, VkCommandBuffer cmd, VkSemaphore wait, VkSemaphore signal) {
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .waitSemaphoreCount = wait ? 1 : 0,
                               .pWaitSemaphores = &wait,
                               .pWaitDstStageMask = &stage,
                               .commandBufferCount = 1,
                               .pCommandBuffers = &cmd,
                               .signalSemaphoreCount = signal ? 1 : 0,
                               .pSignalSemaphores = &signal};
    HOST_VK(vkEndCommandBuffer(cmd));
    HOST_VK(vkQueueSubmit(queue, 1, &info, VK_NULL_HANDLE));
}

// The host draws (here: copies) on one queue and releases the image, acquires it on the other and records the run
// there.
static void run_on_two(const struct two_queues *q, cdl_device *dev) {
    VkDevice rest = rig.host.device; // rig_image and rig_buffer on the other device, for once
    VkCommandPool pool = rig.pool;
    VkQueue queue = rig.host.queue;
    rig.host.device = q->device;
    rig.pool = q->draw_pool;
    rig.host.queue = q->draws;
    struct rig_image image = make_image(0);
    struct rig_buffer source = rig_buffer(VK_BUFFER_USAGE_TRANSFER_SRC_BIT, sizeof pixels);
    memcpy(source.mapped, pixels, sizeof pixels);
    const struct cdl_vk_input input = input_of(&image);
    const VkImageMemoryBarrier discard = {.sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
                                          .dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
                                          .newLayout = VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                                          .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                          .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
                                          .image = image.handle,
                                          .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1}};
    const VkBufferImageCopy region = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                      .imageExtent = {WIDTH, HEIGHT, 1}};
    const VkSemaphoreCreateInfo binary = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    VkSemaphore drawn;
    cdl_session *s;
    HOST_VK(vkCreateSemaphore(q->device, &binary, NULL, &drawn));
    harness_expect_ok(cdl_session_create(&s, dev, model, NULL), "session");
    for (int frame = 0; frame < 2; frame++) {
        VkCommandBuffer draw = begin_in(q, q->draw_pool), compute = begin_in(q, q->compute_pool);
        vkCmdPipelineBarrier(draw, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 0, NULL, 0,
                             NULL, 1, &discard); // what it was does not matter: no ownership has to come back
        vkCmdCopyBufferToImage(draw, source.handle, image.handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
        transfer(q, draw, image.handle, true);
        transfer(q, compute, image.handle, false);
        harness_expect_ok(cdl_vk_record(s, compute, cdl_vk_run(.inputs = &input, .count = 1)), "record");
        submit(q->draws, draw, VK_NULL_HANDLE, drawn);
        submit(q->computes, compute, drawn, VK_NULL_HANDLE);
        HOST_VK(vkQueueWaitIdle(q->computes));
        HOST_VK(vkQueueWaitIdle(q->draws));
        harness_expect_ok(cdl_vk_retire(s, 0, true), "retire");
        assert_memory_equal(cdl_session_logits(s, 0, 0), expected, sizeof expected);
    }
    cdl_session_destroy(&s);
    vkDestroySemaphore(q->device, drawn, NULL);
    rig_buffer_free(&source);
    rig_image_free(&image);
    rig.host.device = rest;
    rig.pool = pool;
    rig.host.queue = queue;
}

static void test_queue_families(void **state) {
    (void)state;
    struct two_queues q = open_two();
    const bool mock = q.draw_family == q.compute_family;
    struct cdl_vk_import_params p = rig_import_params();
    cdl_device *dev;
    printf("%s\n", mock ? "one queue family: the hooks show a second one" : "a queue family that cannot draw");
    p.device = q.device;
    p.queue = q.computes;
    p.queue_family = q.compute_family;
    if (mock) {
        p.queue_family = HOOK_SECOND_FAMILY;
        hook_set_options(&(struct hook_options){.second_family = true});
    } else {
        p.get_proc_addr = vkGetInstanceProcAddr;
    }
    harness_expect_ok(cdl_vk_import(&dev, &p), "import");
    assert_int_equal(dev->queue_family, p.queue_family);
    run_on_two(&q, dev);
    cdl_device_destroy(&dev);
    if (mock) {
        assert_true(hook_second_pools() > 0); // every command pool that Cardinal made was of that family
        assert_int_equal(hook_second_pools(), hook_pools());
        hook_set_options(&(struct hook_options){0});
    }
    vkDestroyCommandPool(q.device, q.draw_pool, NULL);
    vkDestroyCommandPool(q.device, q.compute_pool, NULL);
    if (!mock)
        vkDestroyDevice(q.device, NULL);
    assert_int_equal(rig.host.messages, 0);
}

// ---- views

// What Vulkan does not let a library see, the host can tell: then it is checked.
// misuse: cdl_vk_record
static void test_wrong_views(void **state) {
    (void)state;
    struct rig_image picture = make_image(1); // level 1 of it
    struct cdl_vk_input input = input_of(&picture);
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, NULL), "session");
    VkImageCreateInfo image = {.imageType = VK_IMAGE_TYPE_2D,
                               .format = VK_FORMAT_R8G8B8A8_UNORM,
                               .extent = {41, 33, 1},
                               .samples = VK_SAMPLE_COUNT_1_BIT,
                               .usage = VK_IMAGE_USAGE_SAMPLED_BIT};
    VkImageViewCreateInfo view = {
        .viewType = VK_IMAGE_VIEW_TYPE_2D, .format = VK_FORMAT_R8G8B8A8_UNORM, .subresourceRange = {.baseMipLevel = 1}};
    static const VkFormat integers[] = {VK_FORMAT_R8_UINT,           VK_FORMAT_R8G8B8A8_SINT,
                                        VK_FORMAT_B8G8R8A8_UINT,     VK_FORMAT_A2B10G10R10_UINT_PACK32,
                                        VK_FORMAT_R16G16B16A16_UINT, VK_FORMAT_R32G32B32A32_SINT,
                                        VK_FORMAT_R64G64_SFLOAT,     VK_FORMAT_D32_SFLOAT,
                                        VK_FORMAT_S8_UINT,           VK_FORMAT_UNDEFINED};
    static const VkFormat floats[] = {VK_FORMAT_R8_UNORM,
                                      VK_FORMAT_R8G8_SNORM,
                                      VK_FORMAT_B8G8R8A8_SRGB,
                                      VK_FORMAT_A8B8G8R8_SRGB_PACK32,
                                      VK_FORMAT_A2R10G10B10_UNORM_PACK32,
                                      VK_FORMAT_R16G16B16A16_SFLOAT,
                                      VK_FORMAT_R32G32B32A32_SFLOAT,
                                      VK_FORMAT_B10G11R11_UFLOAT_PACK32,
                                      VK_FORMAT_E5B9G9R9_UFLOAT_PACK32,
                                      VK_FORMAT_R5G6B5_UNORM_PACK16,
                                      VK_FORMAT_BC7_SRGB_BLOCK,
                                      VK_FORMAT_ASTC_4x4_UNORM_BLOCK};
    VkCommandBuffer cmd = rig_begin();
    input.image_info = &image;
    input.view_info = &view;
    const struct cdl_vk_run *run = cdl_vk_run(.inputs = &input, .count = 1);
    for (size_t i = 0; i < CDL_COUNT(integers); i++) {
        view.format = integers[i];
        rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "view_info", "a format of no floats");
    }
    view.format = VK_FORMAT_R8G8B8A8_UNORM;
    view.viewType = VK_IMAGE_VIEW_TYPE_2D_ARRAY;
    rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "viewType", "an array");
    view.viewType = VK_IMAGE_VIEW_TYPE_2D;
    image.samples = VK_SAMPLE_COUNT_4_BIT;
    rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "samples", "four samples");
    image.samples = VK_SAMPLE_COUNT_1_BIT;
    image.usage = VK_IMAGE_USAGE_STORAGE_BIT;
    rig_expect_refusal(cdl_vk_submit(s, run, NULL, 0, NULL, 0), CDL_ERR_INVALID, "SAMPLED", "no usage SAMPLED");
    image.usage = VK_IMAGE_USAGE_SAMPLED_BIT;
    image.extent.width = 43;
    rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "width", "another width");
    image.extent.width = 41;
    view.subresourceRange.baseMipLevel = 2;
    rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "20x16", "another level");
    view.subresourceRange.baseMipLevel = 1;
    input.view_info = NULL;
    image.extent = (VkExtent3D){20, 16, 1};
    image.format = VK_FORMAT_R8G8B8A8_UINT;
    rig_expect_refusal(cdl_vk_record(s, cmd, run), CDL_ERR_INVALID, "image_info", "an image of integers");
    image.extent = (VkExtent3D){41, 33, 1};
    input.view_info = &view;
    for (size_t i = 0; i < CDL_COUNT(floats); i++) { // the pixels are what they were
        view.format = floats[i];
        harness_expect_ok(cdl_vk_submit(s, run, NULL, 0, NULL, 0), "told rightly");
        harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "told rightly");
    }
    rig_run(cmd); // empty
    cdl_session_destroy(&s);
    rig_image_free(&picture);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secondary),
        cmocka_unit_test(test_queue_families),
        cmocka_unit_test(test_wrong_views),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan ways", tests, open_all, close_all);
}
