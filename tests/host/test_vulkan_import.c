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
    static const char *const functions[] = {
        "vkGetDeviceProcAddr",      "vkGetPhysicalDeviceFeatures2", "vkCmdDispatch", "vkQueueSubmit", "vkWaitForFences",
        "vkGetBufferDeviceAddress", "vkGetBufferDeviceAddressKHR"};
    const struct cdl_vk_import_params good = rig_import_params();
    struct cdl_vk_import_params p = good;
    cdl_device *dev = (cdl_device *)1;
    VkPhysicalDeviceVulkan12Features v12 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES,
                                            .timelineSemaphore = VK_TRUE};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12};
    p.features = &features;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "bufferDeviceAddress", "no device addresses");
    features.pNext = NULL;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "cdl_vk_enable_features", "no chain");
    assert_null(dev);
    p = good;
    p.api_version = VK_API_VERSION_1_0;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "1.0", "an instance of version 1.0");
    // A version too low, by mistake: without the extension the feature cannot have been enabled there.
    p.api_version = VK_API_VERSION_1_1;
    p.num_extensions = 0;
    rig_expect_refusal(cdl_vk_import(&dev, &p), CDL_ERR_UNSUPPORTED, "VK_KHR_buffer_device_address", "version 1.1");
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
        const bool old = rig.host.api_version < VK_API_VERSION_1_2, last = i + 1 == CDL_COUNT(functions);
        if (i + (old ? 2 : 1) == CDL_COUNT(functions))
            continue; // the other version's name
        hook_set_options(&(struct hook_options){.hidden = functions[i]});
        rig_expect_refusal(cdl_vk_import(&dev, &good), CDL_ERR_UNSUPPORTED, functions[last ? i - 1 : i], functions[i]);
    }
    hook_set_options(&(struct hook_options){.version = VK_API_VERSION_1_0});
    rig_expect_refusal(cdl_vk_import(&dev, &good), CDL_ERR_UNSUPPORTED, "1.0", "a device of version 1.0");
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

// What the large structures can tell: they know no cooperative matrices.
static struct cdl_caps without_matrices(const cdl_device *dev) {
    struct cdl_caps caps;
    memcpy(&caps, &dev->caps, sizeof caps); // padding, too: it is compared
    caps.matrix_m = caps.matrix_n = caps.matrix_k = caps.matrix_subgroup = caps.matrix_reserved_bytes = 0;
    caps.matrix_half_sums = false;
    caps.num_matrix_grains = 0;
    memset(caps.matrix_grains, 0, sizeof caps.matrix_grains);
    return caps;
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
    p.features = &features;
    for (int named = 0; named < 2 && rig.host.api_version >= VK_API_VERSION_1_3; named++) {
        vkGetPhysicalDeviceFeatures2(rig.host.physical, &features); // all that there is; what the host enabled is less
        p.api_version = named ? good.api_version : 0;               // which the structures tell
        harness_expect_ok(cdl_vk_import(&dev, &p), "the large structures");
        const struct cdl_caps found = without_matrices(dev), expected = without_matrices(harness.dev);
        assert_memory_equal(&found, &expected, sizeof found);
        assert_int_equal(dev->int8_dot, harness.dev->int8_dot);
        assert_int_equal(dev->subgroup_size_control, harness.dev->subgroup_size_control);
        assert_int_equal(dev->version, harness.dev->version);
        cdl_device_destroy(&dev);
    }

    VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, .bufferDeviceAddress = VK_TRUE};
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
        .pNext = &addresses,
        .timelineSemaphore = VK_TRUE};
    features.pNext = &timeline;
    features.features = (VkPhysicalDeviceFeatures){0};
    p.api_version = 0;
    harness_expect_ok(cdl_vk_import(&dev, &p), "the small structures");
    assert_false(dev->caps.fp16_arithmetic);
    cdl_device_destroy(&dev);
}

// With no more than the required features all works, in either precision, and gives what a device of Cardinal's own
// gives.
static void test_required_features_suffice(void **state) {
    (void)state;
    static const char *const extension[] = {VK_KHR_BUFFER_DEVICE_ADDRESS_EXTENSION_NAME};
    VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, .bufferDeviceAddress = VK_TRUE};
    const VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                                .pNext = &addresses};
    struct cdl_vk_import_params p = rig_import_params();
    p.features = &features;
    p.extensions = extension;
    p.num_extensions = rig.host.api_version < VK_API_VERSION_1_2 ? 1 : 0;
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

