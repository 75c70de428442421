// features.c - see features.h.
#include "gpu/features.h"

#include <stdlib.h>

struct gpu_features *gpu_features_choose(const struct gpu *gpu, bool present) {
    static const char *const own[] = {VK_KHR_SWAPCHAIN_EXTENSION_NAME};
    struct gpu_features *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->enabled.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    if (cdl_vk_enable_features(&f->found, &f->enabled,
                               cdl_vk_import_params(.instance = gpu->vk->instance, .phys_device = gpu->physical,
                                                    .api_version = INSTANCE_VERSION,
                                                    .get_proc_addr = vkGetInstanceProcAddr, .extensions = own,
                                                    .num_extensions = present ? 1 : 0)) == CDL_OK)
        return f;
    free(f);
    return NULL;
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
                                  .api_version = INSTANCE_VERSION, .extensions = gpu->features->found.extensions,
                                  .num_extensions = gpu->features->found.num_extensions, .lock_queue = lock_queue,
                                  .unlock_queue = unlock_queue, .lock_ctx = gpu, .cache_dir = cache_dir));
}
