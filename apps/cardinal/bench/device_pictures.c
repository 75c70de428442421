// device_pictures.c - see device_pictures.h. Memory that is both the device's and the host's to write spares a queue,
// which belongs to Cardinal: the few pictures fit the window that every current driver has.
#include "bench/device_pictures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdl/cdl_vulkan.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#define FUNCTIONS(X) \
    X(CreateBuffer) \
    X(DestroyBuffer) \
    X(GetBufferMemoryRequirements) \
    X(AllocateMemory) \
    X(FreeMemory) \
    X(BindBufferMemory) \
    X(MapMemory) \
    X(UnmapMemory)

struct device_pictures {
    struct cdl_vk_handles vk;
    void *loader; // open as long as its functions are called
#define MEMBER(name) PFN_vk##name name;
    FUNCTIONS(MEMBER)
#undef MEMBER
    PFN_vkGetPhysicalDeviceMemoryProperties GetPhysicalDeviceMemoryProperties;
    VkBuffer buffer;
    VkDeviceMemory memory;
    struct cdl_vk_input *inputs; // [batch]
    int batch;
};

#ifdef _WIN32
static void *open_loader(void) {
    return (void *)LoadLibraryExA("vulkan-1.dll", NULL, LOAD_LIBRARY_SEARCH_DEFAULT_DIRS);
}
static void close_loader(void *loader) { FreeLibrary((HMODULE)loader); }
static PFN_vkGetInstanceProcAddr entry_of(void *loader) {
    return (PFN_vkGetInstanceProcAddr)(void (*)(void))GetProcAddress((HMODULE)loader, "vkGetInstanceProcAddr");
}
#else
#ifdef __APPLE__
static const char *const loader_names[] = {"libvulkan.1.dylib", "libvulkan.dylib", "libMoltenVK.dylib", NULL};
#else
static const char *const loader_names[] = {"libvulkan.so.1", "libvulkan.so", NULL};
#endif
static void *open_loader(void) { // the one that the library has open already
    void *loader = NULL;
    for (int i = 0; loader_names[i] && !loader; i++)
        loader = dlopen(loader_names[i], RTLD_NOW | RTLD_LOCAL);
    return loader;
}
static void close_loader(void *loader) { dlclose(loader); }
static PFN_vkGetInstanceProcAddr entry_of(void *loader) {
    PFN_vkGetInstanceProcAddr function; // POSIX guarantees the representation; ISO C has no cast for it
    void *symbol = dlsym(loader, "vkGetInstanceProcAddr");
    memcpy(&function, &symbol, sizeof function);
    return function;
}
#endif

static bool load_functions(struct device_pictures *p) {
    p->loader = open_loader();
    const PFN_vkGetInstanceProcAddr get_instance = p->loader ? entry_of(p->loader) : NULL;
    if (!get_instance)
        return false;
    p->GetPhysicalDeviceMemoryProperties =
        (PFN_vkGetPhysicalDeviceMemoryProperties)get_instance(p->vk.instance, "vkGetPhysicalDeviceMemoryProperties");
    const PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)get_instance(p->vk.instance, "vkGetDeviceProcAddr");
    if (!p->GetPhysicalDeviceMemoryProperties || !get)
        return false;
#define LOAD(name) p->name = (PFN_vk##name)get(p->vk.device, "vk" #name);
    FUNCTIONS(LOAD)
#undef LOAD
#define IS_THERE(name) &&p->name
    return true FUNCTIONS(IS_THERE);
#undef IS_THERE
}

