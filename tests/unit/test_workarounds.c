// test_workarounds.c - the table of workarounds: whom each entry is for, and that none is without its story.
#include "support/harness.h"
#include "kernels/workarounds.h"

// Vulkan's numbers of devices that must have no entry by mistake.
enum { NVIDIA = 0x10DE, AMD = 0x1002, INTEL = 0x8086, GOOGLE = 0x1AE0, MESA = 0x10005 };
enum { AMD_PROPRIETARY = 1, AMD_OPEN = 2, RADV = 3, NVIDIA_OWN = 4, ANV = 6, MOLTENVK = 14, TURNIP = 18, PANVK = 20 };

static uint32_t flags_of(uint32_t vendor, uint32_t driver) {
    return cdl_workarounds(&(struct cdl_caps){.vendor_id = vendor, .driver_id = driver});
}

static void test_flags(void **state) {
    (void)state;
    static const struct {
        uint32_t vendor, driver, flags;
    } devices[] = {
        {CDL_VENDOR_APPLE, MOLTENVK, CDL_FEW_REGISTERS},
        {MESA, CDL_DRIVER_HONEYKRISP, CDL_FEW_REGISTERS},
        {CDL_VENDOR_QUALCOMM, TURNIP, CDL_FEW_REGISTERS},
        {CDL_VENDOR_ARM, PANVK, CDL_FEW_REGISTERS},
        {CDL_VENDOR_IMAGINATION, 7, CDL_FEW_REGISTERS},
        {GOOGLE, CDL_DRIVER_SWIFTSHADER, CDL_SMALL_TILES},
        // 64 sums fit the registers
        {AMD, AMD_PROPRIETARY, CDL_FACTORS_TWICE},
        {AMD, AMD_OPEN, CDL_FACTORS_TWICE},
        {AMD, MOLTENVK, CDL_FACTORS_TWICE}, // in an older Mac
        {AMD, RADV, CDL_FACTORS_TWICE},
        {NVIDIA, NVIDIA_OWN, 0},
        {NVIDIA, CDL_DRIVER_NVK, 0},
        {INTEL, ANV, CDL_128_REGISTERS},
        {MESA, CDL_DRIVER_LAVAPIPE, 0},
        {0, 0, 0}, // a device that nothing is known of
    };
    for (size_t i = 0; i < CDL_COUNT(devices); i++)
        if (flags_of(devices[i].vendor, devices[i].driver) != devices[i].flags)
            fail_msg("vendor 0x%x, driver %u: %u, not %u", devices[i].vendor, devices[i].driver,
                     flags_of(devices[i].vendor, devices[i].driver), devices[i].flags);
}

static void test_table(void **state) {
    (void)state;
    for (int i = 0; i < cdl_num_workarounds; i++) {
        const struct cdl_workaround *w = &cdl_workaround_table[i];
        assert_true(w->drivers[0] || w->vendors[0]);
        assert_true(w->name[0] && w->versions[0] && w->behaviour[0] && w->answer[0] && w->source[0]);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(w->name, cdl_workaround_table[j].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flags), cmocka_unit_test(test_table)};
    return cmocka_run_group_tests_name("workarounds", tests, NULL, NULL);
}
