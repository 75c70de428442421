// host.c - a small Vulkan application that classifies what it draws, for those who build Cardinal into a game or a
// viewer.
//
// It has a VkInstance and a VkDevice of its own, draws a turning cube into an image, and appends a run of the
// classifier to the very command buffer that draws: no copy of the frame, no wait, no second queue, nothing read back
// but the result. In order:
//   1. the device is created with the features that Cardinal needs        host_device.c, choose_features
//   2. cdl_vk_import makes a cdl_device of it, a model is loaded,
//      a session is created                                               open_classifier
//   3. every frame: draw, cdl_vk_record, submit                           record_frame
//   4. once the frame's fence is signalled: cdl_vk_retire, and the
//      result is there                                                    take_result
//
//   host MODEL PICTURE [--frames N] [--slices N] [--secondary] [--check] [--validate] [--png FILE]
//     --slices N   spreads one run over N frames, for a network that would cost one frame too much
//     --secondary  records the classifier into secondary command buffers, as engines do that record on several threads
//     --check      reads the classified frames back, classifies the same pixels from host memory, and compares to the
//     bit --validate   with the Khronos validation layer and its synchronization checks; any message fails the program
//     --png FILE   writes the last frame, to look at
// Exit status: 0, 1 when something failed or a check found a difference, 2 for wrong usage.
#include "scene.h" // brings volk, which must come before other headers of Vulkan

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cdl/cdl_vulkan.h>

#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#include <stb/stb_image_write.h>

// Frames whose commands the GPU may still have before it when the next is recorded, and runs of the classifier: each
// has a slot of the session.
enum { IN_FLIGHT = 2, FRAME_BYTES = SCENE_WIDTH * SCENE_HEIGHT * 4 };

struct options {
    const char *model, *picture, *png;
    int frames, slices;
    bool check, validate, secondary;
};

struct frame { // what belongs to one frame in flight
    VkCommandBuffer cmd, secondary;
    VkFence done;
    bool recorded;
    int finishes;               // the run whose last slice it has; -1: none
    struct scene_buffer pixels; // for --check and --png
};

struct host {
    struct options options;
    struct host_device device;
    struct scene scene;
    VkCommandPool pool;
    struct frame frames[IN_FLIGHT];
    cdl_device *cardinal;
    cdl_model *model;
    cdl_session *session, *reference; // reference: for --check
    uint8_t *checked[IN_FLIGHT];      // [FRAME_BYTES], by slot: the frame that a run looks at
    double *recording_us;             // [options.frames]
    int runs, differences;
};

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
static double now_us(void) {
    LARGE_INTEGER ticks, per_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&per_second);
    return (double)ticks.QuadPart * 1e6 / (double)per_second.QuadPart;
}
#else
static double now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}
#endif

// ---- 2: the classifier

static void on_log(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    (void)level;
    fprintf(stderr, "cardinal: %s\n", msg);
}

static bool open_classifier(struct host *h) {
    const cdl_log log = {.fn = on_log, .level = CDL_LOG_WARN};
    const struct host_device *d = &h->device;
    // All handles stay this program's. Everything here is on one thread; where others submit to the queue too,
    // lock_queue and unlock_queue go around every use that Cardinal makes of it.
    if (cdl_vk_import(&h->cardinal,
                      cdl_vk_import_params(.log = log, .instance = d->instance, .phys_device = d->physical,
                                           .device = d->device, .get_proc_addr = vkGetInstanceProcAddr,
                                           .features = &d->features, .queue = d->queue, .queue_family = d->queue_family,
                                           .api_version = d->api_version, .extensions = d->enabled.extensions,
                                           .num_extensions = d->enabled.num_extensions)) != CDL_OK)
        return false;
    if (cdl_model_load_file(&h->model, h->options.model, cdl_model_params(.log = log)) != CDL_OK)
        return false;
    // This is where shaders are compiled and memory is taken: in a game, behind the loading screen. Nothing that
    // happens later allocates. With a cache_dir in the import's parameters the second start is faster.
    if (cdl_session_create(&h->session, h->cardinal, h->model, cdl_session_params(.num_slots = IN_FLIGHT)) != CDL_OK)
        return false;
    if (h->options.check && cdl_session_create(&h->reference, h->cardinal, h->model, NULL) != CDL_OK)
        return false;
    struct cdl_session_info info;
    cdl_session_get_info(h->session, &info);
    if (h->options.slices > info.max_slices) {
        fprintf(stderr, "--slices %d: a run of this network has at most %d\n", h->options.slices, info.max_slices);
        return false;
    }
    return true;
}

// ---- 3: a frame

