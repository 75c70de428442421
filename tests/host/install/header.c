// header.c - every parameter macro, in strict C11; compiled alone, not run.
#include <cdl/cdl_vulkan.h>

int header(void);
int header(void) {
    const struct cdl_device_params *device = cdl_device_params(.name = "0", .hardware_only = true);
    const struct cdl_model_params *model = cdl_model_params();
    const struct cdl_session_params *session = cdl_session_params(.max_batch = 2);
    const struct cdl_vk_import_params *import = cdl_vk_import_params(.queue_family = 1);
    const struct cdl_vk_run *run = cdl_vk_run(.count = 1);
    _Static_assert(offsetof(struct cdl_vk_run, struct_size) == 0, "what a newer library reads first");
    return device->struct_size && model->struct_size && session->struct_size && import->struct_size && run->struct_size;
}
