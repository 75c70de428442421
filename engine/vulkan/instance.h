// instance.h - the Vulkan loader and an instance.
#ifndef CDL_VK_INSTANCE_H_
#define CDL_VK_INSTANCE_H_

#include "base/base.h"
#include "vulkan/vk.h"

struct cdl_instance {
    void *library; // the opened loader; NULL: the instance is a host's
    struct cdl_vk_global vkg;
    struct cdl_vk_instance_table vki;
    VkInstance handle;
    uint32_t version; // no newer functions and structures may be used with it
    VkDebugUtilsMessengerEXT messenger;
    const cdl_log *log; // outlives the instance
};

// validate: with the validation layer, where it is installed. CDL_ERR_UNSUPPORTED: there is no loader or no driver; the
// log says what to install.
cdl_result cdl_instance_create(struct cdl_instance *out, bool validate, const cdl_log *log);
void cdl_instance_destroy(struct cdl_instance *instance);

// What vkEnumerate...ExtensionProperties lists.
struct cdl_extensions {
    VkExtensionProperties *items; // malloc'd
    uint32_t count;
};
bool cdl_extensions_have(const struct cdl_extensions *list, const char *name);

const char *cdl_vk_result_name(VkResult result);

#endif // CDL_VK_INSTANCE_H_
