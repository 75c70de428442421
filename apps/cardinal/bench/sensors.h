// sensors.h - clock, power, temperature and memory of a device, as its driver tells them.
//
// NVIDIA's through NVML, which is loaded at run time; amdgpu, xe and i915 through sysfs and hwmon; a CPU driver's
// through cpufreq. What cannot be read is negative.
#ifndef CARDINAL_SENSORS_H_
#define CARDINAL_SENSORS_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdl/cdl.h"

struct sensor_values {
    double clock_mhz, memory_clock_mhz; // of the shaders; of the memory
    double power_watts, temperature_c;
    double memory_used_bytes;
};

struct sensor_limits {
    double max_clock_mhz, power_limit_watts;
    int ecc;            // 1 on, 0 off, -1 not known
    int resizable_bar;  // the same: whether the host sees all of the device's memory
    const char *source; // "NVML", "amdgpu", ...; NULL: nothing was found
};

struct sensors; // one device's
struct sensors_places {
    const char *sysfs; // NULL: "/sys"
    const char *nvml;  // NULL: the library where NVIDIA's driver puts it
};
// Always gives one, which may know nothing; NULL for want of memory, which the others take. `places` NULL: the
// system's.
struct sensors *sensors_open(const struct cdl_device_info *device, const struct sensors_places *places);
void sensors_close(struct sensors **s);
void sensors_read(struct sensors *s, struct sensor_values *out);
double sensors_clock(struct sensors *s); // of sensors_read's values the one that is read between runs
struct sensor_limits sensors_limits(const struct sensors *s);

// ---- what sensors.c is made of; `state` is malloc'd
struct nvml;
struct nvml *nvml_open(const char *library, const char *uuid, struct sensor_limits *limits); // NULL: there is none
void nvml_close(struct nvml **n);
void nvml_read(struct nvml *n, struct sensor_values *out);
double nvml_clock(struct nvml *n);

enum { SYSFS_PATH = 1024 };
struct sysfs {
    char card[SYSFS_PATH], hwmon[SYSFS_PATH]; // .../card0, .../card0/device/hwmon/hwmon3; "": there is none
    enum sysfs_driver { SYSFS_NONE, SYSFS_AMDGPU, SYSFS_XE, SYSFS_I915, SYSFS_CPU } driver;
    double energy_joules, energy_ms; // when power was last asked for, where the driver counts energy
};
bool sysfs_open(struct sysfs *s, const char *root, const struct cdl_device_info *device, struct sensor_limits *limits);
void sysfs_read(struct sysfs *s, struct sensor_values *out);
double sysfs_clock(const struct sysfs *s);

#endif // CARDINAL_SENSORS_H_