static cdl_result create_buffer(struct device_pictures *p, size_t bytes, char *error, size_t error_size) {
    const VkMemoryPropertyFlags wanted = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                         VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    const VkBufferCreateInfo create = {
        .sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes, .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkMemoryRequirements needs;
    VkPhysicalDeviceMemoryProperties types;
    uint32_t type = 0;
    if (p->CreateBuffer(p->vk.device, &create, NULL, &p->buffer) != VK_SUCCESS)
        goto no_memory;
    p->GetBufferMemoryRequirements(p->vk.device, p->buffer, &needs);
    p->GetPhysicalDeviceMemoryProperties(p->vk.phys_device, &types);
    while (type < types.memoryTypeCount &&
           !((needs.memoryTypeBits >> type & 1) && (types.memoryTypes[type].propertyFlags & wanted) == wanted))
        type++;
    if (type == types.memoryTypeCount) {
        snprintf(error, error_size,
                 "--input device: the device has no memory of its own that the host can write; use --input pixels");
        return CDL_ERR_UNSUPPORTED;
    }
    const VkMemoryAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .allocationSize = needs.size, .memoryTypeIndex = type};
    if (p->AllocateMemory(p->vk.device, &allocate, NULL, &p->memory) == VK_SUCCESS &&
        p->BindBufferMemory(p->vk.device, p->buffer, p->memory, 0) == VK_SUCCESS)
        return CDL_OK;
no_memory:
    snprintf(error, error_size, "no device memory for %zu bytes of pictures", bytes);
    return CDL_ERR_NOMEM;
}

static cdl_result fill(struct device_pictures *p, const struct cdl_pixels *pictures, int count) {
    const size_t bytes = (size_t)pictures[0].width * (size_t)pictures[0].height * 4;
    void *mapped;
    if (p->MapMemory(p->vk.device, p->memory, 0, VK_WHOLE_SIZE, 0, &mapped) != VK_SUCCESS)
        return CDL_ERR_NOMEM;
    for (int i = 0; i < count; i++)
        memcpy((char *)mapped + (size_t)i * bytes, pictures[i].data, bytes);
    p->UnmapMemory(p->vk.device, p->memory);
    for (int i = 0; i < p->batch; i++)
        p->inputs[i] = (struct cdl_vk_input){.width = pictures[0].width,
                                             .height = pictures[0].height,
                                             .buffer = p->buffer,
                                             .offset = (VkDeviceSize)(i % count) * bytes,
                                             .format = CDL_FORMAT_RGBA8};
    return CDL_OK;
}

cdl_result device_pictures_create(struct device_pictures **out, cdl_device *device, const struct cdl_pixels *pictures,
                                  int count, int batch, char *error, size_t error_size) {
    struct device_pictures *p = *out = calloc(1, sizeof *p);
    cdl_result r = CDL_ERR_NOMEM;
    snprintf(error, error_size, "out of memory");
    if (!p)
        return r;
    p->batch = batch;
    p->inputs = calloc((size_t)batch, sizeof *p->inputs);
    cdl_vk_get_handles(device, &p->vk);
    if (p->inputs && !load_functions(p)) {
        snprintf(error, error_size, "--input device: the Vulkan loader's functions cannot be found");
        r = CDL_ERR_UNSUPPORTED;
    } else if (p->inputs) {
        r = create_buffer(p, (size_t)count * (size_t)pictures[0].width * (size_t)pictures[0].height * 4, error,
                          error_size);
        r = r == CDL_OK ? fill(p, pictures, count) : r;
    }
    if (r != CDL_OK)
        device_pictures_destroy(out);
    return r;
}

void device_pictures_destroy(struct device_pictures **out) {
    struct device_pictures *p = *out;
    if (!p)
        return;
    if (p->buffer)
        p->DestroyBuffer(p->vk.device, p->buffer, NULL);
    if (p->memory)
        p->FreeMemory(p->vk.device, p->memory, NULL);
    if (p->loader)
        close_loader(p->loader);
    free(p->inputs);
    free(p);
    *out = NULL;
}

cdl_result device_pictures_submit(const struct device_pictures *p, cdl_session *session, int slot) {
    const struct cdl_vk_run run = {.struct_size = sizeof run, .slot = slot, .inputs = p->inputs, .count = p->batch};
    return cdl_vk_submit(session, &run, NULL, 0, NULL, 0);
}
