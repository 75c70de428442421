// renderer_setup.c - what a renderer makes once: pipelines, descriptors, images, the resources of each frame in flight.
#include "drawing/renderer.h"

#include <string.h>

#include "picture/overlay.h"

#include "picture_vert.h"
#include "picture_frag.h"
#include "ui_vert.h"
#include "ui_frag.h"

enum { NUM_BINDINGS = 5, PUSH_BYTES = 64, SMALL_BYTES = ATLAS_SIZE * ATLAS_SIZE + (1 << 18) };

static VkResult create_layouts(struct renderer *r) {
    VkDescriptorSetLayoutBinding bindings[NUM_BINDINGS];
    for (uint32_t i = 0; i < NUM_BINDINGS; i++)
        bindings[i] = (VkDescriptorSetLayoutBinding){
            .binding = i,
            .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
            .descriptorCount = 1,
            .stageFlags = VK_SHADER_STAGE_FRAGMENT_BIT,
        };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = NUM_BINDINGS,
        .pBindings = bindings,
    };
    const VkPushConstantRange range = {VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0, PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .setLayoutCount = 1,
        .pSetLayouts = &r->set_layout,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    const VkResult result = r->gpu->vkd.vkCreateDescriptorSetLayout(r->gpu->device, &set, NULL, &r->set_layout);
    return result < 0 ? result : r->gpu->vkd.vkCreatePipelineLayout(r->gpu->device, &layout, NULL, &r->layout);
}

static VkResult create_sets(struct renderer *r) {
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER, NUM_BINDINGS * FRAMES_IN_FLIGHT};
    const VkDescriptorPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = FRAMES_IN_FLIGHT,
        .poolSizeCount = 1,
        .pPoolSizes = &size,
    };
    VkResult result = r->gpu->vkd.vkCreateDescriptorPool(r->gpu->device, &pool, NULL, &r->descriptors);
    for (int i = 0; i < FRAMES_IN_FLIGHT && result >= 0; i++) {
        const VkDescriptorSetAllocateInfo info = {
            .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
            .descriptorPool = r->descriptors,
            .descriptorSetCount = 1,
            .pSetLayouts = &r->set_layout,
        };
        result = r->gpu->vkd.vkAllocateDescriptorSets(r->gpu->device, &info, &r->frames[i].set);
    }
    return result;
}

void renderer_write_descriptors(struct renderer *r) {
    const struct gpu_image *const images[NUM_BINDINGS] = {&r->luma, &r->chroma, &r->map, &r->colours, &r->atlas};
    for (int i = 0; i < FRAMES_IN_FLIGHT; i++) {
        VkDescriptorImageInfo infos[NUM_BINDINGS];
        VkWriteDescriptorSet writes[NUM_BINDINGS];
        for (uint32_t j = 0; j < NUM_BINDINGS; j++) {
            infos[j] = (VkDescriptorImageInfo){j < 3 ? r->linear : r->nearest, images[j]->view,
                                               VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
            writes[j] = (VkWriteDescriptorSet){
                .sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                .dstSet = r->frames[i].set,
                .dstBinding = j,
                .descriptorCount = 1,
                .descriptorType = VK_DESCRIPTOR_TYPE_COMBINED_IMAGE_SAMPLER,
                .pImageInfo = &infos[j],
            };
        }
        r->gpu->vkd.vkUpdateDescriptorSets(r->gpu->device, NUM_BINDINGS, writes, 0, NULL);
    }
}

static VkResult create_module(struct renderer *r, const uint32_t *code, size_t size, VkShaderModule *out) {
    const VkShaderModuleCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = size, .pCode = code};
    return r->gpu->vkd.vkCreateShaderModule(r->gpu->device, &info, NULL, out);
}

