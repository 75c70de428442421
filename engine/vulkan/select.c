// select.c - lists physical devices, ranks them, and finds the one that is meant.
#include "vulkan/select.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan/features.h"

struct cdl_extensions cdl_device_extensions(const struct cdl_instance *in, VkPhysicalDevice physical) {
    struct cdl_extensions list = {0};
    if (in->vki.EnumerateDeviceExtensionProperties(physical, NULL, &list.count, NULL) < 0 || !list.count)
        return (struct cdl_extensions){0};
    list.items = calloc(list.count, sizeof *list.items);
    if (!list.items || in->vki.EnumerateDeviceExtensionProperties(physical, NULL, &list.count, list.items) < 0)
        list.count = 0;
    return list;
}

static enum cdl_device_type type_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return CDL_DEVICE_INTEGRATED;
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return CDL_DEVICE_DISCRETE;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return CDL_DEVICE_VIRTUAL;
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return CDL_DEVICE_CPU;
    default: return CDL_DEVICE_OTHER;
    }
}

static void format_uuid(const uint8_t uuid[16], char out[37]) {
    int at = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        cdl_format_text(out + at, 3, "%02x", uuid[i]);
        at += 2;
    }
}

static void describe_memory(const struct cdl_instance *in, VkPhysicalDevice physical, bool budget,
                            struct cdl_device_info *out) {
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budgets = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                                .pNext = budget ? &budgets : NULL};
    in->vki.GetPhysicalDeviceMemoryProperties2(physical, &memory);
    for (uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &memory.memoryProperties.memoryHeaps[i];
        if (!(heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) || heap->size <= out->memory_bytes)
            continue;
        out->memory_bytes = heap->size;
        out->free_bytes =
            budget && budgets.heapBudget[i] > budgets.heapUsage[i] ? budgets.heapBudget[i] - budgets.heapUsage[i] : 0;
    }
}

