// environment.c - describes the machine that the figures come from. What cannot be read is "not available", never 0.
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "commands/layers.h"
#include "commands/report.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#include <sys/utsname.h>
#endif

#ifndef CARDINAL_COMMIT
#define CARDINAL_COMMIT ""
#endif

static const char *const not_available = "not available";

static void describe_system(char *os, char *kernel, size_t size) {
    snprintf(os, size, "%s", not_available);
    snprintf(kernel, size, "%s", not_available);
#ifdef _WIN32
    // The registry, because GetVersionEx reports an older Windows to programs that do not declare a newer one.
    char build[64] = "";
    DWORD bytes = sizeof build;
    snprintf(os, size, "Windows");
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "CurrentBuildNumber",
                     RRF_RT_REG_SZ, NULL, build, &bytes) == ERROR_SUCCESS)
        snprintf(kernel, size, "build %s", build);
#else
    struct utsname name;
    if (uname(&name) == 0) {
        snprintf(os, size, "%s", name.sysname);
        snprintf(kernel, size, "%s %s", name.release, name.machine);
    }
    FILE *file = fopen("/etc/os-release", "r");
    char line[256];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (strncmp(line, "PRETTY_NAME=", 12) != 0)
            continue;
        char *text = line + 12;
        const size_t length = strlen(text);
        if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
            text[length - 1] = 0;
            text++;
        }
        snprintf(os, size, "%s", text);
    }
    if (file)
        fclose(file);
#endif
}

#ifdef _WIN32
static void describe_processor(char *out, size_t size) {
    DWORD bytes = (DWORD)size;
    if (RegGetValueA(HKEY_LOCAL_MACHINE, "HARDWARE\\DESCRIPTION\\System\\CentralProcessor\\0", "ProcessorNameString",
                     RRF_RT_REG_SZ, NULL, out, &bytes) != ERROR_SUCCESS)
        snprintf(out, size, "%s", not_available);
}
#else
static void describe_processor(char *out, size_t size) {
    char line[512];
    FILE *file = fopen("/proc/cpuinfo", "r");
    snprintf(out, size, "%s", not_available);
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon)
            continue;
        line[strcspn(line, "\r\n")] = 0;
        snprintf(out, size, "%s", colon + 2);
        break;
    }
    if (file)
        fclose(file);
}
#endif

// The host's memory in bytes; 0: not known.
static double host_memory(void) {
#ifdef _WIN32
    MEMORYSTATUSEX status = {.dwLength = sizeof status};
    return GlobalMemoryStatusEx(&status) ? (double)status.ullTotalPhys : 0;
#else
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && !kilobytes && fgets(line, sizeof line, file))
        if (sscanf(line, "MemTotal: %lf kB", &kilobytes) != 1)
            kilobytes = 0;
    if (file)
        fclose(file);
    return 1024 * kilobytes;
#endif
}

static void active_layers(char *out, size_t size) {
    struct layer_info layers[32];
    const int count = find_implicit_layers(layers, 32);
    size_t n = 0;
    out[0] = 0;
    for (int i = 0; i < count && n + 1 < size; i++)
        if (layers[i].active)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n ? ", " : "", layers[i].name);
    if (!out[0])
        snprintf(out, size, "none");
}

static json_t *yes_or_no(int value) { return value < 0 ? json_text(not_available) : json_text(value ? "yes" : "no"); }

json_t *bench_device_json(const struct bench_target *t) {
    static const char *const types[] = {"other", "integrated", "discrete", "virtual", "CPU"};
    const struct sensor_limits limits = sensors_limits(t->sensors);
    json_t *o = json_object();
    json_object_set_new(o, "device", json_text(t->info.name));
    json_object_set_new(o, "uuid", json_text(t->info.uuid));
    json_object_set_new(o, "type", json_text(types[t->info.type]));
    json_object_set_new(o, "driver", json_text(t->info.driver));
    json_object_set_new(o, "vulkan", json_text(version_text(t->info.api_version).text));
    json_object_set_new(o, "software", json_boolean(t->info.software));
    json_object_set_new(o, "memory_bytes", json_integer((json_int_t)t->info.memory_bytes));
    json_object_set_new(o, "subgroup_size", json_integer(t->info.subgroup_size));
    json_object_set_new(o, "clock_max_mhz", bench_known_json(limits.max_clock_mhz, limits.max_clock_mhz > 0));
    json_object_set_new(o, "power_limit_watts",
                        bench_known_json(limits.power_limit_watts, limits.power_limit_watts > 0));
    json_object_set_new(o, "ecc", yes_or_no(limits.ecc));
    json_object_set_new(o, "resizable_bar", yes_or_no(limits.resizable_bar));
    json_object_set_new(o, "sensors", json_text(limits.source ? limits.source : not_available));
    return o;
}