static void record_classifier(struct host *h, struct frame *frame, int index) {
    const int run = index / h->options.slices, slice = index % h->options.slices;
    // The frame's view is of an sRGB format: shaders read linear light from it, and `linear` tells Cardinal so.
    const struct cdl_vk_input input = {
        .width = SCENE_WIDTH,
        .height = SCENE_HEIGHT,
        .view = h->scene.frame.view,
        .linear = true,
        .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    const VkCommandBufferInheritanceInfo inherits = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_INHERITANCE_INFO};
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
        .pInheritanceInfo = &inherits,
    };
    if (h->options.secondary)
        HOST_VK(vkBeginCommandBuffer(frame->secondary, &begin));
    const double start = now_us();
    const cdl_result r = cdl_vk_record(h->session, h->options.secondary ? frame->secondary : frame->cmd,
                                       cdl_vk_run(.slot = run % IN_FLIGHT, .inputs = &input, .count = 1, .slice = slice,
                                                  .num_slices = h->options.slices));
    h->recording_us[index] = now_us() - start;
    if (r != CDL_OK) // nothing was recorded: the frame is good, there is no run in it
        exit(1);
    if (h->options.secondary) {
        HOST_VK(vkEndCommandBuffer(frame->secondary));
        vkCmdExecuteCommands(frame->cmd, 1, &frame->secondary);
    }
    frame->finishes = slice == h->options.slices - 1 ? run : -1;
}

static void record_frame(struct host *h, int index) {
    struct frame *frame = &h->frames[index % IN_FLIGHT];
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &frame->cmd};
    HOST_VK(vkBeginCommandBuffer(frame->cmd, &begin));
    scene_draw(&h->scene, frame->cmd, (float)index * 0.05f - 0.3f);
    // Outside the render pass. Replaced are the compute pipeline, compute descriptor set 0 and push constants, nothing
    // else.
    record_classifier(h, frame, index);
    // ... a game would blit to the swapchain here, and go on drawing.
    if (h->options.check || h->options.png)
        scene_read_back(&h->scene, frame->cmd, frame->pixels.handle);
    HOST_VK(vkEndCommandBuffer(frame->cmd));
    HOST_VK(vkQueueSubmit(h->device.queue, 1, &submit, frame->done));
    frame->recorded = true;
}

// ---- 4: its result

static void check_result(struct host *h, int run, const float *logits, int num_classes) {
    const struct cdl_pixels pixels = {
        .data = h->checked[run % IN_FLIGHT], .width = SCENE_WIDTH, .height = SCENE_HEIGHT, .format = CDL_FORMAT_RGBA8};
    if (cdl_session_run(h->reference, &pixels, 1) != CDL_OK)
        exit(1);
    if (memcmp(logits, cdl_session_logits(h->reference, 0, 0), (size_t)num_classes * sizeof *logits)) {
        h->differences++;
        fprintf(stderr, "run %d: its logits differ from those of the same pixels in host memory\n", run);
    }
}

// The frame's commands are done: the run that ended in it has a result, and its slot is free again.
static void take_result(struct host *h, const struct frame *frame, int index) {
    struct cdl_model_info info;
    struct cdl_class top;
    const int run = frame->finishes, slot = run % IN_FLIGHT;
    if (h->options.check && index % h->options.slices == 0) // the first slice looks at the frame
        memcpy(h->checked[index / h->options.slices % IN_FLIGHT], frame->pixels.mapped, FRAME_BYTES);
    if (run < 0)
        return;
    cdl_model_get_info(h->model, &info);
    if (cdl_vk_retire(h->session, slot, true) != CDL_OK || cdl_session_topk(h->session, slot, 0, &top, 1) != CDL_OK)
        exit(1);
    const char *name = cdl_model_class_name(h->model, top.id);
    printf("frame %3d: %s, %.1f %%\n", index, name ? name : "(unlabelled)", 100 * (double)top.prob);
    if (h->options.check)
        check_result(h, run, cdl_session_logits(h->session, slot, 0), info.num_classes);
    h->runs++;
}

// Waits until frame `index` is done, if it ever was begun.
static void finish_frame(struct host *h, int index) {
    struct frame *frame = &h->frames[(index + IN_FLIGHT) % IN_FLIGHT];
    if (!frame->recorded)
        return;
    HOST_VK(vkWaitForFences(h->device.device, 1, &frame->done, VK_TRUE, UINT64_MAX));
    HOST_VK(vkResetFences(h->device.device, 1, &frame->done));
    frame->recorded = false;
    take_result(h, frame, index);
}

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool run_frames(struct host *h) {
    const int count = h->options.frames;
    for (int i = 0; i < count; i++) {
        finish_frame(h, i - IN_FLIGHT);
        record_frame(h, i);
    }
    for (int i = count - IN_FLIGHT; i < count; i++)
        finish_frame(h, i);
    // A run whose last slices were never recorded is given up, so that its slot is idle again.
    if (count % h->options.slices && cdl_vk_retire(h->session, count / h->options.slices % IN_FLIGHT, false) != CDL_OK)
        return false;
    qsort(h->recording_us, (size_t)count, sizeof *h->recording_us, by_size);
    printf("%d frames, %d runs; cdl_vk_record took %.1f us a frame (median)\n", count, h->runs,
           h->recording_us[count / 2]);
    const struct frame *last = &h->frames[(count - 1) % IN_FLIGHT];
    if (h->options.png &&
        !stbi_write_png(h->options.png, SCENE_WIDTH, SCENE_HEIGHT, 4, last->pixels.mapped, SCENE_WIDTH * 4)) {
        fprintf(stderr, "%s cannot be written\n", h->options.png);
        return false;
    }
    return h->differences == 0;
}

