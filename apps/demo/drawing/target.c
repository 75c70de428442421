// target.c - see target.h.
#include "drawing/target.h"

#include <string.h>

static VkResult create_pass(struct gpu *gpu, struct target *t) {
    const VkAttachmentDescription attachment = {
        .format = t->format,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
        .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
        .stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
        .stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
        .finalLayout = t->surface ? VK_IMAGE_LAYOUT_PRESENT_SRC_KHR : VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
    };
    const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    const VkSubpassDescription subpass = {
        .pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
        .colorAttachmentCount = 1,
        .pColorAttachments = &reference,
    };
    const VkSubpassDependency dependencies[] = {
        {
            // after the image was acquired, or copied
            .srcSubpass = VK_SUBPASS_EXTERNAL,
            .dstSubpass = 0,
            .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
            .dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
        },
        {
            .srcSubpass = 0,
            .dstSubpass = VK_SUBPASS_EXTERNAL,
            .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
            .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
            .dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT | VK_ACCESS_TRANSFER_READ_BIT,
        },
    };
    const VkRenderPassCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
        .attachmentCount = 1,
        .pAttachments = &attachment,
        .subpassCount = 1,
        .pSubpasses = &subpass,
        .dependencyCount = 2,
        .pDependencies = dependencies,
    };
    return gpu->vkd.vkCreateRenderPass(gpu->device, &info, NULL, &t->pass);
}

// 8 bits a colour, stored as they are: what is drawn is sRGB already.
static VkResult choose_format(struct gpu *gpu, struct target *t, VkSurfaceFormatKHR *out) {
    VkSurfaceFormatKHR formats[64];
    uint32_t count = 64;
    const VkResult result = vkGetPhysicalDeviceSurfaceFormatsKHR(gpu->physical, t->surface, &count, formats);
    if (result < 0 || count == 0)
        return result < 0 ? result : VK_ERROR_INITIALIZATION_FAILED;
    *out = formats[0];
    for (uint32_t i = 0; i < count; i++)
        if (formats[i].colorSpace == VK_COLOR_SPACE_SRGB_NONLINEAR_KHR &&
            (formats[i].format == VK_FORMAT_B8G8R8A8_UNORM || formats[i].format == VK_FORMAT_R8G8B8A8_UNORM)) {
            *out = formats[i];
            break;
        }
    return VK_SUCCESS;
}

// The newest frame replaces a waiting one, where the driver can; every driver has FIFO.
static VkPresentModeKHR choose_mode(struct gpu *gpu, struct target *t) {
    VkPresentModeKHR modes[16];
    uint32_t count = 16;
    if (vkGetPhysicalDeviceSurfacePresentModesKHR(gpu->physical, t->surface, &count, modes) < 0)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (modes[i] == VK_PRESENT_MODE_MAILBOX_KHR)
            return modes[i];
    return VK_PRESENT_MODE_FIFO_KHR;
}

