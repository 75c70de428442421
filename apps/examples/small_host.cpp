// small_host.cpp - small_host.c in C++17, by cardinal.hpp: objects free themselves, and failures are exceptions.
//   small_host_cpp MODEL
#include <volk.h> // before other headers of Vulkan

#include <cdl/cardinal.hpp>
#include <cdl/cdl_vulkan.h>
extern "C" {
#include "scene.h"
}
#include <cstdio>

// Cardinal on the host's own device.
static cardinal::device open_on(const host_device &d) {
    return cardinal::device::make({}, [&](cdl_device **out, const cdl_log &log) {
        cdl_vk_import_params params{};
        params.log = log, params.instance = d.instance, params.phys_device = d.physical, params.device = d.device;
        params.get_proc_addr = vkGetInstanceProcAddr, params.features = &d.features;
        params.queue = d.queue, params.queue_family = d.queue_family, params.api_version = d.api_version;
        params.extensions = d.enabled.extensions, params.num_extensions = d.enabled.num_extensions;
        return cdl_vk_import(out, &params);
    });
}

int main(int argc, char **argv) try {
    static host_device d; // not moved: Cardinal's structures in its chain of features
    const uint8_t texture[] = {230, 120, 20, 255};
    if (argc != 2 || !host_device_create(&d, false, nullptr, 0))
        return 2;
    scene scene;
    scene_create(&scene, &d, texture, 1, 1);
    VkCommandPool pool;
    VkCommandBuffer cmd;
    VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr, 0, d.queue_family};
    HOST_VK(vkCreateCommandPool(d.device, &pool_info, nullptr, &pool));
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool, {}, 1};
    HOST_VK(vkAllocateCommandBuffers(d.device, &allocate, &cmd));
    {
        const auto model = cardinal::model::load(argv[1]);
        const auto session = cardinal::session::create(open_on(d), model);
        cdl_vk_input input{};
        input.width = SCENE_WIDTH, input.height = SCENE_HEIGHT, input.view = scene.frame.view;
        input.linear = true, input.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, nullptr, 0, nullptr};
        HOST_VK(vkBeginCommandBuffer(cmd, &begin));
        scene_draw(&scene, cmd, 0.3f);
        cdl_vk_run run{};
        run.inputs = &input, run.count = 1;
        session.check(cdl_vk_record(session.get(), cmd, &run));
        HOST_VK(vkEndCommandBuffer(cmd));
        VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO, nullptr, 0, nullptr, nullptr, 1, &cmd, 0, nullptr};
        HOST_VK(vkQueueSubmit(d.queue, 1, &submit, VK_NULL_HANDLE));
        HOST_VK(vkQueueWaitIdle(d.queue));
        session.check(cdl_vk_retire(session.get(), 0, true)); // cmd is done
        const cdl_class best = session.top(1)[0];
        std::printf("%s, logit %.4f\n", model.class_name(best.id), static_cast<double>(best.logit));
    }
    vkDestroyCommandPool(d.device, pool, nullptr);
    scene_destroy(&scene);
    host_device_destroy(&d);
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