// ---- around it

static void create_frames(struct host *h) {
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = h->device.queue_family,
    };
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    HOST_VK(vkCreateCommandPool(h->device.device, &pool, NULL, &h->pool));
    const VkCommandBufferAllocateInfo cmd = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = h->pool,
        .commandBufferCount = 1,
    };
    VkCommandBufferAllocateInfo secondary = cmd;
    secondary.level = VK_COMMAND_BUFFER_LEVEL_SECONDARY;
    for (int i = 0; i < IN_FLIGHT; i++) {
        HOST_VK(vkAllocateCommandBuffers(h->device.device, &cmd, &h->frames[i].cmd));
        HOST_VK(vkAllocateCommandBuffers(h->device.device, &secondary, &h->frames[i].secondary));
        HOST_VK(vkCreateFence(h->device.device, &fence, NULL, &h->frames[i].done));
        scene_buffer_create(&h->frames[i].pixels, &h->device, FRAME_BYTES, VK_BUFFER_USAGE_TRANSFER_DST_BIT);
        h->checked[i] = malloc(FRAME_BYTES);
        if (!h->checked[i])
            exit(1);
    }
    h->recording_us = calloc((size_t)h->options.frames, sizeof *h->recording_us);
    if (!h->recording_us)
        exit(1);
}

static bool run(struct host *h) {
    int width, height;
    if (!host_device_create(&h->device, h->options.validate, NULL, 0))
        return false;
    stbi_uc *rgba = stbi_load(h->options.picture, &width, &height, NULL, 4);
    if (!rgba) {
        fprintf(stderr, "%s: %s\n", h->options.picture, stbi_failure_reason());
        return false;
    }
    scene_create(&h->scene, &h->device, rgba, width, height);
    stbi_image_free(rgba);
    create_frames(h);
    const bool ok = open_classifier(h) && run_frames(h);
    // Sessions before their device; the handles that it was made of come last, and are this program's to destroy.
    cdl_session_destroy(&h->reference);
    cdl_session_destroy(&h->session);
    cdl_model_destroy(&h->model);
    cdl_device_destroy(&h->cardinal);
    for (int i = 0; i < IN_FLIGHT; i++) {
        scene_buffer_destroy(&h->frames[i].pixels, &h->device);
        vkDestroyFence(h->device.device, h->frames[i].done, NULL);
        free(h->checked[i]);
    }
    free(h->recording_us);
    vkDestroyCommandPool(h->device.device, h->pool, NULL);
    scene_destroy(&h->scene);
    return ok;
}

static bool parse(struct options *out, int argc, char **argv) {
    *out = (struct options){.frames = 60, .slices = 1};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--check"))
            out->check = true;
        else if (!strcmp(argv[i], "--secondary"))
            out->secondary = true;
        else if (!strcmp(argv[i], "--validate"))
            out->validate = true;
        else if (!strcmp(argv[i], "--frames") && (out->frames = atoi(value)) > 0)
            i++;
        else if (!strcmp(argv[i], "--slices") && (out->slices = atoi(value)) > 0)
            i++;
        else if (!strcmp(argv[i], "--png") && value[0])
            out->png = argv[++i];
        else if (argv[i][0] != '-' && !out->model)
            out->model = argv[i];
        else if (argv[i][0] != '-' && !out->picture)
            out->picture = argv[i];
        else
            return false;
    }
    return out->picture != NULL;
}

int main(int argc, char **argv) {
    static struct host h;
    if (!parse(&h.options, argc, argv)) {
        fprintf(stderr, "usage: host MODEL PICTURE [--frames N] [--slices N] [--secondary] [--check] [--validate] "
                        "[--png FILE]\n");
        return 2;
    }
    bool ok = run(&h);
    host_device_destroy(&h.device); // the validation layer tells of what was not destroyed before
    if (h.device.messages) {
        fprintf(stderr, "%d validation messages\n", h.device.messages);
        ok = false;
    }
    return ok ? 0 : 1;
}
