// test_sensors.c - clocks and the like, from trees of files as Linux's drivers have them and a library as NVIDIA's.
#include <math.h>

#include "bench/sensors.h"
#include "support/harness.h"
#include "system/cache_folder.h"

static char root[512];

static void put(const char *path, const char *text) { // "a/b/c", below the root; folders are made
    char whole[1024];
    snprintf(whole, sizeof whole, "%s/%s", root, path);
    char *name = strrchr(whole, '/');
    *name = 0;
    assert_true(make_folders(whole));
    *name = '/';
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int new_root(void **state) {
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(root, sizeof root, "%s/cardinal-sensors-XXXXXX", base && base[0] ? base : "/tmp");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state) {
    char command[600];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command);
}

static struct cdl_device_info device(uint32_t vendor, uint32_t id) {
    struct cdl_device_info info = {.vendor_id = vendor, .device_id = id, .type = CDL_DEVICE_DISCRETE};
    snprintf(info.uuid, sizeof info.uuid, "00000000-0300-0000-0000-000000000000"); // RADV's of 0000:03:00.0
    return info;
}

static struct sensors *open_it(const struct cdl_device_info *info) {
    struct sensors *s = sensors_open(info, &(struct sensors_places){.sysfs = root});
    assert_non_null(s);
    return s;
}

static void near(double got, double expected) {
    if (fabs(got - expected) > 1e-6 * fabs(expected))
        fail_msg("%g, not %g", got, expected);
}

static void put_amdgpu(const char *card, const char *slot, const char *clock) {
    char path[256];
    const struct {
        const char *name, *text;
    } files[] = {
        {"device/vendor", "0x1002\n"},
        {"device/device", "0x744c\n"},
        {"device/uevent", slot},
        {"device/pp_dpm_sclk", "0: 500Mhz\n1: 1200Mhz *\n2: 2500Mhz\n"},
        {"device/pp_dpm_mclk", "0: 96Mhz\n1: 1249Mhz *\n"},
        {"device/mem_info_vram_total", "25753026560\n"},
        {"device/mem_info_vis_vram_total", "268435456\n"},
        {"device/mem_info_vram_used", "1000000\n"},
        {"device/hwmon/hwmon4/name", "amdgpu\n"},
        {"device/hwmon/hwmon4/freq1_input", clock},
        {"device/hwmon/hwmon4/power1_average", "312000000\n"},
        {"device/hwmon/hwmon4/power1_cap", "339000000\n"},
        {"device/hwmon/hwmon4/temp1_input", "61000\n"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "class/drm/%s/%s", card, files[i].name);
        if (files[i].text)
            put(path, files[i].text);
    }
}

static void test_amdgpu(void **state) {
    struct sensor_values v;
    (void)state;
    put_amdgpu("card1", "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n", "2250000000\n");
    const struct cdl_device_info info = device(0x1002, 0x744c);
    struct sensors *s = open_it(&info);
    const struct sensor_limits l = sensors_limits(s);
    assert_string_equal(l.source, "amdgpu");
    near(l.max_clock_mhz, 2500);
    near(l.power_limit_watts, 339);
    assert_int_equal(l.resizable_bar, 0);
    assert_int_equal(l.ecc, -1);
    sensors_read(s, &v);
    near(v.clock_mhz, 2250);
    near(v.memory_clock_mhz, 1249);
    near(v.power_watts, 312);
    near(v.temperature_c, 61);
    near(v.memory_used_bytes, 1e6);
    sensors_close(&s);
    put("class/drm/card1/device/mem_info_vis_vram_total", "25753026560\n");
    s = open_it(&info);
    assert_int_equal(sensors_limits(s).resizable_bar, 1);
    sensors_close(&s);
}

static void test_amdgpu_without_hwmon_clock(void **state) {
    (void)state;
    put_amdgpu("card0", "PCI_SLOT_NAME=0000:03:00.0\n", NULL);
    const struct cdl_device_info info = device(0x1002, 0x744c);
    struct sensors *s = open_it(&info);
    near(sensors_clock(s), 1200); // the line with the star
    sensors_close(&s);
}

static void test_of_two_alike_the_one_that_is_meant(void **state) {
    (void)state;
    put_amdgpu("card0", "PCI_SLOT_NAME=0000:83:00.0\n", "1000000000\n");
    put_amdgpu("card1", "PCI_SLOT_NAME=0000:03:00.0\n", "2000000000\n");
    struct cdl_device_info info = device(0x1002, 0x744c);
    struct sensors *s = open_it(&info);
    near(sensors_clock(s), 2000);
    sensors_close(&s);
    snprintf(info.uuid, sizeof info.uuid, "12345678-9abc-def0-1234-56789abcdef0"); // tells no place
    s = open_it(&info);
    assert_true(sensors_clock(s) < 0); // rather nothing than another's
    assert_null(sensors_limits(s).source);
    sensors_close(&s);
}

