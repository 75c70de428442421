// scene.c - see scene.h. Plain Vulkan; nothing here knows of Cardinal.
#include "scene.h"

#include <string.h>

#include "scene_frag_words.h"
#include "scene_vert_words.h"

// ---- memory

static VkDeviceMemory allocate(struct host_device *dev, const VkMemoryRequirements *needs,
                               VkMemoryPropertyFlags flags) {
    const VkMemoryAllocateInfo info = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
        .allocationSize = needs->size,
        .memoryTypeIndex = host_memory_type(dev, needs->memoryTypeBits, flags),
    };
    VkDeviceMemory memory;
    HOST_VK(vkAllocateMemory(dev->device, &info, NULL, &memory));
    return memory;
}

void scene_buffer_create(struct scene_buffer *out, struct host_device *dev, size_t size, VkBufferUsageFlags usage) {
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = size, .usage = usage};
    VkMemoryRequirements needs;
    HOST_VK(vkCreateBuffer(dev->device, &info, NULL, &out->handle));
    vkGetBufferMemoryRequirements(dev->device, out->handle, &needs);
    out->memory = allocate(dev, &needs, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
    HOST_VK(vkBindBufferMemory(dev->device, out->handle, out->memory, 0));
    HOST_VK(vkMapMemory(dev->device, out->memory, 0, VK_WHOLE_SIZE, 0, &out->mapped));
}

void scene_buffer_destroy(struct scene_buffer *buffer, struct host_device *dev) {
    vkDestroyBuffer(dev->device, buffer->handle, NULL);
    vkFreeMemory(dev->device, buffer->memory, NULL);
    *buffer = (struct scene_buffer){0};
}

static void create_image(struct scene_image *out, struct host_device *dev, int width, int height,
                         VkImageUsageFlags usage) {
    const VkImageCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
        .imageType = VK_IMAGE_TYPE_2D,
        .format = VK_FORMAT_R8G8B8A8_SRGB,
        .extent = {(uint32_t)width, (uint32_t)height, 1},
        .mipLevels = 1,
        .arrayLayers = 1,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .usage = usage,
    };
    VkMemoryRequirements needs;
    HOST_VK(vkCreateImage(dev->device, &info, NULL, &out->handle));
    vkGetImageMemoryRequirements(dev->device, out->handle, &needs);
    out->memory = allocate(dev, &needs, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
    HOST_VK(vkBindImageMemory(dev->device, out->handle, out->memory, 0));
    const VkImageViewCreateInfo view = {
        .sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
        .image = out->handle,
        .viewType = VK_IMAGE_VIEW_TYPE_2D,
        .format = info.format,
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
    };
    HOST_VK(vkCreateImageView(dev->device, &view, NULL, &out->view));
}

static void destroy_image(struct scene_image *image, struct host_device *dev) {
    vkDestroyImageView(dev->device, image->view, NULL);
    vkDestroyImage(dev->device, image->handle, NULL);
    vkFreeMemory(dev->device, image->memory, NULL);
}

static void change_layout(VkCommandBuffer cmd, VkImage image, VkImageLayout from, VkImageLayout to,
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
        .subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1},
    };
    vkCmdPipelineBarrier(cmd, from_stage, to_stage, 0, 0, NULL, 0, NULL, 1, &barrier);
}

// Pixels to the picture's image, once; waits.
static void upload(struct scene *s, const uint8_t *rgba, int width, int height) {
    struct host_device *dev = s->dev;
    const size_t size = (size_t)width * (size_t)height * 4;
    struct scene_buffer staging;
    VkCommandPool pool;
    VkCommandBuffer cmd;
    scene_buffer_create(&staging, dev, size, VK_BUFFER_USAGE_TRANSFER_SRC_BIT);
    memcpy(staging.mapped, rgba, size);
    const VkCommandPoolCreateInfo pool_info = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                               .queueFamilyIndex = dev->queue_family};
    HOST_VK(vkCreateCommandPool(dev->device, &pool_info, NULL, &pool));
    const VkCommandBufferAllocateInfo allocate_info = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = pool,
        .commandBufferCount = 1,
    };
    HOST_VK(vkAllocateCommandBuffers(dev->device, &allocate_info, &cmd));
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    const VkBufferImageCopy region = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                      .imageExtent = {(uint32_t)width, (uint32_t)height, 1}};
    HOST_VK(vkBeginCommandBuffer(cmd, &begin));
    change_layout(cmd, s->picture.handle, VK_IMAGE_LAYOUT_UNDEFINED, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                  VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, 0, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT);
    vkCmdCopyBufferToImage(cmd, staging.handle, s->picture.handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL, 1, &region);
    change_layout(cmd, s->picture.handle, VK_IMAGE_LAYOUT_TRANSFER_DST_OPTIMAL,
                  VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_PIPELINE_STAGE_TRANSFER_BIT,
                  VK_ACCESS_TRANSFER_WRITE_BIT, VK_PIPELINE_STAGE_FRAGMENT_SHADER_BIT, VK_ACCESS_SHADER_READ_BIT);
    HOST_VK(vkEndCommandBuffer(cmd));
    const VkSubmitInfo submit = {
        .sType = VK_STRUCTURE_TYPE_SUBMIT_INFO, .commandBufferCount = 1, .pCommandBuffers = &cmd};
    HOST_VK(vkQueueSubmit(dev->queue, 1, &submit, VK_NULL_HANDLE));
    HOST_VK(vkQueueWaitIdle(dev->queue));
    vkDestroyCommandPool(dev->device, pool, NULL);
    scene_buffer_destroy(&staging, dev);
}

