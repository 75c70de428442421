// game_loop.cpp - a game's loop that classifies what it draws: a part of the network goes into each frame's own command
// buffer, so that no frame takes much longer than the others.
//
//   game_loop MODEL [FRAMES [SLICES]]
// Draws a disc that moves, by copying pixels, into an image that stays on the GPU; there is no window. Prints an answer
// each SLICES frames (4), and checks it against the same pixels classified from host memory. Exit status 1: they differ.
#include <vulkan/vulkan.h>

#include <cdl/cardinal.hpp>
#include <cdl/cdl_vulkan.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

namespace {

constexpr std::uint32_t side = 96; // of a frame, in pixels
constexpr std::size_t frame_bytes = side * side * 4;

void check(VkResult result) {
    if (result < 0)
        throw std::runtime_error("a call of Vulkan failed");
}

// One of Vulkan's structures; all else in it is zero.
template <typename T> T structure(VkStructureType type) {
    T out{};
    out.sType = type;
    return out;
}

void print(void *, cdl_log_level, const char *message) { std::fprintf(stderr, "%s\n", message); }

// What every game has: an instance, a device, a queue, an image, a command buffer. Of Cardinal there is only the asking
// which features it wants beside the game's own.
struct game {
    VkInstance instance{};
    VkPhysicalDevice gpu{};
    VkDevice device{};
    VkQueue queue{};
    std::uint32_t family = 0;
    VkPhysicalDeviceFeatures2 features =
        structure<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
    cdl_vk_enabled enabled{};
    VkBuffer pixels{}; // what the CPU painted: the frame's content
    VkDeviceMemory pixel_memory{}, image_memory{};
    unsigned char *mapped = nullptr;
    VkImage image{};
    VkImageView view{};
    VkCommandPool pool{};
    VkCommandBuffer commands{};
    VkFence done{};

    game() {
        open_device();
        make_frame();
    }
    game(const game &) = delete;
    ~game() {
        vkDestroyFence(device, done, nullptr);
        vkDestroyCommandPool(device, pool, nullptr);
        vkDestroyImageView(device, view, nullptr);
        vkDestroyImage(device, image, nullptr);
        vkDestroyBuffer(device, pixels, nullptr);
        vkFreeMemory(device, pixel_memory, nullptr);
        vkFreeMemory(device, image_memory, nullptr);
        vkDestroyDevice(device, nullptr);
        vkDestroyInstance(instance, nullptr);
    }

    // The game's handles, as Cardinal takes them.
    cdl_vk_import_params handles() const {
        cdl_vk_import_params out{};
        out.log = {print, nullptr, CDL_LOG_WARN};
        out.instance = instance, out.phys_device = gpu, out.device = device, out.queue = queue,
        out.queue_family = family;
        out.get_proc_addr = vkGetInstanceProcAddr, out.api_version = VK_API_VERSION_1_2;
        out.features = &features, out.extensions = enabled.extensions, out.num_extensions = enabled.num_extensions;
        return out;
    }

    void open_device() {
        auto application = structure<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
        application.pApplicationName = "game_loop", application.apiVersion = VK_API_VERSION_1_2;
        auto instance_info = structure<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
        instance_info.pApplicationInfo = &application;
        check(vkCreateInstance(&instance_info, nullptr, &instance));
        std::uint32_t count = 1;
        check(vkEnumeratePhysicalDevices(instance, &count, &gpu)); // a game chooses
        if (count == 0)
            throw std::runtime_error("no Vulkan device");
        VkQueueFamilyProperties families[16];
        count = 16;
        vkGetPhysicalDeviceQueueFamilyProperties(gpu, &count, families);
        while (family < count && !(families[family].queueFlags & VK_QUEUE_COMPUTE_BIT))
            family++;
        if (family == count)
            throw std::runtime_error("no queue that computes");

        const cdl_vk_import_params host = handles(); // `features` leads the game's own chain, here none
        if (cdl_vk_enable_features(&enabled, &features, &host) != CDL_OK)
            throw std::runtime_error("the device lacks what Cardinal needs");
        const float priority = 1;
        VkDeviceQueueCreateInfo queue_info{
            VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO, nullptr, 0, family, 1, &priority};
        auto device_info = structure<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
        device_info.pNext = &features, device_info.queueCreateInfoCount = 1;
        device_info.pQueueCreateInfos = &queue_info, device_info.ppEnabledExtensionNames = enabled.extensions;
        device_info.enabledExtensionCount = static_cast<std::uint32_t>(enabled.num_extensions);
        check(vkCreateDevice(gpu, &device_info, nullptr, &device));
        vkGetDeviceQueue(device, family, 0, &queue);
    }

