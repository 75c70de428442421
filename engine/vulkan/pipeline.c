// pipeline.c - compute pipelines from the embedded SPIR-V.
#include "vulkan/pipeline.h"

#include <string.h>

#include "vulkan/device.h"
#include "vulkan/spirv.h"

cdl_result cdl_pipeline_layouts_create(struct cdl_device *dev) {
    cdl_result r = CDL_OK;
    const VkDescriptorSetLayoutBinding bindings[CDL_NUM_BINDINGS] = {
        {CDL_BINDING_BUFFER, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {CDL_BINDING_VIEW, VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
        {CDL_BINDING_CHROMA, VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, 1, VK_SHADER_STAGE_COMPUTE_BIT, NULL},
    };
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = CDL_NUM_BINDINGS,
        .pBindings = bindings,
    };
    const VkPushConstantRange range = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = CDL_MAX_PUSH_BYTES};
    VkPipelineLayoutCreateInfo layout = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
        .pushConstantRangeCount = 1,
        .pPushConstantRanges = &range,
    };
    CDL_VK(dev, CreatePipelineLayout(dev->handle, &layout, dev->allocator, &dev->pipeline_layout));
    CDL_VK(dev, CreateDescriptorSetLayout(dev->handle, &set, dev->allocator, &dev->input_set_layout));
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &dev->input_set_layout;
    CDL_VK(dev, CreatePipelineLayout(dev->handle, &layout, dev->allocator, &dev->input_layout));
error:
    return r;
}

static const struct cdl_spirv *find_spirv(const char *shader, bool fp16) {
    for (int i = 0; i < cdl_num_spirv; i++)
        if (cdl_spirv[i].fp16 == fp16 && !strcmp(cdl_spirv[i].shader, shader))
            return &cdl_spirv[i];
    return NULL;
}

VkResult cdl_pipeline_compile(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program) {
    VkShaderModule module = VK_NULL_HANDLE;
    VkSpecializationMapEntry entries[CDL_MAX_CONSTANTS];
    *out = VK_NULL_HANDLE;
    const struct cdl_spirv *spirv = find_spirv(program->shader->name, program->fp16);
    if (!spirv)
        return VK_ERROR_FEATURE_NOT_PRESENT;
    const uint32_t num_constants = (uint32_t)program->shader->num_constants;
    for (uint32_t i = 0; i < num_constants; i++)
        entries[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    const VkSpecializationInfo constants = {num_constants, entries, num_constants * 4, program->constants};
    const VkShaderModuleCreateInfo code = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
        .codeSize = spirv->size,
        .pCode = spirv->words,
    };
    VkResult result = dev->vkd.CreateShaderModule(dev->handle, &code, dev->allocator, &module);
    if (result < 0)
        return result;
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = program->subgroup_size ? program->subgroup_size : dev->caps.subgroup_size,
    };
    VkPipelineCreationFeedback whole = {0}, stage = {0};
    const VkPipelineCreationFeedbackCreateInfo feedback = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CREATION_FEEDBACK_CREATE_INFO,
        .pPipelineCreationFeedback = &whole,
        .pipelineStageCreationFeedbackCount = 1,
        .pPipelineStageCreationFeedbacks = &stage,
    };
    const bool pins = program->subgroup_size > 0 && dev->subgroup_size_control;
    const VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .pNext = dev->pipeline_feedback ? &feedback : NULL,
        .flags =
            dev->capture_statistics && dev->executable_statistics ? VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR : 0,
        .stage =
            {
                .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                .pNext = pins ? &size : NULL,
                .flags = pins ? VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT : 0,
                .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                .module = module,
                .pName = "main",
                .pSpecializationInfo = &constants,
            },
        .layout = program->host_input ? dev->input_layout : dev->pipeline_layout,
    };
    result = dev->vkd.CreateComputePipelines(dev->handle, dev->pipelines.cache, 1, &info, dev->allocator, out);
    dev->vkd.DestroyShaderModule(dev->handle, module, dev->allocator);
    if (result < 0) {
        *out = VK_NULL_HANDLE;
        return result;
    }
    cdl_mutex_lock(&dev->lock);
    dev->pipelines.created++;
    dev->pipelines.told += whole.flags & VK_PIPELINE_CREATION_FEEDBACK_VALID_BIT ? 1 : 0;
    dev->pipelines.hits += whole.flags & VK_PIPELINE_CREATION_FEEDBACK_APPLICATION_PIPELINE_CACHE_HIT_BIT ? 1 : 0;
    cdl_mutex_unlock(&dev->lock);
    return result;
}

cdl_result cdl_pipeline_create(VkPipeline *out, struct cdl_device *dev, const struct cdl_program *program) {
    char text[CDL_PROGRAM_TEXT];
    *out = VK_NULL_HANDLE;
    cdl_program_text(program, text);
    if (!find_spirv(program->shader->name, program->fp16))
        return cdl_fail(&dev->log, CDL_ERR_UNSUPPORTED, "this build has no shader for %s", text);
    // Before it is compiled, so that where a driver crashes the log's last line says on what.
    cdl_logf(&dev->log, CDL_LOG_DEBUG, "compiling %s", text);
    const VkResult result = cdl_pipeline_compile(out, dev, program);
    if (result >= 0)
        return CDL_OK;
    cdl_logf(&dev->log, CDL_LOG_WARN, "the driver did not compile %s", text);
    return cdl_vk_failed(dev, result, "vkCreateComputePipelines");
}
