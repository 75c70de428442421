// rig.c - see rig.h.
#include "support/rig.h"

struct rig rig;

// ---- host and import

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif
static THREAD_LOCAL bool holds_queue;
bool rig_holds_queue(void) { return holds_queue; }

static void lock_queue(void *ctx, VkQueue queue) {
    struct rig *r = ctx;
    (void)queue;
    cdl_mutex_lock(&r->queue_lock);
    holds_queue = true;
    r->locked++;
}

static void unlock_queue(void *ctx, VkQueue queue) {
    struct rig *r = ctx;
    (void)queue;
    r->unlocked++;
    holds_queue = false;
    cdl_mutex_unlock(&r->queue_lock);
}

struct cdl_vk_import_params rig_import_params(void) {
    const struct host_device *d = &rig.host;
    return (struct cdl_vk_import_params){
        .struct_size = sizeof(struct cdl_vk_import_params),
        .log = harness_log(),
        .instance = d->instance,
        .phys_device = d->physical,
        .device = d->device,
        .get_proc_addr = hook_get_proc_addr,
        .features = &d->features,
        .queue = d->queue,
        .queue_family = d->queue_family,
        .api_version = d->api_version,
        .extensions = d->enabled.extensions,
        .num_extensions = d->enabled.num_extensions,
        .lock_queue = lock_queue,
        .unlock_queue = unlock_queue,
        .lock_ctx = &rig,
    };
}

cdl_result rig_import(cdl_device **out) {
    const struct cdl_vk_import_params params = rig_import_params();
    return cdl_vk_import(out, &params);
}

bool rig_open_host(void) {
    const char *wanted = getenv("CARDINAL_TEST_VALIDATION");
    const bool off = wanted && !strcmp(wanted, "off"), required = wanted && !strcmp(wanted, "required");
    const char *of_version_1 = getenv("CARDINAL_TEST_HOST_VERSION"); // "1.1": a host of Vulkan 1.1
    const uint32_t version =
        of_version_1 && of_version_1[0] ? VK_MAKE_API_VERSION(0, 1, (uint32_t)atoi(of_version_1 + 2), 0) : 0;
    if (!host_device_create(&rig.host, !off, NULL, version)) {
        host_device_destroy(&rig.host);
        if (version) { // some drivers have what Cardinal needs from Vulkan 1.2 on alone
            printf("SKIPPED: no host of Vulkan %s on this driver\n", of_version_1);
            exit(77);
        }
        if (off || required || !host_device_create(&rig.host, false, NULL, version))
            return false;
    }
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = rig.host.queue_family,
    };
    HOST_VK(vkCreateCommandPool(rig.host.device, &pool, NULL, &rig.pool));
    cdl_mutex_init(&rig.queue_lock);
    cdl_mutex_init(&harness.lock);
    harness_seed();
    return true;
}

int rig_open(void **state) {
    (void)state;
    if (!rig_open_host())
        return -1;
    hook_open(rig.host.device, &(struct hook_options){.share_pipelines = true});
    if (rig_import(&harness.dev) != CDL_OK) {
        fprintf(stderr, "no import: %s\n", harness.last);
        return -1;
    }
    cdl_device_get_info(harness.dev, &harness.info);
    printf("device: %s, %s\n", harness.info.name, harness.info.driver);
    return 0;
}

int rig_close(void **state) {
    int status = harness_close(state);
    if (hook_complaint()[0] || hook_live()) {
        fprintf(stderr, "%s; %ld objects left\n", hook_complaint(), hook_live());
        status = -1;
    }
    hook_close();
    vkDestroyCommandPool(rig.host.device, rig.pool, NULL);
    host_device_destroy(&rig.host);
    cdl_mutex_destroy(&rig.queue_lock);
    if (rig.host.messages)
        fprintf(stderr, "%d validation messages\n", rig.host.messages);
    return rig.host.messages ? -1 : status;
}

void rig_expect_refusal(cdl_result r, cdl_result expected, const char *word, const char *what) {
    harness_expect_failure(r, expected, what);
    if (!strstr(harness.last, word))
        fail_msg("%s: \"%s\" does not say \"%s\"", what, harness.last, word);
}

// ---- memory

static VkDeviceMemory allocate(const VkMemoryRequirements *needs, VkMemoryPropertyFlags flags) {
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs->size,
        .memoryTypeIndex = host_memory_type(&rig.host, needs->memoryTypeBits, flags),
    };
    VkDeviceMemory memory;
    HOST_VK(vkAllocateMemory(rig.host.device, &info, NULL, &memory));
    return memory;
}