    VkDeviceMemory allocate(const VkMemoryRequirements &needs, VkMemoryPropertyFlags flags) const {
        VkPhysicalDeviceMemoryProperties memory;
        vkGetPhysicalDeviceMemoryProperties(gpu, &memory);
        std::uint32_t type = 0;
        while (!(needs.memoryTypeBits >> type & 1) || (memory.memoryTypes[type].propertyFlags & flags) != flags)
            if (++type == memory.memoryTypeCount)
                throw std::runtime_error("no such memory");
        VkMemoryAllocateInfo info{VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, nullptr, needs.size, type};
        VkDeviceMemory out;
        check(vkAllocateMemory(device, &info, nullptr, &out));
        return out;
    }

    void make_frame() {
        VkMemoryRequirements needs;
        auto buffer_info = structure<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
        buffer_info.size = frame_bytes, buffer_info.usage = VK_BUFFER_USAGE_TRANSFER_SRC_BIT;
        check(vkCreateBuffer(device, &buffer_info, nullptr, &pixels));
        vkGetBufferMemoryRequirements(device, pixels, &needs);
        pixel_memory = allocate(needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
        check(vkBindBufferMemory(device, pixels, pixel_memory, 0));
        void *address;
        check(vkMapMemory(device, pixel_memory, 0, VK_WHOLE_SIZE, 0, &address));
        mapped = static_cast<unsigned char *>(address);

        auto image_info = structure<VkImageCreateInfo>(VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO);
        image_info.imageType = VK_IMAGE_TYPE_2D, image_info.format = VK_FORMAT_R8G8B8A8_UNORM;
        image_info.extent = {side, side, 1}, image_info.mipLevels = 1, image_info.arrayLayers = 1;
        image_info.samples = VK_SAMPLE_COUNT_1_BIT;
        image_info.usage = VK_IMAGE_USAGE_TRANSFER_DST_BIT | VK_IMAGE_USAGE_SAMPLED_BIT; // SAMPLED: Cardinal reads it
        check(vkCreateImage(device, &image_info, nullptr, &image));
        vkGetImageMemoryRequirements(device, image, &needs);
        image_memory = allocate(needs, 0);
        check(vkBindImageMemory(device, image, image_memory, 0));
        auto view_info = structure<VkImageViewCreateInfo>(VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO);
        view_info.image = image, view_info.viewType = VK_IMAGE_VIEW_TYPE_2D, view_info.format = image_info.format;
        view_info.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
        check(vkCreateImageView(device, &view_info, nullptr, &view));

        VkCommandPoolCreateInfo pool_info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO, nullptr,
                                          VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT, family};
        check(vkCreateCommandPool(device, &pool_info, nullptr, &pool));
        VkCommandBufferAllocateInfo one{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO, nullptr, pool, {}, 1};
        check(vkAllocateCommandBuffers(device, &one, &commands));
        auto fence_info = structure<VkFenceCreateInfo>(VK_STRUCTURE_TYPE_FENCE_CREATE_INFO);
        check(vkCreateFence(device, &fence_info, nullptr, &done));
    }

    // A disc on a sky, further to the right each frame.
    void paint(int frame) {
        for (std::uint32_t i = 0; i < side * side; i++) {
            const int x = static_cast<int>(i % side) - (20 + 3 * frame) % static_cast<int>(side),
                      y = static_cast<int>(i / side) - 50;
            const bool disc = x * x + y * y < 400;
            const unsigned char sky = static_cast<unsigned char>(i / side * 2);
            const unsigned char colour[4] = {static_cast<unsigned char>(disc ? 220 : sky),
                                             static_cast<unsigned char>(disc ? 90 : sky),
                                             static_cast<unsigned char>(disc ? 30 : 230), 255};
            std::memcpy(mapped + 4 * i, colour, 4);
        }
    }