// ---- pipeline

static void create_pass(struct scene *s) {
    const VkAttachmentDescription attachment = {
        .format = VK_FORMAT_R8G8B8A8_SRGB,
        .samples = VK_SAMPLE_COUNT_1_BIT,
        .loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR,
        .storeOp = VK_ATTACHMENT_STORE_OP_STORE,
        .initialLayout = VK_IMAGE_LAYOUT_UNDEFINED,
        .finalLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
    };
    const VkAttachmentReference color = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
    const VkSubpassDescription subpass = {
        .pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
        .colorAttachmentCount = 1,
        .pColorAttachments = &color,
    };
    // The frame before may still be read, by Cardinal's shaders or a copy; what is drawn goes to Cardinal's shaders.
    const VkSubpassDependency dependencies[] = {
        {VK_SUBPASS_EXTERNAL, 0, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
         VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT, 0, VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, 0},
        {0, VK_SUBPASS_EXTERNAL, VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
         VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, VK_ACCESS_SHADER_READ_BIT, 0},
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
    HOST_VK(vkCreateRenderPass(s->dev->device, &info, NULL, &s->pass));
    const VkFramebufferCreateInfo framebuffer = {
        .sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
        .renderPass = s->pass,
        .attachmentCount = 1,
        .pAttachments = &s->frame.view,
        .width = SCENE_WIDTH,
        .height = SCENE_HEIGHT,
        .layers = 1,
    };
    HOST_VK(vkCreateFramebuffer(s->dev->device, &framebuffer, NULL, &s->framebuffer));
}

static void create_set(struct scene *s) {
    VkDevice device = s->dev->device;
    const VkSamplerCreateInfo sampler = {.sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
                                         .magFilter = VK_FILTER_LINEAR,
                                         .minFilter = VK_FILTER_LINEAR,
                                         .addressModeU = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
                                         .addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE};
    const VkDescriptorSetLayoutBinding binding = {
        .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
        .descriptorCount = 1,
        .stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT,
    };
    const VkDescriptorSetLayoutCreateInfo set_layout = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = 1,
        .pBindings = &binding,
    };
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, 1};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = 1,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    HOST_VK(vkCreateSampler(device, &sampler, NULL, &s->sampler));
    HOST_VK(vkCreateDescriptorSetLayout(device, &set_layout, NULL, &s->set_layout));
    HOST_VK(vkCreateDescriptorPool(device, &pool, NULL, &s->pool));
    const VkDescriptorSetAllocateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = s->pool,
        .descriptorSetCount = 1,
        .pSetLayouts = &s->set_layout,
    };
    HOST_VK(vkAllocateDescriptorSets(device, &set, &s->set));
    const VkDescriptorImageInfo image = {s->sampler, s->picture.view, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    const VkWriteDescriptorSet write = {
        .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
        .dstSet = s->set,
        .descriptorCount = 1,
        .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
        .pImageInfo = &image,
    };
    vkUpdateDescriptorSets(device, 1, &write, 0, NULL);
    const VkPushConstantRange range = {VK_SHADER_STAGE_VERTEX_BIT, 0, 8};
    const VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &s->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    HOST_VK(vkCreatePipelineLayout(device, &layout, NULL, &s->layout));
}

static VkShaderModule create_module(struct scene *s, const uint32_t *words, size_t size) {
    const VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = size, .pCode = words};
    VkShaderModule module;
    HOST_VK(vkCreateShaderModule(s->dev->device, &info, NULL, &module));
    return module;
}

