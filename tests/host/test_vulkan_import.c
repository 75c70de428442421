// test_vulkan_import.c - a cdl_device on the host's VkDevice, under validation.
//
// What is missing or wrong is named: version, feature, function, parameter. The chain of features is read in all its
// forms; with no more than the required ones all works. Every handle stays the host's, and works after the device is
// gone.
#include "support/rig.h"

enum { CLASSES = 10 };

static cdl_model *model; // 10 classes, input 5x7 (width x height)

static int open_all(void **state) {
    if (rig_open(state))
        return -1;
    model = harness_load("bottleneck_g8");
    return 0;
}

static int close_all(void **state) {
    cdl_model_destroy(&model);
    return rig_close(state);
}

// misuse: cdl_vk_import
static void test_import_refusals(void **state) {
    (void)state;
    static const char *const functions[] = {"vkGetDeviceProcAddr", "vkGetPhysicalDeviceFeatures2",
                                            "vkCmdDispatch",       "vkQueueSubmit",
                                            "vkWaitForFences",     "vkGetBufferDeviceAddress"};
    const struct cdl_vk_import_params good = rig_import_params();
    struct cdl_vk_import_params p = good;
    cdl_device *dev = (cdl_device *)1;
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .bufferDeviceAddress = VK_TRUE};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12};
    p.features = &features;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "timelineSemaphore", "no timeline semaphores");
    assert_null(dev);
    v12.bufferDeviceAddress = VK_FALSE;
    v12.timelineSemaphore = VK_TRUE;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "bufferDeviceAddress", "no device addresses");
    features.pNext = NULL;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "bufferDeviceAddress", "no chain");
    p = good;
    p.api_version = VK_API_VERSION_1_1;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "1.1", "an instance of version 1.1");
    p = good;
    p.queue_family = 31;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_INVALID, "queue family 31", "a family that is not there");

    const struct {
        const char *word;
        size_t offset, size;
    } needed[] = {
        {"instance", offsetof(struct cdl_vk_import_params, instance), sizeof p.instance},
        {"phys_device", offsetof(struct cdl_vk_import_params, phys_device), sizeof p.phys_device},
        {"device", offsetof(struct cdl_vk_import_params, device), sizeof p.device},
        {"get_proc_addr", offsetof(struct cdl_vk_import_params, get_proc_addr), sizeof p.get_proc_addr},
        {"features", offsetof(struct cdl_vk_import_params, features), sizeof p.features},
        {"queue", offsetof(struct cdl_vk_import_params, queue), sizeof p.queue},
        {"extensions", offsetof(struct cdl_vk_import_params, extensions), sizeof p.extensions},
        {"lock_queue", offsetof(struct cdl_vk_import_params, lock_queue), sizeof p.lock_queue},
        {"unlock_queue", offsetof(struct cdl_vk_import_params, unlock_queue), sizeof p.unlock_queue},
    };
    static const char *const one_extension[] = {"VK_KHR_maintenance1"};
    for (size_t i = 0; i < CDL_COUNT(needed); i++) {
        p = good;
        p.extensions = one_extension;
        p.num_extensions = 1;
        memset((uint8_t *)&p + needed[i].offset, 0, needed[i].size);
        rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_INVALID, needed[i].word, needed[i].word);
    }
    p = good;
    p.num_extensions = -1;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_INVALID, "num_extensions", "-1 extensions");
    features.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    p = good;
    p.features = &features;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_INVALID, "sType", "features of another type");
    rig_expect_refusal(cdl_vk_import(NULL, &good), CDL_ERR_INVALID, "out", "no place for the device");
    p.struct_size = 0;
    assert_int_equal(cdl_vk_import(&dev, &p), CDL_ERR_INVALID); // silent: where the log is depends on struct_size
    assert_int_equal(cdl_vk_import(&dev, NULL), CDL_ERR_INVALID);
    assert_null(dev);

    const struct hook_options plain = {0};
    for (size_t i = 0; i < CDL_COUNT(functions); i++) {
        hook_set_options(&(struct hook_options){.hidden = functions[i]});
        rig_expect_refusal(cdl_vk_import(&dev, &good), CDL_ERR_UNSUPPORTED, functions[i], functions[i]);
    }
    hook_set_options(&(struct hook_options){.version = VK_API_VERSION_1_1});
    rig_expect_refusal(cdl_vk_import(&dev, &good), CDL_ERR_UNSUPPORTED, "1.1", "a device of version 1.1");
    hook_set_options(&plain);
}

static void run_tensor(cdl_device *dev, cdl_precision precision, float logits[CLASSES]) {
    static float tensor[3 * 5 * 7];
    const struct cdl_pixels pixels = {.data = tensor, .width = 5, .height = 7, .format = CDL_FORMAT_TENSOR_F32};
    cdl_session *s;
    for (size_t i = 0; i < CDL_COUNT(tensor); i++)
        tensor[i] = (float)(i % 13) / 8 - 0.5f;
    harness_expect_ok(cdl_session_create(&s, dev, model, cdl_session_params(.precision = precision)), "session");
    harness_expect_ok(cdl_session_run(s, &pixels, 1), "run");
    memcpy(logits, cdl_session_logits(s, 0, 0), CLASSES * sizeof *logits);
    cdl_session_destroy(&s);
}