    void change_layout(VkImageLayout from, VkImageLayout to, VkAccessFlags before, VkAccessFlags after,
                       VkPipelineStageFlags stages, VkPipelineStageFlags then) {
        auto barrier = structure<VkImageMemoryBarrier>(VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER);
        barrier.srcAccessMask = before, barrier.dstAccessMask = after, barrier.oldLayout = from, barrier.newLayout = to;
        barrier.srcQueueFamilyIndex = barrier.dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED;
        barrier.image = image, barrier.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
        vkCmdPipelineBarrier(commands, stages, then, 0, 0, nullptr, 0, nullptr, 1, &barrier);
    }

    // "Draws": the image ends as Cardinal wants it, readable by compute shaders.
    void draw() {
        VkBufferImageCopy region{0, 0, 0, {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1}, {}, {side, side, 1}};
        change_layout(VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 0, VK_ACCESS_TRANSFER_WRITE_BIT,
                      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT);
        vkCmdCopyBufferToImage(commands, pixels, image, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
        change_layout(VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
                      VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_SHADER_READ_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                      VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT);
    }

    void submit_and_wait() { // a game with several frames in flight has a fence and a command buffer for each
        auto info = structure<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO);
        info.commandBufferCount = 1, info.pCommandBuffers = &commands;
        check(vkQueueSubmit(queue, 1, &info, done));
        check(vkWaitForFences(device, 1, &done, VK_TRUE, UINT64_MAX));
        check(vkResetFences(device, 1, &done));
    }
};

// Whether the run's logits are those of the same pixels from host memory, to the bit.
bool is_right(cardinal::session &session, const std::vector<unsigned char> &painted) {
    const cardinal::view<const float> now = session.logits();
    const std::vector<float> drawn(now.begin(), now.end());
    session.run(cardinal::pixels(painted.data(), side, side, CDL_FORMAT_RGBA8));
    return std::memcmp(drawn.data(), session.logits().data(), drawn.size() * sizeof(float)) == 0;
}

int play(const char *path, int frames, int slices) {
    game game;
    const auto device =
        cardinal::device::make({print, nullptr, CDL_LOG_WARN}, [&](cdl_device **out, const cdl_log &log) {
            cdl_vk_import_params params = game.handles();
            params.log = log;
            return cdl_vk_import(out, &params);
        });
    const auto model = cardinal::model::load(path);
    auto session = cardinal::session::create(device, model); // behind a loading screen: it takes long
    if (slices < 1 || slices > session.info().max_slices)
        throw std::runtime_error("that many slices are not possible");
    std::vector<unsigned char> painted(frame_bytes); // what the run under way sees
    int status = 0;
    for (int frame = 0; frame < frames; frame++) {
        const int slice = frame % slices;
        auto begin = structure<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
        game.paint(frame);
        if (slice == 0)
            std::memcpy(painted.data(), game.mapped, frame_bytes);
        check(vkBeginCommandBuffer(game.commands, &begin));
        game.draw();
        cdl_vk_input input{}; // read by the first slice alone
        input.width = side, input.height = side, input.view = game.view,
        input.layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
        cdl_vk_run run{};
        run.inputs = &input, run.count = 1, run.slice = slice, run.num_slices = slices;
        session.check(cdl_vk_record(session.get(), game.commands, &run));
        check(vkEndCommandBuffer(game.commands));
        game.submit_and_wait();
        if (slice < slices - 1)
            continue;
        session.check(cdl_vk_retire(session.get(), 0, true)); // the last slice is done
        const cdl_class best = session.top(1)[0];
        const char *name = model.class_name(best.id);
        std::printf("frames %d to %d: %5.1f %%  %s\n", frame - slice, frame, 100 * static_cast<double>(best.prob),
                    name ? name : "(unlabelled)");
        if (!is_right(session, painted)) {
            std::printf("from host memory the same pixels gave other logits\n");
            status = 1;
        }
    }
    if (frames % slices) // slices are missing
        session.check(cdl_vk_retire(session.get(), 0, false));
    return status;
}

} // namespace

int main(int argc, char **argv) try {
    if (argc < 2 || argc > 4) {
        std::fprintf(stderr, "usage: game_loop MODEL [FRAMES [SLICES]]\n");
        return 2;
    }
    return play(argv[1], argc > 2 ? std::atoi(argv[2]) : 12, argc > 3 ? std::atoi(argv[3]) : 4);
} catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
