// capabilities.c - what kernels may rely on, on a device with certain features.
#include <stdlib.h>

#include "kernels/workarounds.h"
#include "vulkan/features.h"
#include "vulkan/select.h"

_Static_assert(CDL_DRIVER_SWIFTSHADER == (int)VK_DRIVER_ID_GOOGLE_SWIFTSHADER, "as Vulkan numbers it");
_Static_assert(CDL_DRIVER_LAVAPIPE == (int)VK_DRIVER_ID_MESA_LLVMPIPE, "as Vulkan numbers it");
_Static_assert(CDL_DRIVER_NVK == (int)VK_DRIVER_ID_MESA_NVK, "as Vulkan numbers it");

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
                                const VkPhysicalDeviceSubgroupProperties *subgroups,
                                const VkPhysicalDeviceSubgroupSizeControlProperties *sizes) {
    const VkSubgroupFeatureFlags needed = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    const bool control = f->subgroup_sizes && f->full_subgroups;
    dev->subgroup_size_control = control && (sizes->requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
    // Without size control a driver may run a shader at another size than it reports (AMD, Intel), unless it has
    // but one; CPU drivers have one.
    const bool known = dev->subgroup_size_control || dev->info.software ||
                       (control && sizes->minSubgroupSize == sizes->maxSubgroupSize);
    dev->caps.subgroup_size = subgroups->subgroupSize;
    dev->caps.subgroup_shuffle = (subgroups->supportedOperations & needed) == needed &&
                                 (subgroups->supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) && known;
    if (known && f->matrix) {
        // AMD's matrix instructions are made for waves of 32, Intel's for the narrowest subgroup there is, whatever
        // size the driver prefers elsewhere.
        const bool intel = dev->info.vendor_id == 0x8086;
        const bool can_be_32 =
            dev->subgroup_size_control && sizes->minSubgroupSize <= 32 && sizes->maxSubgroupSize >= 32;
        dev->caps.matrix_subgroup = can_be_32 ? intel ? sizes->minSubgroupSize : 32 : subgroups->subgroupSize;
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

// Whether the host's memory and the device's are two: a bus lies between them, or the host cannot reach the other.
static bool has_memory_of_its_own(const struct cdl_device *dev) {
    const VkMemoryPropertyFlags both = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT;
    bool shared = false;
    for (uint32_t i = 0; i < dev->memory.memoryTypeCount; i++)
        shared = shared || (dev->memory.memoryTypes[i].propertyFlags & both) == both;
    return !shared || (dev->info.type != CDL_DEVICE_INTEGRATED && dev->info.type != CDL_DEVICE_CPU);
}

void cdl_read_capabilities(struct cdl_device *dev, const struct cdl_features *f) {
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroups = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceMaintenance3Properties most = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES,
                                                   .pNext = &subgroups};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &most};
    VkPhysicalDeviceDriverProperties driver;
    cdl_device_driver(&dev->instance, dev->physical, &driver);
    if (f->subgroup_sizes)
        subgroups.pNext = &sizes;
    dev->instance.vki.GetPhysicalDeviceProperties2(dev->physical, &properties);
    const VkPhysicalDeviceLimits *limits = &properties.properties.limits;
    dev->timestamp_period = limits->timestampPeriod;
    dev->storage_align = limits->minStorageBufferOffsetAlignment ? limits->minStorageBufferOffsetAlignment : 1;
    dev->max_storage_range = limits->maxStorageBufferRange;
    dev->max_allocation = most.maxMemoryAllocationSize;
    dev->timeline = f->timeline;
    dev->pipeline_feedback = f->pipeline_feedback;
    dev->int8_dot = f->int8_dot;
    dev->executable_statistics = f->statistics;

    dev->caps = (struct cdl_caps){
        .vendor_id = properties.properties.vendorID,
        .driver_id = (uint32_t)driver.driverID,
        .driver_version = properties.properties.driverVersion,
        .software = dev->info.software,
        .int64 = f->int64,
        .fp16_arithmetic = f->float16,
        .max_workgroup_size = limits->maxComputeWorkGroupInvocations < limits->maxComputeWorkGroupSize[0]
                                  ? limits->maxComputeWorkGroupInvocations
                                  : limits->maxComputeWorkGroupSize[0],
        .max_shared_bytes = limits->maxComputeSharedMemorySize,
    };
    guess_size(&dev->caps, dev->info.type);
    read_processors(dev);
    read_subgroup_sizes(dev, f, &subgroups, &sizes);
    if (dev->caps.matrix_subgroup)
        read_matrix_shapes(dev);
    const bool flexible = f->matrix2_flexible && f->matrix2_conversions && f->matrix2_per_element;
    // Its shaders are SPIR-V 1.6 and store single halves.
    if (dev->caps.matrix_m && flexible && f->storage16 && f->maintenance4 && dev->version >= VK_API_VERSION_1_3)
        read_matrix_grains(dev, f->matrix2_workgroup);

    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    dev->instance.vki.GetPhysicalDeviceMemoryProperties2(dev->physical, &memory);
    dev->memory = memory.memoryProperties;
    dev->copies_uploads = has_memory_of_its_own(dev);
    log_workarounds(dev);
}