struct rig_buffer rig_buffer(VkBufferUsageFlags usage, size_t size) {
    struct rig_buffer out = {.size = size};
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkMemoryRequirements needs;
    void *mapped;
    HOST_VK(vkCreateBuffer(rig.host.device, &info, NULL, &out.handle));
    vkGetBufferMemoryRequirements(rig.host.device, out.handle, &needs);
    out.memory = allocate(&needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    HOST_VK(vkBindBufferMemory(rig.host.device, out.handle, out.memory, 0));
    HOST_VK(vkMapMemory(rig.host.device, out.memory, 0, VK_WHOLE_SIZE, 0, &mapped));
    out.mapped = mapped;
    memset(mapped, 0xcd, size);
    return out;
}

void rig_buffer_free(struct rig_buffer *buffer) {
    vkDestroyBuffer(rig.host.device, buffer->handle, NULL);
    vkFreeMemory(rig.host.device, buffer->memory, NULL);
    *buffer = (struct rig_buffer){0};
}

static void image_barrier(VkCommandBuffer cmd, VkImage image, VkImageLayout from, VkImageLayout to,
                          VkPipelineStageFlags from_stage, VkAccessFlags from_access, VkPipelineStageFlags to_stage,
                          VkAccessFlags to_access) {
    const VkImageMemoryBarrier barrier = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_MEMORY_BARRIER,
        .srcAccessMask = from_access,
        .dstAccessMask = to_access,
        .oldLayout = from,
        .newLayout = to,
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .image = image,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, VK_REMAINING_MIP_LEVELS, 0, VK_REMAINING_ARRAY_LAYERS},
    };
    vkCmdPipelineBarrier(cmd, from_stage, to_stage, 0, 0, NULL, 0, NULL, 1, &barrier);
}

static void fill_image(struct rig_image *out, const struct rig_image_params *p) {
    const VkImageLayout layout = p->layout ? p->layout : VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL;
    const size_t bytes = (size_t)p->width * (size_t)p->height * p->pixel_bytes;
    struct rig_buffer staging = rig_buffer(VK_BUFFER_USAGE_TRANSFER_SRC_BIT, bytes);
    const VkBufferImageCopy region = {
        .imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, (uint32_t)p->level, (uint32_t)p->layer, 1},
        .imageExtent = {(uint32_t)p->width, (uint32_t)p->height, 1},
    };
    const VkClearColorValue other = {.float32 = {0.7f, 0.1f, 0.4f, 1}};
    const VkImageSubresourceRange all = {VK_IMAGE_ASPECT_COLOR_BIT, 0, VK_REMAINING_MIP_LEVELS, 0,
                                         VK_REMAINING_ARRAY_LAYERS};
    memcpy(staging.mapped, p->data, bytes);
    VkCommandBuffer cmd = rig_begin();
    image_barrier(cmd, out->handle, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                  VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, 0, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
    vkCmdClearColorImage(cmd, out->handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, &other, 1, &all);
    image_barrier(cmd, out->handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                  VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT,
                  VK_ACCESS_TRANSFER_WRITE_BIT);
    vkCmdCopyBufferToImage(cmd, staging.handle, out->handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
    image_barrier(cmd, out->handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, layout, VK_PIPELINE_STAGE_TRANSFER_BIT,
                  VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
    rig_run(cmd);
    rig_buffer_free(&staging);
}

struct rig_image rig_image(const struct rig_image_params *p) {
    struct rig_image out = {0};
    const VkImageCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
        .imageType = VK_IMAGE_TYPE_2D,
        .format = p->format,
        .flags = p->view_format && p->view_format != p->format ? VK_IMAGE_CREATE_MUTABLE_FORMAT_BIT : 0,
        .extent = {(uint32_t)p->width << p->level, (uint32_t)p->height << p->level, 1},
        .mipLevels = (uint32_t)p->level + 1,
        .arrayLayers = (uint32_t)p->layer + 1,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .usage = VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
    };
    VkMemoryRequirements needs;
    HOST_VK(vkCreateImage(rig.host.device, &info, NULL, &out.handle));
    vkGetImageMemoryRequirements(rig.host.device, out.handle, &needs);
    out.memory = allocate(&needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    HOST_VK(vkBindImageMemory(rig.host.device, out.handle, out.memory, 0));
    const VkImageViewCreateInfo view = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
        .image = out.handle,
        .viewType = VK_IMAGE_VIEW_TYPE_2D,
        .format = p->view_format ? p->view_format : p->format,
        .components = p->swizzle,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, (uint32_t)p->level, 1, (uint32_t)p->layer, 1},
    };
    HOST_VK(vkCreateImageView(rig.host.device, &view, NULL, &out.view));
    fill_image(&out, p);
    return out;
}