static VkResult create_pipeline(struct renderer *r, VkShaderModule vertex, VkShaderModule fragment, bool ui,
                                VkPipeline *out) {
    const VkPipelineShaderStageCreateInfo stages[] = {
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_VERTEX_BIT,
         .module = vertex,
         .pName = "main"},
        {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
         .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
         .module = fragment,
         .pName = "main"},
    };
    const VkVertexInputBindingDescription binding = {0, sizeof(struct quad), VK_VERTEX_INPUT_RATE_INSTANCE};
    const VkVertexInputAttributeDescription attributes[] = {
        {0, 0, VK_FORMAT_R32G32B32A32_SFLOAT, offsetof(struct quad, x)},
        {1, 0, VK_FORMAT_R32G32B32A32_SFLOAT, offsetof(struct quad, u)},
        {2, 0, VK_FORMAT_R8G8B8A8_UNORM, offsetof(struct quad, rgba)},
    };
    const VkPipelineVertexInputStateCreateInfo vertices = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
        .vertexBindingDescriptionCount = ui ? 1 : 0,
        .pVertexBindingDescriptions = &binding,
        .vertexAttributeDescriptionCount = ui ? 3 : 0,
        .pVertexAttributeDescriptions = attributes,
    };
    const VkPipelineInputAssemblyStateCreateInfo assembly = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
        .topology = VK_PRIMITIVE_TOPOLOGY_TRIANGLE_STRIP,
    };
    const VkPipelineViewportStateCreateInfo viewport = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
        .viewportCount = 1,
        .scissorCount = 1,
    };
    const VkPipelineRasterizationStateCreateInfo raster = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
        .lineWidth = 1,
    };
    const VkPipelineMultisampleStateCreateInfo samples = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
        .rasterizationSamples = VK_SAMPLE_COUNT_1_BIT,
    };
    const VkPipelineColorBlendAttachmentState blending = {
        .blendEnable = ui,
        .srcColorBlendFactor = VK_BLEND_FACTOR_SRC_ALPHA,
        .dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
        .srcAlphaBlendFactor = VK_BLEND_FACTOR_ONE,
        .dstAlphaBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
        .colorWriteMask =
            VK_COLOR_COMPONENT_R_BIT | VK_COLOR_COMPONENT_G_BIT | VK_COLOR_COMPONENT_B_BIT | VK_COLOR_COMPONENT_A_BIT,
    };
    const VkPipelineColorBlendStateCreateInfo blend = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
        .attachmentCount = 1,
        .pAttachments = &blending,
    };
    static const VkDynamicState dynamic_states[] = {VK_DYNAMIC_STATE_VIEWPORT, VK_DYNAMIC_STATE_SCISSOR};
    const VkPipelineDynamicStateCreateInfo dynamic = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_DYNAMIC_STATE_CREATE_INFO,
        .dynamicStateCount = 2,
        .pDynamicStates = dynamic_states,
    };
    const VkGraphicsPipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
        .stageCount = 2,
        .pStages = stages,
        .pVertexInputState = &vertices,
        .pInputAssemblyState = &assembly,
        .pViewportState = &viewport,
        .pRasterizationState = &raster,
        .pMultisampleState = &samples,
        .pColorBlendState = &blend,
        .pDynamicState = &dynamic,
        .layout = r->layout,
        .renderPass = r->target.pass,
    };
    return r->gpu->vkd.vkCreateGraphicsPipelines(r->gpu->device, VK_NULL_HANDLE, 1, &info, NULL, out);
}

VkResult renderer_create_pipelines(struct renderer *r) {
    struct gpu *gpu = r->gpu;
    static const struct {
        const uint32_t *code;
        size_t size;
    } sources[] = {
        {spirv_picture_vert, sizeof spirv_picture_vert},
        {spirv_picture_frag, sizeof spirv_picture_frag},
        {spirv_ui_vert, sizeof spirv_ui_vert},
        {spirv_ui_frag, sizeof spirv_ui_frag},
    };
    VkShaderModule modules[4] = {VK_NULL_HANDLE};
    VkResult result = VK_SUCCESS;
    gpu->vkd.vkDestroyPipeline(gpu->device, r->picture_pipeline, NULL);
    gpu->vkd.vkDestroyPipeline(gpu->device, r->ui_pipeline, NULL);
    r->picture_pipeline = r->ui_pipeline = VK_NULL_HANDLE;
    for (int i = 0; i < 4 && result >= 0; i++)
        result = create_module(r, sources[i].code, sources[i].size, &modules[i]);
    if (result >= 0)
        result = create_pipeline(r, modules[0], modules[1], false, &r->picture_pipeline);
    if (result >= 0)
        result = create_pipeline(r, modules[2], modules[3], true, &r->ui_pipeline);
    for (int i = 0; i < 4; i++)
        gpu->vkd.vkDestroyShaderModule(gpu->device, modules[i], NULL);
    r->pipeline_format = r->target.format;
    return result;
}

