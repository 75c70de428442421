// features.c - see features.h.
#include "vulkan/features.h"

#include <stdlib.h>

#include "kernels/workarounds.h"
#include "vulkan/select.h"

_Static_assert(CDL_DRIVER_SWIFTSHADER == (int)VK_DRIVER_ID_GOOGLE_SWIFTSHADER, "as Vulkan numbers it");
_Static_assert(CDL_DRIVER_LAVAPIPE == (int)VK_DRIVER_ID_MESA_LLVMPIPE, "as Vulkan numbers it");
_Static_assert(CDL_DRIVER_NVK == (int)VK_DRIVER_ID_MESA_NVK, "as Vulkan numbers it");

// ---- what to enable

static bool take_extension(struct cdl_features *f, const struct cdl_extensions *offered, const char *name) {
    if (!cdl_extensions_have(offered, name))
        return false;
    f->extensions[f->num_extensions++] = name;
    return true;
}

// `features` (pNext NULL) as the device supports it.
static void query(const struct cdl_device *dev, void *features) {
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = features};
    dev->instance.vki.GetPhysicalDeviceFeatures2(dev->physical, &all);
}

static void prepend(struct cdl_features *f, void *structure) {
    ((VkBaseOutStructure *)structure)->pNext = (VkBaseOutStructure *)f->chain;
    f->chain = structure;
}

