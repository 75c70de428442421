// fake_nvml.c - NVIDIA's management library as test_sensors wants it: one GPU, whose clock is 900 of 1000 MHz.
#include <string.h>

enum { NO_SUCH_DEVICE = 6, NOT_SUPPORTED = 3 };
struct memory {
    unsigned long long total, free, used;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetHandleByUUID(const char *uuid, void **device);
int nvmlDeviceGetClockInfo(void *device, int which, unsigned *mhz);
int nvmlDeviceGetMaxClockInfo(void *device, int which, unsigned *mhz);
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts);
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts);
int nvmlDeviceGetTemperature(void *device, int which, unsigned *celsius);
int nvmlDeviceGetMemoryInfo(void *device, struct memory *out);
int nvmlDeviceGetBAR1MemoryInfo(void *device, struct memory *out);
int nvmlDeviceGetEccMode(void *device, int *now, int *pending);

static int the_device, open;

int nvmlInit_v2(void) {
    open++;
    return 0;
}

int nvmlShutdown(void) {
    open--;
    return 0;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, void **device) {
    *device = &the_device;
    return open && !strcmp(uuid, "GPU-864bf3ca-12c3-ac55-7337-76aae891cceb") ? 0 : NO_SUCH_DEVICE;
}

int nvmlDeviceGetClockInfo(void *device, int which, unsigned *mhz) {
    *mhz = which == 1 ? 900 : 3201;
    return device == &the_device && (which == 1 || which == 2) ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetMaxClockInfo(void *device, int which, unsigned *mhz) {
    *mhz = 1000;
    return device == &the_device && which == 1 ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    (void)device;
    *milliwatts = 217140;
    return 0;
}

int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) {
    (void)device;
    *milliwatts = 700000;
    return 0;
}

int nvmlDeviceGetTemperature(void *device, int which, unsigned *celsius) {
    (void)device;
    *celsius = 44;
    return which == 0 ? 0 : NOT_SUPPORTED;
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *out) {
    (void)device;
    *out = (struct memory){1000, 750, 250};
    return 0;
}

int nvmlDeviceGetBAR1MemoryInfo(void *device, struct memory *out) {
    (void)device;
    *out = (struct memory){1024, 0, 0};
    return 0;
}

int nvmlDeviceGetEccMode(void *device, int *now, int *pending) { // as consumers' cards answer
    (void)device;
    *now = *pending = 0;
    return NOT_SUPPORTED;
}