static void create_pipeline(struct scene *s) {
    const VkPipelineShaderStageCreateInfo stages[] = {
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_VERTEX_BIT,
         .module = create_module(s, scene_vert, sizeof scene_vert),
         .pName = "main"},
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
         .module = create_module(s, scene_frag, sizeof scene_frag),
         .pName = "main"},
    };
    const VkPipelineVertexInputStateCreateInfo vertices = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO};
    const VkPipelineInputAssemblyStateCreateInfo assembly = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
        .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST,
    };
    const VkViewport viewport = {0, 0, SCENE_WIDTH, SCENE_HEIGHT, 0, 1};
    const VkRect2D scissor = {{0, 0}, {SCENE_WIDTH, SCENE_HEIGHT}};
    const VkPipelineViewportStateCreateInfo view = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
        .viewportCount = 1,
        .pViewports = &viewport,
        .scissorCount = 1,
        .pScissors = &scissor,
    };
    // A cube is convex: without its back faces nothing hides anything, and no depth buffer is needed.
    const VkPipelineRasterizationStateCreateInfo raster = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
        .cullMode = VK_CULL_MODE_BACK_BIT,
        .frontFace = VK_FRONT_FACE_COUNTER_CLOCKWISE,
        .lineWidth = 1,
    };
    const VkPipelineMultisampleStateCreateInfo samples = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
        .rasterizationSamples = VK_SAMPLE_COUNT_1_BIT,
    };
    const VkPipelineColorBlendAttachmentState attachment = {.colorWriteMask = 15};
    const VkPipelineColorBlendStateCreateInfo blend = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
        .attachmentCount = 1,
        .pAttachments = &attachment,
    };
    const VkGraphicsPipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
        .stageCount = 2,
        .pStages = stages,
        .pVertexInputState = &vertices,
        .pInputAssemblyState = &assembly,
        .pViewportState = &view,
        .pRasterizationState = &raster,
        .pMultisampleState = &samples,
        .pColorBlendState = &blend,
        .layout = s->layout,
        .renderPass = s->pass,
    };
    HOST_VK(vkCreateGraphicsPipelines(s->dev->device, VK_NULL_HANDLE, 1, &info, NULL, &s->pipeline));
    for (int i = 0; i < 2; i++)
        vkDestroyShaderModule(s->dev->device, stages[i].module, NULL);
}

void scene_create(struct scene *out, struct host_device *dev, const uint8_t *rgba, int width, int height) {
    *out = (struct scene){.dev = dev};
    create_image(&out->picture, dev, width, height, VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT);
    upload(out, rgba, width, height);
    // SAMPLED is what Cardinal needs; TRANSFER_SRC is for scene_read_back alone.
    create_image(&out->frame, dev, SCENE_WIDTH, SCENE_HEIGHT,
                 VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT);
    create_set(out);
    create_pass(out);
    create_pipeline(out);
}

void scene_destroy(struct scene *s) {
    VkDevice device = s->dev->device;
    vkDestroyPipeline(device, s->pipeline, NULL);
    vkDestroyFramebuffer(device, s->framebuffer, NULL);
    vkDestroyRenderPass(device, s->pass, NULL);
    vkDestroyPipelineLayout(device, s->layout, NULL);
    vkDestroyDescriptorPool(device, s->pool, NULL);
    vkDestroyDescriptorSetLayout(device, s->set_layout, NULL);
    vkDestroySampler(device, s->sampler, NULL);
    destroy_image(&s->frame, s->dev);
    destroy_image(&s->picture, s->dev);
}

// ---- a frame

void scene_draw(const struct scene *s, VkCommandBuffer cmd, float angle) {
    const VkClearValue clear = {.color = {.float32 = {0.18f, 0.32f, 0.55f, 1}}};
    const VkRenderPassBeginInfo begin = {
        .sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
        .renderPass = s->pass,
        .framebuffer = s->framebuffer,
        .renderArea = {{0, 0}, {SCENE_WIDTH, SCENE_HEIGHT}},
        .clearValueCount = 1,
        .pClearValues = &clear,
    };
    const float turn[] = {angle, (float)SCENE_WIDTH / SCENE_HEIGHT};
    vkCmdBeginRenderPass(cmd, &begin, VK_SUBPASS_CONTENTS_INLINE);
    vkCmdBindPipeline(cmd, VK_PIPELINE_BIND_POINT_GRAPHICS, s->pipeline);
    vkCmdBindDescriptorSets(cmd, VK_PIPELINE_BIND_POINT_GRAPHICS, s->layout, 0, 1, &s->set, 0, NULL);
    vkCmdPushConstants(cmd, s->layout, VK_SHADER_STAGE_VERTEX_BIT, 0, sizeof turn, turn);
    vkCmdDraw(cmd, 36, 1, 0, 0);
    vkCmdEndRenderPass(cmd);
}

void scene_read_back(const struct scene *s, VkCommandBuffer cmd, VkBuffer to) {
    const VkBufferImageCopy region = {.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1},
                                      .imageExtent = {SCENE_WIDTH, SCENE_HEIGHT, 1}};
    const VkBufferMemoryBarrier written = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_HOST_READ_BIT,
        .srcQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .dstQueueFamilyIndex = VK_QUEUE_FAMILY_IGNORED,
        .buffer = to,
        .size = VK_WHOLE_SIZE,
    };
    // After the pass, and after Cardinal's shaders have read the image.
    change_layout(cmd, s->frame.handle, VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL,
                  VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT | VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                  VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_READ_BIT);
    vkCmdCopyImageToBuffer(cmd, s->frame.handle, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, to, 1, &region);
    vkCmdPipelineBarrier(cmd, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 0, NULL, 1, &written, 0,
                         NULL);
}