// misuse: cdl_vk_enable_features
static void test_enabling_misuse(void **state) {
    (void)state;
    const struct cdl_vk_import_params good = rig_import_params();
    static const char *many[65];
    struct cdl_vk_import_params p = good;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    struct cdl_vk_enabled out;
    rig_expect_refusal(cdl_vk_enable_features(NULL, &features, &good), CDL_ERR_INVALID, "out", "no place");
    rig_expect_refusal(cdl_vk_enable_features(&out, NULL, &good), CDL_ERR_INVALID, "features", "no features");
    assert_int_equal(cdl_vk_enable_features(&out, &features, NULL), CDL_ERR_INVALID); // silent: there is no log
    p.instance = VK_NULL_HANDLE;
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &p), CDL_ERR_INVALID, "instance", "no instance");
    p = good;
    p.phys_device = VK_NULL_HANDLE;
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &p), CDL_ERR_INVALID, "phys_device", "no device");
    p = good;
    p.get_proc_addr = NULL;
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &p), CDL_ERR_INVALID, "get_proc_addr", "no functions");
    p = good;
    p.api_version = VK_API_VERSION_1_0;
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &p), CDL_ERR_UNSUPPORTED, "1.0", "Vulkan 1.0");
    p = good;
    for (size_t i = 0; i < CDL_COUNT(many); i++)
        many[i] = "VK_KHR_maintenance1";
    p.extensions = many;
    p.num_extensions = (int)CDL_COUNT(many);
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &p), CDL_ERR_INVALID, "num_extensions", "too many");
    hook_set_options(&(struct hook_options){.hidden = "vkGetPhysicalDeviceFeatures2"}); // as of an instance of 1.0
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &good), CDL_ERR_UNSUPPORTED, "apiVersion", "hidden");
    hook_set_options(&(struct hook_options){.version = VK_API_VERSION_1_0});
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &good), CDL_ERR_UNSUPPORTED, "1.0", "an old device");
    hook_set_options(&(struct hook_options){0});
    features.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    rig_expect_refusal(cdl_vk_enable_features(&out, &features, &good), CDL_ERR_INVALID, "sType", "another structure");
    assert_int_equal(rig.host.messages, 0);
}

// A device of the host's with these features and Cardinal's: made, imported, used and destroyed without a message of
// the validation layer; with the same kernels as any other.
static void use_device(VkPhysicalDeviceFeatures2 *features, const char *what) {
    static const char *const own[] = {"VK_KHR_maintenance1"};
    const float priority = 1;
    struct cdl_vk_import_params p = rig_import_params();
    struct cdl_vk_enabled enabled;
    float logits[CLASSES], expected[CLASSES];
    cdl_device *dev;
    p.get_proc_addr = vkGetInstanceProcAddr; // another device than that of the hooks
    p.extensions = own;
    p.num_extensions = 1;
    features->features.fullDrawIndexUint32 = VK_TRUE; // the host's own
    harness_expect_ok(cdl_vk_enable_features(&enabled, features, &p), what);
    assert_true(features->features.fullDrawIndexUint32);
    assert_string_equal(enabled.extensions[0], own[0]);
    const VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                           .queueFamilyIndex = rig.host.queue_family,
                                           .queueCount = 1,
                                           .pQueuePriorities = &priority};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = features,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queue,
                                     .enabledExtensionCount = (uint32_t)enabled.num_extensions,
                                     .ppEnabledExtensionNames = enabled.extensions};
    HOST_VK(vkCreateDevice(rig.host.physical, &info, NULL, &p.device));
    vkGetDeviceQueue(p.device, rig.host.queue_family, 0, &p.queue);
    p.features = features;
    p.extensions = enabled.extensions;
    p.num_extensions = enabled.num_extensions;
    harness_expect_ok(cdl_vk_import(&dev, &p), what);
    assert_memory_equal(&dev->caps, &harness.dev->caps, sizeof dev->caps);
    assert_int_equal(dev->timeline, harness.dev->timeline);
    run_tensor(harness.dev, CDL_PRECISION_FP16, expected);
    run_tensor(dev, CDL_PRECISION_FP16, logits);
    assert_memory_equal(logits, expected, sizeof logits);
    cdl_device_destroy(&dev);
    vkDestroyDevice(p.device, NULL);
    if (rig.host.messages)
        fail_msg("%s: %d validation messages", what, rig.host.messages);
}

