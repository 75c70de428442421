// nvml.c - NVIDIA's management library, loaded at run time; see sensors.h. Its functions and numbers are as in nvml.h
// of NVIDIA's driver, whose interface does not change.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/sensors.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
static void *open_library(const char *name) { return (void *)LoadLibraryExA(name, NULL, LOAD_LIBRARY_SEARCH_SYSTEM32); }
static void close_library(void *library) { FreeLibrary((HMODULE)library); }
static void *find_function(void *library, const char *name) {
    void *out;
    FARPROC function = GetProcAddress((HMODULE)library, name);
    memcpy(&out, &function, sizeof out);
    return out;
}
static const char *const usual_library = "nvml.dll";
#else
#include <dlfcn.h>
static void *open_library(const char *name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }
static void close_library(void *library) { dlclose(library); }
static void *find_function(void *library, const char *name) { return dlsym(library, name); }
static const char *const usual_library = "libnvidia-ml.so.1";
#endif

enum { CLOCK_SM = 1, CLOCK_MEMORY = 2, SENSOR_GPU = 0 };

typedef struct nvml_device *nvml_handle;
struct nvml_memory {
    unsigned long long total, free, used;
};
struct nvml_bar1 {
    unsigned long long total, free, used;
};

struct nvml {
    void *library;
    nvml_handle device;
    int (*init)(void);
    int (*shutdown)(void);
    int (*by_uuid)(const char *uuid, nvml_handle *out);
    int (*clock)(nvml_handle device, int which, unsigned *mhz);
    int (*max_clock)(nvml_handle device, int which, unsigned *mhz);
    int (*power)(nvml_handle device, unsigned *milliwatts);
    int (*power_limit)(nvml_handle device, unsigned *milliwatts);
    int (*temperature)(nvml_handle device, int which, unsigned *celsius);
    int (*memory)(nvml_handle device, struct nvml_memory *out);
    int (*bar1)(nvml_handle device, struct nvml_bar1 *out);
    int (*ecc)(nvml_handle device, int *now, int *after_restart);
};

static bool load_functions(struct nvml *n) {
    const struct {
        const char *name;
        void *to; // a pointer to a function
    } functions[] = {
        {"nvmlInit_v2", &n->init},
        {"nvmlShutdown", &n->shutdown},
        {"nvmlDeviceGetHandleByUUID", &n->by_uuid},
        {"nvmlDeviceGetClockInfo", &n->clock},
        {"nvmlDeviceGetMaxClockInfo", &n->max_clock},
        {"nvmlDeviceGetPowerUsage", &n->power},
        {"nvmlDeviceGetEnforcedPowerLimit", &n->power_limit},
        {"nvmlDeviceGetTemperature", &n->temperature},
        {"nvmlDeviceGetMemoryInfo", &n->memory},
        {"nvmlDeviceGetBAR1MemoryInfo", &n->bar1},
        {"nvmlDeviceGetEccMode", &n->ecc},
    };
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        void *found = find_function(n->library, functions[i].name);
        if (!found)
            return false;
        memcpy(functions[i].to, &found, sizeof found); // POSIX: a function's address fits
    }
    return true;
}

static void read_limits(struct nvml *n, struct sensor_limits *limits) {
    unsigned value;
    int now, after;
    struct nvml_memory memory;
    struct nvml_bar1 bar1;
    limits->source = "NVML";
    if (n->max_clock(n->device, CLOCK_SM, &value) == 0)
        limits->max_clock_mhz = value;
    if (n->power_limit(n->device, &value) == 0)
        limits->power_limit_watts = value / 1e3;
    if (n->ecc(n->device, &now, &after) == 0)
        limits->ecc = now != 0;
    if (n->memory(n->device, &memory) == 0 && n->bar1(n->device, &bar1) == 0)
        limits->resizable_bar = bar1.total >= memory.total;
}

struct nvml *nvml_open(const char *library, const char *uuid, struct sensor_limits *limits) {
    struct nvml *n = calloc(1, sizeof *n);
    char name[64];
    if (!n)
        return NULL;
    n->library = open_library(library ? library : usual_library);
    if (!n->library)
        goto error;
    if (!load_functions(n) || n->init() != 0) {
        n->shutdown = NULL; // nothing to shut down
        goto error;
    }
    snprintf(name, sizeof name, "GPU-%.36s", uuid);
    if (n->by_uuid(name, &n->device) != 0)
        goto error;
    read_limits(n, limits);
    return n;
error:
    nvml_close(&n);
    return NULL;
}

void nvml_close(struct nvml **n) {
    if (*n && (*n)->shutdown)
        (*n)->shutdown();
    if (*n && (*n)->library)
        close_library((*n)->library);
    free(*n);
    *n = NULL;
}

void nvml_read(struct nvml *n, struct sensor_values *out) {
    unsigned value;
    struct nvml_memory memory;
    out->clock_mhz = nvml_clock(n);
    if (n->clock(n->device, CLOCK_MEMORY, &value) == 0)
        out->memory_clock_mhz = value;
    if (n->power(n->device, &value) == 0)
        out->power_watts = value / 1e3;
    if (n->temperature(n->device, SENSOR_GPU, &value) == 0)
        out->temperature_c = value;
    if (n->memory(n->device, &memory) == 0)
        out->memory_used_bytes = (double)memory.used;
}

double nvml_clock(struct nvml *n) {
    unsigned value;
    return n->clock(n->device, CLOCK_SM, &value) == 0 ? (double)value : -1;
}
