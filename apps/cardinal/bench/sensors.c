// sensors.c - see sensors.h.
#include "bench/sensors.h"

#include <stdlib.h>

enum { NVIDIA = 0x10de };

struct sensors {
    struct nvml *nvml; // NULL: there is none
    struct sysfs sysfs;
    bool has_sysfs;
    struct sensor_limits limits;
};

struct sensors *sensors_open(const struct cdl_device_info *device, const struct sensors_places *places) {
    struct sensors *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->limits = (struct sensor_limits){-1, -1, -1, -1, NULL};
    if (device->vendor_id == NVIDIA && !device->software)
        s->nvml = nvml_open(places ? places->nvml : NULL, device->uuid, &s->limits);
    if (!s->nvml)
        s->has_sysfs = sysfs_open(&s->sysfs, places && places->sysfs ? places->sysfs : "/sys", device, &s->limits);
    return s;
}

void sensors_close(struct sensors **s) {
    if (*s)
        nvml_close(&(*s)->nvml);
    free(*s);
    *s = NULL;
}

void sensors_read(struct sensors *s, struct sensor_values *out) {
    *out = (struct sensor_values){-1, -1, -1, -1, -1};
    if (s && s->nvml)
        nvml_read(s->nvml, out);
    else if (s && s->has_sysfs)
        sysfs_read(&s->sysfs, out);
}

double sensors_clock(struct sensors *s) {
    return s && s->nvml ? nvml_clock(s->nvml) : s && s->has_sysfs ? sysfs_clock(&s->sysfs) : -1;
}

struct sensor_limits sensors_limits(const struct sensors *s) {
    return s ? s->limits : (struct sensor_limits){-1, -1, -1, -1, NULL};
}