static void describe_features(const struct cdl_instance *in, VkPhysicalDevice physical,
                              const struct cdl_extensions *extensions, struct cdl_device_info *out) {
    struct cdl_features f;
    cdl_features_supported(&f, in, physical);
    out->fp16 = f.float16;
    out->storage16 = f.storage16;
    out->storage8 = f.storage8;
    out->int8_dot = f.int8_dot;
    out->coop_matrix = cdl_extensions_have(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    out->coop_matrix2 = cdl_extensions_have(extensions, VK_NV_COOPERATIVE_MATRIX_2_EXTENSION_NAME);
    if (!f.buffer_address && out->api_version >= VK_API_VERSION_1_2 && in->version < VK_API_VERSION_1_2)
        cdl_format_text(out->unusable, sizeof out->unusable,
                        "it has no VK_KHR_buffer_device_address; an instance of Vulkan 1.2 will do "
                        "(VkApplicationInfo.apiVersion)");
    else if (!f.buffer_address)
        cdl_format_text(out->unusable, sizeof out->unusable, "lacks bufferDeviceAddress; a newer driver may have it");
}

uint32_t cdl_queue_families(const struct cdl_instance *instance, VkPhysicalDevice physical,
                            VkQueueFamilyProperties out[CDL_MAX_QUEUE_FAMILIES]) {
    uint32_t count = 0;
    instance->vki.GetPhysicalDeviceQueueFamilyProperties(physical, &count, NULL); // see workarounds.c
    count = count < CDL_MAX_QUEUE_FAMILIES ? count : CDL_MAX_QUEUE_FAMILIES;
    instance->vki.GetPhysicalDeviceQueueFamilyProperties(physical, &count, out);
    return count;
}

bool cdl_choose_queue_family(const struct cdl_instance *instance, VkPhysicalDevice physical, uint32_t *family,
                             uint32_t *timestamp_bits) {
    VkQueueFamilyProperties families[CDL_MAX_QUEUE_FAMILIES];
    const uint32_t count = cdl_queue_families(instance, physical, families);
    bool found = false, found_graphics = false;
    for (uint32_t i = 0; i < count; i++) {
        const bool graphics = families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT;
        if (!(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) || (found && (graphics || !found_graphics)))
            continue;
        found = true;
        found_graphics = graphics;
        *family = i;
        *timestamp_bits = families[i].timestampValidBits;
    }
    return found;
}

void cdl_device_driver(const struct cdl_instance *in, VkPhysicalDevice physical,
                       VkPhysicalDeviceDriverProperties *out) {
    *out = (VkPhysicalDeviceDriverProperties){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_DRIVER_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    in->vki.GetPhysicalDeviceProperties2(physical, &properties);
    struct cdl_extensions extensions = cdl_device_extensions(in, physical);
    if ((properties.properties.apiVersion >= VK_API_VERSION_1_2 && in->version >= VK_API_VERSION_1_2) ||
        cdl_extensions_have(&extensions, VK_KHR_DRIVER_PROPERTIES_EXTENSION_NAME)) {
        properties.pNext = out;
        in->vki.GetPhysicalDeviceProperties2(physical, &properties);
    }
    free(extensions.items);
}

void cdl_device_describe(const struct cdl_instance *in, VkPhysicalDevice physical, struct cdl_device_info *out) {
    VkPhysicalDeviceProperties2 properties = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    in->vki.GetPhysicalDeviceProperties2(physical, &properties);
    const VkPhysicalDeviceProperties *p = &properties.properties;
    *out = (struct cdl_device_info){
        .type = type_of(p->deviceType),
        .vendor_id = p->vendorID,
        .device_id = p->deviceID,
        .api_version = p->apiVersion,
        .driver_version = p->driverVersion,
        .software = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU,
    };
    cdl_format_text(out->name, sizeof out->name, "%s", p->deviceName);
    if (p->apiVersion < VK_API_VERSION_1_1) {
        cdl_format_text(out->unusable, sizeof out->unusable, "its driver offers Vulkan %u.%u, 1.1 is needed",
                        VK_API_VERSION_MAJOR(p->apiVersion), VK_API_VERSION_MINOR(p->apiVersion));
        return;
    }
    VkPhysicalDeviceDriverProperties driver;
    VkPhysicalDeviceSubgroupProperties subgroups = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES};
    VkPhysicalDeviceIDProperties id = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_ID_PROPERTIES, .pNext = &subgroups};
    properties.pNext = &id;
    in->vki.GetPhysicalDeviceProperties2(physical, &properties);
    cdl_device_driver(in, physical, &driver);
    cdl_format_text(out->driver, sizeof out->driver, "%s%s%s", driver.driverName, driver.driverInfo[0] ? " " : "",
                    driver.driverInfo);
    format_uuid(id.deviceUUID, out->uuid);
    out->subgroup_size = subgroups.subgroupSize;

    struct cdl_extensions extensions = cdl_device_extensions(in, physical);
    describe_memory(in, physical, cdl_extensions_have(&extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME), out);
    describe_features(in, physical, &extensions, out);
    free(extensions.items);
    uint32_t family, timestamp_bits = 0;
    const bool compute = cdl_choose_queue_family(in, physical, &family, &timestamp_bits);
    out->timestamps = timestamp_bits > 0;
    if (!compute)
        cdl_format_text(out->unusable, sizeof out->unusable, "has no compute queue");
}

static int rank(const struct cdl_device_info *info) {
    static const int by_type[] = {[CDL_DEVICE_DISCRETE] = 0,
                                  [CDL_DEVICE_INTEGRATED] = 1,
                                  [CDL_DEVICE_VIRTUAL] = 2,
                                  [CDL_DEVICE_OTHER] = 3,
                                  [CDL_DEVICE_CPU] = 4};
    return by_type[info->type] + (info->unusable[0] ? 8 : 0);
}