static void test_xe(void **state) {
    struct sensor_values v;
    (void)state;
    put("class/drm/card0/device/vendor", "0x8086\n");
    put("class/drm/card0/device/device", "0x56a0\n");
    put("class/drm/card0/device/tile0/gt0/freq0/act_freq", "2050\n");
    put("class/drm/card0/device/tile0/gt0/freq0/rp0_freq", "2400\n");
    put("class/drm/card0/device/hwmon/hwmon2/name", "xe\n");
    put("class/drm/card0/device/hwmon/hwmon2/power1_max", "190000000\n");
    put("class/drm/card0/device/hwmon/hwmon2/energy1_input", "5000000\n");
    const struct cdl_device_info info = device(0x8086, 0x56a0);
    struct sensors *s = open_it(&info);
    assert_string_equal(sensors_limits(s).source, "xe");
    near(sensors_limits(s).max_clock_mhz, 2400);
    near(sensors_limits(s).power_limit_watts, 190);
    sensors_read(s, &v);
    near(v.clock_mhz, 2050);
    assert_true(v.power_watts < 0); // energy, of which there is one reading
    put("class/drm/card0/device/hwmon/hwmon2/energy1_input", "6000000\n");
    sensors_read(s, &v);
    assert_true(v.power_watts > 0); // a joule, in whatever time went by
    sensors_close(&s);
}

static void test_i915(void **state) {
    (void)state;
    put("class/drm/card0/device/vendor", "0x8086\n");
    put("class/drm/card0/device/device", "0x9a49\n");
    put("class/drm/card0/gt_act_freq_mhz", "1150\n");
    put("class/drm/card0/gt_RP0_freq_mhz", "1300\n");
    const struct cdl_device_info info = device(0x8086, 0x9a49);
    struct sensors *s = open_it(&info);
    assert_string_equal(sensors_limits(s).source, "i915");
    near(sensors_clock(s), 1150);
    near(sensors_limits(s).max_clock_mhz, 1300);
    sensors_close(&s);
}

static void test_cpu_driver(void **state) {
    (void)state;
    put("devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "3100000\n");
    put("devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3700000\n");
    const struct cdl_device_info info = {.software = true, .vendor_id = 0x10005};
    struct sensors *s = open_it(&info);
    assert_string_equal(sensors_limits(s).source, "cpufreq");
    near(sensors_clock(s), 3100);
    near(sensors_limits(s).max_clock_mhz, 3700);
    sensors_close(&s);
}

static void test_nothing_is_known(void **state) {
    struct sensor_values v;
    (void)state;
    const struct cdl_device_info info = device(0x1002, 0x744c), cpu = {.software = true};
    const struct cdl_device_info *const both[] = {&info, &cpu};
    for (int i = 0; i < 2; i++) {
        struct sensors *s = open_it(both[i]);
        sensors_read(s, &v);
        assert_true(v.clock_mhz < 0 && v.memory_clock_mhz < 0 && v.power_watts < 0 && v.temperature_c < 0 &&
                    v.memory_used_bytes < 0);
        assert_null(sensors_limits(s).source);
        assert_true(sensors_limits(s).max_clock_mhz < 0);
        sensors_close(&s);
    }
    put("class/drm/card0/device/vendor", "garbage\n");
    put("class/drm/card0/device/device", "");
    struct sensors *s = open_it(&info);
    assert_true(sensors_clock(s) < 0);
    sensors_close(&s);
}

static void test_nvml(void **state) {
    struct sensor_values v;
    (void)state;
    struct cdl_device_info info = device(0x10de, 0x2335);
    snprintf(info.uuid, sizeof info.uuid, "864bf3ca-12c3-ac55-7337-76aae891cceb");
    const struct sensors_places places = {.sysfs = root, .nvml = FAKE_NVML};
    struct sensors *s = sensors_open(&info, &places);
    const struct sensor_limits l = sensors_limits(s);
    assert_string_equal(l.source, "NVML");
    near(l.max_clock_mhz, 1000);
    near(l.power_limit_watts, 700);
    assert_int_equal(l.resizable_bar, 1);
    assert_int_equal(l.ecc, -1); // the library says that this card has none
    sensors_read(s, &v);
    near(v.clock_mhz, 900);
    near(v.memory_clock_mhz, 3201);
    near(v.power_watts, 217.14);
    near(v.temperature_c, 44);
    near(v.memory_used_bytes, 250);
    near(sensors_clock(s), 900);
    sensors_close(&s);
    assert_null(s);

    info.uuid[0] = '0'; // another GPU, of which the library knows nothing
    s = sensors_open(&info, &places);
    assert_null(sensors_limits(s).source);
    sensors_close(&s);
    s = sensors_open(&info, &(struct sensors_places){.sysfs = root, .nvml = "/nonexistent/libnvidia-ml.so.1"});
    assert_null(sensors_limits(s).source);
    assert_true(sensors_clock(s) < 0);
    sensors_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_amdgpu, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_amdgpu_without_hwmon_clock, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_of_two_alike_the_one_that_is_meant, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_xe, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_i915, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_cpu_driver, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_nothing_is_known, new_root, remove_root),
        cmocka_unit_test_setup_teardown(test_nvml, new_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