static void choose_matrix_features(struct cdl_features *f, const struct cdl_device *dev,
                                   const struct cdl_extensions *offered) {
    if (!f->v12.shaderFloat16 || !f->v12.vulkanMemoryModel)
        return; // the cooperative matrix shaders declare both
    if (cdl_extensions_have(offered, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME)) {
        query(dev, &f->matrix);
        f->matrix.cooperativeMatrixRobustBufferAccess = VK_FALSE;
    }
    if (!f->matrix.cooperativeMatrix)
        return;
    take_extension(f, offered, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    prepend(f, &f->matrix);
    if (take_extension(f, offered, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME)) {
        query(dev, &f->matrix2);
        prepend(f, &f->matrix2);
    }
}

void cdl_features_choose(struct cdl_features *out, const struct cdl_device *dev) {
    *out = (struct cdl_features){
        .v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES},
        .maintenance4 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES},
        .storage16 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES},
        .sizes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES},
        .matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR},
        .matrix2 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV},
        .dot = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES},
        .executables = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR},
    };
    struct cdl_extensions offered = cdl_device_extensions(&dev->instance, dev->physical);
    VkPhysicalDeviceVulkan12Features supported = out->v12;
    query(dev, &supported);
    VkPhysicalDeviceFeatures2 core = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    dev->instance.vki.GetPhysicalDeviceFeatures2(dev->physical, &core);
    out->core.shaderInt64 = core.features.shaderInt64;
    out->v12.bufferDeviceAddress = VK_TRUE; // without these two no device is usable
    out->v12.timelineSemaphore = VK_TRUE;
    out->v12.shaderFloat16 = supported.shaderFloat16;
    out->v12.vulkanMemoryModel = supported.vulkanMemoryModel;
    out->v12.vulkanMemoryModelDeviceScope = supported.vulkanMemoryModelDeviceScope;
    prepend(out, &out->v12);
    VkPhysicalDevice16BitStorageFeatures halves = out->storage16;
    query(dev, &halves);
    out->storage16.storageBuffer16BitAccess = halves.storageBuffer16BitAccess;
    prepend(out, &out->storage16);
    if (dev->info.api_version >= VK_API_VERSION_1_3) { // has it; SPIR-V 1.6 gives a workgroup's size in its way
        out->maintenance4.maintenance4 = VK_TRUE;
        prepend(out, &out->maintenance4);
    }
    // Its functions and flags are core in 1.3, but a 1.2 driver may have it as an extension.
    if (take_extension(out, &offered, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        query(dev, &out->sizes);
        prepend(out, &out->sizes);
    }
    if (take_extension(out, &offered, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME)) {
        query(dev, &out->executables);
        prepend(out, &out->executables);
    }
    if (take_extension(out, &offered, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
        query(dev, &out->dot);
        out->int8_dot = out->dot.shaderIntegerDotProduct;
        prepend(out, &out->dot);
    }
    out->pipeline_feedback = take_extension(out, &offered, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
    choose_matrix_features(out, dev, &offered);
    // A device that lists it (MoltenVK) must have it enabled.
    take_extension(out, &offered, "VK_KHR_portability_subset");
    free(offered.items);
}

// ---- what kernels may rely on

// Larger is better; 0: of no use here. Shapes as deep as 16 keep NVIDIA's and AMD's units busy with one instruction
// each.
static uint32_t shape_value(const VkCooperativeMatrixPropertiesKHR *p, VkComponentTypeKHR sums) {
    const bool types = p->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                       p->CType == sums && p->ResultType == sums;
    const bool sizes =
        (p->MSize == 8 || p->MSize == 16) && (p->NSize == 8 || p->NSize == 16) && (p->KSize == 8 || p->KSize == 16);
    return types && sizes && p->scope == VK_SCOPE_SUBGROUP_KHR && !p->saturatingAccumulation
               ? p->MSize * p->NSize * p->KSize
               : 0;
}

static void read_matrix_shapes(struct cdl_device *dev) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR list =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)dev->instance.vkg.GetInstanceProcAddr(
            dev->instance.handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    uint32_t count = 0, best = 0;
    if (!list || list(dev->physical, &count, NULL) < 0 || count == 0)
        return;
    VkCooperativeMatrixPropertiesKHR *shapes = calloc(count, sizeof *shapes);
    if (!shapes)
        return; // no matrix kernels: slower, not wrong
    for (uint32_t i = 0; i < count; i++)
        shapes[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    if (list(dev->physical, &count, shapes) < 0)
        count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (shape_value(&shapes[i], VK_COMPONENT_TYPE_FLOAT32_KHR) > best) {
            best = shape_value(&shapes[i], VK_COMPONENT_TYPE_FLOAT32_KHR);
            dev->caps.matrix_m = shapes[i].MSize;
            dev->caps.matrix_n = shapes[i].NSize;
            dev->caps.matrix_k = shapes[i].KSize;
        }
    for (uint32_t i = 0; i < count; i++)
        if (shape_value(&shapes[i], VK_COMPONENT_TYPE_FLOAT16_KHR) && shapes[i].MSize == dev->caps.matrix_m &&
            shapes[i].NSize == dev->caps.matrix_n && shapes[i].KSize == dev->caps.matrix_k)
            dev->caps.matrix_half_sums = true;
    free(shapes);
}

static void read_matrix_grains(struct cdl_device *dev, bool workgroup_scope) {
    PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV list =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)dev->instance.vkg.GetInstanceProcAddr(
            dev->instance.handle, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV");
    VkPhysicalDeviceCooperativeMatrix2PropertiesNV limits = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
                                              .pNext = &limits};
    struct cdl_caps *caps = &dev->caps;
    uint32_t count = 0;
    if (!list || list(dev->physical, &count, NULL) < 0 || count == 0)
        return;
    VkCooperativeMatrixFlexibleDimensionsPropertiesNV *all = calloc(count, sizeof *all);
    if (!all)
        return;
    for (uint32_t i = 0; i < count; i++)
        all[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_FLEXIBLE_DIMENSIONS_PROPERTIES_NV;
    if (list(dev->physical, &count, all) < 0)
        count = 0;
    dev->instance.vki.GetPhysicalDeviceProperties2(dev->physical, &properties);
    caps->matrix_reserved_bytes = limits.cooperativeMatrixWorkgroupScopeReservedSharedMemory;
    for (uint32_t i = 0; i < count && caps->num_matrix_grains < (int)CDL_COUNT(caps->matrix_grains); i++) {
        const VkCooperativeMatrixFlexibleDimensionsPropertiesNV *g = &all[i];
        const bool types = g->AType == VK_COMPONENT_TYPE_FLOAT16_KHR && g->BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
                           g->CType == VK_COMPONENT_TYPE_FLOAT32_KHR && g->ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR;
        const bool workgroup = g->scope == VK_SCOPE_WORKGROUP_KHR;
        if (!types || g->saturatingAccumulation ||
            (workgroup &&
             (!workgroup_scope || g->workgroupInvocations > limits.cooperativeMatrixWorkgroupScopeMaxWorkgroupSize)))
            continue;
        const int at = caps->num_matrix_grains++;
        caps->matrix_grains[at].invocations = workgroup ? g->workgroupInvocations : 0;
        caps->matrix_grains[at].m = g->MGranularity;
        caps->matrix_grains[at].n = g->NGranularity;
        caps->matrix_grains[at].k = g->KGranularity;
    }
    free(all);
}

// Subgroup sizes: which one a kernel may count on, and whether pipelines must ask for it.
static void read_subgroup_sizes(struct cdl_device *dev, const struct cdl_features *f,
                                const VkPhysicalDeviceVulkan11Properties *v11,
                                const VkPhysicalDeviceSubgroupSizeControlProperties *sizes) {
    const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    const bool control = f->sizes.subgroupSizeControl && f->sizes.computeFullSubgroups;
    dev->subgroup_size_control = control && (sizes->requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    // Without size control a driver may run a shader at another size than it reports (AMD, Intel), unless it has
    // but one; CPU drivers have one.
    const bool known = dev->subgroup_size_control || dev->info.software ||
                       (control && sizes->minSubgroupSize == sizes->maxSubgroupSize);
    dev->caps.subgroup_size = v11->subgroupSize;
    dev->caps.subgroup_shuffle = (v11->subgroupSupportedOperations & needed) == needed &&
                                 (v11->subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) && known;
    if (known && f->matrix.cooperativeMatrix) {
        // AMD's matrix instructions are made for waves of 32, Intel's for the narrowest subgroup there is, whatever
        // size the driver prefers elsewhere.
        const bool intel = dev->info.vendor_id == 0x8086;
        const bool can_be_32 =
            dev->subgroup_size_control && sizes->minSubgroupSize <= 32 && sizes->maxSubgroupSize >= 32;
        dev->caps.matrix_subgroup = can_be_32 ? intel ? sizes->minSubgroupSize : 32 : v11->subgroupSize;
    }
}

// Vulkan itself does not count them.
static void read_processors(struct cdl_device *dev) {
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nvidia = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceShaderCoreProperties2AMD amd = {.sType =
                                                        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_2_AMD};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    struct cdl_extensions offered = cdl_device_extensions(&dev->instance, dev->physical);
    if (cdl_extensions_have(&offered, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME))
        properties.pNext = &nvidia;
    else if (cdl_extensions_have(&offered, VK_AMD_SHADER_CORE_PROPERTIES_2_EXTENSION_NAME))
        properties.pNext = &amd;
    free(offered.items);
    if (properties.pNext)
        dev->instance.vki.GetPhysicalDeviceProperties2(dev->physical, &properties);
    const uint32_t counted = nvidia.shaderSMCount ? nvidia.shaderSMCount : amd.activeComputeUnitCount;
    if (counted)
        dev->caps.processors = counted;
}

static void guess_size(struct cdl_caps *caps, enum cdl_device_type type) {
    // The last level of cache is 16 to 96 MB on discrete GPUs since 2020 (A100 40, H100 50, Ada 24 to 72, RDNA 2 to 4
    // 16 to 128), and some 128 processors work on tiles of 64x128 outputs. Integrated ones share 4 MB or more, and are
    // an eighth as wide.
    caps->processors = type == CDL_DEVICE_CPU ? 4 : type == CDL_DEVICE_INTEGRATED ? 16 : 128;
    if (type == CDL_DEVICE_DISCRETE || type == CDL_DEVICE_VIRTUAL) {
        caps->cache_bytes = 32u << 20;
        caps->fill_outputs = 128 * 64 * 128;
    } else if (type == CDL_DEVICE_INTEGRATED) {
        caps->cache_bytes = 4u << 20;
        caps->fill_outputs = 16 * 64 * 128;
    } else if (type == CDL_DEVICE_CPU) { // half the last level of a server's part, and tiles of 32x32 outputs
        caps->cache_bytes = 16u << 20;
        caps->fill_outputs = 32 * 32 * 32;
    }
}

static void log_workarounds(const struct cdl_device *dev) {
    for (int i = 0; i < cdl_num_workarounds; i++) {
        const struct cdl_workaround *w = &cdl_workaround_table[i];
        if (cdl_workaround_applies(w, &dev->caps))
            cdl_logf(&dev->log, CDL_LOG_DEBUG, "%s, workaround: %s", dev->info.name, w->name);
    }
}

void cdl_read_capabilities(struct cdl_device *dev, const struct cdl_features *f) {
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceDriverProperties driver = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceVulkan11Properties v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES,
                                              .pNext = &driver};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &v11};
    if (f->sizes.subgroupSizeControl)
        driver.pNext = &sizes;
    dev->instance.vki.GetPhysicalDeviceProperties2(dev->physical, &properties);
    const VkPhysicalDeviceLimits *limits = &properties.properties.limits;
    dev->timestamp_period = limits->timestampPeriod;
    dev->storage_align = limits->minStorageBufferOffsetAlignment ? limits->minStorageBufferOffsetAlignment : 1;
    dev->max_storage_range = limits->maxStorageBufferRange;
    dev->max_allocation = v11.maxMemoryAllocationSize;
    dev->pipeline_feedback = f->pipeline_feedback;
    dev->int8_dot = f->int8_dot;
    dev->executable_statistics = f->executables.pipelineExecutableInfo;

    dev->caps = (struct cdl_caps){
        .vendor_id = properties.properties.vendorID,
        .driver_id = (uint32_t)driver.driverID,
        .driver_version = properties.properties.driverVersion,
        .software = dev->info.software,
        .int64 = f->core.shaderInt64,
        .fp16_arithmetic = f->v12.shaderFloat16,
        .max_workgroup_size = limits->maxComputeWorkGroupInvocations < limits->maxComputeWorkGroupSize[0]
                                  ? limits->maxComputeWorkGroupInvocations
                                  : limits->maxComputeWorkGroupSize[0],
        .max_shared_bytes = limits->maxComputeSharedMemorySize,
    };
    guess_size(&dev->caps, dev->info.type);
    read_processors(dev);
    read_subgroup_sizes(dev, f, &v11, &sizes);
    if (dev->caps.matrix_subgroup)
        read_matrix_shapes(dev);
    const bool flexible = f->matrix2.cooperativeMatrixFlexibleDimensions && f->matrix2.cooperativeMatrixConversions &&
                          f->matrix2.cooperativeMatrixPerElementOperations;
    // Its shaders are SPIR-V 1.6 and store single halves.
    if (dev->caps.matrix_m && flexible && f->storage16.storageBuffer16BitAccess && f->maintenance4.maintenance4)
        read_matrix_grains(dev, f->matrix2.cooperativeMatrixWorkgroupScope);

    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    dev->instance.vki.GetPhysicalDeviceMemoryProperties2(dev->physical, &memory);
    dev->memory = memory.memoryProperties;
    log_workarounds(dev);
}