void rig_image_free(struct rig_image *image) {
    vkDestroyImageView(rig.host.device, image->view, NULL);
    vkDestroyImage(rig.host.device, image->handle, NULL);
    vkFreeMemory(rig.host.device, image->memory, NULL);
    *image = (struct rig_image){0};
}

// ---- commands

VkCommandBuffer rig_begin(void) {
    const VkCommandBufferAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = rig.pool,
        .commandBufferCount = 1,
    };
    const VkCommandBufferBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
        .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
    };
    VkCommandBuffer cmd;
    HOST_VK(vkAllocateCommandBuffers(rig.host.device, &info, &cmd));
    HOST_VK(vkBeginCommandBuffer(cmd, &begin));
    return cmd;
}

void rig_end(VkCommandBuffer cmd) { HOST_VK(vkEndCommandBuffer(cmd)); }

VkFence rig_submit(VkCommandBuffer cmd) {
    const VkFenceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cmd};
    VkFence fence;
    HOST_VK(vkCreateFence(rig.host.device, &info, NULL, &fence));
    cdl_mutex_lock(&rig.queue_lock);
    HOST_VK(vkQueueSubmit(rig.host.queue, 1, &submit, fence));
    cdl_mutex_unlock(&rig.queue_lock);
    return fence;
}

void rig_wait(VkFence fence) {
    HOST_VK(vkWaitForFences(rig.host.device, 1, &fence, VK_TRUE, UINT64_MAX));
    vkDestroyFence(rig.host.device, fence, NULL);
}

void rig_run(VkCommandBuffer cmd) {
    rig_end(cmd);
    rig_wait(rig_submit(cmd));
    vkFreeCommandBuffers(rig.host.device, rig.pool, 1, &cmd);
}

// A function of timelines, which a host of Vulkan 1.1 has from the extension.
#define TIMELINE(name) (rig.host.api_version < VK_API_VERSION_1_2 ? name##KHR : name)

VkSemaphore rig_timeline(uint64_t value) {
    const VkSemaphoreTypeCreateInfo type = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
        .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
        .initialValue = value,
    };
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &type};
    VkSemaphore semaphore;
    HOST_VK(vkCreateSemaphore(rig.host.device, &info, NULL, &semaphore));
    return semaphore;
}

uint64_t rig_timeline_value(VkSemaphore semaphore) {
    uint64_t value = 0;
    HOST_VK(TIMELINE(vkGetSemaphoreCounterValue)(rig.host.device, semaphore, &value));
    return value;
}

void rig_signal(VkSemaphore timeline, uint64_t value) {
    const VkSemaphoreSignalInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO, .semaphore = timeline, .value = value};
    HOST_VK(TIMELINE(vkSignalSemaphore)(rig.host.device, &info));
}

void rig_wait_for_value(VkSemaphore timeline, uint64_t value) {
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &timeline,
                                      .pValues = &value};
    HOST_VK(TIMELINE(vkWaitSemaphores)(rig.host.device, &info, UINT64_MAX));
}

void rig_submit_between(VkCommandBuffer cmd, VkSemaphore timeline, uint64_t value) {
    const uint64_t next = value + 1;
    const VkTimelineSemaphoreSubmitInfo values = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .waitSemaphoreValueCount = 1,
        .pWaitSemaphoreValues = &value,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &next,
    };
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
        .pNext = &values,
        .waitSemaphoreCount = 1,
        .pWaitSemaphores = &timeline,
        .pWaitDstStageMask = &stage,
        .commandBufferCount = 1,
        .pCommandBuffers = &cmd,
        .signalSemaphoreCount = 1,
        .pSignalSemaphores = &timeline,
    };
    cdl_mutex_lock(&rig.queue_lock);
    HOST_VK(vkQueueSubmit(rig.host.queue, 1, &submit, VK_NULL_HANDLE));
    cdl_mutex_unlock(&rig.queue_lock);
}