json_t *bench_environment_json(const struct bench_target *t) {
    char os[256], kernel[256], processor[256], layers[1024], shaders[32];
    json_t *o = json_object();
    const double memory = host_memory();
    describe_system(os, kernel, sizeof os);
    describe_processor(processor, sizeof processor);
    active_layers(layers, sizeof layers);
    snprintf(shaders, sizeof shaders, "%016llx", (unsigned long long)cdl_shaders_hash());
    json_object_set_new(o, "version", json_text(CARDINAL_VERSION));
    json_object_set_new(o, "commit", json_text(CARDINAL_COMMIT[0] ? CARDINAL_COMMIT : not_available));
    json_object_set_new(o, "shaders", json_text(shaders));
    json_object_set_new(o, "os", json_text(os));
    json_object_set_new(o, "kernel", json_text(kernel));
    json_object_set_new(o, "processor", json_text(processor));
    json_object_set_new(o, "memory_bytes", bench_known_json(memory, memory > 0));
    json_object_set_new(o, "layers", json_text(layers));
    json_object_set_new(o, "tune", json_text(tune_names[t->options->tune]));
    return o;
}

void bench_print_environment(FILE *file, const struct bench_target *t) {
    char os[256], kernel[256], processor[256], layers[1024];
    describe_system(os, kernel, sizeof os);
    describe_processor(processor, sizeof processor);
    active_layers(layers, sizeof layers);
    fprintf(file, "cardinal %s%s%s on %s, %s; %s\n", CARDINAL_VERSION, CARDINAL_COMMIT[0] ? ", " : "", CARDINAL_COMMIT,
            os, kernel, processor);
    const struct sensor_limits limits = sensors_limits(t->sensors);
    fprintf(file, "%s%s\n  driver %s, Vulkan %s; UUID %s; implicit layers: %s\n", t->info.name,
            t->info.software ? ", a CPU driver: no GPU is used" : "", t->info.driver,
            version_text(t->info.api_version).text, t->info.uuid, layers);
    const struct {
        const char *name;
        double value;
        const char *unit;
    } peaks[] = {
        {"fp32", t->peaks.fp32_gflops, "GFLOP/s"},     {"fp16", t->peaks.fp16_gflops, "GFLOP/s"},
        {"matrix", t->peaks.matrix_gflops, "GFLOP/s"}, {"int8 dot", t->peaks.int8_gops, "GOP/s"},
        {"memory", t->peaks.memory_gbytes, "GB/s"},
    };
    fprintf(file, "  measured peaks:");
    for (size_t i = 0; i < sizeof peaks / sizeof *peaks; i++) {
        fprintf(file, "%s %s ", i ? "," : "", peaks[i].name);
        if (peaks[i].value > 0)
            fprintf(file, "%.4g %s", peaks[i].value, peaks[i].unit);
        else
            fprintf(file, "unsupported");
    }
    if (limits.max_clock_mhz > 0)
        fprintf(file, "\n  clock at most %.0f MHz", limits.max_clock_mhz);
    else
        fprintf(file, "\n  clock not available");
    if (limits.power_limit_watts > 0)
        fprintf(file, ", power at most %.0f W", limits.power_limit_watts);
    if (limits.ecc >= 0)
        fprintf(file, ", ECC %s", limits.ecc ? "on" : "off");
    if (limits.resizable_bar >= 0)
        fprintf(file, ", resizable BAR %s", limits.resizable_bar ? "on" : "off");
    fprintf(file, "\n\n");
}