VkResult renderer_replace_image(struct renderer *r, struct gpu_image *image, VkFormat format, int width, int height) {
    if (image->image)
        gpu_image_destroy(r->gpu, image);
    return gpu_image_create(r->gpu, format, width, height, VK_IMAGE_USAGE_SAMPLED_BIT | VK_IMAGE_USAGE_TRANSFER_DST_BIT,
                            image);
}

static VkResult create_samplers(struct renderer *r) {
    VkSamplerCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_SAMPLER_CREATE_INFO,
        .magFilter = VK_FILTER_LINEAR,
        .minFilter = VK_FILTER_LINEAR,
        .addressModeU = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
        .addressModeV = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
        .addressModeW = VK_SAMPLER_ADDRESS_MODE_CLAMP_TO_EDGE,
    };
    VkResult result = r->gpu->vkd.vkCreateSampler(r->gpu->device, &info, NULL, &r->linear);
    info.magFilter = info.minFilter = VK_FILTER_NEAREST;
    return result < 0 ? result : r->gpu->vkd.vkCreateSampler(r->gpu->device, &info, NULL, &r->nearest);
}

static VkResult create_frame(struct renderer *r, struct renderer_frame *f) {
    struct gpu *gpu = r->gpu;
    VkCommandBuffer buffers[2];
    const VkCommandBufferAllocateInfo commands = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
        .commandPool = r->pool,
        .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
        .commandBufferCount = 2,
    };
    const VkFenceCreateInfo fence = {.sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    const VkQueryPoolCreateInfo queries = {
        .sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO, .queryType = VK_QUERY_TYPE_TIMESTAMP, .queryCount = 4};
    VkResult result = gpu->vkd.vkAllocateCommandBuffers(gpu->device, &commands, buffers);
    if (result < 0)
        return result;
    f->draw = buffers[0];
    f->work = buffers[1];
    result = gpu->vkd.vkCreateFence(gpu->device, &fence, NULL, &f->fence);
    if (result >= 0)
        result = gpu->vkd.vkCreateSemaphore(gpu->device, &semaphore, NULL, &f->acquired);
    if (result >= 0 && gpu->timestamp_ns > 0)
        result = gpu->vkd.vkCreateQueryPool(gpu->device, &queries, NULL, &f->queries);
    if (result >= 0)
        result = gpu_buffer_create(gpu, SMALL_BYTES, VK_BUFFER_USAGE_TRANSFER_SRC_BIT, false, &f->small);
    if (result >= 0)
        result = gpu_buffer_create(gpu, sizeof(struct quad) * MAX_QUADS, VK_BUFFER_USAGE_VERTEX_BUFFER_BIT, false,
                                   &f->quads);
    return result;
}

VkResult renderer_setup(struct renderer *r) {
    struct gpu *gpu = r->gpu;
    const VkCommandPoolCreateInfo pool = {
        .sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
        .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
        .queueFamilyIndex = gpu->family,
    };
    VkResult result = gpu->vkd.vkCreateCommandPool(gpu->device, &pool, NULL, &r->pool);
    for (int i = 0; i < FRAMES_IN_FLIGHT && result >= 0; i++)
        result = create_frame(r, &r->frames[i]);
    if (result >= 0)
        result = create_samplers(r);
    if (result >= 0)
        result = create_layouts(r);
    if (result >= 0)
        result = create_sets(r);
    // One pixel each until there is something to show.
    struct gpu_image *const images[] = {&r->luma, &r->chroma};
    static const VkFormat formats[] = {VK_FORMAT_R8G8B8A8_UNORM, VK_FORMAT_R8G8_UNORM};
    for (int i = 0; i < 2 && result >= 0; i++)
        result = renderer_replace_image(r, images[i], formats[i], 1, 1);
    if (result >= 0)
        result = renderer_replace_image(r, &r->map, VK_FORMAT_R8_UNORM, OVERLAY_SIDE, OVERLAY_SIDE);
    if (result >= 0)
        result = renderer_replace_image(r, &r->colours, VK_FORMAT_R8G8B8A8_UNORM, OVERLAY_COLOURS, 1);
    if (result >= 0)
        result = renderer_replace_image(r, &r->atlas, VK_FORMAT_R8_UNORM, ATLAS_SIZE, ATLAS_SIZE);
    if (result >= 0)
        renderer_write_descriptors(r);
    return result;
}
