// small_host.c - the least that a Vulkan program does to classify what it draws; host.c does it well. The device is
// created in host_device.c, with cdl_vk_enable_features; scene.c draws.
//
//   small_host MODEL
#include "scene.h" // brings volk

#include <stdio.h>
#include <stdlib.h>

#include <cdl/cdl_vulkan.h>

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx, (void)level;
    fprintf(stderr, "%s\n", msg);
}

static void check(cdl_result r) {
    if (r != CDL_OK)
        exit(1); // on_log told why
}

// Draws a frame, and classifies it by the same command buffer.
static void run_frame(const struct host_device *d, struct scene *scene, VkCommandBuffer cmd, cdl_session *session) {
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cmd};
    const struct cdl_vk_input input = {
        .width = SCENE_WIDTH,
        .height = SCENE_HEIGHT,
        .view = scene->frame.view,
        .linear = true, // it is of an sRGB format
        .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    HOST_VK(vkBeginCommandBuffer(cmd, &begin));
    scene_draw(scene, cmd, 0.3f);
    check(cdl_vk_record(session, cmd, cdl_vk_run(.inputs = &input, .count = 1)));
    HOST_VK(vkEndCommandBuffer(cmd));
    HOST_VK(vkQueueSubmit(d->queue, 1, &submit, VK_NULL_HANDLE));
    HOST_VK(vkQueueWaitIdle(d->queue)); // a program with frames in flight has a fence for each
    check(cdl_vk_retire(session, 0, true));
}

int main(int argc, char **argv) {
    static const uint8_t texture[4] = {230, 120, 20, 255};
    const cdl_log log = {.fn = on_log, .level = CDL_LOG_WARN};
    static struct host_device d;
    struct scene scene;
    VkCommandPool pool;
    VkCommandBuffer cmd;
    if (argc != 2 || !host_device_create(&d, false, NULL, 0))
        return 2;
    scene_create(&scene, &d, texture, 1, 1);
    const VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                               .queueFamilyIndex = d.queue_family};
    HOST_VK(vkCreateCommandPool(d.device, &pool_info, NULL, &pool));
    const VkCommandBufferAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, .commandPool = pool, .commandBufferCount = 1};
    HOST_VK(vkAllocateCommandBuffers(d.device, &allocate, &cmd));

    cdl_device *cardinal;
    cdl_model *model;
    cdl_session *session;
    struct cdl_class best;
    check(cdl_vk_import(&cardinal,
                        cdl_vk_import_params(.log = log, .instance = d.instance, .phys_device = d.physical,
                                             .device = d.device, .get_proc_addr = vkGetInstanceProcAddr,
                                             .features = &d.features, .queue = d.queue, .queue_family = d.queue_family,
                                             .api_version = d.api_version, .extensions = d.enabled.extensions,
                                             .num_extensions = d.enabled.num_extensions)));
    check(cdl_model_load_file(&model, argv[1], cdl_model_params(.log = log)));
    check(cdl_session_create(&session, cardinal, model, NULL));
    run_frame(&d, &scene, cmd, session);
    check(cdl_session_topk(session, 0, 0, &best, 1));
    printf("%s, logit %.4f\n", cdl_model_class_name(model, best.id), (double)best.logit);

    cdl_session_destroy(&session); // sessions, then their device; then what it was made of
    cdl_model_destroy(&model);
    cdl_device_destroy(&cardinal);
    vkDestroyCommandPool(d.device, pool, NULL);
    scene_destroy(&scene);
    host_device_destroy(&d);
    return 0;
}
