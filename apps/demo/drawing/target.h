// target.h - what is drawn into: a window's swapchain, or an image of the same kind.
#ifndef DEMO_TARGET_H_
#define DEMO_TARGET_H_

#include "gpu/vulkan.h"

enum { MAX_TARGET_IMAGES = 16 };

struct target {
    VkSurfaceKHR surface; // VK_NULL_HANDLE: an image instead of a window
    VkSwapchainKHR swapchain;
    VkFormat format;
    VkRenderPass pass;
    int width, height;
    int num_images;
    VkImage images[MAX_TARGET_IMAGES]; // the swapchain's
    VkImageView views[MAX_TARGET_IMAGES];
    VkFramebuffer framebuffers[MAX_TARGET_IMAGES];
    VkSemaphore drawn[MAX_TARGET_IMAGES]; // for the presentation
    struct gpu_image own;
};

// width, height: of an image; a swapchain takes its window's (these where it leaves that open). VK_NOT_READY: the
// window has no area now (minimized). format: of an image. The surface stays the caller's.
VkResult target_create(struct gpu *gpu, VkSurfaceKHR surface, VkFormat format, int width, int height,
                       struct target *out);
void target_destroy(struct gpu *gpu, struct target *target); // nothing drawn into it is under way

#endif // DEMO_TARGET_H_