cdl_result cdl_candidates(const struct cdl_instance *instance, struct cdl_candidate **out, int *count,
                          const cdl_log *log) {
    VkPhysicalDevice handles[64];
    uint32_t found = CDL_COUNT(handles);
    *out = NULL;
    *count = 0;
    const VkResult result = instance->vki.EnumeratePhysicalDevices(instance->handle, &found, handles);
    if (result == VK_ERROR_INITIALIZATION_FAILED)
        return CDL_OK; // some loaders' way to say that no driver found its hardware
    if (result < 0)
        return cdl_fail(log, CDL_ERR_UNSUPPORTED, "vkEnumeratePhysicalDevices: %s", cdl_vk_result_name(result));
    struct cdl_candidate *list = calloc(found ? found : 1, sizeof *list);
    if (!list)
        return cdl_fail(log, CDL_ERR_NOMEM, "out of memory while listing devices");
    int n = 0;
    for (uint32_t i = 0; i < found; i++) {
        struct cdl_candidate c = {.handle = handles[i]};
        cdl_device_describe(instance, handles[i], &c.info);
        bool twice = false; // one GPU under two driver manifests
        for (int j = 0; j < n; j++)
            twice = twice || (c.info.uuid[0] && !strcmp(c.info.uuid, list[j].info.uuid) &&
                              !strcmp(c.info.name, list[j].info.name));
        if (twice)
            continue;
        int at = n++; // insertion keeps the driver's order among equals
        for (; at > 0 && rank(&list[at - 1].info) > rank(&c.info); at--)
            list[at] = list[at - 1];
        list[at] = c;
    }
    *out = list;
    *count = n;
    return CDL_OK;
}

static bool contains_ignoring_case(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && tolower((unsigned char)text[i]) == tolower((unsigned char)part[i]))
            i++;
        if (!part[i])
            return true;
    }
    return false;
}

static void list_names(const struct cdl_candidate *candidates, int count, char *out, size_t size) {
    out[0] = 0;
    for (int i = 0; i < count; i++)
        cdl_format_text(out + strlen(out), size - strlen(out), "%s%d: %s", i ? ", " : "", i, candidates[i].info.name);
}

const struct cdl_candidate *cdl_choose(const struct cdl_candidate *candidates, int count, const char *name,
                                       bool hardware_only, const cdl_log *log) {
    char names[1024];
    if (count == 0) {
        cdl_fail(log, CDL_ERR_UNSUPPORTED,
                 "no Vulkan device: a driver is missing or found no hardware; install one (Debian/Ubuntu: "
                 "mesa-vulkan-drivers, or the GPU vendor's driver; in containers pass the GPU through)");
        return NULL;
    }
    const struct cdl_candidate *chosen = NULL;
    int index;
    list_names(candidates, count, names, sizeof names);
    if (!name || !name[0]) {
        chosen = &candidates[0]; // ranked: usable before unusable
        if (hardware_only && chosen->info.software) {
            cdl_fail(log, CDL_ERR_UNSUPPORTED, "no hardware Vulkan device; there is %s", names);
            return NULL;
        }
    } else if (cdl_parse_int(name, 0, 63, &index)) { // a larger number is part of a name: "3090"
        chosen = index < count ? &candidates[index] : NULL;
    } else {
        for (int i = 0; i < count && !chosen; i++)
            if ((strlen(name) == 36 && contains_ignoring_case(candidates[i].info.uuid, name)) ||
                contains_ignoring_case(candidates[i].info.name, name))
                chosen = &candidates[i];
    }
    if (!chosen) {
        cdl_fail(log, CDL_ERR_UNSUPPORTED, "no device is called \"%s\"; there is %s", name, names);
        return NULL;
    }
    if (chosen->info.unusable[0]) {
        cdl_fail(log, CDL_ERR_UNSUPPORTED, "%s cannot be used: %s", chosen->info.name, chosen->info.unusable);
        return NULL;
    }
    return chosen;
}

cdl_result cdl_device_list(struct cdl_device_info *out, int cap, int *num, const cdl_log *log) {
    CDL_REQUIRE(log, num != NULL && (out != NULL || cap == 0));
    *num = 0;
    struct cdl_instance instance;
    if (cdl_instance_create(&instance, false, log) != CDL_OK)
        return CDL_OK; // a finding here, not a failure; the reason was logged
    struct cdl_candidate *candidates;
    cdl_result r = cdl_candidates(&instance, &candidates, num, log);
    for (int i = 0; i < *num && i < cap; i++)
        out[i] = candidates[i].info;
    if (r == CDL_OK && *num == 0)
        cdl_logf(log, CDL_LOG_WARN, "no Vulkan driver found a device");
    free(candidates);
    cdl_instance_destroy(&instance);
    return r;
}