// The host's features in their newer or older structures mean the same.
static void test_feature_chains(void **state) {
    (void)state;
    const struct cdl_vk_import_params good = rig_import_params();
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceVulkan13Features v13 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
                                            .pNext = &v12};
    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES,
                                            .pNext = &v13};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v11};
    struct cdl_vk_import_params p = good;
    cdl_device *dev;
    if (rig.host.api_version < VK_API_VERSION_1_3)
        v11.pNext = &v12;
    vkGetPhysicalDeviceFeatures2(rig.host.physical, &features); // all that there is; what the host enabled is less
    p.features = &features;
    harness_expect_ok(cdl_vk_import(&dev, &p), "the large structures");
    assert_memory_equal(&dev->caps, &harness.dev->caps, sizeof dev->caps);
    assert_int_equal(dev->int8_dot, harness.dev->int8_dot);
    assert_int_equal(dev->subgroup_size_control, harness.dev->subgroup_size_control);
    cdl_device_destroy(&dev);

    VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, .bufferDeviceAddress = VK_TRUE};
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
        .pNext = &addresses,
        .timelineSemaphore = VK_TRUE};
    features.pNext = &timeline;
    features.features = (VkPhysicalDeviceFeatures){0};
    harness_expect_ok(cdl_vk_import(&dev, &p), "the small structures");
    assert_false(dev->caps.fp16_arithmetic);
    cdl_device_destroy(&dev);
}

// With no more than the required features all works, in either precision, and gives what a device of Cardinal's own
// gives.
static void test_required_features_suffice(void **state) {
    (void)state;
    struct cdl_vk_import_params p = rig_import_params();
    p.features = &cdl_vk_required_features;
    p.extensions = NULL;
    p.num_extensions = 0;
    p.api_version = 0;
    cdl_device *least, *own;
    float logits[CLASSES], expected[CLASSES];
    harness_expect_ok(cdl_vk_import(&least, &p), "import");
    harness_expect_ok(cdl_device_create(&own, cdl_device_params(.log = harness_log(), .name = harness.info.uuid)),
                      "own device");
    for (int precision = CDL_PRECISION_FP32; precision <= CDL_PRECISION_FP16; precision++) {
        run_tensor(own, (cdl_precision)precision, expected);
        run_tensor(harness.dev, (cdl_precision)precision, logits);
        assert_memory_equal(logits, expected,
                            sizeof logits); // the same kernels: the recommended features are all there are
        run_tensor(least, (cdl_precision)precision, logits);
        for (int i = 0; i < CLASSES; i++)
            assert_float_equal(logits[i], expected[i], precision == CDL_PRECISION_FP16 ? 0.05 : 1e-4);
    }
    cdl_device_destroy(&own);
    cdl_device_destroy(&least);
}

static void test_handles(void **state) {
    (void)state;
    struct cdl_vk_handles handles;
    cdl_device *dev;
    harness_expect_ok(rig_import(&dev), "import");
    cdl_vk_get_handles(dev, &handles);
    assert_true(handles.instance == rig.host.instance && handles.phys_device == rig.host.physical &&
                handles.device == rig.host.device);
    assert_true(handles.queue == rig.host.queue && handles.queue_family == rig.host.queue_family);
    float logits[CLASSES];
    run_tensor(dev, CDL_PRECISION_FP32, logits);
    cdl_device_destroy(&dev);
    // All of it still works; hook.c would have told of a destroyed device.
    struct rig_buffer buffer = rig_buffer(VK_BUFFER_USAGE_TRANSFER_DST_BIT, 64);
    VkCommandBuffer cmd = rig_begin();
    vkCmdFillBuffer(cmd, buffer.handle, 0, 64, 0x01020304);
    rig_run(cmd);
    assert_int_equal(buffer.mapped[63], 1);
    rig_buffer_free(&buffer);
    assert_string_equal(hook_complaint(), "");
    harness_expect_ok(cdl_device_create(&dev, cdl_device_params(.log = harness_log(), .name = harness.info.uuid)),
                      "own device");
    cdl_vk_get_handles(dev, &handles);
    assert_true(handles.instance && handles.phys_device && handles.device && handles.queue);
    cdl_device_destroy(&dev);
}

int main(int argc, char **argv) { // [PATTERN]: only tests whose name matches
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_import_refusals),
        cmocka_unit_test(test_feature_chains),
        cmocka_unit_test(test_required_features_suffice),
        cmocka_unit_test(test_handles),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan import", tests, open_all, close_all);
}
