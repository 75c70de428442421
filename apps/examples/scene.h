// scene.h - stands for what a game draws: a turning cube with a picture on its faces, rendered into an image.
#ifndef SCENE_H_
#define SCENE_H_

#include "host_device.h"

enum { SCENE_WIDTH = 512, SCENE_HEIGHT = 512 };

struct scene_buffer {
    VkBuffer handle;
    VkDeviceMemory memory;
    void *mapped;
};
struct scene_image {
    VkImage handle;
    VkDeviceMemory memory;
    VkImageView view;
};

struct scene {
    struct host_device *dev;
    struct scene_image picture;
    struct scene_image frame; // R8G8B8A8_SRGB: what is drawn
    VkSampler sampler;
    VkDescriptorSetLayout set_layout;
    VkDescriptorPool pool;
    VkDescriptorSet set;
    VkPipelineLayout layout;
    VkRenderPass pass;
    VkFramebuffer framebuffer;
    VkPipeline pipeline;
};

// rgba: the picture on the cube, sRGB.
void scene_create(struct scene *out, struct host_device *dev, const uint8_t *rgba, int width, int height);
void scene_destroy(struct scene *scene);

// Records the drawing of one frame. Afterwards scene->frame is in SHADER_READ_ONLY_OPTIMAL, visible to compute shaders.
void scene_draw(const struct scene *scene, VkCommandBuffer cmd, float angle);
// Records a copy of the frame as SCENE_HEIGHT tight rows of RGBA, for the host. The next scene_draw may follow.
void scene_read_back(const struct scene *scene, VkCommandBuffer cmd, VkBuffer to);

// Host-visible and coherent.
void scene_buffer_create(struct scene_buffer *out, struct host_device *dev, size_t size, VkBufferUsageFlags usage);
void scene_buffer_destroy(struct scene_buffer *buffer, struct host_device *dev);

#endif // SCENE_H_
