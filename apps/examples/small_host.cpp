// small_host.cpp - small_host.c in C++17: what Cardinal makes is owned by members, and failures are exceptions.
//   small_host_cpp MODEL
#include <volk.h> // before other headers of Vulkan

#include <cdl/cdl_vulkan.h>
extern "C" {
#include "scene.h"
}
#include <cstdio>
#include <stdexcept>

// Exceptions must not leave a callback: the library is C. So a log line is kept here, and thrown by check().
struct Errors {
    char text[512] = "";
    static void keep(void *ctx, cdl_log_level, const char *msg) noexcept {
        std::snprintf(static_cast<Errors *>(ctx)->text, sizeof text, "%s", msg);
    }
    void check(cdl_result r) const {
        if (r != CDL_OK)
            throw std::runtime_error(text[0] ? text : cdl_result_str(r));
    }
};

template <typename T, void (*destroy)(T **)> struct Owned {
    T *it = nullptr;
    Owned() = default;
    Owned(const Owned &) = delete;
    ~Owned() { destroy(&it); }
};

class Classifier {
    Errors errors;
    Owned<cdl_device, cdl_device_destroy> device; // members go in reverse order: the session first, then its device
    Owned<cdl_model, cdl_model_destroy> model;
    Owned<cdl_session, cdl_session_destroy> session;

  public:
    Classifier(const host_device &d, const char *path) {
        cdl_vk_import_params import{};
        import.log = {Errors::keep, &errors, CDL_LOG_ERR};
        import.instance = d.instance, import.phys_device = d.physical, import.device = d.device;
        import.get_proc_addr = vkGetInstanceProcAddr, import.features = &d.features;
        import.queue = d.queue, import.queue_family = d.queue_family, import.api_version = d.api_version;
        import.extensions = d.enabled.extensions, import.num_extensions = d.enabled.num_extensions;
        cdl_model_params load{};
        load.log = import.log;
        errors.check(cdl_vk_import(&device.it, &import));
        errors.check(cdl_model_load_file(&model.it, path, &load));
        errors.check(cdl_session_create(&session.it, device.it, model.it, nullptr));
    }
    void record(VkCommandBuffer cmd, const cdl_vk_input &input) {
        cdl_vk_run run{};
        run.inputs = &input, run.count = 1;
        errors.check(cdl_vk_record(session.it, cmd, &run));
    }
    void print_result() { // when cmd is done
        cdl_class best;
        errors.check(cdl_vk_retire(session.it, 0, true));
        errors.check(cdl_session_topk(session.it, 0, 0, &best, 1));
        std::printf("%s, logit %.4f\n", cdl_model_class_name(model.it, best.id), static_cast<double>(best.logit));
    }
};

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
        Classifier classifier(d, argv[1]);
        cdl_vk_input input{};
        input.width = SCENE_WIDTH, input.height = SCENE_HEIGHT, input.view = scene.frame.view;
        input.linear = true, input.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, nullptr, 0, nullptr};
        HOST_VK(vkBeginCommandBuffer(cmd, &begin));
        scene_draw(&scene, cmd, 0.3f);
        classifier.record(cmd, input);
        HOST_VK(vkEndCommandBuffer(cmd));
        VkSubmitInfo submit{VK_STRUCTURE_TYPE_SUBMIT_INFO, nullptr, 0, nullptr, nullptr, 1, &cmd, 0, nullptr};
        HOST_VK(vkQueueSubmit(d.queue, 1, &submit, VK_NULL_HANDLE));
        HOST_VK(vkQueueWaitIdle(d.queue));
        classifier.print_result();
    }
    vkDestroyCommandPool(d.device, pool, nullptr);
    scene_destroy(&scene);
    host_device_destroy(&d);
    return 0;
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