static bool has_type(const void *chain, VkStructureType type) {
    for (const VkBaseInStructure *s = chain; s; s = s->pNext)
        if (s->sType == type)
            return true;
    return false;
}

static void test_enabled_features(void **state) {
    (void)state;
    VkPhysicalDeviceFeatures2 f = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    use_device(&f, "no chain");

    VkPhysicalDevice16BitStorageFeatures halves = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES};
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES, .pNext = &halves};
    VkPhysicalDeviceMultiviewFeatures multiview = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MULTIVIEW_FEATURES,
                                                   .pNext = &timeline}; // which is no business of Cardinal's
    f = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &multiview};
    use_device(&f, "structures of single features");
    assert_true(timeline.timelineSemaphore && !multiview.multiview);
    assert_int_equal(halves.storageBuffer16BitAccess, harness.info.storage16);

    VkPhysicalDeviceVulkan11Features v11 = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v11, .imagelessFramebuffer = VK_TRUE};
    VkPhysicalDeviceVulkan13Features v13 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES, .pNext = &v12, .synchronization2 = VK_TRUE};
    f = (VkPhysicalDeviceFeatures2){.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v13};
    if (harness.dev->version < VK_API_VERSION_1_3) // or else the host's own structures are wrong
        f.pNext = harness.dev->version < VK_API_VERSION_1_2 ? NULL : (void *)&v12;
    use_device(&f, "structures of whole versions");
    if (harness.dev->version >= VK_API_VERSION_1_2) {
        assert_true(v12.bufferDeviceAddress && v12.timelineSemaphore && v12.imagelessFramebuffer);
        assert_int_equal(v12.shaderFloat16, harness.info.fp16);
        assert_int_equal(v11.storageBuffer16BitAccess, harness.info.storage16);
        assert_false(has_type(f.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_16BIT_STORAGE_FEATURES));
        assert_false(has_type(f.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES));
    }
    if (harness.dev->version >= VK_API_VERSION_1_3) {
        assert_true(v13.maintenance4 && v13.synchronization2);
        assert_false(has_type(f.pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_FEATURES));
    }
}

// Without timeline semaphores all works but cdl_vk_submit with semaphores.
static void test_timelines_are_optional(void **state) {
    (void)state;
    struct rig_image image = rig_image(&(struct rig_image_params){
        .format = VK_FORMAT_R8G8B8A8_UNORM, .width = 2, .height = 1, .data = "abcdefgh", .pixel_bytes = 4});
    const struct cdl_vk_input input = {
        .width = 2, .height = 1, .view = image.view, .layout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL};
    VkSemaphore semaphore = rig_timeline(0);
    const cdl_vk_sem signal = {semaphore, 1};
    cdl_session *s;
    harness_expect_ok(cdl_session_create(&s, harness.dev, model, NULL), "session");
    harness.dev->timeline = false;
    rig_expect_refusal(cdl_vk_submit(s, cdl_vk_run(.inputs = &input, .count = 1), NULL, 0, &signal, 1),
                       CDL_ERR_UNSUPPORTED, "timelineSemaphore", "without timelines");
    harness_expect_ok(cdl_vk_submit(s, cdl_vk_run(.inputs = &input, .count = 1), NULL, 0, NULL, 0), "no semaphores");
    harness_expect_ok(cdl_session_wait(s, 0, UINT64_MAX), "wait");
    harness.dev->timeline = true;
    cdl_session_destroy(&s);
    vkDestroySemaphore(rig.host.device, semaphore, NULL);
    rig_image_free(&image);
}

// Every object that Cardinal makes comes from the host's memory, and goes back to it.
static struct {
    cdl_mutex lock;
    long allocated, freed;
} memory;

static void count(long *counter) {
    cdl_mutex_lock(&memory.lock);
    ++*counter;
    cdl_mutex_unlock(&memory.lock);
}

// The size stands before the block, for reallocations.
static VKAPI_ATTR void *VKAPI_CALL host_allocate(void *ctx, size_t size, size_t align, VkSystemAllocationScope scope) {
    (void)ctx, (void)scope;
    const size_t head = align < 16 ? 16 : align;
    uint8_t *block = malloc(head + size + head);
    if (!block)
        return NULL;
    uint8_t *at = block + head + (head - (uintptr_t)(block + head) % head) % head;
    memcpy(at - 16, &block, sizeof block);
    memcpy(at - 8, &size, sizeof size);
    count(&memory.allocated);
    return at;
}

