// sysfs.c - clocks and the like of Linux's drivers, from the files of sysfs; see sensors.h.
//
// amdgpu: Documentation/gpu/amdgpu/thermal.rst of the kernel; xe and i915:
// Documentation/ABI/testing/sysfs-driver-intel-*.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sensors.h"
#include "system/clock.h"

enum { AMD = 0x1002, INTEL = 0x8086, MAX_CARDS = 64, MAX_HWMON = 256 };

#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
static bool
read_line(char line[256], const char *fmt, ...) {
    char path[2 * SYSFS_PATH];
    va_list args;
    va_start(args, fmt);
    vsnprintf(path, sizeof path, fmt, args);
    va_end(args);
    FILE *file = fopen(path, "r");
    const bool ok = file && fgets(line, 256, file);
    if (file)
        fclose(file);
    return ok;
}

// The number in a file, in hexadecimal where it begins with 0x, times `scale`; -1: there is none.
static double read_number(const char *folder, const char *name, double scale) {
    char line[256], *end;
    if (!folder[0] || !read_line(line, "%s/%s", folder, name))
        return -1;
    const double value = !strncmp(line, "0x", 2) ? (double)strtoul(line, &end, 16) : strtod(line, &end);
    return end == line || value < 0 ? -1 : value * scale;
}

// The first that can be read.
static double first_number(const char *folder, const char *const *names, double scale) {
    for (; *names; names++) {
        const double value = read_number(folder, *names, scale);
        if (value >= 0)
            return value;
    }
    return -1;
}

// pp_dpm_sclk has a line for each clock, "1: 2500Mhz *", the star at the one in use.
static double amdgpu_levels(const struct sysfs *s, const char *name, bool highest) {
    char path[2 * SYSFS_PATH], line[256];
    double found = -1;
    snprintf(path, sizeof path, "%s/device/%s", s->card, name);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file)) {
        double mhz;
        if (sscanf(line, "%*d: %lf", &mhz) == 1 && (highest ? mhz > found : strchr(line, '*') != NULL))
            found = mhz;
    }
    if (file)
        fclose(file);
    return found;
}

// RADV's device UUID is the place on the PCI bus: four 32-bit numbers, domain to function, of little endian.
static bool place_of_uuid(const char *uuid, char out[32]) {
    unsigned bytes[16];
    int n = 0;
    for (const char *c = uuid; *c && n < 16;) {
        if (*c == '-') {
            c++;
            continue;
        }
        if (sscanf(c, "%2x", &bytes[n++]) != 1)
            return false;
        c += 2;
    }
    if (n < 16 || bytes[5] || bytes[6] || bytes[7] || bytes[9] || bytes[10] || bytes[11] || bytes[13])
        return false;
    snprintf(out, 32, "%02x%02x:%02x:%02x.%x", bytes[1], bytes[0], bytes[4], bytes[8], bytes[12] & 7);
    return true;
}

static bool is_at(const char *card, const char *place) {
    char line[256], path[2 * SYSFS_PATH];
    snprintf(path, sizeof path, "%s/device/uevent", card);
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        found = !strncmp(line, "PCI_SLOT_NAME=", 14) && !strcmp(line + 14, place);
    }
    if (file)
        fclose(file);
    return found;
}

// The card of this vendor and model; of several alike the one whose place the UUID tells, else none.
static bool find_card(struct sysfs *s, const char *root, const struct cdl_device_info *device) {
    char place[32] = "", card[SYSFS_PATH];
    int alike = 0;
    bool certain = false;
    const bool placed = device->vendor_id == AMD && place_of_uuid(device->uuid, place);
    for (int i = 0; i < MAX_CARDS && !certain; i++) {
        char folder[SYSFS_PATH];
        snprintf(card, sizeof card, "%s/class/drm/card%d", root, i);
        if (snprintf(folder, sizeof folder, "%s/device", card) >= (int)sizeof folder ||
            read_number(folder, "vendor", 1) != device->vendor_id ||
            read_number(folder, "device", 1) != device->device_id)
            continue;
        certain = placed && is_at(card, place);
        alike++;
        if (certain || alike == 1)
            memcpy(s->card, card, sizeof s->card);
    }
    return certain || alike == 1;
}

static void find_hwmon(struct sysfs *s) {
    char folder[SYSFS_PATH], line[256];
    for (int i = 0; i < MAX_HWMON && !s->hwmon[0]; i++)
        if (snprintf(folder, sizeof folder, "%s/device/hwmon/hwmon%d", s->card, i) < (int)sizeof folder &&
            read_line(line, "%s/name", folder))
            memcpy(s->hwmon, folder, sizeof s->hwmon);
}