static VkResult create_swapchain(struct gpu *gpu, struct target *t, int width, int height) {
    VkSurfaceCapabilitiesKHR caps;
    VkSurfaceFormatKHR format;
    VkResult result = vkGetPhysicalDeviceSurfaceCapabilitiesKHR(gpu->physical, t->surface, &caps);
    if (result >= 0)
        result = choose_format(gpu, t, &format);
    if (result < 0)
        return result;
    VkExtent2D extent = caps.currentExtent;
    if (extent.width == UINT32_MAX) { // the swapchain decides
        extent.width = (uint32_t)width < caps.minImageExtent.width ? caps.minImageExtent.width : (uint32_t)width;
        extent.height = (uint32_t)height < caps.minImageExtent.height ? caps.minImageExtent.height : (uint32_t)height;
    }
    if (extent.width == 0 || extent.height == 0)
        return VK_NOT_READY;
    uint32_t count = caps.minImageCount + 1;
    if (caps.maxImageCount > 0 && count > caps.maxImageCount)
        count = caps.maxImageCount;
    const VkSwapchainCreateInfoKHR info = {
        .sType = VK_STRUCTURE_TYPE_SWAPCHAIN_CREATE_INFO_KHR,
        .surface = t->surface,
        .minImageCount = count,
        .imageFormat = format.format,
        .imageColorSpace = format.colorSpace,
        .imageExtent = extent,
        .imageArrayLayers = 1,
        .imageUsage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT,
        .preTransform = caps.currentTransform,
        .presentMode = choose_mode(gpu, t),
        .clipped = VK_TRUE,
        .compositeAlpha = caps.supportedCompositeAlpha & VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              ? VK_COMPOSITE_ALPHA_OPAQUE_BIT_KHR
                              : VK_COMPOSITE_ALPHA_INHERIT_BIT_KHR,
    };
    t->format = format.format;
    t->width = (int)extent.width;
    t->height = (int)extent.height;
    result = gpu->vkd.vkCreateSwapchainKHR(gpu->device, &info, NULL, &t->swapchain);
    count = MAX_TARGET_IMAGES;
    if (result >= 0)
        result = gpu->vkd.vkGetSwapchainImagesKHR(gpu->device, t->swapchain, &count, t->images);
    if (result == VK_INCOMPLETE)
        result = VK_ERROR_INITIALIZATION_FAILED;
    t->num_images = (int)count;
    return result;
}

static VkResult create_framebuffer(struct gpu *gpu, struct target *t, int i) {
    VkResult result = VK_SUCCESS;
    if (t->surface) {
        const VkImageViewCreateInfo view = {
            .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
            .image = t->images[i],
            .viewType = VK_IMAGE_VIEW_TYPE_2D,
            .format = t->format,
            .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
        };
        const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
        result = gpu->vkd.vkCreateImageView(gpu->device, &view, NULL, &t->views[i]);
        if (result >= 0)
            result = gpu->vkd.vkCreateSemaphore(gpu->device, &semaphore, NULL, &t->drawn[i]);
    }
    const VkFramebufferCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
        .renderPass = t->pass,
        .attachmentCount = 1,
        .pAttachments = t->surface ? &t->views[i] : &t->own.view,
        .width = (uint32_t)t->width,
        .height = (uint32_t)t->height,
        .layers = 1,
    };
    return result < 0 ? result : gpu->vkd.vkCreateFramebuffer(gpu->device, &info, NULL, &t->framebuffers[i]);
}

VkResult target_create(struct gpu *gpu, VkSurfaceKHR surface, VkFormat format, int width, int height,
                       struct target *out) {
    VkResult result;
    memset(out, 0, sizeof *out);
    out->surface = surface;
    if (surface) {
        result = create_swapchain(gpu, out, width, height);
    } else {
        out->format = format;
        out->width = width;
        out->height = height;
        out->num_images = 1;
        result = gpu_image_create(gpu, out->format, width, height,
                                  VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT, &out->own);
    }
    if (result == VK_SUCCESS)
        result = create_pass(gpu, out);
    for (int i = 0; i < out->num_images && result == VK_SUCCESS; i++)
        result = create_framebuffer(gpu, out, i);
    if (result != VK_SUCCESS)
        target_destroy(gpu, out);
    return result;
}

void target_destroy(struct gpu *gpu, struct target *t) {
    for (int i = 0; i < t->num_images; i++) {
        gpu->vkd.vkDestroyFramebuffer(gpu->device, t->framebuffers[i], NULL);
        gpu->vkd.vkDestroyImageView(gpu->device, t->views[i], NULL);
        gpu->vkd.vkDestroySemaphore(gpu->device, t->drawn[i], NULL);
    }
    gpu->vkd.vkDestroyRenderPass(gpu->device, t->pass, NULL);
    if (t->swapchain)
        gpu->vkd.vkDestroySwapchainKHR(gpu->device, t->swapchain, NULL);
    if (t->own.image)
        gpu_image_destroy(gpu, &t->own);
    memset(t, 0, sizeof *t);
}
