// features.c - see features.h.
#include "gpu/features.h"

#include <stdlib.h>
#include <string.h>

#include "cdl/cdl_vulkan.h"

// The structures of features that Cardinal's chains may hold, as numbers of VkBool32 behind sType and pNext. Some are
// younger than the Vulkan headers of a distribution, hence numbers.
static const struct {
    int type;
    size_t flags;
} known[] = {
#define FLAGS_OF(structure) ((sizeof(structure) - sizeof(VkBaseOutStructure)) / sizeof(VkBool32))
    {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, FLAGS_OF(VkPhysicalDeviceVulkan11Features)},
    {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, FLAGS_OF(VkPhysicalDeviceVulkan12Features)},
    {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, FLAGS_OF(VkPhysicalDeviceVulkan13Features)},
    {VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES, FLAGS_OF(VkPhysicalDevice16BitStorageFeatures)},
    {1000413000, 1}, // VkPhysicalDeviceMaintenance4Features
    {1000225002, 2}, // VkPhysicalDeviceSubgroupSizeControlFeatures
    {1000280000, 1}, // VkPhysicalDeviceShaderIntegerDotProductFeatures
    {1000269000, 1}, // VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR
    {1000506000, 2}, // VkPhysicalDeviceCooperativeMatrixFeaturesKHR
    {1000593000, 7}, // VkPhysicalDeviceCooperativeMatrix2FeaturesNV
};

static size_t flags_of(const VkBaseInStructure *structure) {
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if ((int)structure->sType == known[i].type)
            return known[i].flags;
    return 0; // unknown here: passed over, at the cost of speed alone
}

static VkBool32 *flags_behind(void *structure) {
    return (VkBool32 *)((unsigned char *)structure + sizeof(VkBaseOutStructure));
}

// Appends what the device has of a chain of wanted features. The required chain has nothing that the recommended one
// lacks, or shares its structures: equal types are merged.
static void *find_in_chain(struct gpu_features *f, VkStructureType type) {
    for (VkBaseOutStructure *s = f->enabled.pNext; s; s = s->pNext)
        if (s->sType == type)
            return s;
    return NULL;
}

static size_t append_supported(struct gpu_features *f, size_t used, const struct gpu *gpu,
                               const VkBaseInStructure *wanted) {
    const size_t flags = flags_of(wanted),
                 size = sizeof(VkBaseOutStructure) + (flags * sizeof(VkBool32) + 15) / 16 * 16;
    if (flags == 0 || used + 2 * size > sizeof f->bytes)
        return used;
    VkBaseOutStructure *supported = (VkBaseOutStructure *)(void *)(f->bytes + used);
    memset(supported, 0, size);
    supported->sType = wanted->sType;
    VkPhysicalDeviceFeatures2 query = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = supported};
    vkGetPhysicalDeviceFeatures2(gpu->physical, &query);
    supported->pNext = NULL;

    VkBool32 *have = flags_behind(supported), any = VK_FALSE;
    const VkBool32 *want = flags_behind((void *)(uintptr_t)wanted);
    VkBaseOutStructure *earlier = find_in_chain(f, wanted->sType);
    for (size_t i = 0; i < flags; i++) {
        have[i] = have[i] && want[i];
        any = any || have[i];
        if (earlier && have[i])
            flags_behind(earlier)[i] = VK_TRUE;
    }
    if (earlier || !any) // a structure of an extension that the device lacks must not be there
        return used;
    supported->pNext = f->enabled.pNext;
    f->enabled.pNext = supported;
    return used + size;
}

static size_t merge(struct gpu_features *f, size_t used, const struct gpu *gpu,
                    const VkPhysicalDeviceFeatures2 *wanted) {
    VkPhysicalDeviceFeatures2 supported = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    vkGetPhysicalDeviceFeatures2(gpu->physical, &supported);
    VkBool32 *enabled = (VkBool32 *)&f->enabled.features;
    const VkBool32 *have = (const VkBool32 *)&supported.features, *want = (const VkBool32 *)&wanted->features;
    for (size_t i = 0; i < sizeof(VkPhysicalDeviceFeatures) / sizeof(VkBool32); i++)
        enabled[i] = enabled[i] || (have[i] && want[i]);
    for (const VkBaseInStructure *s = wanted->pNext; s; s = s->pNext)
        used = append_supported(f, used, gpu, s);
    return used;
}

struct gpu_features *gpu_features_choose(const struct gpu *gpu, bool present) {
    struct gpu_features *f = calloc(1, sizeof *f);
    uint32_t count = 0;
    VkExtensionProperties *all = NULL;
    if (f && vkEnumerateDeviceExtensionProperties(gpu->physical, NULL, &count, NULL) >= 0)
        all = calloc(count ? count : 1, sizeof *all);
    if (!all || vkEnumerateDeviceExtensionProperties(gpu->physical, NULL, &count, all) < 0) {
        free(all);
        free(f);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        const char *name = NULL;
        if (present && !strcmp(all[i].extensionName, VK_KHR_SWAPCHAIN_EXTENSION_NAME))
            name = VK_KHR_SWAPCHAIN_EXTENSION_NAME;
        if (!strcmp(all[i].extensionName, "VK_KHR_portability_subset")) // a device that lists it must have it enabled
            name = "VK_KHR_portability_subset";
        for (int j = 0; j < cdl_vk_num_recommended_extensions && !name; j++)
            if (!strcmp(all[i].extensionName, cdl_vk_recommended_extensions[j]))
                name = cdl_vk_recommended_extensions[j];
        if (name && f->num_extensions < MAX_EXTENSIONS)
            f->extensions[f->num_extensions++] = name;
    }
    free(all);
    f->enabled.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    const size_t used = merge(f, 0, gpu, &cdl_vk_required_features);
    merge(f, used, gpu, &cdl_vk_recommended_features);
    return f;
}

// ---- Cardinal on this device

static void lock_queue(void *ctx, VkQueue queue) {
    (void)queue;
    SDL_LockMutex(((struct gpu *)ctx)->lock);
}

static void unlock_queue(void *ctx, VkQueue queue) {
    (void)queue;
    SDL_UnlockMutex(((struct gpu *)ctx)->lock);
}

cdl_result gpu_import(struct gpu *gpu, const char *cache_dir, cdl_log log, cdl_device **out) {
    return cdl_vk_import(
        out, cdl_vk_import_params(.log = log, .instance = gpu->vk->instance, .phys_device = gpu->physical,
                                  .device = gpu->device, .get_proc_addr = vkGetInstanceProcAddr,
                                  .features = &gpu->features->enabled, .queue = gpu->queue, .queue_family = gpu->family,
                                  .api_version = INSTANCE_VERSION, .extensions = gpu->features->extensions,
                                  .num_extensions = gpu->features->num_extensions, .lock_queue = lock_queue,
                                  .unlock_queue = unlock_queue, .lock_ctx = gpu, .cache_dir = cache_dir));
}