static const char *const xe_clocks[] = {"device/tile0/gt0/freq0/act_freq", "device/tile0/gt0/freq0/cur_freq", NULL};
static const char *const xe_max[] = {"device/tile0/gt0/freq0/rp0_freq", "device/tile0/gt0/freq0/max_freq", NULL};
static const char *const i915_clocks[] = {"gt/gt0/rps_act_freq_mhz", "gt_act_freq_mhz", NULL};
static const char *const i915_max[] = {"gt/gt0/rps_RP0_freq_mhz", "gt_RP0_freq_mhz", "gt_max_freq_mhz", NULL};
static const char *const amd_power[] = {"power1_average", "power1_input", NULL};
static const char *const intel_limit[] = {"power1_max", "power1_rated_max", NULL};

static void amdgpu_limits(const struct sysfs *s, struct sensor_limits *limits) {
    limits->source = "amdgpu";
    limits->max_clock_mhz = amdgpu_levels(s, "pp_dpm_sclk", true);
    limits->power_limit_watts = read_number(s->hwmon, "power1_cap", 1e-6);
    const double all = read_number(s->card, "device/mem_info_vram_total", 1),
                 seen = read_number(s->card, "device/mem_info_vis_vram_total", 1);
    if (all > 0 && seen >= 0)
        limits->resizable_bar = seen >= all;
}

bool sysfs_open(struct sysfs *s, const char *root, const struct cdl_device_info *device, struct sensor_limits *limits) {
    *s = (struct sysfs){0};
    if (device->software) {
        s->driver = SYSFS_CPU;
        if (snprintf(s->card, sizeof s->card, "%s/devices/system/cpu/cpu0/cpufreq", root) >= (int)sizeof s->card)
            return false;
        limits->max_clock_mhz = read_number(s->card, "cpuinfo_max_freq", 1e-3);
        limits->source = sysfs_clock(s) >= 0 ? "cpufreq" : NULL;
        return limits->source != NULL;
    }
    if (!find_card(s, root, device))
        return false;
    find_hwmon(s);
    if (device->vendor_id == AMD && amdgpu_levels(s, "pp_dpm_sclk", true) >= 0) {
        s->driver = SYSFS_AMDGPU;
        amdgpu_limits(s, limits);
    } else if (device->vendor_id == INTEL) {
        s->driver = first_number(s->card, xe_clocks, 1) >= 0 ? SYSFS_XE : SYSFS_I915;
        limits->source = s->driver == SYSFS_XE ? "xe" : "i915";
        limits->max_clock_mhz = first_number(s->card, s->driver == SYSFS_XE ? xe_max : i915_max, 1);
        limits->power_limit_watts = first_number(s->hwmon, intel_limit, 1e-6);
    }
    return s->driver != SYSFS_NONE;
}

double sysfs_clock(const struct sysfs *s) {
    switch (s->driver) {
    case SYSFS_AMDGPU: {
        const double mhz = read_number(s->hwmon, "freq1_input", 1e-6);
        return mhz >= 0 ? mhz : amdgpu_levels(s, "pp_dpm_sclk", false);
    }
    case SYSFS_XE: return first_number(s->card, xe_clocks, 1);
    case SYSFS_I915: return first_number(s->card, i915_clocks, 1);
    case SYSFS_CPU: return read_number(s->card, "scaling_cur_freq", 1e-3);
    case SYSFS_NONE: break;
    }
    return -1;
}

// Intel's drivers count energy: power is what was added since the last time.
static double power_by_energy(struct sysfs *s) {
    const double now = now_ms(), joules = read_number(s->hwmon, "energy1_input", 1e-6);
    const double before = s->energy_joules, seconds = (now - s->energy_ms) / 1e3;
    const bool known = joules >= 0 && s->energy_ms > 0 && seconds > 0 && joules >= before;
    s->energy_joules = joules;
    s->energy_ms = joules >= 0 ? now : 0;
    return known ? (joules - before) / seconds : -1;
}

void sysfs_read(struct sysfs *s, struct sensor_values *out) {
    out->clock_mhz = sysfs_clock(s);
    if (s->driver == SYSFS_CPU)
        return;
    out->temperature_c = read_number(s->hwmon, "temp1_input", 1e-3);
    out->power_watts = first_number(s->hwmon, amd_power, 1e-6);
    if (out->power_watts < 0)
        out->power_watts = power_by_energy(s);
    if (s->driver == SYSFS_AMDGPU) {
        const double mhz = read_number(s->hwmon, "freq2_input", 1e-6);
        out->memory_clock_mhz = mhz >= 0 ? mhz : amdgpu_levels(s, "pp_dpm_mclk", false);
        out->memory_used_bytes = read_number(s->card, "device/mem_info_vram_used", 1);
    }
}