static VKAPI_ATTR void VKAPI_CALL host_free(void *ctx, void *at) {
    uint8_t *block;
    (void)ctx;
    if (!at)
        return;
    memcpy(&block, (uint8_t *)at - 16, sizeof block);
    free(block);
    count(&memory.freed);
}

static VKAPI_ATTR void *VKAPI_CALL host_reallocate(void *ctx, void *at, size_t size, size_t align,
                                                   VkSystemAllocationScope scope) {
    size_t before = 0;
    void *larger = size ? host_allocate(ctx, size, align, scope) : NULL;
    if (at)
        memcpy(&before, (uint8_t *)at - 8, sizeof before);
    if (larger && at)
        memcpy(larger, at, before < size ? before : size);
    if (larger || size == 0)
        host_free(ctx, at);
    return larger;
}

static void test_allocation_callbacks(void **state) {
    (void)state;
    const VkAllocationCallbacks callbacks = {
        .pfnAllocation = host_allocate, .pfnReallocation = host_reallocate, .pfnFree = host_free};
    struct cdl_vk_import_params p = rig_import_params();
    float logits[CLASSES];
    cdl_device *dev;
    cdl_mutex_init(&memory.lock);
    p.get_proc_addr = vkGetInstanceProcAddr; // the hooks keep pipelines
    p.allocator = &callbacks;
    harness_expect_ok(cdl_vk_import(&dev, &p), "import");
    run_tensor(dev, CDL_PRECISION_FP32, logits);
    cdl_device_destroy(&dev);
    printf("%ld blocks of the host's\n", memory.allocated);
    assert_int_equal(memory.allocated, memory.freed);
    assert_true(memory.allocated > 0 || !strstr(harness.info.driver, "Mesa")); // SwiftShader has a few of its own alone
    cdl_mutex_destroy(&memory.lock);
}

static char info_lines[8][512];
static int num_info;

static void keep_info(void *ctx, cdl_log_level level, const char *msg) {
    (void)ctx;
    if ((level == CDL_LOG_INFO || level == CDL_LOG_WARN) && num_info < 8)
        snprintf(info_lines[num_info++], sizeof info_lines[0], "%s", msg);
}

// One line for the device, one for a session; and what would make it faster is named.
static void test_what_is_told(void **state) {
    (void)state;
    struct cdl_vk_import_params p = rig_import_params();
    VkPhysicalDeviceBufferDeviceAddressFeatures addresses = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_BUFFER_DEVICE_ADDRESS_FEATURES, .bufferDeviceAddress = VK_TRUE};
    const VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                                .pNext = &addresses};
    float logits[CLASSES];
    cdl_device *dev;
    num_info = 0;
    p.log = (cdl_log){keep_info, NULL, CDL_LOG_INFO};
    p.features = &features;
    harness_expect_ok(cdl_vk_import(&dev, &p), "import");
    assert_int_equal(num_info, 1);
    assert_non_null(strstr(info_lines[0], harness.info.name));
    assert_non_null(strstr(info_lines[0], "recommended and off: timelineSemaphore"));
    run_tensor(dev, CDL_PRECISION_FP32, logits);
    assert_int_equal(num_info, 2);
    assert_non_null(strstr(info_lines[1], "fp32: kernels of "));
    cdl_device_destroy(&dev);
    num_info = 0;
    p.features = &rig.host.features;
    p.cache_dir = "/nonexistent/folder";
    harness_expect_ok(cdl_vk_import(&dev, &p), "import");
    assert_int_equal(num_info, 2);
    assert_null(strstr(info_lines[0], "off:")); // all that there are were enabled
    assert_non_null(strstr(info_lines[1], "cache_dir: there is no folder /nonexistent/folder"));
    cdl_device_destroy(&dev);
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
        cmocka_unit_test(test_enabling_misuse),
        cmocka_unit_test(test_enabled_features),
        cmocka_unit_test(test_timelines_are_optional),
        cmocka_unit_test(test_allocation_callbacks),
        cmocka_unit_test(test_what_is_told),
        cmocka_unit_test(test_handles),
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests_name("vulkan import", tests, open_all, close_all);
}
