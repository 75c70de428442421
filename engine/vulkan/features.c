// features.c - see features.h. All that is specific to one feature stands in one line of a table.
//
// A feature has a structure of its own and, from the version on that took it in, one of that version's structures; a
// chain may hold either of the two. Its own structure needs an extension before that version.
#include "vulkan/features.h"

#include <stdlib.h>
#include <string.h>

#include "vulkan/select.h"
#include "cdl/cdl_vulkan.h" // after those: they hide Vulkan's prototypes

enum use {
    INFORMS,     // told to who asks
    TESTS,       // enabled on devices of our own
    RECOMMENDED, // makes Cardinal faster
    REQUIRED,
};

struct feature {
    const char *name;
    size_t at;      // in cdl_features
    int own, whole; // structure types; older headers' enumeration lacks some; 0: none
    size_t own_size, own_at, whole_at;
    uint32_t core;         // the version that took it in; 0: none
    const char *extension; // with it before; NULL: every version that we take has it
    enum use use;
};

#define OWN(field, Structure, TYPE, member) \
    .name = #member, .at = offsetof(struct cdl_features, field), .own = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_##TYPE, \
    .own_size = sizeof(VkPhysicalDevice##Structure), .own_at = offsetof(VkPhysicalDevice##Structure, member)
#define WHOLE(number, member) \
    .whole = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_##number##_FEATURES, \
    .whole_at = offsetof(VkPhysicalDeviceVulkan1##number##Features, member), .core = VK_API_VERSION_1_##number
// A feature that Vulkan 1.`number` took in; one that no version did.
#define TAKEN(field, Structure, TYPE, member, number, name, used) \
    { OWN(field, Structure, TYPE, member), WHOLE(number, member), .extension = name, .use = used }
#define EXTRA(field, Structure, TYPE, member, name, used) \
    { OWN(field, Structure, TYPE, member), .extension = name, .use = used }

static const struct feature table[] = {
    TAKEN(buffer_address, BufferDeviceAddressFeatures, BUFFER_DEVICE_ADDRESS_FEATURES, bufferDeviceAddress, 2,
          VK_KHR_BUFFER_DEVICE_ADDRESS_EXTENSION_NAME, REQUIRED),
    TAKEN(timeline, TimelineSemaphoreFeatures, TIMELINE_SEMAPHORE_FEATURES, timelineSemaphore, 2,
          VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME, RECOMMENDED),
    TAKEN(float16, ShaderFloat16Int8Features, SHADER_FLOAT16_INT8_FEATURES, shaderFloat16, 2,
          VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME, RECOMMENDED),
    TAKEN(memory_model, VulkanMemoryModelFeatures, VULKAN_MEMORY_MODEL_FEATURES, vulkanMemoryModel, 2,
          VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, RECOMMENDED),
    TAKEN(memory_model_device, VulkanMemoryModelFeatures, VULKAN_MEMORY_MODEL_FEATURES, vulkanMemoryModelDeviceScope, 2,
          VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME, RECOMMENDED),
    TAKEN(storage16, 16BitStorageFeatures, 16BIT_STORAGE_FEATURES, storageBuffer16BitAccess, 1, NULL, RECOMMENDED),
    TAKEN(storage8, 8BitStorageFeatures, 8BIT_STORAGE_FEATURES, storageBuffer8BitAccess, 2,
          VK_KHR_8BIT_STORAGE_EXTENSION_NAME, INFORMS),
    TAKEN(maintenance4, Maintenance4Features, MAINTENANCE_4_FEATURES, maintenance4, 3,
          VK_KHR_MAINTENANCE_4_EXTENSION_NAME, RECOMMENDED),
    TAKEN(subgroup_sizes, SubgroupSizeControlFeatures, SUBGROUP_SIZE_CONTROL_FEATURES, subgroupSizeControl, 3,
          VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, RECOMMENDED),
    TAKEN(full_subgroups, SubgroupSizeControlFeatures, SUBGROUP_SIZE_CONTROL_FEATURES, computeFullSubgroups, 3,
          VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, RECOMMENDED),
    TAKEN(int8_dot, ShaderIntegerDotProductFeatures, SHADER_INTEGER_DOT_PRODUCT_FEATURES, shaderIntegerDotProduct, 3,
          VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, RECOMMENDED),
    EXTRA(statistics, PipelineExecutablePropertiesFeaturesKHR, PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR,
          pipelineExecutableInfo, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME, TESTS),
    EXTRA(matrix, CooperativeMatrixFeaturesKHR, COOPERATIVE_MATRIX_FEATURES_KHR, cooperativeMatrix,
          VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME, RECOMMENDED),
    EXTRA(matrix2_workgroup, CooperativeMatrix2FeaturesNV, COOPERATIVE_MATRIX_2_FEATURES_NV,
          cooperativeMatrixWorkgroupScope, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME, RECOMMENDED),
    EXTRA(matrix2_flexible, CooperativeMatrix2FeaturesNV, COOPERATIVE_MATRIX_2_FEATURES_NV,
          cooperativeMatrixFlexibleDimensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME, RECOMMENDED),
    EXTRA(matrix2_conversions, CooperativeMatrix2FeaturesNV, COOPERATIVE_MATRIX_2_FEATURES_NV,
          cooperativeMatrixConversions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME, RECOMMENDED),
    EXTRA(matrix2_per_element, CooperativeMatrix2FeaturesNV, COOPERATIVE_MATRIX_2_FEATURES_NV,
          cooperativeMatrixPerElementOperations, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME, RECOMMENDED),
};
static const char int64_name[] = "shaderInt64"; // the one in VkPhysicalDeviceFeatures

static VkBool32 *flag_at(void *structure, size_t at) { return (VkBool32 *)(void *)((uint8_t *)structure + at); }
static VkBool32 *flag_of(struct cdl_features *f, const struct feature *feature) { return flag_at(f, feature->at); }
static bool in_core(const struct feature *f, uint32_t version) { return f->core && version >= f->core; }

// What makes a feature legal to use beside its own bit.
static void drop_dependents(struct cdl_features *f, uint32_t version) {
    if (!f->float16 || !f->memory_model ||
        version < VK_API_VERSION_1_2) // the matrix shaders declare both, in SPIR-V 1.5
        f->matrix = VK_FALSE;
    if (!f->matrix)
        f->matrix2_workgroup = f->matrix2_flexible = f->matrix2_conversions = f->matrix2_per_element = VK_FALSE;
}

uint32_t cdl_usable_version(const struct cdl_instance *in, VkPhysicalDevice physical) {
    VkPhysicalDeviceProperties2 p = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    in->vki.GetPhysicalDeviceProperties2(physical, &p);
    return p.properties.apiVersion < in->version ? p.properties.apiVersion : in->version;
}

// ---- what a device supports

void cdl_features_supported(struct cdl_features *out, const struct cdl_instance *in, VkPhysicalDevice physical) {
    VkPhysicalDeviceFeatures2 all = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    struct cdl_extensions offered = cdl_device_extensions(in, physical);
    const uint32_t version = cdl_usable_version(in, physical);
    *out = (struct cdl_features){0};
    in->vki.GetPhysicalDeviceFeatures2(physical, &all);
    out->int64 = all.features.shaderInt64;
    for (size_t i = 0; i < CDL_COUNT(table); i++) {
        const struct feature *f = &table[i];
        union {
            VkBaseOutStructure base;
            uint64_t room[16];
        } own = {.base = {.sType = (VkStructureType)f->own}};
        if (!in_core(f, version) && !cdl_extensions_have(&offered, f->extension))
            continue; // a structure that the driver does not know must not be asked for
        all.pNext = &own;
        in->vki.GetPhysicalDeviceFeatures2(physical, &all);
        *flag_of(out, f) = *flag_at(&own, f->own_at);
    }
    out->pipeline_feedback = version >= VK_API_VERSION_1_3 ||
                             cdl_extensions_have(&offered, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
    drop_dependents(out, version);
    free(offered.items);
}

// ---- what a device is to be created with

static bool add_extension(struct cdl_vk_enabled *out, const char *name) {
    for (int i = 0; i < out->num_extensions; i++)
        if (!strcmp(out->extensions[i], name))
            return true;
    if (out->num_extensions >= (int)CDL_COUNT(out->extensions))
        return false;
    out->extensions[out->num_extensions++] = name;
    return true;
}

// The flag in a chain, in whichever structure has it; NULL: none does.
static VkBool32 *find_flag(const struct feature *f, void *chain) {
    for (VkBaseOutStructure *s = chain; s; s = s->pNext) {
        if (f->whole && (int)s->sType == f->whole)
            return flag_at(s, f->whole_at);
        if ((int)s->sType == f->own)
            return flag_at(s, f->own_at);
    }
    return NULL;
}

// Appends the feature's own structure, from the storage.
static VkBool32 *append_own(const struct feature *f, VkPhysicalDeviceFeatures2 *features, struct cdl_vk_enabled *out,
                            size_t *used) {
    VkBaseOutStructure *last = (VkBaseOutStructure *)(void *)features,
                       *own = (VkBaseOutStructure *)(void *)&out->storage[*used];
    *used += (f->own_size + sizeof out->storage[0] - 1) / sizeof out->storage[0];
    while (last->pNext)
        last = last->pNext;
    own->sType = (VkStructureType)f->own;
    last->pNext = own;
    return flag_at(own, f->own_at);
}

cdl_result cdl_features_enable(struct cdl_vk_enabled *out, VkPhysicalDeviceFeatures2 *features,
                               const struct cdl_features *supported, const struct cdl_instance *in,
                               VkPhysicalDevice physical, bool own) {
    struct cdl_features have = *supported;
    struct cdl_extensions offered = cdl_device_extensions(in, physical);
    const uint32_t version = cdl_usable_version(in, physical);
    size_t used = 0;
    bool fit = true;
    memset(out->storage, 0, sizeof out->storage);
    features->features.shaderInt64 |= have.int64;
    for (size_t i = 0; i < CDL_COUNT(table); i++) {
        const struct feature *f = &table[i];
        if (!*flag_of(&have, f) || f->use < (own ? TESTS : RECOMMENDED))
            continue;
        VkBool32 *flag = find_flag(f, features->pNext);
        if (!flag)
            flag = append_own(f, features, out, &used);
        *flag = VK_TRUE;
        if (!in_core(f, version))
            fit = add_extension(out, f->extension) && fit;
    }
    if (version < VK_API_VERSION_1_3 && have.pipeline_feedback)
        fit = add_extension(out, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME) && fit;
    if (cdl_extensions_have(&offered, "VK_KHR_portability_subset")) // who lists it (MoltenVK) wants it enabled
        fit = add_extension(out, "VK_KHR_portability_subset") && fit;
    free(offered.items);
    return fit ? CDL_OK
               : cdl_fail(in->log, CDL_ERR_INVALID, "extensions: more than %d with Cardinal's",
                          (int)CDL_COUNT(out->extensions));
}

// ---- what a device was created with

static bool enables(const struct cdl_vk_import_params *p, const char *name) {
    for (int i = 0; i < p->num_extensions; i++)
        if (p->extensions[i] && !strcmp(p->extensions[i], name))
            return true;
    return false;
}

// The least version with which such a chain and such extensions make sense.
uint32_t cdl_features_infer_version(const struct cdl_vk_import_params *host) {
    uint32_t version = CDL_VK_MIN_VERSION;
    for (const VkBaseInStructure *s = host->features->pNext; s; s = s->pNext) {
        const bool vulkan12 = s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES || // came with 1.2
                              s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES)
            version = VK_API_VERSION_1_3;
        else if (vulkan12 && version < VK_API_VERSION_1_2)
            version = VK_API_VERSION_1_2;
    }
    for (size_t i = 0; i < CDL_COUNT(table); i++) {
        const VkBool32 *flag = find_flag(&table[i], host->features->pNext);
        if (flag && *flag && table[i].core > version && !enables(host, table[i].extension))
            version = table[i].core;
    }
    return version;
}

void cdl_features_read(struct cdl_features *out, const struct cdl_vk_import_params *host, uint32_t version,
                       const char **without) {
    *out = (struct cdl_features){.int64 = host->features->features.shaderInt64};
    *without = NULL;
    for (size_t i = 0; i < CDL_COUNT(table); i++) {
        const struct feature *f = &table[i];
        const VkBool32 *flag = find_flag(f, host->features->pNext);
        if (!flag || !*flag)
            continue;
        if (in_core(f, version) || enables(host, f->extension))
            *flag_of(out, f) = VK_TRUE;
        else if (f->use == REQUIRED)
            *without = f->extension;
    }
    out->pipeline_feedback =
        version >= VK_API_VERSION_1_3 || enables(host, VK_EXT_PIPELINE_CREATION_FEEDBACK_EXTENSION_NAME);
    drop_dependents(out, version);
}

void cdl_features_restrict(struct cdl_features *out, const struct cdl_features *supported, char *text, size_t size) {
    struct cdl_features have = *supported;
    bool first = true;
    text[0] = 0;
    out->pipeline_feedback &= have.pipeline_feedback;
    for (size_t i = 0; i <= CDL_COUNT(table); i++) {
        const bool core = i == CDL_COUNT(table);
        VkBool32 *flag = core ? &out->int64 : flag_of(out, &table[i]),
                 *can = core ? &have.int64 : flag_of(&have, &table[i]);
        *flag &= *can; // a host may pass what it wished for: what the device cannot do was not enabled
        if (*flag || !*can || (!core && table[i].use != RECOMMENDED))
            continue;
        cdl_format_text(text + strlen(text), size - strlen(text), "%s%s", first ? "" : ", ",
                        core ? int64_name : table[i].name);
        first = false;
    }
}
